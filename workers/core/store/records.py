"""
The items of our tables as values, and their way to DynamoDB and back.

Attributes are camelCase there; times are ISO 8601 in UTC. What is None is left out.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass

from workers.core.contract import Queue
from workers.core.status import Status

HISTORY_KEPT = timedelta(days=90)
"""How long what was is kept; what is has no end."""
ERRORS_SHOWN = 20
"""How many errors the status item carries; all of them stand on the source servers' own items."""
UNLISTED_SHOWN = 20
"""How many source servers that are no members the status item names."""
RECORD = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")


class Mode(StrEnum):
    """What a run does with the source servers on its list."""

    APPLY = "apply"
    """Bring them to their launch config."""
    REPORT = "report"
    """Read them back, and say what is not as it was applied. Nothing is written to AWS."""
    LATER = "later"
    """One that a later release knows: its runs can be read here, and are left to it."""

    @classmethod
    def _missing_(cls, value: object) -> "Mode | None":
        return cls.LATER if isinstance(value, str) else None


@dataclass(frozen=True, slots=True, config=RECORD)
class ServerError:
    """Why a source server failed."""

    source_server_id: str
    code: str
    message: str
    at: datetime
    attempt: int
    operation: str | None = None
    """The call that AWS refused, as `drs.UpdateLaunchConfiguration`."""
    request_id: str | None = None
    """AWS's id of the refused request, which AWS Support asks for."""


@dataclass(frozen=True, slots=True, config=RECORD)
class Counts:
    """How many of the members stand where."""

    applied: int
    failed: int
    pending: int


@dataclass(frozen=True, slots=True, config=RECORD)
class Unlisted:
    """Source servers that match a group's tags and are no members of it, as the watch last found them."""

    count: int
    source_server_ids: tuple[str, ...]
    """The first of them."""
    config_version: int
    """That of the group's run then: an update that takes anybody in opens another one."""
    seen_at: datetime


@dataclass(frozen=True, slots=True, config=RECORD)
class GroupStatus:
    """The combined status of a group: small, hot, and only ever written conditionally."""

    status: Status
    generation: int
    run_id: str
    last_applied: datetime
    """When the latest run was opened; once it has settled, when it settled."""
    applied_by: str
    counts: Counts
    digest: str
    """Over the members' effective launch configs at this generation."""
    verified_at: datetime | None = None
    """The oldest member's last read-back."""
    held_by: str | None = None
    """The wave that has the group."""
    held_until: datetime | None = None
    """When it has it no longer, whoever has died."""
    held_for_drill: bool = False
    launching: bool = False
    """Whether DRS launches from its templates, so that nobody writes to them."""
    has_leavers: bool = False
    """Whether source servers left it while it was launched: no other group can have them until it is given back."""
    errors: tuple[ServerError, ...] = ()
    watched_at: datetime | None = None
    """When the watch last began to read every member that was ready, and found each as it was applied."""
    unlisted: Unlisted | None = None
    """Written by the watch alone: no run changes it."""

    def is_launching(self, now: datetime) -> bool:
        """Tell whether nobody may write to its launch templates: a wave's recovery is under way."""
        return self.launching and self.held_until is not None and now < self.held_until


@dataclass(frozen=True, slots=True, config=RECORD)
class GroupHead:
    """What a group is, without its members and launch configs: those stand in its config's chunks."""

    group_id: str
    name: str
    region: str
    account_id: str
    version: int
    """Grows with every change of the definition; also the version of the config's chunks."""
    created_at: datetime
    updated_at: datetime
    change_id: str = ""
    """Names the request that made this version: whose answer was lost finds its own change by it."""


