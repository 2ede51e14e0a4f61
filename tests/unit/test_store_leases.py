"""Leases over the twin's tables: who may write to a source server, for how long, and what the next one is told."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.fakes.twin.store import TwinStore, over_the_twin
from tests.fakes.twin.world import Trouble
from workers.core.errors import LeaseHeld, LeaseLost
from workers.core.store.leases import REMEMBERED, Lease, end_lease
from workers.core.store.writes import Write

ACCOUNT, REGION, SERVER = "111122223333", "us-east-1", "s-" + "a" * 17
KEY = f"lease#{ACCOUNT}#{REGION}#{SERVER}"
WROTE_AT = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
A_MOMENT = timedelta(seconds=0.2)
"""More than a call over the twin takes."""


async def take(store: TwinStore, work: str = "") -> Lease:
    return await store.leases.take(ACCOUNT, REGION, SERVER, work=work)


def left(lease: Lease, store: TwinStore) -> timedelta:
    return timedelta(seconds=lease.ends_at - store.world.seconds())


@over_the_twin
async def test_a_lease_is_one_a_source_server(store: TwinStore) -> None:
    """Its item says whose it is, until when and for what; whoever comes meanwhile hears when to ask again."""
    lease = await take(store, "run-1")
    item = store.item("keys", KEY)
    assert item is not None
    assert item == {"key": KEY, "owner": lease.owner, "until": item["until"], "work": "run-1", "attempts": 1}
    assert (
        store.milliseconds(store.settings.lease - A_MOMENT) < item["until"] <= store.milliseconds(store.settings.lease)
    )
    assert (lease.key, lease.attempt, lease.hand_backs, lease.last_write_at) == (KEY, 1, 0, None)
    assert (lease.margin, lease.hold) == (store.settings.lease_margin, store.settings.unanswered_hold)
    with pytest.raises(LeaseHeld, match=SERVER) as held:
        await take(store, "run-1")
    assert held.value.retry_after == store.settings.lease / 4
    assert held.value.for_same_work
    with pytest.raises(LeaseHeld) as by_other:
        await take(store, "run-2")
    assert not by_other.value.for_same_work
    assert store.item("keys", KEY) == item
    other = await store.leases.take(ACCOUNT, "eu-west-1", SERVER)
    assert other.owner != lease.owner


@over_the_twin
async def test_a_holder_believes_to_have_less_than_it_has(store: TwinStore) -> None:
    """Its time counts from before the write, on the clock that only rises; what is stored ends no sooner."""
    began = store.world.seconds()
    lease = await take(store)
    assert lease.ends_at == began + store.settings.lease.total_seconds()
    item = store.item("keys", KEY)
    assert item is not None
    await asyncio.sleep(20)
    began = store.world.seconds()
    until = store.milliseconds(store.settings.lease)
    await store.leases.renew(lease)
    assert lease.ends_at == began + store.settings.lease.total_seconds()
    assert store.item("keys", KEY) == {**item, "until": until}


@over_the_twin
async def test_no_call_begins_that_might_outlive_the_lease(store: TwinStore) -> None:
    """With the margin left a call may begin; with any less it is refused, and the lease is named."""
    lease = await take(store)
    await asyncio.sleep((left(lease, store) - lease.margin).total_seconds() - 0.001)
    lease.check()
    await asyncio.sleep(0.002)
    with pytest.raises(LeaseLost, match=KEY):
        lease.check()
    exactly = replace(lease, ends_at=lease.margin.total_seconds(), time=replace(store.time, monotonic=lambda: 0.0))
    exactly.check()


@over_the_twin
async def test_a_dead_holders_lease_is_taken_after_its_time_and_the_grace(store: TwinStore) -> None:
    """Not a moment sooner; the taker counts the attempt, and takes the dead one to have written until now."""
    first = await take(store, "run-1")
    item = store.item("keys", KEY)
    assert item is not None
    ends = timedelta(milliseconds=item["until"] - store.milliseconds())
    await asyncio.sleep((ends + store.settings.lease_grace - A_MOMENT).total_seconds())
    with pytest.raises(LeaseHeld):
        await take(store, "run-1")
    await asyncio.sleep((2 * A_MOMENT).total_seconds())
    now = store.world.now()
    second = await take(store, "run-1")
    assert (second.attempt, second.hand_backs, second.last_write_at) == (2, 0, now)
    with pytest.raises(LeaseLost):
        await store.leases.renew(first)
    # One that is not ours any more is left alone.
    before = store.item("keys", KEY)
    await store.leases.give_back(first, last_write_at=None, outcome=True)
    assert store.item("keys", KEY) == before


@over_the_twin
async def test_attempts_are_counted_for_the_same_work_alone(store: TwinStore) -> None:
    """What was claimed again and again for one run says nothing of the next one."""
    for attempt in (1, 2, 3):
        lease = await take(store, "run-1")
        assert lease.attempt == attempt
        await store.leases.give_back(lease, last_write_at=None, outcome=False)
    lease = await take(store, "run-1")
    await store.leases.give_back(lease, last_write_at=None, outcome=True)
    lease = await take(store, "run-2")
    assert (lease.attempt, lease.hand_backs) == (1, 0)
    item = store.item("keys", KEY)
    assert item is not None
    assert (item["owner"], item["attempts"], item["handBacks"], item["work"]) == (lease.owner, 1, 0, "run-2")
    await store.leases.give_back(lease, last_write_at=None, outcome=False)
    lease = await take(store, "run-2")
    assert lease.attempt == 2


@over_the_twin
async def test_who_loses_the_lease_while_taking_it_does_not_have_it(store: TwinStore) -> None:
    """Between the write that takes it for other work and the one that counts anew it may end: it is held then."""
    await store.leases.give_back(await take(store, "run-1"), last_write_at=None, outcome=False)
    stalls = [0.0, 100.0]
    store.world.choose_delay = lambda _call: stalls.pop(0) if stalls else 0.0
    taking = asyncio.create_task(take(store, "run-2"))
    await asyncio.sleep(80)
    await take(store, "run-2")
    before = store.item("keys", KEY)
    with pytest.raises(LeaseHeld):
        await taking
    assert store.item("keys", KEY) == before


@over_the_twin
async def test_a_lease_from_before_works_were_named_counts_on(store: TwinStore) -> None:
    """An item without the work is of the same one: an update of ours forgets no attempts."""
    await store.put(Write("Put", "keys", (KEY,), {"until": 0, "attempts": 4}))
    assert (await take(store, "run-1")).attempt == 5


@over_the_twin
async def test_an_orderly_hand_back_is_no_attempt(store: TwinStore) -> None:
    """It is free at once, its attempt is taken back and the hand-back counted; without an outcome it stays counted."""
    lease = await store.leases.take(ACCOUNT, REGION, SERVER)
    await store.leases.give_back(lease, last_write_at=WROTE_AT, outcome=True)
    item = store.item("keys", KEY)
    assert item == {
        "key": KEY,
        "until": 0,
        "work": "",
        "attempts": 0,
        "handBacks": 1,
        "lastWriteAt": WROTE_AT.isoformat(),
    }
    lease = await take(store)
    assert (lease.attempt, lease.hand_backs, lease.last_write_at) == (1, 1, WROTE_AT)
    await store.leases.give_back(lease, last_write_at=None, outcome=False)
    item = store.item("keys", KEY)
    assert item is not None
    assert (item["attempts"], item["handBacks"], item["lastWriteAt"]) == (1, 1, WROTE_AT.isoformat())
    assert "owner" not in item


@over_the_twin
async def test_what_was_not_answered_keeps_others_away(store: TwinStore) -> None:
    """For as long as the write may come late, whoever ends the lease."""
    lease = await take(store)
    assert lease.held_until == 0
    lease.note_unanswered()
    assert lease.held_until == store.milliseconds(store.settings.unanswered_hold)
    until = lease.held_until
    await store.leases.give_back(lease, last_write_at=None, outcome=True)
    item = store.item("keys", KEY)
    assert item is not None
    assert item["until"] == until
    with pytest.raises(LeaseHeld):
        await take(store)
    await asyncio.sleep((store.settings.unanswered_hold + store.settings.lease_grace).total_seconds())
    assert (await take(store)).attempt == 1


@over_the_twin
async def test_an_outcome_without_a_write_leaves_nothing_of_the_lease(store: TwinStore) -> None:
    """Nobody has to be told anything; only the holder's own is deleted."""
    lease = await take(store)
    await store.tables.transact([end_lease(lease, None)])
    assert store.item("keys", KEY) is None
    assert (await take(store)).attempt == 1


