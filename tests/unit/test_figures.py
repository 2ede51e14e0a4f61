"""The stack's figures over the twin's tables: exact, whole or not told, and at a bounded cost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import structlog

from tests.fakes.runs import MEMBERS, OPENED_AT, run_over, status_of
from tests.fakes.twin.dynamodb import PAGE
from tests.fakes.twin.store import TwinStore, over_the_twin
from tests.fakes.twin.world import EPOCH
from workers.core import figures
from workers.core.clock import Time
from workers.core.contract import DEAD_LETTER_QUEUES
from workers.core.errors import ServiceUnavailable
from workers.core.figures import GROUPS_KEPT_FOR, KEPT_FOR, Figures, GroupFigures, RunFigures, StackFigures
from workers.core.queue.depths import Depth
from workers.core.status import Status
from workers.core.store.groups import put_head
from workers.core.store.records import Counts, GroupHead, to_item
from workers.core.store.run_writes import close_run, put_clearing, put_run
from workers.core.store.tables import Tables
from workers.core.store.wave_records import Wave, WaveStatus, WaveView
from workers.core.store.waves import put_wave
from workers.core.store.writes import Item, Write

RUN = run_over(MEMBERS, frozenset(MEMBERS[:10]))
HEAD = GroupHead("pg-1", "web", "us-east-1", "111122223333", 1, OPENED_AT, OPENED_AT)
WAVE = Wave("w-1", WaveStatus.STARTING, True, EPOCH, EPOCH, "alice", "http", EPOCH)
SOURCES = ("queues", "dead_letters", "runs", "waves", "groups")
NOTHING, MINUTE = timedelta(0), timedelta(minutes=1)


class Depths:
    """Tells of every queue how often it was asked; fails for some."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails = ""

    async def read(self, queues: Sequence[str]) -> Mapping[str, Depth]:
        self.asked += queues
        if self.fails in queues:
            raise ServiceUnavailable("SQS does not answer.")
        return {queue: Depth(len(queue), 2, 3) for queue in queues}


class Clock:
    """The time of the figures: it stands still until it is moved on."""

    def __init__(self) -> None:
        self.since = NOTHING

    def _seconds(self) -> float:
        return self.since.total_seconds()

    def time(self) -> Time:
        return Time(lambda: EPOCH + self.since, self._seconds)


def figures_of(store: TwinStore, depths: Depths | None = None, clock: Clock | None = None) -> StackFigures:
    time = (clock or Clock()).time()
    return StackFigures(depths=depths or Depths(), groups=store.groups, runs=store.runs, waves=store.waves, time=time)


async def open_run(store: TwinStore, group_id: str, **changed: Any) -> None:
    await store.tables.transact(put_run(group_id, replace(RUN.head, **changed), RUN.listed))


async def make_group(store: TwinStore, number: int, status: Status | None, counts: Counts | None = None) -> None:
    group_id = f"pg-{number}"
    await store.put(put_head(replace(HEAD, group_id=group_id, name=f"group {number:04d}")))
    if status is not None:
        stored = replace(status_of(RUN, status), counts=counts or Counts(0, 0, 0))
        await store.put(Write("Put", "groups", (group_id, "status"), to_item(stored)))


def calls_of(store: TwinStore) -> dict[str, int]:
    return dict(Counter(call.operation for call in store.calls))


def lag(monkeypatch: pytest.MonkeyPatch, items: list[Item]) -> None:
    """Let the sparse indexes answer what they held some moments ago."""

    async def read_index(*_: object, **__: object) -> list[Item]:
        return items

    monkeypatch.setattr(Tables, "read_index", read_index)


@over_the_twin
async def test_nothing_under_way_is_naught(store: TwinStore) -> None:
    """Figures of an empty stack are there, and 0: what is missing would look like what cannot be read."""
    found = await figures_of(store).read()
    assert found.runs.found == RunFigures(0, 0, NOTHING, NOTHING)
    assert found.waves.found == dict.fromkeys(
        (WaveStatus.STARTING, WaveStatus.APPLYING, WaveStatus.WAITING, WaveStatus.STARTED), 0
    )
    assert found.groups.found == GroupFigures(dict.fromkeys(Status, 0), 0)
    assert found.runs.read_at == EPOCH


