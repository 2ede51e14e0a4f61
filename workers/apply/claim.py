"""A source server in hand: what is wanted of it, the lease, what was done; and what is to be done seldom."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from workers.apply.bring import Trail, Work
from workers.apply.repairs import add_repairs, find_lately
from workers.core.errors import RetryableError
from workers.core.model.launch_config import LaunchConfig
from workers.core.plan.baseline import Baseline, keep
from workers.core.plan.drift import DriftItem
from workers.core.ports import Clock
from workers.core.requests import DRIFT
from workers.core.runs.waiting import NOTED_EVERY, describe_wait
from workers.core.status import Status
from workers.core.store.leases import Lease
from workers.core.store.records import GroupStatus, Mode, ServerItem
from workers.core.store.runs import Run, RunStore
from workers.core.store.surveys import Surveyed

MOST_NOTED = 100
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Current:
    """A group's run as it stands, with what is recorded of one source server."""

    status: GroupStatus
    run: Run
    item: ServerItem | None

    def is_due(self, source_server_id: str) -> bool:
        """Tell whether the source server is on the list and not settled at this generation."""
        if self.status.status is not Status.PENDING or source_server_id not in self.run.listed:
            return False
        return not self.is_recorded()

    def is_recorded(self) -> bool:
        """Tell whether the source server is settled at this generation."""
        return self.item is not None and self.item.generation >= self.status.generation


@dataclass(slots=True)
class Claim:
    """A source server in hand."""

    current: Current
    lease: Lease
    source_server_id: str
    trail: Trail = field(default_factory=Trail)
    repaired: set[str] = field(default_factory=set)
    """Fields that this worker puts back for the watch."""
    kept: Baseline | None = field(init=False)
    """What is kept of the baseline on the source server's item."""

    def __post_init__(self) -> None:
        self.kept = self.current.item.baseline if self.current.item else None

    @property
    def is_repair(self) -> bool:
        """Tell whether it puts back, by itself, what others changed."""
        head = self.current.run.head
        return head.reason == DRIFT and head.mode is Mode.APPLY

    @property
    def refused_version(self) -> int | None:
        """Tell which version EC2 refused when this source server was last written."""
        return self.current.item.refused_version if self.current.item else None

    @property
    def last_write_at(self) -> datetime | None:
        """Tell when anyone of ours may last have written to this source server."""
        recorded = self.current.item.last_write_at if self.current.item else None
        return max((at for at in (self.lease.last_write_at, recorded, self.trail.wrote_at) if at), default=None)

    @property
    def baseline(self) -> Baseline:
        """Tell what was there before us, in all that was ever ours and was not put back yet."""
        return {**self.trail.taken, **(self.kept or {})}

    @property
    def desired(self) -> LaunchConfig:
        """Tell the source server's effective launch config."""
        return self.current.run.definition.effective(self.source_server_id)

    def find_kept(self) -> Baseline | None:
        """Tell what of the baseline is still to be known now that all is as it is wanted; None: whatever there is."""
        # A report compares what is wanted, and puts nothing back.
        return keep(self.desired, self.baseline) if self.current.run.head.mode is Mode.APPLY else None

    @property
    def has_written(self) -> bool:
        """Tell whether this worker has written to AWS, or was about to."""
        return self.trail.wrote_at is not None

    @property
    def may_have_changed(self) -> bool:
        """Tell whether this worker, or one before it that came to no outcome, may have written to AWS."""
        return self.has_written or self.lease.attempt > 1 or self.lease.hand_backs > 0


def settled_by(claim: Claim, status: Status, at: datetime) -> ServerItem:
    """Make the record of a claim that came to an outcome."""
    run = claim.current.run
    return ServerItem(
        source_server_id=claim.source_server_id,
        status=status,
        generation=run.head.generation,
        config_hash=run.config_hashes[claim.source_server_id],
        last_applied=at,
        attempts=claim.lease.attempt,
        last_write_at=claim.last_write_at,
        repairs=add_repairs(find_lately(claim.current.item, at), claim.repaired, at),
    )


def make_work(
    claim: Claim, journal: Callable[[Sequence[DriftItem]], Awaitable[None]], surveyed: Surveyed | None
) -> Work:
    """Make the work that a claim is about, with what has to be written down before AWS is told."""
    return Work(
        target=claim.current.run.target,
        source_server_id=claim.source_server_id,
        desired=claim.desired,
        last_write_at=claim.last_write_at,
        guard=claim.lease,
        journal=journal,
        surveyed=surveyed,
        salt=claim.refused_version or 0,
        baseline=claim.baseline,
        promoted=_find_promoted(claim.current.item),
    )


def _find_promoted(item: ServerItem | None) -> tuple[str, int] | None:
    if item is None or item.launch_template_id is None or item.launch_template_version is None:
        return None
    return item.launch_template_id, item.launch_template_version


class WaitNotes:
    """Notes what runs wait for: seldom, however many of their source servers do."""

    def __init__(self, runs: RunStore, clock: Clock) -> None:
        self._runs = runs
        self._clock = clock
        self._noted: dict[tuple[str, int], datetime] = {}

    async def note(self, run: Run, source_server_id: str, error: RetryableError) -> None:
        """Note why a source server's job comes again later."""
        key, now = _key(run), self._clock()
        noted_at = self._noted.get(key)
        if noted_at is not None and now - noted_at < NOTED_EVERY:
            return
        _keep(self._noted, key, now)
        await self._runs.note_wait(*key, describe_wait(error, source_server_id), now)


class Looks:
    """
    Tells whether it is time to look if a run is complete, and of whom a look has told enough.

    Such a look reads every source server of the group. Where several jobs name one, as after a newer generation or a
    death, all but the first would do so every few seconds, and leave no time for the source servers that are pending.
    """

    def __init__(self, clock: Clock, every: timedelta) -> None:
        self._clock = clock
        self._every = every
        self._looked: dict[tuple[str, int], datetime] = {}
        self._recorded: dict[tuple[str, int], frozenset[str]] = {}

    def take(self, run: Run) -> bool:
        """Take the look that is due; False where one was taken a moment ago."""
        key, now = _key(run), self._clock()
        looked_at = self._looked.get(key)
        if looked_at is not None and now - looked_at < self._every:
            return False
        _keep(self._looked, key, now)
        return True

    def note_recorded(self, run: Run, recorded: frozenset[str]) -> None:
        """Note which source servers a look has found recorded, beside others that are pending, and saw to the count."""
        _keep(self._recorded, _key(run), recorded)

    def is_spared(self, run: Run, source_server_id: str) -> bool:
        """
        Tell whether a source server's job has nothing to look for any more.

        Once another one was seen pending after this one was recorded, it is that one's job that looks at the end.
        """
        return source_server_id in self._recorded.get(_key(run), frozenset())


def _key(run: Run) -> tuple[str, int]:
    return run.group_id, run.head.generation


def _keep(noted: dict[tuple[str, int], T], key: tuple[str, int], value: T) -> None:
    noted.pop(key, None)
    noted[key] = value
    while len(noted) > MOST_NOTED:
        del noted[next(iter(noted))]
