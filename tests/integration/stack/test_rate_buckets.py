"""The fleet's buckets over real databases: reserved and cut by single conditional writes, whoever else does so too."""

import asyncio
import time
import uuid
from itertools import pairwise

import pytest

from tests.integration.databases import Database, over_every_database
from workers.aws.pacing.law import SECOND, BucketState, find_rate
from workers.aws.pacing.quotas import Quota
from workers.aws.pacing.server_clock import ServerClock
from workers.aws.pacing.store import BucketStore, Turns
from workers.core.priority import Priority
from workers.core.store.tables import Tables

pytestmark = [pytest.mark.asyncio(loop_scope="session"), over_every_database]

QUOTA = Quota(100, 5)


async def open_store(database: Database, stack: str = "prelaunch") -> BucketStore:
    return BucketStore(Tables(await database.clients.own("dynamodb"), stack))


def now() -> int:
    return round(time.time() * SECOND)


async def reserve(store: BucketStore, key: str, at: int, known: BucketState | None = None, wanted: int = 4) -> Turns:
    return await store.reserve(key, QUOTA, Priority.NORMAL, known=known or BucketState(), now=at, wanted=wanted)


async def test_no_turn_is_given_twice(database: Database) -> None:
    """Twenty processes that reserve at once, each by what it saw last: every turn is one interval from the next."""
    store, key, at = await open_store(database), f"{uuid.uuid4()}", now()
    reserved = await asyncio.gather(*(reserve(store, key, at) for _ in range(20)))
    turns = sorted(turn for each in reserved for turn in each.turns)
    assert len(turns) >= 60
    assert {later - earlier for earlier, later in pairwise(turns)} == {SECOND // 5}
    assert sum(turn <= at for turn in turns) <= QUOTA.capacity - 10


async def test_who_finds_no_turn_is_told_when_there_is_one(database: Database) -> None:
    """Past the horizon nothing is reserved and nothing moves; at the time that was said there are turns."""
    store, key, at = await open_store(database), f"{uuid.uuid4()}", now()
    state = BucketState()
    while (reserved := await reserve(store, key, at, state, wanted=16)).turns:
        state = reserved.state
    assert reserved.state.next_at > at
    assert (await reserve(store, key, at)).state == reserved.state
    later = await reserve(store, key, reserved.opens_at, reserved.state)
    assert later.turns
    assert later.turns[0] == reserved.state.next_at


async def test_a_bucket_is_cut_once(database: Database) -> None:
    """Ten processes whose calls were throttled in the same state: one decrease, one pause, and all know it."""
    store, key, at = await open_store(database), f"{uuid.uuid4()}", now()
    known = (await reserve(store, key, at)).state
    cuts = await asyncio.gather(
        *(store.cut(key, QUOTA, known=known, now=at, retry_after=5 * SECOND) for _ in range(10))
    )
    assert len(set(cuts)) == 1
    assert cuts[0].cuts == 1
    assert 0.5 <= find_rate(cuts[0], QUOTA) / QUOTA.per_second < 1
    assert cuts[0].next_at >= at + 5 * SECOND
    # Reserved by what it was before the cut: the new rate counts, and the pause.
    assert not (await reserve(store, key, at, known)).turns
    first = await reserve(store, key, at + 5 * SECOND, known, wanted=1)
    second = await reserve(store, key, at + 5 * SECOND, first.state, wanted=1)
    assert first.turns[0] >= at + 5 * SECOND
    assert second.turns[0] - first.turns[0] > SECOND / QUOTA.per_second


async def test_a_later_retry_after_is_kept_too(database: Database) -> None:
    """A throttle of before the cut that asks for more time gets it, and cuts nothing."""
    store, key, at = await open_store(database), f"{uuid.uuid4()}", now()
    known = (await reserve(store, key, at)).state
    first = await store.cut(key, QUOTA, known=known, now=at, retry_after=0)
    second = await store.cut(key, QUOTA, known=known, now=at, retry_after=30 * SECOND)
    assert (second.cuts, second.middle) == (first.cuts, first.middle)
    assert second.next_at == at + 30 * SECOND


@pytest.mark.usefixtures("product")
async def test_the_servers_clock_is_read_from_their_answers(database: Database) -> None:
    """A process whose clock is an hour behind has the servers' time, to the second, from its first answers on."""
    async with database.connect() as clients:
        client = await clients.own("dynamodb")
        clock = ServerClock(lambda: now() - 3600 * SECOND)
        assert clock.offset == 0
        clock.watch(client)
        for _ in range(5):
            await client.list_tables()
        assert abs(clock.now() - now()) <= 1.5 * SECOND
