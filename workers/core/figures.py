"""
Figures of the stack, for whoever watches it: what waits, what is under way, what stands where.

They are read from what all processes share, so that each of them answers the same. Each source stands by itself: one
that does not answer hides no other. A figure that is not whole is not answered: half a sum looks like a good day.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from workers.core.clock import Time
from workers.core.contract import DEAD_LETTER_QUEUES
from workers.core.errors import PrelaunchError
from workers.core.kept_reading import KeptReading, Reading
from workers.core.queue.depths import Depth
from workers.core.queue.names import dead_letters_of
from workers.core.status import Status
from workers.core.store.groups import GroupStore
from workers.core.store.runs import RunStore
from workers.core.store.wave_records import WaveStatus
from workers.core.store.waves import WaveStore

KEPT_FOR = timedelta(seconds=15)
"""How long figures are answered again. Prometheus's scrapers come each 15 to 60 s and seldom meet them twice; whoever
asks in a loop costs no more than four reads a minute."""
GROUPS_KEPT_FOR = timedelta(seconds=60)
"""Longer: theirs is the one read whose cost grows with the installation and not with what is under way in it."""
MOST_RUNS = 5000
MOST_WAVES = 1000
MOST_GROUPS = 5000
"""Of more than so many nothing is told: each is an item to read, and a scrape ends after 10 s."""
NAMES_READ = 1000
GROUPS_READ = 100
"""How many groups are read and counted before others have their turn on the loop."""


class Source(StrEnum):
    """Where figures come from."""

    QUEUES = "queues"
    DEAD_LETTERS = "dead_letters"
    RUNS = "runs"
    WAVES = "waves"
    GROUPS = "groups"


class TooMany(PrelaunchError):
    """There are more of them than are read for a figure."""

    code = "TOO_MANY"


@dataclass(frozen=True, slots=True)
class RunFigures:
    """The runs that have not settled."""

    unsettled: int
    source_servers: int
    """Those that they list and whose outcome is not counted yet."""
    oldest: timedelta
    """Since the first of them was opened; nothing where there is none."""
    overdue: timedelta
    """How far the one that is furthest past its deadline is; nothing where none is."""


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """The groups, by what is stored of them."""

    by_status: Mapping[Status, int]
    """Every status, with the number of groups in it."""
    failed_source_servers: int
    """In groups that have failed; those of a group that is pending are counted when it has settled."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures, each as it was last read."""

    queues: Reading[Mapping[str, Depth]]
    """By the queues' names without the stack."""
    dead_letters: Reading[Mapping[str, Depth]]
    """By the names of the queues that the letters come from."""
    runs: Reading[RunFigures]
    waves: Reading[Mapping[WaveStatus, int]]
    """Every status that is not an end, with the number of waves in it."""
    groups: Reading[GroupFigures]


class Depths(Protocol):
    """Tells how many messages the stack's queues hold."""

    async def read(self, queues: Sequence[str]) -> Mapping[str, Depth]:
        """Read the depths of queues, by their names without the stack; QueueError where one cannot be read."""
        ...


class StackFigures:
    """Reads the figures of one stack. Belongs to one event loop."""

    def __init__(self, *, depths: Depths, groups: GroupStore, runs: RunStore, waves: WaveStore, time: Time) -> None:
        self._depths = depths
        self._groups = groups
        self._runs = runs
        self._waves = waves
        self._time = time
        self._of_queues = KeptReading(Source.QUEUES, self._read_queues, kept_for=KEPT_FOR, time=time)
        self._of_letters = KeptReading(Source.DEAD_LETTERS, self._read_letters, kept_for=KEPT_FOR, time=time)
        self._of_runs = KeptReading(Source.RUNS, self._read_runs, kept_for=KEPT_FOR, time=time)
        self._of_waves = KeptReading(Source.WAVES, self._read_waves, kept_for=KEPT_FOR, time=time)
        self._of_groups = KeptReading(Source.GROUPS, self._read_groups, kept_for=GROUPS_KEPT_FOR, time=time)

    async def read(self) -> Figures:
        """Answer all figures, those that are kept as they are; never raises what a source does."""
        queues, dead_letters, runs, waves, groups = await asyncio.gather(
            self._of_queues.get(),
            self._of_letters.get(),
            self._of_runs.get(),
            self._of_waves.get(),
            self._of_groups.get(),
        )
        return Figures(queues, dead_letters, runs, waves, groups)

    async def close(self) -> None:
        """Give up what is being read."""
        for each in (self._of_queues, self._of_letters, self._of_runs, self._of_waves, self._of_groups):
            await each.close()

    async def _read_queues(self) -> Mapping[str, Depth]:
        return await self._depths.read(DEAD_LETTER_QUEUES)

    async def _read_letters(self) -> Mapping[str, Depth]:
        found = await self._depths.read([dead_letters_of(queue) for queue in DEAD_LETTER_QUEUES])
        return {queue: found[dead_letters_of(queue)] for queue in DEAD_LETTER_QUEUES}

    async def _read_runs(self) -> RunFigures:
        heads = await self._runs.read_unsettled(most=MOST_RUNS)
        if heads is None:
            raise _too_many("unsettled runs", MOST_RUNS)
        now, nothing = self._time.wall(), timedelta(0)
        return RunFigures(
            unsettled=len(heads),
            source_servers=sum(max(0, head.listed - head.done) for head in heads),
            oldest=max((now - head.opened_at for head in heads), default=nothing),
            overdue=max((now - head.deadline for head in heads if head.deadline < now), default=nothing),
        )

    async def _read_waves(self) -> Mapping[WaveStatus, int]:
        # Once each: one that is looked after meanwhile may be met twice.
        wave_ids = dict.fromkeys(await self._waves.read_due(None, limit=MOST_WAVES + 1))
        if len(wave_ids) > MOST_WAVES:
            raise _too_many("unfinished waves", MOST_WAVES)
        found = Counter(wave.status for wave in await self._waves.read_many([*wave_ids]))
        return {status: found[status] for status in WaveStatus if not status.is_over}

    async def _read_groups(self) -> GroupFigures:
        group_ids = await self._list_groups()
        found: Counter[Status] = Counter()
        failed = 0
        for start in range(0, len(group_ids), GROUPS_READ):
            for _, status in (await self._groups.read_many(group_ids[start : start + GROUPS_READ])).values():
                found[Status.NOT_CONFIGURED if status is None else status.status] += 1
                if status is not None and status.status is Status.FAILED:
                    failed += status.counts.failed
        return GroupFigures({status: found[status] for status in Status}, failed)

    async def _list_groups(self) -> list[str]:
        # Once each: one that gets another name meanwhile may be met under both.
        group_ids: dict[str, None] = {}
        after: tuple[str, str] | None = None
        while True:
            named = await self._groups.read_named(NAMES_READ, after)
            group_ids |= dict.fromkeys(group_id for _, group_id in named)
            if len(group_ids) > MOST_GROUPS:
                raise _too_many("groups", MOST_GROUPS)
            if len(named) < NAMES_READ:
                return [*group_ids]
            after = named[-1]


def _too_many(what: str, most: int) -> TooMany:
    return TooMany(f"There are more than {most:,} {what}, which are not read for a figure.")
