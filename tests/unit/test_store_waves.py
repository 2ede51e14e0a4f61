"""Waves over the twin's tables: fixed at acceptance, each part claimed and answered once, and ended once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.twin.store import TwinStore, over_the_twin
from tests.fakes.twin.world import EPOCH
from workers.core.store.holds import Hold
from workers.core.store.refusals import ConditionFailed
from workers.core.store.wave_records import (
    GroupState,
    LeftOut,
    Wave,
    WaveGroup,
    WavePart,
    WaveStatus,
    WaveView,
    advance,
    find_errors,
)
from workers.core.store.waves import put_wave

SERVERS = tuple(f"s-{number:017d}" for number in range(3))
LATER = EPOCH + timedelta(seconds=9)
WAVE = Wave(
    wave_id="w-1",
    status=WaveStatus.STARTING,
    is_drill=True,
    accepted_at=EPOCH,
    deadline=EPOCH + timedelta(hours=6),
    requested_by="alice",
    door="http",
    look_at=EPOCH + timedelta(seconds=30),
    request_id="r",
)
GROUP = WaveGroup(0, "pg-1", "fast", 3, 1, state=GroupState.LAUNCHING)
PARTS = tuple(WavePart(number, "pg-1", SERVERS[number : number + 1]) for number in range(3))
VIEW = WaveView(WAVE, (GROUP,), PARTS)
HOLD = Hold("w-1", WAVE.deadline, for_drill=True)
JOB = {"job_id": "job-1", "started_at": LATER, "launch_statuses": {SERVERS[0]: "PENDING"}}
REFUSAL = {"error_code": "ConflictException", "error_message": "no", "error_request_id": "x"}
NO_CONFIG = 0
"""The generation of a group that has no launch config: it is not held."""


async def accept(store: TwinStore, view: WaveView = VIEW) -> None:
    await store.tables.transact(put_wave(view))


async def claim(store: TwinStore, part: WavePart = PARTS[0], at: timedelta = timedelta(0)) -> WavePart:
    return await store.waves.claim_part(WAVE, part, NO_CONFIG, HOLD, EPOCH + at)


async def cannot_claim(store: TwinStore, part: WavePart, generation: int = NO_CONFIG) -> tuple[int, ...]:
    with pytest.raises(ConditionFailed) as refused:
        await store.waves.claim_part(WAVE, part, generation, HOLD, LATER)
    return refused.value.failed


async def read(store: TwinStore) -> WaveView:
    found = await store.waves.read("w-1")
    assert found is not None
    return found


async def read_part(store: TwinStore, number: int = 0) -> WavePart:
    return (await read(store)).parts[number]


@over_the_twin
async def test_a_wave_is_read_as_it_was_accepted(store: TwinStore) -> None:
    """With its groups and parts in order; accepted once; what there is not is None."""
    await accept(store)
    assert await read(store) == VIEW
    assert await store.waves.read("w-2") is None
    with pytest.raises(ConditionFailed):
        await store.tables.transact(put_wave(replace(VIEW, parts=())))
    assert not any(part.is_done for part in PARTS)


@over_the_twin
async def test_a_part_is_claimed_by_one(store: TwinStore) -> None:
    """Who comes with a part from before gets nothing; who finds it claimed may claim it in its turn."""
    await accept(store)
    claimed = await claim(store)
    assert claimed == replace(PARTS[0], starting_at=EPOCH)
    assert await read_part(store) == claimed
    assert await cannot_claim(store, PARTS[0]) == (1,)
    again = await claim(store, claimed, timedelta(seconds=9))
    assert again == replace(claimed, starting_at=LATER)
    assert await cannot_claim(store, claimed) == (1,)
    assert (await read_part(store, 1)).starting_at is None


@over_the_twin
async def test_nothing_is_claimed_of_a_wave_that_is_over_or_stopped(store: TwinStore) -> None:
    """Nor a part whose job was started, nor of a group that is another's by now."""
    await accept(store)
    started = await store.waves.record_part("w-1", replace(await claim(store), **JOB))  # type: ignore[arg-type]
    assert await cannot_claim(store, started) == (1,)
    assert await cannot_claim(store, PARTS[1], generation=3) == (2,)
    assert await store.waves.stop("w-1", "PURGED", "gone", LATER) is True
    assert await cannot_claim(store, PARTS[1]) == (0,)
    assert await read_part(store, 1) == PARTS[1]
    assert (await read(store)).wave == replace(WAVE, stop_code="PURGED", stop_message="gone", look_at=LATER)


@pytest.mark.parametrize("status", [WaveStatus.STARTED, WaveStatus.FINISHED, WaveStatus.FAILED])
@over_the_twin
async def test_only_what_is_not_started_can_be_stopped(store: TwinStore, status: WaveStatus) -> None:
    """What has begun goes on to its end; what there is not is not made."""
    await accept(store)
    await store.waves.note(replace(WAVE, status=status))
    assert await store.waves.stop("w-1", "PURGED", "gone", LATER) is False
    assert await store.waves.stop("w-2", "PURGED", "gone", LATER) is False
    assert (await read(store)).wave.stop_code is None
    assert await store.waves.read("w-2") is None


