"""The opening of a generation over the twin's tables: one transaction, over the state that was read and no other."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.runs import MEMBERS, OPENED_AT, PERIODS, REQUESTER, run_over, status_of
from tests.fakes.twin.store import TwinStore, over_the_twin
from workers.core.model.errors import GroupTooLarge
from workers.core.runs.opening import (
    MAX_OPENING_BYTES,
    MAX_OPENING_ITEMS,
    SECONDS_A_SERVER,
    check_size,
    new_event,
    new_run_id,
    open_status,
    plan_run,
    put_opening,
)
from workers.core.status import Status
from workers.core.store.groups import put_definition
from workers.core.store.records import HISTORY_KEPT, Counts, GroupEvent, GroupHead, GroupStatus, Mode, RunHead
from workers.core.store.refusals import ConditionFailed
from workers.core.store.runs import Run
from workers.core.store.writes import Write

LISTED = frozenset(MEMBERS[:2])
HEAD = GroupHead("pg-1", "web", "us-east-1", "111122223333", 4, OPENED_AT, OPENED_AT)
ASKED = replace(REQUESTER, request_id="r-1")


def run_of(generation: int) -> Run:
    return run_over(MEMBERS[:3], LISTED, generation)


async def open_over(store: TwinStore, run: Run, before: GroupStatus | None) -> GroupStatus:
    opened = open_status(run, {}, before, REQUESTER)
    await store.tables.transact(put_opening(run, before, opened))
    return opened


@over_the_twin
async def test_the_first_generation_is_opened_once(store: TwinStore) -> None:
    """Its status, its head and its list, over no status at all."""
    run = run_of(1)
    opened = await open_over(store, run, None)
    assert await store.groups.read_status("pg-1") == opened
    assert await store.runs.read_head("pg-1", 1) == run.head
    assert await store.runs.read_listed("pg-1", 1) == tuple(sorted(LISTED))
    with pytest.raises(ConditionFailed):
        await open_over(store, run_of(2), None)


@pytest.mark.parametrize("settled", [False, True])
@over_the_twin
async def test_a_generation_follows_the_one_that_was_read(store: TwinStore, settled: bool) -> None:
    """Supersedes it if that has not settled, lets it end as history, and is opened over no other state."""
    first = run_of(1)
    before = await open_over(store, first, None)
    if settled:
        ended = {"status": Status.READY.value, "verifiedAt": OPENED_AT.isoformat(), "heldBy": "wave-1"}
        await store.put(Write("Update", "groups", ("pg-1", "status"), ended))
        read = await store.groups.read_status("pg-1")
        assert read is not None
        for stale in (before, replace(read, generation=7)):
            with pytest.raises(ConditionFailed):
                await open_over(store, run_of(2), stale)
        before = read
    second = run_of(2)
    opened = await open_over(store, second, before)
    assert await store.groups.read_status("pg-1") == opened
    assert opened.held_by == before.held_by
    assert await store.runs.read_head("pg-1", 2) == second.head
    past = await store.runs.read_head("pg-1", 1)
    superseded = replace(first.head, superseded_by=2, settled_at=second.head.opened_at)
    assert past == (first.head if settled else superseded)
    for name in ("head", "list"):
        item = store.item("runs", "pg-1", f"{name}#{1:010d}")
        assert item is not None
        assert item["expiresAt"] == int((second.head.opened_at + HISTORY_KEPT).timestamp())
    due = await store.runs.read_due(OPENED_AT + timedelta(days=1), limit=5)
    assert due == [("pg-1", 2)]


@over_the_twin
async def test_what_the_status_before_said_does_not_stay(store: TwinStore) -> None:
    """When it was verified is told anew or not at all; of a wave's claim it is not for a run to say anything."""
    before = await open_over(store, run_of(1), None)
    more = {"verifiedAt": OPENED_AT.isoformat(), "heldBy": "wave-1", "launching": False}
    await store.put(Write("Update", "groups", ("pg-1", "status"), more))
    opened = await open_over(store, run_of(2), before)
    assert opened.verified_at is None
    item = store.item("groups", "pg-1", "status")
    assert item is not None
    assert "verifiedAt" not in item
    assert (item["heldBy"], item["launching"]) == ("wave-1", False)


