"""Waves over the twin's tables: fixed at acceptance, each part claimed and answered once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.twin.store import TwinStore, over_the_twin
from tests.fakes.twin.world import EPOCH
from workers.core.store.refusals import ConditionFailed
from workers.core.store.waves import Wave, WaveGroup, WavePart, WaveStatus, put_wave
from workers.core.store.writes import Write

SERVERS = tuple(f"s-{number:017d}" for number in range(3))
LATER = EPOCH + timedelta(seconds=9)
WAVE = Wave(
    "w-1", WaveStatus.STARTING, True, (WaveGroup("pg-1", "fast", 1, 3),), EPOCH, "alice", "http", request_id="r"
)
PARTS = [WavePart(number, "pg-1", SERVERS[number : number + 1]) for number in range(3)]
JOB = {"job_id": "job-1", "started_at": LATER, "launch_statuses": {SERVERS[0]: "PENDING"}}
REFUSAL = {"error_code": "ConflictException", "error_message": "no", "error_request_id": "x"}


async def accept(store: TwinStore) -> None:
    await store.tables.transact(put_wave(WAVE, PARTS))


async def claim(store: TwinStore, part: WavePart = PARTS[0]) -> WavePart:
    claimed = await store.waves.claim_part("w-1", part, EPOCH)
    assert claimed is not None
    return claimed


async def read_part(store: TwinStore, number: int = 0) -> WavePart:
    read = await store.waves.read("w-1")
    assert read is not None
    return read[1][number]


@over_the_twin
async def test_a_wave_is_read_as_it_was_accepted(store: TwinStore) -> None:
    """With its parts in order; accepted once; what there is not is None."""
    await accept(store)
    assert await store.waves.read("w-1") == (WAVE, PARTS)
    assert await store.waves.read("w-2") is None
    with pytest.raises(ConditionFailed):
        await store.tables.transact(put_wave(WAVE, []))
    assert not any(part.is_done for part in PARTS)


@over_the_twin
async def test_a_part_is_claimed_by_one(store: TwinStore) -> None:
    """Who comes with a part from before gets nothing; who finds it claimed may claim it in its turn."""
    await accept(store)
    claimed = await claim(store)
    assert claimed == replace(PARTS[0], starting_at=EPOCH)
    assert await read_part(store) == claimed
    assert await store.waves.claim_part("w-1", PARTS[0], LATER) is None
    again = await store.waves.claim_part("w-1", claimed, LATER)
    assert again == replace(claimed, starting_at=LATER)
    assert await store.waves.claim_part("w-1", claimed, LATER) is None
    assert (await read_part(store, 1)).starting_at is None


@over_the_twin
async def test_nothing_is_claimed_of_a_wave_that_has_ended(store: TwinStore) -> None:
    """Nor a part whose job was started."""
    await accept(store)
    started = await store.waves.record_part("w-1", replace(await claim(store), **JOB))  # type: ignore[arg-type]
    assert await store.waves.claim_part("w-1", started, LATER) is None
    assert await store.waves.finish(replace(WAVE, status=WaveStatus.STARTED, started_at=LATER)) is True
    assert await store.waves.claim_part("w-1", PARTS[1], LATER) is None
    assert await store.waves.claim_part("w-2", PARTS[1], LATER) is None
    assert await read_part(store, 1) == PARTS[1]


@over_the_twin
async def test_a_claim_is_released_by_who_has_it(store: TwinStore) -> None:
    """Nobody else's is, and that is no error."""
    await accept(store)
    first = await claim(store)
    second = await store.waves.claim_part("w-1", first, LATER)
    assert second is not None
    await store.waves.release_part("w-1", first)
    assert await read_part(store) == second
    await store.waves.release_part("w-1", second)
    assert await read_part(store) == PARTS[0]


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
    second = await store.waves.claim_part("w-1", first, LATER)
    assert second is not None
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
async def test_a_wave_ends_once(store: TwinStore) -> None:
    """By whoever is first; what it says then stands."""
    await accept(store)
    started = replace(WAVE, status=WaveStatus.STARTED, started_at=LATER)
    assert await store.waves.finish(started) is True
    assert await store.waves.finish(replace(WAVE, status=WaveStatus.FAILED)) is False
    read = await store.waves.read("w-1")
    assert read is not None
    assert read[0] == started


REFUSED = [
    replace(part, **REFUSAL)  # type: ignore[arg-type]
    for part in PARTS
]


@over_the_twin
async def test_a_wave_is_refused_as_a_whole(store: TwinStore) -> None:
    """With the reason at each part, once; after that nothing of it is started."""
    await accept(store)
    failed = WAVE.end(REFUSED)
    assert await store.waves.refuse(failed, REFUSED) is True
    assert await store.waves.read("w-1") == (replace(WAVE, status=WaveStatus.FAILED), REFUSED)
    assert await store.waves.refuse(failed, REFUSED) is False
    assert await store.waves.claim_part("w-1", PARTS[0], LATER) is None


@pytest.mark.parametrize("since", ["claimed", "started", "refused", "ended"])
@over_the_twin
async def test_a_wave_is_refused_only_as_it_was_read(store: TwinStore, since: str) -> None:
    """Whoever went on with a part, or ended the wave, has the word; nothing is written then, to no part."""
    await accept(store)
    match since:
        case "claimed":
            await claim(store, PARTS[2])
        case "started":
            # Released since, as after a job that was adopted.
            await store.put(Write("Update", "waves", ("w-1", "part#0002"), {"jobId": "job-1"}))
        case "refused":
            await store.put(Write("Update", "waves", ("w-1", "part#0002"), {"errorCode": "AccessDenied"}))
        case _:
            await store.waves.finish(WAVE.end([]))
    before = await store.waves.read("w-1")
    assert await store.waves.refuse(WAVE.end(REFUSED), REFUSED) is False
    assert await store.waves.read("w-1") == before


def test_a_wave_ends_by_its_parts() -> None:
    """One that is refused fails it; it started when the last one was answered."""
    jobs = [replace(part, job_id="job-1", started_at=LATER - timedelta(seconds=part.number)) for part in PARTS]
    assert WAVE.end(jobs) == replace(WAVE, status=WaveStatus.STARTED, started_at=LATER)
    assert WAVE.end([REFUSED[0], *jobs[1:]]) == replace(
        WAVE, status=WaveStatus.FAILED, started_at=LATER - timedelta(seconds=1)
    )
    assert WAVE.end(REFUSED).started_at is None


@pytest.mark.parametrize("begun", [False, True])
@over_the_twin
async def test_a_wave_is_given_up_unless_somebody_has_begun(store: TwinStore, begun: bool) -> None:
    """With the writes that stand or fall with it; after that nothing of it is started."""
    await accept(store)
    if begun:
        await claim(store, PARTS[2])
    also = Write("Put", "keys", ("receipt",), {"back": True})
    assert await store.waves.give_up(WAVE, PARTS, [also]) is not begun
    assert (store.item("keys", "receipt") is None) is begun
    read = await store.waves.read("w-1")
    assert read is not None
    assert read[0].status is (WaveStatus.STARTING if begun else WaveStatus.FAILED)
    assert await store.waves.give_up(WAVE, PARTS, []) is False


@over_the_twin
async def test_a_wave_whose_job_was_started_is_not_given_up(store: TwinStore) -> None:
    """Also where its claim was released."""
    await accept(store)
    values = {"jobId": "job-1"}
    await store.put(Write("Update", "waves", ("w-1", "part#0001"), values))
    assert await store.waves.give_up(WAVE, PARTS, []) is False