@over_the_twin
async def test_a_claim_is_released_by_who_has_it(store: TwinStore) -> None:
    """Nobody else's is, and that is no error; a call before it that was not answered is still known of."""
    await accept(store)
    first = await claim(store)
    second = await claim(store, first, timedelta(seconds=9))
    await store.waves.release_part("w-1", PARTS[0], first)
    assert await read_part(store) == second
    await store.waves.release_part("w-1", first, second, conflicts=1)
    assert await read_part(store) == replace(first, conflicts=1)
    await store.waves.release_part("w-1", PARTS[0], first)
    assert await read_part(store) == replace(PARTS[0], conflicts=1)


@over_the_twin
async def test_a_started_job_stands_over_a_refusal(store: TwinStore) -> None:
    """Whichever comes first; a second job's answer is not written over the first one's."""
    await accept(store)
    claimed = await claim(store)
    refused = replace(claimed, **REFUSAL)  # type: ignore[arg-type]
    started = replace(claimed, **JOB)  # type: ignore[arg-type]
    assert await store.waves.record_part("w-1", refused) == refused
    assert refused.is_done
    assert await read_part(store) == refused
    assert await store.waves.record_part("w-1", started) == started
    assert started.is_done
    assert await read_part(store) == started
    assert await store.waves.record_part("w-1", refused) == started
    assert await store.waves.record_part("w-1", replace(started, job_id="job-2")) == started
    assert await read_part(store) == started


@over_the_twin
async def test_a_refusal_speaks_for_its_own_claim(store: TwinStore) -> None:
    """Whoever claimed the part since may have started it: the part as it stands is answered."""
    await accept(store)
    first = await claim(store)
    second = await claim(store, first, timedelta(seconds=9))
    assert await store.waves.record_part("w-1", replace(first, **REFUSAL)) == second  # type: ignore[arg-type]
    assert await read_part(store) == second
    # A job does: it was started.
    started = replace(first, **JOB)  # type: ignore[arg-type]
    assert await store.waves.record_part("w-1", started) == started


@over_the_twin
async def test_of_a_wave_that_is_gone_nothing_is_made(store: TwinStore) -> None:
    """What DRS answered is told to who asked, and stored nowhere."""
    started = replace(PARTS[0], **JOB)  # type: ignore[arg-type]
    assert await store.waves.record_part("w-1", started) == started
    assert [*store.world.tables.every("waves")] == []


@over_the_twin
async def test_a_part_is_split_into_parts_of_other_names(store: TwinStore) -> None:
    """Once, by who has claimed it; what is split is never claimed again."""
    members = tuple(f"s-{number:017d}" for number in range(5))
    whole = WavePart(0, "pg-1", members, snapshots={members[4]: "pit-1"})
    await accept(store, replace(VIEW, parts=(whole,)))
    claimed = await claim(store, whole)
    halves = claimed.halve()
    assert [half.source_server_ids for half in halves] == [members[:3], members[3:]]
    assert [half.name for half in halves] == ["0.0", "0.1"]
    assert [half.snapshots for half in halves] == [None, {members[4]: "pit-1"}]
    assert await store.waves.split_part("w-1", whole, halves) is False
    assert await store.waves.split_part("w-1", claimed, halves) is True
    view = await read(store)
    assert view.parts == (replace(whole, is_split=True), *halves)
    assert await cannot_claim(store, view.parts[0]) == (1,)
    assert await store.waves.record_part("w-1", replace(claimed, **JOB)) == view.parts[0]  # type: ignore[arg-type]
    assert (await claim(store, halves[0])).name == "0.0"
    assert halves[1].cut([members[3]])[1].name == "0.1.1"


@over_the_twin
async def test_launches_are_noted_until_a_job_is_over(store: TwinStore) -> None:
    """What was final stays so."""
    await accept(store)
    started = await store.waves.record_part("w-1", replace(await claim(store), **JOB))  # type: ignore[arg-type]
    over = replace(started, launch_statuses={SERVERS[0]: "LAUNCHED"}, job_over=True)
    await store.waves.note_launches("w-1", over)
    await store.waves.note_launches("w-1", started)
    assert await read_part(store) == over


@over_the_twin
async def test_a_group_moves_on_from_where_it_was_read(store: TwinStore) -> None:
    """Whoever read it before somebody moved it on writes nothing."""
    unready = replace(GROUP, state=GroupState.UNREADY)
    await accept(store, replace(VIEW, groups=(unready,)))
    applied = replace(unready, applied=4, path="fallback")
    assert await store.waves.note_group("w-1", unready, applied) is True
    assert await store.waves.note_group("w-1", unready, replace(unready, applied=5)) is False
    assert (await read(store)).groups == (applied,)


