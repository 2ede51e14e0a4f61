"""What the doctor asks of AWS. Nothing of it writes; what AWS refuses is raised as an error of ours."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from workers.core.model.group import Target


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose credentials we call AWS with, and where."""

    account_id: str
    arn: str
    region: str
    method: str
    """Where the SDK found them, in its own word."""
    expires_at: datetime | None
    """None where nothing says that they end."""


@dataclass(frozen=True, slots=True)
class TableSeen:
    """A table as DynamoDB describes it. Keys are name and sort key, None where there is none."""

    status: str
    billing: str
    key: tuple[str, str | None]
    indexes: Mapping[str, tuple[str, str | None]]
    """The keys of each index by its name."""


@dataclass(frozen=True, slots=True)
class TimeToLive:
    """By which attribute DynamoDB deletes the items of a table."""

    is_on: bool
    attribute: str | None


@dataclass(frozen=True, slots=True)
class QueueSeen:
    """A queue as SQS describes it. Its counts are approximate."""

    visibility: timedelta
    dead_letter_queue: str | None
    """The name of the queue that undeliverable messages go to; None: they go nowhere."""
    max_receives: int | None
    waiting: int
    in_flight: int
    delayed: int
    arn: str = ""
    policy: str | None = None
    """Who else may use it, JSON; None where nobody may but those whom IAM lets."""


@dataclass(frozen=True, slots=True)
class RuleTarget:
    """What a rule of EventBridge sends, and where to."""

    arn: str
    input: str | None
    """A constant text; None where the event itself is sent, as it is or transformed."""
    template: str | None
    """What the event is transformed to."""


@dataclass(frozen=True, slots=True)
class RuleSeen:
    """A rule as EventBridge describes it."""

    arn: str
    state: str
    schedule: str | None
    pattern: str | None
    """The events that set it off, JSON; None where the schedule does."""
    targets: tuple[RuleTarget, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a call may be made."""

    action: str
    """As IAM names it, `drs:StartRecovery` say."""
    allowed: bool | None
    """None: not known."""
    why: str = ""
    """What AWS said, where it is not allowed or not known."""


@dataclass(frozen=True, slots=True)
class JobsSeen:
    """The recovery jobs of an account and Region that have not ended."""

    jobs: int
    source_servers: int


class OwnAws(Protocol):
    """Our own account: who we are, tables and queues."""

    async def who(self) -> Identity:
        """Tell whose credentials these are; SetupError: nobody answers."""

    async def find_clock_offset(self) -> timedelta | None:
        """Tell how far AWS's clock is ahead of ours; None where no answer says its time."""

    async def describe_table(self, name: str) -> TableSeen | None:
        """Describe a table; None where there is none."""

    async def describe_time_to_live(self, name: str) -> TimeToLive | None:
        """Tell by which attribute a table's items are deleted; None where there is no such table."""

    async def describe_queue(self, name: str) -> QueueSeen | None:
        """Describe a queue; None where there is none."""

    async def list_queues(self, prefix: str) -> Sequence[str]:
        """List the names of the queues that begin so."""

    async def describe_rule(self, name: str) -> RuleSeen | None:
        """Describe a rule of the default event bus; None where there is none."""

    async def has_event_bus(self, name: str) -> bool:
        """Tell whether there is an event bus of this name or ARN."""

    async def find_oldest(self, name: str) -> timedelta | None:
        """Tell the age of a queue's oldest message; None where CloudWatch has no figure of it."""

    async def count_receives(self, name: str, reach: timedelta) -> int:
        """Count how often somebody asked a queue for messages of late, as far as CloudWatch knows by now."""

    async def may_use(self, arn: str, resources: Mapping[str, Collection[str]]) -> Sequence[Verdict]:
        """Tell what a principal may do, by ARN of the resource; never raises what IAM refuses."""

    async def find_role(self, name: str) -> bool | None:
        """Tell whether our own account has a role; None where that is not known."""


class Places(Protocol):
    """Accounts and Regions, each through its role."""

    async def enter(self, target: Target) -> None:
        """Assume the role, where there is one; PermanentError: we are not let in."""

    async def find_source_server(self, target: Target) -> str | None:
        """Find any source server; None where DRS, which is initialised, has none."""

    async def may_call(self, target: Target, caller: str, samples: Sequence[str]) -> Sequence[Verdict]:
        """Tell which calls of runs, waves and checks the caller may make, tried on the first sample that is there."""

    async def count_jobs(self, target: Target) -> JobsSeen:
        """Count the recovery jobs that have not ended."""

    async def read_quotas(self, target: Target) -> Mapping[str, float]:
        """Read the values of DRS's quotas by quota code."""