@pytest.mark.parametrize("launching", [True, False])
@over_the_twin
async def test_a_run_is_opened_only_over_the_launch_that_was_read(store: TwinStore, launching: bool) -> None:
    """By it its jobs are sent now or when the hold ends: neither may be decided by what was before."""
    before = await open_over(store, run_of(1), None)
    await store.put(Write("Update", "groups", ("pg-1", "status"), {"heldBy": "wave-1", "launching": launching}))
    other = replace(before, held_by="wave-1", launching=not launching)
    with pytest.raises(ConditionFailed):
        await open_over(store, run_of(2), other)
    assert (await open_over(store, run_of(2), replace(other, launching=launching))).generation == 2


def test_a_planned_run_says_who_asked_for_what_and_until_when() -> None:
    """Its time is the installation's, and four tokens for each source server that is before it or its own."""
    definition = run_of(1).definition
    run = plan_run(
        HEAD,
        definition,
        generation=5,
        listed=LISTED,
        requester=ASKED,
        now=OPENED_AT,
        periods=PERIODS,
        run_id="run-1",
        backlog=10,
    )
    assert (run.group_id, run.listed, run.definition) == ("pg-1", LISTED, definition)
    assert run.head == RunHead(
        run_id="run-1",
        generation=5,
        config_version=4,
        account_id="111122223333",
        reason="requested",
        requested_by="alice",
        door="http",
        mode=Mode.APPLY,
        listed=2,
        done=0,
        opened_at=OPENED_AT,
        deadline=OPENED_AT + PERIODS.base_deadline + timedelta(seconds=4 * 12 * SECONDS_A_SERVER),
        resend_after=OPENED_AT + PERIODS.send_after,
        region="us-east-1",
        request_id="r-1",
    )


def test_runs_are_named_apart() -> None:
    """By 17 digits; a run without a name gets one, and nothing is before it unless that is said."""
    assert new_run_id() != new_run_id()
    assert len(new_run_id()) == len("run-") + 17
    run = run_of(1)
    assert run.head.run_id.startswith("run-")
    assert run.head.deadline == OPENED_AT + PERIODS.base_deadline + timedelta(seconds=4 * 2 * SECONDS_A_SERVER)


def test_an_opened_status_is_pending_over_its_list() -> None:
    """By whom and when it was opened, what it is to have, and who held the group before."""
    run = run_of(3)
    opened = open_status(run, {}, replace(status_of(run), held_by="wave-1"), ASKED)
    assert opened == GroupStatus(
        status=Status.PENDING,
        generation=3,
        run_id=run.head.run_id,
        last_applied=OPENED_AT,
        applied_by="alice",
        counts=Counts(0, 1, 2),
        digest=run.digest,
        held_by="wave-1",
        errors=opened.errors,
    )
    assert open_status(run, {}, None, ASKED).held_by is None


def test_what_was_done_without_a_run_says_who_did_it() -> None:
    """To which group, in which version, from which door."""
    event = new_event("updated", HEAD, ASKED, OPENED_AT)
    assert event == GroupEvent("updated", OPENED_AT, "web", 4, "alice", "http", "r-1")


def test_what_no_transaction_can_hold_is_refused() -> None:
    """To the byte and to the item; the shards of other groups too, updates and checks weigh nothing."""

    def put(value: object, table: str = "groups") -> Write:
        return Write("Put", table, ("a", "b"), {"data": value})  # type: ignore[arg-type]  # one of the tables

    half = b"x" * (MAX_OPENING_BYTES // 2)
    check_size([put(half), put(half), put(half, "keys"), Write("Update", "groups", ("a", "b"), {"data": half})])
    with pytest.raises(GroupTooLarge) as large:
        check_size([put(half), put(half), put("")])
    assert (large.value.count, large.value.limit) == (MAX_OPENING_BYTES + 2, MAX_OPENING_BYTES)
    assert f"at most {MAX_OPENING_BYTES} bytes, packed;" in str(large.value)
    check_size([put(["abc", 1])] * MAX_OPENING_ITEMS)
    with pytest.raises(GroupTooLarge) as many:
        check_size([put(1, "keys")] * (MAX_OPENING_ITEMS + 1))
    assert (many.value.count, many.value.limit) == (MAX_OPENING_ITEMS + 1, MAX_OPENING_ITEMS)
    assert f"at most {MAX_OPENING_ITEMS} items of a transaction;" in str(many.value)
    packed = [*put_definition("pg-1", 1, run_of(1).definition)]
    check_size(packed)
