"""Runs over the twin's tables: heads, lists, outcomes under a lease, and who looks after what."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes.runs import MEMBERS, OPENED_AT, run_over
from tests.fakes.twin.store import TwinStore, over_the_twin
from tests.fakes.twin.world import EPOCH
from workers.core.errors import LeaseLost
from workers.core.status import Status
from workers.core.store.groups import put_definition
from workers.core.store.leases import Lease
from workers.core.store.records import HISTORY_KEPT, GroupEvent, Look, RunHead, ServerError, ServerItem, to_time
from workers.core.store.refusals import ConditionFailed
from workers.core.store.run_writes import close_run, expire_run, put_clearing, put_event, put_run
from workers.core.store.runs import Run
from workers.core.store.writes import Write

A, B = MEMBERS[:2]
LISTED = frozenset(MEMBERS[:2])
ERROR = ServerError(A, "ValidationException", "no", EPOCH, 1)
READY = ServerItem(A, Status.READY, 3, "sha256:a", EPOCH, 1, verified_at=EPOCH, last_write_at=EPOCH)
FAILED = ServerItem(A, Status.FAILED, 3, "sha256:a", EPOCH, 2, refused_version=7, errors=(ERROR,))
HEAD = "head#{:010d}".format


def run_of(generation: int = 3) -> Run:
    return run_over(MEMBERS[:3], LISTED, generation)


async def open_run(store: TwinStore, generation: int = 3, group_id: str = "pg-1", **changed: Any) -> RunHead:
    run = run_of(generation)
    head = replace(run.head, **changed)
    await store.tables.transact(put_run(group_id, head, run.listed))
    return head


async def take(store: TwinStore) -> Lease:
    return await store.leases.take("111122223333", "us-east-1", A)


@over_the_twin
async def test_a_run_is_read_as_it_was_put(store: TwinStore) -> None:
    """Its head, its list and the definition of its version together; once, for nothing of that changes."""
    head = await open_run(store)
    run = run_of()
    await store.put(*put_definition("pg-1", head.config_version, run.definition))
    assert await store.runs.read_head("pg-1", 3) == head
    assert await store.runs.read_listed("pg-1", 3) == tuple(sorted(LISTED))
    read = await store.runs.read_run("pg-1", 3)
    assert read is not None
    assert (read.group_id, read.head, read.listed, read.definition) == ("pg-1", head, LISTED, run.definition)
    assert (read.target, read.digest, read.config_hashes) == (run.definition.target, run.digest, run.config_hashes)
    calls = len(store.calls)
    assert await store.runs.read_run("pg-1", 3) is read
    assert len(store.calls) == calls
    for group_id, generation in (("pg-1", 4), ("pg-2", 3)):
        assert await store.runs.read_head(group_id, generation) is None
        assert await store.runs.read_listed(group_id, generation) == ()
        assert await store.runs.read_run(group_id, generation) is None


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_a_member_on_no_list_is_ready_with_what_is_wanted_alone(generation: int) -> None:
    """Whichever generation applied it; with another launch config it is not."""
    run, member = run_of(), MEMBERS[2]
    assert member not in run.listed
    applied = replace(READY, source_server_id=member, generation=generation, config_hash=run.config_hashes[member])
    for recorded, status in (
        ({member: applied}, Status.READY),
        ({member: replace(applied, config_hash="sha256:other")}, Status.FAILED),
        ({member: replace(applied, status=Status.FAILED)}, Status.FAILED),
        ({}, Status.FAILED),
    ):
        assert run.read_statuses(recorded) == {A: Status.PENDING, B: Status.PENDING, member: status}


@over_the_twin
async def test_a_run_of_a_deleted_group_is_none(store: TwinStore) -> None:
    """Its head stands for a while; its definition does not."""
    await open_run(store)
    assert await store.runs.read_run("pg-1", 3) is None


@over_the_twin
async def test_a_generation_is_opened_once(store: TwinStore) -> None:
    """Neither head nor list is written over."""
    await open_run(store)
    for write in put_run("pg-1", run_of().head, frozenset()):
        with pytest.raises(ConditionFailed):
            await store.tables.write(write)


@over_the_twin
async def test_runs_are_listed_newest_first(store: TwinStore) -> None:
    """As many as are asked for, and older ones than the page before ended with."""
    heads = [await open_run(store, generation) for generation in (9, 10, 11, 12)][::-1]
    await store.put(put_event("pg-1", GroupEvent("created", EPOCH, "web", 1, "alice", "http")))
    assert await store.runs.read_heads("pg-1", limit=10, before=None) == heads
    assert await store.runs.read_heads("pg-1", limit=2, before=None) == heads[:2]
    assert await store.runs.read_heads("pg-1", limit=2, before=11) == heads[2:]
    assert await store.runs.read_heads("pg-2", limit=2, before=None) == []


@over_the_twin
async def test_an_outcome_is_recorded_with_the_end_of_its_lease(store: TwinStore) -> None:
    """Both, and what else is written with them; read alone and among all."""
    lease = await take(store)
    also = Write("Update", "runs", ("pg-1", "change#3"), {"done": True})
    assert await store.runs.record("pg-1", READY, lease, also) is True
    assert await store.runs.read_server("pg-1", A) == READY
    assert await store.runs.read_servers("pg-1") == {A: READY}
    assert store.item("runs", "pg-1", "change#3") is not None
    ended = store.item("keys", lease.key)
    assert ended is not None
    assert "owner" not in ended
    assert ended["lastWriteAt"] == EPOCH.isoformat()
    assert await store.runs.read_server("pg-1", B) is None
    assert await store.runs.read_servers("pg-2") == {}


@over_the_twin
async def test_nothing_older_stands_over_something_newer(store: TwinStore) -> None:
    """An outcome of the same or an older generation is not recorded, and its lease stays."""
    assert await store.runs.record("pg-1", READY, await take(store)) is True
    for generation in (3, 2):
        lease = await take(store)
        assert await store.runs.record("pg-1", replace(FAILED, generation=generation), lease) is False
        assert await store.runs.read_server("pg-1", A) == READY
        await store.leases.give_back(lease, last_write_at=None, outcome=True)
    newer = replace(FAILED, generation=4)
    assert await store.runs.record("pg-1", newer, await take(store)) is True
    assert await store.runs.read_server("pg-1", A) == replace(newer, last_write_at=EPOCH)


@over_the_twin
async def test_an_outcome_replaces_what_was_said_before(store: TwinStore) -> None:
    """Of a failure that is over no error stays, nor a refused version; of a reading that failed no verification."""
    lease = await take(store)
    assert await store.runs.record("pg-1", FAILED, lease) is True
    assert await store.runs.record("pg-1", replace(READY, generation=4), await take(store)) is True
    item = store.item("runs", "pg-1", f"server#{A}")
    assert item is not None
    assert not {"errors", "refusedVersion"} & item.keys() or item["errors"] == []
    assert await store.runs.read_server("pg-1", A) == replace(READY, generation=4)
    assert await store.runs.record("pg-1", replace(FAILED, generation=5), await take(store)) is True
    item = store.item("runs", "pg-1", f"server#{A}")
    assert item is not None
    assert "verifiedAt" not in item


@over_the_twin
async def test_without_the_lease_nothing_is_recorded(store: TwinStore) -> None:
    """Whoever has it by now will: the record, and what was to be written with it, are not."""
    lease = await take(store)
    lease.owner = "somebody"
    also = Write("Update", "runs", ("pg-1", "change#3"), {"done": True})
    with pytest.raises(LeaseLost):
        await store.runs.record("pg-1", READY, lease, also)
    assert [*store.world.tables.every("runs")] == []
    await store.put(Write("Put", "runs", ("pg-1", f"server#{A}"), {"generation": 3}))
    with pytest.raises(LeaseLost):
        await store.runs.record("pg-1", READY, lease)


@over_the_twin
async def test_outcomes_are_counted_on_the_head(store: TwinStore) -> None:
    """One by one; of a run that is gone none is made."""
    head = await open_run(store)
    for done in (1, 2):
        at = OPENED_AT + timedelta(seconds=done)
        assert await store.runs.count_done("pg-1", 3, at) == replace(head, done=done, done_at=at)
    # One that failed because the time is over counts, and moves nothing.
    assert await store.runs.count_done("pg-1", 3, None) == replace(head, done=3, done_at=at)
    with pytest.raises(ConditionFailed):
        await store.runs.count_done("pg-1", 4, OPENED_AT)
    assert store.item("runs", "pg-1", HEAD(4)) is None


@over_the_twin
async def test_a_count_that_never_came_is_made_up_for(store: TwinStore) -> None:
    """Raised to what is recorded, with the time of the latest; never lowered; none is made of a run that is gone."""
    head = await open_run(store)
    at = OPENED_AT + timedelta(seconds=7)
    await store.runs.count_at_least("pg-1", 3, 2, at)
    raised = replace(head, done=2, done_at=at)
    assert await store.runs.read_head("pg-1", 3) == raised
    for done in (1, 2):
        await store.runs.count_at_least("pg-1", 3, done, OPENED_AT)
        assert await store.runs.read_head("pg-1", 3) == raised
    await store.runs.count_at_least("pg-1", 4, 2, at)
    assert store.item("runs", "pg-1", HEAD(4)) is None


@over_the_twin
async def test_what_a_run_waits_for_is_noted_on_it(store: TwinStore) -> None:
    """Of a run that is gone it is not, and that is no error."""
    head = await open_run(store)
    await store.runs.note_wait("pg-1", 3, "tokens", EPOCH)
    assert await store.runs.read_head("pg-1", 3) == replace(head, waiting_for="tokens", waiting_at=EPOCH)
    await store.runs.note_wait("pg-1", 4, "tokens", EPOCH)
    assert store.item("runs", "pg-1", HEAD(4)) is None


@over_the_twin
async def test_sent_jobs_are_marked(store: TwinStore) -> None:
    """When, and when they are looked after next; of a run that is gone nothing is made."""
    head = await open_run(store)
    look_at = EPOCH + timedelta(minutes=10)
    await store.runs.mark_sent("pg-1", 3, EPOCH, look_at=look_at)
    assert await store.runs.read_head("pg-1", 3) == replace(head, sent_at=EPOCH, resend_after=look_at)
    with pytest.raises(ConditionFailed):
        await store.runs.mark_sent("pg-1", 4, EPOCH, look_at=look_at)


@over_the_twin
async def test_a_run_begins_anew_as_it_was_read(store: TwinStore) -> None:
    """Its time counts from then and it is unsent; one that was sent since it was read, or again, is left as it is."""
    opened = await open_run(store)
    begins_at, look_at = opened.opened_at + timedelta(hours=1), opened.opened_at + timedelta(hours=2)
    await store.runs.mark_sent("pg-1", 3, EPOCH, look_at=look_at)
    sent = await store.runs.read_head("pg-1", 3)
    assert sent is not None
    for stale in (opened, replace(sent, sent_at=EPOCH + timedelta(seconds=1))):
        await store.runs.begin("pg-1", stale, begins_at, look_at)
        assert await store.runs.read_head("pg-1", 3) == sent
    await store.runs.begin("pg-1", sent, begins_at, look_at)
    deadline = opened.deadline + timedelta(hours=1)
    begun = replace(sent, sent_at=None, begins_at=begins_at, deadline=deadline, resend_after=look_at)
    assert await store.runs.read_head("pg-1", 3) == begun
    kept = [sent, begun, replace(begun, sent_at=EPOCH)]
    assert [head.is_kept_back(begins_at - timedelta(seconds=1)) for head in kept] == [False, True, True]
    assert [head.is_kept_back(begins_at) for head in kept] == [False, True, False]


@over_the_twin
async def test_what_is_due_is_found(store: TwinStore) -> None:
    """Unsettled runs and deleted groups up to now, those that wait longest first; what is closed is not."""
    for number in range(4):
        await open_run(store, group_id=f"pg-{number}", resend_after=EPOCH + timedelta(minutes=10 - number))
    await store.put(put_clearing("pg-9", EPOCH + timedelta(minutes=9, seconds=30)))
    due = await store.runs.read_due(EPOCH + timedelta(minutes=10), limit=10)
    assert due == [("pg-3", 3), ("pg-2", 3), ("pg-1", 3), ("pg-9", None), ("pg-0", 3)]
    assert await store.runs.read_due(EPOCH + timedelta(minutes=8), limit=10) == due[:2]
    assert await store.runs.read_due(EPOCH + timedelta(minutes=10), limit=1) == due[:1]
    await store.put(close_run("pg-3", 3, settledAt=to_time(EPOCH)))
    await store.tables.transact(expire_run("pg-2", 3, EPOCH, supersededBy=4))
    await store.runs.end_clearing("pg-9")
    assert await store.runs.read_due(EPOCH + timedelta(minutes=10), limit=10) == [("pg-1", 3), ("pg-0", 3)]


@over_the_twin
async def test_a_closed_run_says_how_it_ended(store: TwinStore) -> None:
    """Settled it stays; superseded its head and its list get their end; one that is gone is not made anew."""
    head = await open_run(store)
    await store.put(close_run("pg-1", 3, settledAt=to_time(EPOCH), outcome="ready"))
    closed = replace(head, settled_at=EPOCH, outcome=Status.READY)
    assert await store.runs.read_head("pg-1", 3) == closed
    await store.tables.transact(expire_run("pg-1", 3, EPOCH, supersededBy=4))
    assert await store.runs.read_head("pg-1", 3) == replace(closed, superseded_by=4)
    expires_at = int((EPOCH + HISTORY_KEPT).timestamp())
    for name in (HEAD(3), f"list#{3:010d}"):
        item = store.item("runs", "pg-1", name)
        assert item is not None
        assert item["expiresAt"] == expires_at
        assert "unsettled" not in item
    for write in (close_run("pg-1", 4), *expire_run("pg-1", 4, EPOCH)):
        with pytest.raises(ConditionFailed):
            await store.tables.write(write)


@over_the_twin
async def test_what_was_done_without_a_run_is_on_record(store: TwinStore) -> None:
    """For as long as history is kept, in the order of time."""
    event = GroupEvent("deleted", EPOCH, "web", 2, "alice", "http", "r-1")
    await store.put(put_event("pg-1", event))
    item = store.item("runs", "pg-1", f"event#{to_time(EPOCH)}#deleted")
    assert item is not None
    assert item["expiresAt"] == int((EPOCH + HISTORY_KEPT).timestamp())
    told = {name: item[name] for name in ("kind", "at", "groupName", "version", "requestedBy", "door", "requestId")}
    at = EPOCH.isoformat().replace("+00:00", "Z")
    assert list(told.values()) == ["deleted", at, "web", 2, "alice", "http", "r-1"]


@over_the_twin
async def test_the_backlog_is_that_of_the_account_and_region(store: TwinStore) -> None:
    """What its unsettled runs list; not a deleted group's, nor another's."""
    others: dict[str, dict[str, Any]] = {
        "pg-1": {},
        "pg-2": {"listed": 40},
        "pg-3": {"region": "eu-west-1"},
        "pg-4": {"account_id": "9" * 12},
    }
    for group_id, changed in others.items():
        await open_run(store, group_id=group_id, **changed)
    await store.put(put_clearing("pg-5", OPENED_AT))
    assert await store.runs.count_backlog("111122223333", "us-east-1") == 42
    await store.put(close_run("pg-2", 3))
    assert await store.runs.count_backlog("111122223333", "us-east-1") == 2
    assert await store.runs.count_backlog("111122223333", "eu-central-1") == 0


@over_the_twin
async def test_one_looks_after_a_run_at_a_time(store: TwinStore) -> None:
    """Who comes with a head from before does not, nor anybody once the run is closed; what is remembered stands."""
    head = await open_run(store, done=2)
    look = Look(EPOCH + timedelta(minutes=1), EPOCH + timedelta(hours=1), 5)
    assert await store.runs.claim_look("pg-1", head, look) is True
    claimed = replace(head, resend_after=look.next_at, deadline=look.deadline, stalls=5, done_seen=2)
    assert await store.runs.read_head("pg-1", 3) == claimed
    assert await store.runs.claim_look("pg-1", head, look) is False
    await store.put(close_run("pg-1", 3))
    assert await store.runs.claim_look("pg-1", claimed, look) is False
    assert await store.runs.read_head("pg-1", 3) == claimed


@over_the_twin
async def test_a_source_server_is_given_up_without_its_lease(store: TwinStore) -> None:
    """Unless an outcome of this generation or a newer one stands; when it was verified is told no more."""
    assert await store.runs.record("pg-1", READY, await take(store)) is True
    assert await store.runs.give_up("pg-1", FAILED) is False
    assert await store.runs.give_up("pg-1", replace(FAILED, generation=2)) is False
    assert await store.runs.give_up("pg-1", replace(FAILED, generation=4)) is True
    given_up = replace(FAILED, generation=4, last_write_at=EPOCH)
    assert await store.runs.read_server("pg-1", A) == given_up
    assert await store.runs.give_up("pg-1", replace(FAILED, source_server_id=B)) is True
    assert (await store.runs.read_servers("pg-1")).keys() == {A, B}


@over_the_twin
async def test_a_deleted_groups_records_go(store: TwinStore) -> None:
    """One, or all of them; its runs stay for as long as history is kept."""
    head = await open_run(store)
    for server in (A, B, MEMBERS[2]):
        await store.runs.give_up("pg-1", replace(FAILED, source_server_id=server))
    await store.runs.give_up("pg-2", FAILED)
    await store.runs.delete_server("pg-1", A)
    assert (await store.runs.read_servers("pg-1")).keys() == {B, MEMBERS[2]}
    await store.runs.delete_servers("pg-1")
    assert await store.runs.read_servers("pg-1") == {}
    assert (await store.runs.read_servers("pg-2")).keys() == {A}
    assert await store.runs.read_head("pg-1", 3) == head