@pytest.mark.parametrize("unanswered", [False, True])
@over_the_twin
async def test_an_outcome_after_a_write_is_remembered(store: TwinStore, unanswered: bool) -> None:
    """When the source server was last written to stands for a day; nothing else of the lease does."""
    await store.leases.give_back(await take(store), last_write_at=None, outcome=True)
    lease = await take(store)
    if unanswered:
        lease.note_unanswered()
    wrote_at = None if unanswered else WROTE_AT
    now = store.world.now()
    await store.tables.transact([end_lease(lease, wrote_at)])
    written = {} if unanswered else {"lastWriteAt": WROTE_AT.isoformat()}
    expires_at = int((now + REMEMBERED).timestamp())
    assert store.item("keys", KEY) == {"key": KEY, "until": lease.held_until, "expiresAt": expires_at, **written}
    assert timedelta(hours=1) < REMEMBERED
    if not unanswered:
        assert lease.held_until == 0
        following = await take(store)
        assert (following.attempt, following.last_write_at) == (1, WROTE_AT)
        item = store.item("keys", KEY)
        assert item is not None
        assert "expiresAt" not in item, "a lease that is held never ends by itself"


@over_the_twin
async def test_a_lease_that_is_anothers_is_not_ended(store: TwinStore) -> None:
    """The record of an outcome stands or falls with the lease."""
    first = await take(store)
    await asyncio.sleep(100)
    await take(store)
    before = store.item("keys", KEY)
    for wrote_at in (None, WROTE_AT):
        with pytest.raises(Exception, match="condition"):
            await store.tables.transact([end_lease(first, wrote_at)])
    assert store.item("keys", KEY) == before


@over_the_twin
async def test_one_does_not_wait_for_oneself(store: TwinStore) -> None:
    """The SDK repeats a write whose answer was lost: the second time the lease is ours already."""
    store.world.on_call = lambda _call: Trouble.REPEATED
    lease = await take(store)
    item = store.item("keys", KEY)
    assert item is not None
    assert item["owner"] == lease.owner