@dataclass(frozen=True, slots=True, config=RECORD)
class RunHead:
    """One apply run: the work of one generation."""

    run_id: str
    generation: int
    config_version: int
    account_id: str
    """The account that the members are in, resolved when the run was opened."""
    reason: str
    requested_by: str
    door: str
    mode: Mode
    listed: int
    done: int
    """A hint of how many are recorded; never the truth."""
    opened_at: datetime
    deadline: datetime
    resend_after: datetime
    """When the sweeper looks after it next."""
    region: str = ""
    sent_at: datetime | None = None
    settled_at: datetime | None = None
    superseded_by: int | None = None
    outcome: Status | None = None
    """What the group became when this run settled."""
    counts: Counts | None = None
    request_id: str = ""
    waiting_for: str | None = None
    """What one of its source servers waited for at `waiting_at`; nobody takes it back."""
    waiting_at: datetime | None = None
    stalls: int = 0
    """How often in a row the sweeper found no progress."""
    done_at: datetime | None = None
    """When the latest outcome was recorded; None before the first."""
    done_seen: int = 0
    """The count of recorded outcomes that the sweeper saw last."""
    deleted_at: datetime | None = None
    """When the group was deleted; what is recorded after that goes too."""
    begins_at: datetime | None = None
    """From when its time counts, where that is not its opening: it was unsettled while a wave launched the group."""
    queue: Queue = Queue.NORMAL
    """Where its jobs are sent."""
    changed_by: str = ""
    """Of a run that follows from drift: who made the change that it was found by, where an event said so."""

    @property
    def counts_from(self) -> datetime:
        """Tell from when its time counts."""
        return self.begins_at or self.opened_at

    def is_kept_back(self, now: datetime) -> bool:
        """Tell whether its jobs are still to be sent: they never were, or a wave that launches its group keeps them."""
        return self.sent_at is None or now < self.counts_from

    @property
    def is_superseded(self) -> bool:
        """Tell whether a newer run owns the group."""
        return self.superseded_by is not None


@dataclass(frozen=True, slots=True)
class Look:
    """What whoever looks after a run leaves on its head."""

    next_at: datetime
    """When it is looked after again, if it has not settled by then."""
    deadline: datetime
    stalls: int
    """How often in a row no progress was found."""


@dataclass(frozen=True, slots=True, config=RECORD)
class Repair:
    """A drifted field was put back."""

    field: str
    at: datetime


@dataclass(frozen=True, slots=True, config=RECORD)
class ServerItem:
    """What is recorded of one source server of a group."""

    source_server_id: str
    status: Status
    generation: int
    config_hash: str
    last_applied: datetime
    attempts: int
    verified_at: datetime | None = None
    last_write_at: datetime | None = None
    launch_template_id: str | None = None
    launch_template_version: int | None = None
    refused_version: int | None = None
    """The version of the launch template that EC2 stored with a warning, if the last write ended so."""
    errors: tuple[ServerError, ...] = ()
    repairs: tuple[Repair, ...] | None = None
    """Which fields the watch had put back lately; None leaves what is recorded of that."""
    baseline: Mapping[str, Any] | None = None
    """What was there before us in each field that is ours, by its path; None leaves what is recorded of that."""


@dataclass(frozen=True, slots=True, config=RECORD)
class GroupEvent:
    """What was done to a group without a run."""

    kind: str
    """`created`, `updated` or `deleted`."""
    at: datetime
    group_name: str
    version: int
    """The definition's from then on, or the last one."""
    requested_by: str
    door: str
    request_id: str = ""


@dataclass(frozen=True, slots=True, config=RECORD)
class FieldChange:
    """What one field of a source server was, and what it was to be."""

    field: str
    observed: Any
    """None where AWS held nothing."""
    desired: Any
    """None where nothing was to be held."""


@dataclass(frozen=True, slots=True)
class ServerChange:
    """What a run changed in one source server: written before the first write to AWS, completed at the record."""

    source_server_id: str
    fields: tuple[FieldChange, ...]
    begun_at: datetime
    completed_at: datetime | None
    """None where no outcome is recorded: the change may be made, in whole or in part."""
    outcome: Status | None


_T = TypeVar("_T")


def to_time(at: datetime) -> str:
    """Turn a time into the text that it is stored as: of equal length, so that texts are in the order of times."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def expiry(at: datetime) -> dict[str, int]:
    """Make the attribute by which an item ends, counted from when it became history."""
    return {"expiresAt": int((at + HISTORY_KEPT).timestamp())}


def to_item(record: object) -> dict[str, Any]:
    """Turn a record into the attributes of an item."""
    return dict(TypeAdapter(type(record)).dump_python(record, mode="json", by_alias=True, exclude_none=True))


def from_item(kind: type[_T], item: dict[str, Any]) -> _T:
    """Turn the attributes of an item into a record."""
    return TypeAdapter(kind).validate_python(item)
