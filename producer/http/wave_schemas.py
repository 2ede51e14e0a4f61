"""The shapes of waves, as /openapi.json declares them. See `schemas`."""

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from producer.http.run_schemas import Count

_CLOSED = ConfigDict(extra="forbid")


@with_config(_CLOSED)
class WaveGroup(TypedDict):
    """A group of a wave."""

    groupId: str
    path: Annotated[
        Literal["fast", "fallback"],
        Field(description="fast: no call about settings; fallback: something is applied first, or was"),
    ]
    state: Annotated[
        Literal["unready", "launching", "over"],
        Field(description="launching: its launch templates are held until every launch is final"),
    ]
    generation: Annotated[Count, Field(description="that it is launched at; 0 where it has no launch config")]


@with_config(_CLOSED)
class RecoveryJob(TypedDict):
    """A DRS job of a wave."""

    jobId: str
    groupId: str
    sourceServerIds: list[str]
    launchStatuses: dict[str, str]
    isOver: Annotated[bool, Field(description="whether every launch status is final")]


@with_config(_CLOSED)
class WaveError(TypedDict):
    """Why source servers of a wave are not recovered."""

    groupId: str
    sourceServerIds: list[str]
    code: Annotated[
        str,
        Field(
            description="AWS's own code where AWS refused it; IN_ANOTHER_JOB, LAUNCH_FAILED, NOT_READY, DRIFT_FOUND,"
            " HOLD_LOST, GROUP_DELETED, DEADLINE_EXCEEDED or PURGED"
        ),
    ]
    message: str
    requestId: str | None


class _Wave(TypedDict):
    waveId: str
    status: Annotated[
        Literal["starting", "applying", "waiting", "started", "finished", "failed"],
        Field(
            description="started: DRS has answered for everything; finished: every source server was launched;"
            " failed: it is over, and not every one was"
        ),
    ]
    isDrill: bool
    onNotReady: Literal["apply", "fail", "skip"]
    verify: Literal["stored", "live"]
    acceptedAt: datetime
    startedAt: Annotated[datetime | None, Field(description="when the last StartRecovery answered")]
    deadline: Annotated[datetime | None, Field(description="when what is not over by then is given up")]
    waitingFor: Annotated[
        str | None, Field(description="what is waited for before all of it is started, or over, in words")
    ]
    requestedBy: str


@with_config(_CLOSED)
class Wave(_Wave):
    """Groups that recovery is started for together."""

    groups: list[WaveGroup]
    jobs: list[RecoveryJob]
    errors: list[WaveError]


@with_config(_CLOSED)
class ListedWave(_Wave):
    """A wave in a list: without its groups and jobs."""


@with_config(_CLOSED)
class WaveList(TypedDict):
    """A page of the waves, newest first."""

    waves: list[ListedWave]
    nextToken: NotRequired[str]