@over_the_twin
async def test_a_wave_is_looked_after_by_one_until_it_is_over(store: TwinStore) -> None:
    """Only when it is due; once it is over it is due no more, and stays what it is."""
    await accept(store)
    due, next_at = WAVE.look_at, WAVE.look_at + timedelta(seconds=30)
    assert await store.waves.read_due(due - timedelta(seconds=1), limit=9) == []
    assert await store.waves.read_due(due, limit=9) == ["w-1"]
    assert await store.waves.claim_look("w-1", due, next_at) is True
    assert await store.waves.claim_look("w-1", due, next_at) is False
    over = replace(WAVE, status=WaveStatus.FINISHED, started_at=LATER)
    assert await store.waves.note(over) is True
    assert await store.waves.note(WAVE) is False
    assert (await read(store)).wave == over
    assert await store.waves.read_due(next_at + timedelta(days=1), limit=9) == []
    assert await store.waves.claim_look("w-1", next_at, next_at) is False


@over_the_twin
async def test_waves_are_listed_newest_first(store: TwinStore) -> None:
    """Page by page, also those that are over."""
    waves = [replace(WAVE, wave_id=f"w-{n}", accepted_at=EPOCH + timedelta(minutes=n)) for n in range(3)]
    for wave in waves:
        await accept(store, WaveView(wave, (), ()))
    await store.waves.note(replace(waves[1], status=WaveStatus.FAILED))
    page = await store.waves.read_accepted(2, None)
    assert [wave_id for _, wave_id in page] == ["w-2", "w-1"]
    assert [wave_id for _, wave_id in await store.waves.read_accepted(2, page[-1])] == ["w-0"]
    assert [wave.wave_id for wave in await store.waves.read_many(["w-0", "w-9", "w-2"])] == ["w-0", "w-2"]


STARTED = tuple(
    replace(part, job_id="job-1", started_at=LATER - timedelta(seconds=part.number), launch_statuses={})
    for part in PARTS
)


@pytest.mark.parametrize(
    ("group", "parts", "waiting_for", "status"),
    [
        (GROUP, PARTS, None, WaveStatus.STARTING),
        (GROUP, PARTS, "job quota", WaveStatus.WAITING),
        (replace(GROUP, state=GroupState.UNREADY), PARTS, None, WaveStatus.STARTING),
        (replace(GROUP, state=GroupState.UNREADY, path="fallback"), PARTS, "apply", WaveStatus.APPLYING),
        (GROUP, (*STARTED[:2], PARTS[2]), None, WaveStatus.STARTING),
        (GROUP, STARTED, "launches", WaveStatus.STARTED),
        (
            replace(GROUP, state=GroupState.OVER),
            tuple(
                replace(part, job_over=True, launch_statuses=dict.fromkeys(part.source_server_ids, "LAUNCHED"))
                for part in STARTED
            ),
            None,
            WaveStatus.FINISHED,
        ),
        (replace(GROUP, state=GroupState.OVER), STARTED, "nothing any more", WaveStatus.FINISHED),
        (
            replace(GROUP, state=GroupState.OVER),
            tuple(replace(part, job_over=True) for part in STARTED),
            None,
            WaveStatus.FAILED,
        ),
        (
            replace(GROUP, state=GroupState.OVER),
            tuple(replace(part, **REFUSAL) for part in PARTS),  # type: ignore[arg-type]
            None,
            WaveStatus.FAILED,
        ),
    ],
)
def test_a_wave_is_what_its_groups_and_parts_are(
    group: WaveGroup, parts: tuple[WavePart, ...], waiting_for: str | None, status: WaveStatus
) -> None:
    """It started when the last part was answered, and what is waited for is said until it is over."""
    wave = advance(WaveView(WAVE, (group,), parts), waiting_for)
    answered = [part.started_at for part in parts if part.started_at is not None]
    assert wave.status is status
    assert wave.started_at == (max(answered, default=None) if status.is_begun else None)
    assert wave.waiting_for == (None if status.is_over else waiting_for)


def test_every_source_server_that_is_not_recovered_is_named() -> None:
    """Left out, refused, or not launched by a job that has ended; by reason, and nobody else."""
    left = tuple(LeftOut(each, "NOT_READY", "pending") for each in SERVERS[:2])
    parts = (
        replace(PARTS[2], left_out=left, **REFUSAL),  # type: ignore[arg-type]
        WavePart(3, "pg-1", ("s-a", "s-b"), job_id="job-1", launch_statuses={"s-a": "LAUNCHED"}, job_over=True),
        WavePart(4, "pg-1", ("s-c",), job_id="job-2", launch_statuses={"s-c": "PENDING"}),
        WavePart(5, "pg-1", (), error_code="IN_ANOTHER_JOB", left_out=(LeftOut("s-d", "IN_ANOTHER_JOB", "busy"),)),
    )
    found = [
        (error.code, error.source_server_ids, error.request_id)
        for error in find_errors(WaveView(WAVE, (GROUP,), parts))
    ]
    assert found == [
        ("NOT_READY", SERVERS[:2], None),
        ("ConflictException", SERVERS[2:], "x"),
        ("LAUNCH_FAILED", ("s-b",), None),
        ("IN_ANOTHER_JOB", ("s-d",), None),
    ]