@over_the_twin
async def test_every_queue_is_told_with_its_dead_letters(store: TwinStore) -> None:
    """The letters under the name of the queue that they come from."""
    found = await figures_of(store).read()
    assert found.queues.found == {queue: Depth(len(queue), 2, 3) for queue in DEAD_LETTER_QUEUES}
    assert found.dead_letters.found == {queue: Depth(len(f"{queue}-dlq"), 2, 3) for queue in DEAD_LETTER_QUEUES}


@over_the_twin
async def test_unsettled_runs_are_told_as_their_heads_have_them(store: TwinStore) -> None:
    """Number, source servers without an outcome, the oldest, the most overdue: each by itself."""
    await open_run(store, "pg-1", opened_at=EPOCH - 9 * MINUTE, deadline=EPOCH + MINUTE)
    await open_run(store, "pg-2", opened_at=EPOCH - 5 * MINUTE, deadline=EPOCH - MINUTE / 2, done=4)
    await open_run(store, "pg-3", opened_at=EPOCH - 7 * MINUTE, deadline=EPOCH - 1.5 * MINUTE, done=99)
    await open_run(store, "pg-4", opened_at=EPOCH - 90 * MINUTE, deadline=EPOCH - 80 * MINUTE)
    await store.put(close_run("pg-4", RUN.head.generation), put_clearing("pg-5", EPOCH))
    found = await figures_of(store).read()
    assert found.runs.found == RunFigures(3, 10 + 6 + 0, 9 * MINUTE, 1.5 * MINUTE)


@over_the_twin
async def test_what_is_not_late_is_not_overdue(store: TwinStore) -> None:
    """A deadline that is still to come is no negative delay."""
    await open_run(store, "pg-1", opened_at=EPOCH, deadline=EPOCH + MINUTE)
    assert (await figures_of(store).read()).runs.found == RunFigures(1, 10, NOTHING, NOTHING)


@over_the_twin
async def test_an_index_that_lags_makes_nobody_wait(store: TwinStore) -> None:
    """What settled since, or is met twice because it moved on while it was read, is counted as it is."""
    for group_id in ("pg-1", "pg-2"):
        await open_run(store, group_id, opened_at=EPOCH, deadline=EPOCH)
    lagging = await store.tables.read_index("unsettled", limit=9)
    await store.put(close_run("pg-1", RUN.head.generation))
    with pytest.MonkeyPatch.context() as patch:
        lag(patch, [*lagging, *lagging])
        assert await store.runs.read_unsettled(most=9) == [replace(RUN.head, opened_at=EPOCH, deadline=EPOCH)]


@over_the_twin
async def test_waves_are_told_by_their_status_until_they_are_over(store: TwinStore) -> None:
    """As each is now, whenever it is looked after next: the index only says which there are."""
    for number, status in enumerate([WaveStatus.APPLYING, WaveStatus.STARTED, WaveStatus.STARTED, WaveStatus.FINISHED]):
        wave = replace(WAVE, wave_id=f"w-{number}", status=status, look_at=EPOCH + number * MINUTE)
        await store.tables.transact(put_wave(WaveView(wave, (), ())))
    found = (await figures_of(store).read()).waves.found
    assert found == {
        WaveStatus.STARTING: 0,
        WaveStatus.APPLYING: 1,
        WaveStatus.WAITING: 0,
        WaveStatus.STARTED: 2,
    }


@over_the_twin
async def test_groups_are_told_by_their_status(store: TwinStore) -> None:
    """Of failed source servers those of groups that have failed: a pending group's counts are of its opening."""
    await make_group(store, 1, None)
    await make_group(store, 2, Status.READY, Counts(5, 0, 0))
    await make_group(store, 3, Status.FAILED, Counts(1, 3, 0))
    await make_group(store, 4, Status.FAILED, Counts(0, 4, 0))
    await make_group(store, 5, Status.PENDING, Counts(0, 9, 1))
    by_status = {Status.NOT_CONFIGURED: 1, Status.PENDING: 1, Status.READY: 1, Status.FAILED: 2}
    assert (await figures_of(store).read()).groups.found == GroupFigures(by_status, 7)


