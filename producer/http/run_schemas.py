"""The shapes of apply runs, as /openapi.json declares them. See `schemas`."""

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

_CLOSED = ConfigDict(extra="forbid")
Count = Annotated[int, Field(ge=0)]


class _Run(TypedDict):
    runId: str
    generation: int
    status: Literal["pending", "ready", "failed", "superseded"]
    supersededBy: Annotated[int | None, Field(description="the generation that took its place")]
    mode: Annotated[
        Literal["apply", "report", "later"],
        Field(description="report: drift is read back and named, nothing is written; later: of a later release"),
    ]
    changedBy: Annotated[
        str | None, Field(description="who made the change that a run with the reason drift follows from")
    ]
    reason: str
    requestedBy: str
    door: str
    requestId: Annotated[str | None, Field(description="of the request that asked for it")]
    version: Annotated[int, Field(description="of the group's definition")]
    listedServers: Annotated[Count, Field(description="how many source servers the run lists: those that it applies")]
    appliedServers: Annotated[
        Count | None,
        Field(description="how many of the whole group were ready when the run settled; null where it has not"),
    ]
    failedServers: Annotated[
        Count | None,
        Field(description="how many of the whole group had failed when the run settled; null where it has not"),
    ]
    openedAt: datetime
    settledAt: datetime | None
    deadline: datetime


@with_config(_CLOSED)
class RunSummary(_Run):
    """An apply run without its source servers."""


@with_config(_CLOSED)
class FieldChange(TypedDict):
    """What one field was, and what it was to be; null stands for nothing."""

    field: Annotated[str, Field(description="a member stands behind a dot, as in tags.Owner")]
    observed: object
    desired: object


@with_config(_CLOSED)
class ServerChange(TypedDict):
    """What a run changed in one source server."""

    sourceServerId: str
    fields: list[FieldChange]
    begunAt: Annotated[datetime, Field(description="before the first write to AWS")]
    completedAt: datetime | None
    outcome: Literal["ready", "failed"] | None


@with_config(_CLOSED)
class ApplyRun(_Run):
    """An apply run, with what it changed; what was right already is not among the changes."""

    sourceServerIds: list[str]
    changes: list[ServerChange]


@with_config(_CLOSED)
class ApplyRunList(TypedDict):
    """A page of a group's runs, newest first."""

    applyRuns: list[RunSummary]
    nextToken: NotRequired[str]
