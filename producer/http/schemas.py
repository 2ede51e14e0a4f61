"""
The shapes of what the HTTP door answers, as /openapi.json declares them.

They describe what `producer.render` makes and take no part in making it; tests hold the two together. Closed, so
that a member which is answered and not declared is found.
"""

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from pydantic.json_schema import JsonSchemaMode
from typing_extensions import TypedDict

from producer.http.letter_schemas import DeadLetterList, RedrivenLetters
from producer.http.plan_schemas import LaunchConfigPlan, LiveSettings, ServerError
from producer.http.run_schemas import ApplyRun, ApplyRunList, Count
from producer.http.wave_schemas import Wave, WaveList
from workers.core.model.bodies import ApplyRequestBody, RedriveRequestBody, RollbackRequestBody, WaveRequestBody
from workers.core.model.fields import LaunchConfigBody
from workers.core.model.group_body import GroupBody, GroupUpdateBody, ServerBody
from workers.core.queries import ServerFilter

_CLOSED = ConfigDict(extra="forbid")
REFERENCE = "#/components/schemas/{model}"

StatusName = Literal["not_configured", "pending", "ready", "failed"]


class _GroupStatus(TypedDict):
    groupId: str
    status: StatusName
    generation: Annotated[int, Field(ge=0, description="grows with every change and every apply")]
    runId: str | None
    lastApplied: Annotated[datetime | None, Field(description="when the latest run was opened, then when it settled")]
    verifiedAt: Annotated[datetime | None, Field(description="the oldest member's last read-back")]
    appliedBy: str | None
    digest: Annotated[str | None, Field(description="of the effective launch configs of all members")]
    heldBy: Annotated[str | None, Field(description="the wave that holds the group")]
    appliedServers: Count
    failedServers: Count
    pendingServers: Count
    errors: Annotated[list[ServerError], Field(description="the first of them; each server has its own")]


@with_config(_CLOSED)
class LaunchConfigStatus(_GroupStatus):
    """Where a group stands."""


@with_config(_CLOSED)
class ServerStatus(TypedDict):
    """Where a source server stands."""

    status: StatusName
    lastApplied: datetime | None
    configHash: Annotated[str, Field(description="the digest of its effective launch config")]
    errors: list[ServerError]
    live: NotRequired[Annotated[LiveSettings, Field(description="where `live` was asked for")]]


@with_config(_CLOSED)
class UnlistedServers(TypedDict):
    """Source servers that match a group's tags and are no members of it."""

    count: int
    sourceServerIds: Annotated[list[str], Field(description="the first 20 of them")]
    seenAt: datetime


@with_config(_CLOSED)
class GroupLaunchConfigStatus(_GroupStatus):
    """Where a group and a page of its source servers stand, at one moment."""

    deadline: Annotated[datetime | None, Field(description="by when the run settles at the latest, while it runs")]
    waitingFor: Annotated[
        str | None,
        Field(
            description="what a pending group waits for, in words; settling: every source server has its outcome,"
            " and the status is about to be written; workers: for two minutes there was no outcome and no word of"
            " any, so that no worker may run, or the jobs are dead letters; null while it is simply at work"
        ),
    ]
    unlistedServers: Annotated[
        UnlistedServers | None,
        Field(
            description="who matches the group's tags and is no member: found by the watch, or now with live=true; an"
            " update takes them in; null where nobody is known of"
        ),
    ]
    serverConfigs: Annotated[dict[str, ServerStatus], Field(description="by source server id")]
    nextToken: NotRequired[str]


class _Summary(TypedDict):
    groupId: str
    groupName: str
    region: str
    accountId: str
    version: Annotated[int, Field(description="what an update has to name")]
    createdAt: datetime
    updatedAt: datetime
    launchConfigStatus: LaunchConfigStatus


class _Group(_Summary):
    description: str
    assumeRoleName: NotRequired[str]
    sourceServerIds: Annotated[
        list[str],
        Field(description="its members; of a group with serverSelectionTags those that matched when it was stored"),
    ]
    serverSelectionTags: NotRequired[dict[str, str]]
    launchConfig: LaunchConfigBody
    servers: list[ServerBody]
    autoRepair: bool


@with_config(_CLOSED)
class ProtectionGroup(_Group):
    """A group as it is defined, and where it stands. Its external id is never shown."""


@with_config(_CLOSED)
class Reapply(TypedDict):
    """The run that an update led to."""

    runId: str
    sourceServerIds: list[str]


@with_config(_CLOSED)
class UpdatedGroup(_Group):
    """A group as it was updated."""

    reapply: Annotated[Reapply | None, Field(description="null where nothing was to be applied")]


@with_config(_CLOSED)
class GroupSummary(_Summary):
    """A group without its members."""


@with_config(_CLOSED)
class ProtectionGroupList(TypedDict):
    """A page of the groups."""

    protectionGroups: list[GroupSummary]
    nextToken: NotRequired[str]


class _Applied(TypedDict):
    groupId: str
    runId: Annotated[str | None, Field(description="the run that was accepted, also where another one took its place")]
    status: Annotated[StatusName, Field(description="the group's, as it is now; so are the counts")]
    appliedServers: Count
    failedServers: Count
    pendingServers: Count
    errors: list[ServerError]


@with_config(_CLOSED)
class AppliedConfigs(_Applied):
    """What became of an apply."""


@with_config(_CLOSED)
class RolledBackConfigs(_Applied):
    """What became of a rollback."""

    toRunId: Annotated[str, Field(description="the run that was gone back to")]
    version: Annotated[int, Field(ge=1, description="of the group's definition as it was stored")]
    keptSourceServerIds: Annotated[
        list[str], Field(description="members that joined after that run: each keeps the launch config that it has")
    ]


@with_config(_CLOSED)
class ProblemError(TypedDict):
    """One thing that is wrong with a request."""

    pointer: Annotated[str, Field(description="JSON pointer into the body; of the parent where a member is missing")]
    sourceServerId: Annotated[str | None, Field(description="the source server that it concerns")]
    code: str
    message: str


@with_config(_CLOSED)
class Problem(TypedDict):
    """Why a request was refused or failed (RFC 9457)."""

    type: str
    title: str
    status: int
    code: Annotated[str, Field(description="what programs tell problems apart by")]
    detail: str
    errors: list[ProblemError]
    requestId: Annotated[str, Field(description="what to look for in the logs; also in the header X-Request-Id")]


@with_config(_CLOSED)
class Health(TypedDict):
    """Whether it works."""

    status: Literal["alive", "ready"]


SHAPES: tuple[type, ...] = (
    ApplyRequestBody,
    AppliedConfigs,
    RolledBackConfigs,
    RollbackRequestBody,
    ApplyRun,
    ApplyRunList,
    DeadLetterList,
    GroupBody,
    GroupLaunchConfigStatus,
    GroupUpdateBody,
    Health,
    LaunchConfigPlan,
    Problem,
    ProtectionGroup,
    ProtectionGroupList,
    RedriveRequestBody,
    RedrivenLetters,
    ServerFilter,
    UpdatedGroup,
    Wave,
    WaveList,
    WaveRequestBody,
)


def describe_shapes() -> dict[str, object]:
    """Render every shape, and what stands in them, as the schemas of an OpenAPI document."""
    adapters: list[tuple[type, JsonSchemaMode, TypeAdapter[object]]] = [
        (shape, "validation", TypeAdapter(shape)) for shape in SHAPES
    ]
    _, schema = TypeAdapter.json_schemas(adapters, ref_template=REFERENCE)
    definitions: dict[str, object] = schema["$defs"]
    return definitions