@over_the_twin
async def test_a_group_is_counted_once_and_only_while_it_is_there(store: TwinStore) -> None:
    """Whatever a list by name shows of one that is renamed or deleted while it is read."""
    await make_group(store, 1, Status.READY)
    named = await store.tables.read_index("named", limit=9)
    with pytest.MonkeyPatch.context() as patch:
        lag(patch, [*named, {**named[0], "name": "z"}, {**named[0], "groupId": "pg-gone"}])
        found = (await figures_of(store).read()).groups.found
    assert found is not None
    assert {status: count for status, count in found.by_status.items() if count} == {Status.READY: 1}


@over_the_twin
async def test_what_a_scrape_costs_is_known(store: TwinStore) -> None:
    """A page of each index, 100 items a call (a run's head; two of a group); who asks again costs nothing."""
    for number in range(250):
        await open_run(store, f"pg-{number}")
        await make_group(store, number, Status.PENDING)
    store.calls.clear()
    depths = Depths()
    stack = figures_of(store, depths)
    for _ in range(20):
        await stack.read()
    assert calls_of(store) == {"query": 5 + 1 + 5, "batch_get_item": 3 + 5}, f"{PAGE} a page"
    assert len(depths.asked) == 2 * len(DEAD_LETTER_QUEUES)


@over_the_twin
async def test_groups_are_read_more_seldom_than_what_is_under_way(store: TwinStore) -> None:
    """Their read is the one that grows with the installation."""
    clock = Clock()
    stack = figures_of(store, clock=clock)

    async def read_after(wait: timedelta) -> tuple[timedelta, timedelta]:
        clock.since = wait
        found = await stack.read()
        return found.runs.read_at - EPOCH, found.groups.read_at - EPOCH

    assert await read_after(NOTHING) == (NOTHING, NOTHING)
    assert await read_after(KEPT_FOR) == (KEPT_FOR, NOTHING)
    assert await read_after(GROUPS_KEPT_FOR) == (GROUPS_KEPT_FOR, GROUPS_KEPT_FOR)


@pytest.mark.parametrize("most", ["MOST_RUNS", "MOST_WAVES", "MOST_GROUPS"])
@over_the_twin
async def test_a_part_is_never_told_as_all(store: TwinStore, most: str) -> None:
    """Of as many as are read the number is told; of one more nothing, and why."""
    source = most.removeprefix("MOST_").lower()
    for number in range(3):
        await open_run(store, f"pg-{number}")
        await make_group(store, number, Status.READY)
        await store.tables.transact(put_wave(WaveView(replace(WAVE, wave_id=f"w-{number}"), (), ())))
    with pytest.MonkeyPatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr(figures, most, 3)
        assert unread(await figures_of(store).read()) == []
        patch.setattr(figures, most, 2)
        assert unread(await figures_of(store).read()) == [source]
    assert [(line["event"], line["source"], line["code"]) for line in logs] == [("figures.unread", source, "TOO_MANY")]


@pytest.mark.parametrize("source", SOURCES)
@over_the_twin
async def test_a_source_that_does_not_answer_hides_no_other(store: TwinStore, source: str) -> None:
    """Each stands by itself, and what fails is named in the log with its code."""
    depths = Depths()

    async def fail(*_: object, **__: object) -> None:
        raise ServiceUnavailable("DynamoDB does not answer.", code="ProvisionedThroughputExceededException")

    with pytest.MonkeyPatch.context() as patch, structlog.testing.capture_logs() as logs:
        match source:
            case "runs":
                patch.setattr(store.runs, "read_unsettled", fail)
            case "waves":
                patch.setattr(store.waves, "read_due", fail)
            case "groups":
                patch.setattr(store.groups, "read_named", fail)
            case _:
                depths.fails = {"queues": "jobs", "dead_letters": "jobs-dlq"}[source]
        assert unread(await figures_of(store, depths).read()) == [source]
    assert [(line["event"], line["source"]) for line in logs] == [("figures.unread", source)]


def unread(found: Figures) -> list[str]:
    return [source for source in SOURCES if getattr(found, source).found is None]
