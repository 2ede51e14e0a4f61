"""Laws of the status machine: reading, combining, opening, settling, selecting."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.runs import MEMBERS, OPENED_AT, REQUESTER, recorded_runs, run_over, status_of
from workers.core.runs.opening import open_status, put_opening
from workers.core.runs.selection import ApplyRequest, is_in_hand, select_listed
from workers.core.runs.settle import combine_status
from workers.core.status import (
    NOT_APPLIED,
    TRANSITIONS,
    ServerRecord,
    Status,
    combine,
    read_server_status,
)
from workers.core.store.records import ServerItem
from workers.core.store.runs import Run

READY, FAILED, PENDING = Status.READY, Status.FAILED, Status.PENDING
_SETTLED = st.sampled_from([READY, FAILED])
_MEMBER_STATUSES = st.dictionaries(st.sampled_from(MEMBERS[:6]), st.sampled_from([READY, FAILED, PENDING]), min_size=1)


@pytest.mark.parametrize(
    ("recorded", "listed", "status"),
    [
        # Recorded as (status, generation, whether under this config); the group is at generation 3.
        (None, True, PENDING),
        (None, False, FAILED),
        ((READY, 2, True), True, PENDING),
        ((FAILED, 2, True), True, PENDING),
        ((READY, 3, True), True, READY),
        ((FAILED, 3, True), True, FAILED),
        ((READY, 2, True), False, READY),
        ((READY, 2, False), False, FAILED),
        ((FAILED, 2, True), False, FAILED),
        ((FAILED, 2, False), False, FAILED),
    ],
)
def test_the_status_of_a_member(recorded: tuple[Status, int, bool] | None, listed: bool, status: Status) -> None:
    """A listed member is pending until its own generation settles it; another counts only if ready with this config."""
    record = None
    if recorded is not None:
        settled, generation, same = recorded
        record = ServerRecord(settled, generation, "sha256:a" if same else "sha256:b")
    assert read_server_status(record, listed=listed, generation=3, config_hash="sha256:a") is status


@given(generation=st.integers(1, 9), later=st.integers(1, 9), status=_SETTLED, same=st.booleans())
def test_no_older_generation_makes_a_listed_member_settled(
    generation: int, later: int, status: Status, same: bool
) -> None:
    """Whatever an older generation left, a listed member is pending; nothing is ready under another config."""
    record = ServerRecord(status, generation, "sha256:a" if same else "sha256:b")
    listed, unlisted = (
        read_server_status(record, listed=on_list, generation=generation + later, config_hash="sha256:a")
        for on_list in (True, False)
    )
    assert listed is PENDING
    assert (unlisted is READY) == (status is READY and same)


@pytest.mark.parametrize("statuses", list(product([READY, FAILED, PENDING], repeat=3)))
def test_combining_asks_for_no_order(statuses: tuple[Status, ...]) -> None:
    """Any pending makes the group pending, else any failed makes it failed, else it is ready."""
    expected = PENDING if PENDING in statuses else FAILED if FAILED in statuses else READY
    assert combine(statuses) is expected
    assert combine(reversed(statuses)) is expected


@given(recorded=recorded_runs())
def test_the_combined_status_adds_up(recorded: tuple[Run, dict[str, ServerItem]]) -> None:
    """The counts are those of the members, the status follows from them; nobody else's item makes a difference."""
    run, servers = recorded
    combined = combine_status(run, servers, status_of(run), OPENED_AT)
    counts = combined.counts
    members = run.definition.source_server_ids
    assert counts.applied + counts.failed + counts.pending == len(members)
    assert combined.status is (PENDING if counts.pending else FAILED if counts.failed else READY)
    assert (combined.generation, combined.run_id, combined.digest) == (3, run.head.run_id, run.digest)
    assert combined == combine_status(
        run, {member: item for member, item in servers.items() if member in members}, status_of(run), OPENED_AT
    )


@given(recorded=recorded_runs())
def test_ready_is_true(recorded: tuple[Run, dict[str, ServerItem]]) -> None:
    """A group is ready exactly if each member is recorded ready: a listed one by this generation."""
    run, servers = recorded
    combined = combine_status(run, servers, status_of(run), OPENED_AT)
    settled = [
        servers.get(member) is not None
        and servers[member].status is READY
        and (servers[member].generation == 3 if member in run.listed else servers[member].config_hash == config_hash)
        for member, config_hash in run.config_hashes.items()
    ]
    assert (combined.status is READY) == all(settled)


@given(recorded=recorded_runs())
def test_verified_at_is_the_oldest(recorded: tuple[Run, dict[str, ServerItem]]) -> None:
    """`verifiedAt` is the oldest member's read-back; a group with a member that was never read back has none."""
    run, servers = recorded
    combined = combine_status(run, servers, status_of(run), OPENED_AT)
    each = [servers[member].verified_at if member in servers else None for member in run.definition.source_server_ids]
    known = [at for at in each if at is not None]
    assert combined.verified_at == (min(known) if len(known) == len(each) else None)


@given(recorded=recorded_runs())
def test_errors_tell_of_failed_members(recorded: tuple[Run, dict[str, ServerItem]]) -> None:
    """At most 20 errors, sorted by source server, each of a failed member; who was never applied is said to be so."""
    run, servers = recorded
    combined = combine_status(run, servers, status_of(run), OPENED_AT)
    failed = sorted(member for member, status in run.read_statuses(servers).items() if status is FAILED)
    assert [error.source_server_id for error in combined.errors] == failed[:20]
    for error in combined.errors:
        item = servers.get(error.source_server_id)
        refused = item is not None and item.status is FAILED
        assert error.code == ("ValidationException" if refused else NOT_APPLIED)


@given(recorded=recorded_runs(), before=st.sampled_from([READY, FAILED, PENDING]))
def test_opening_is_pending_first(recorded: tuple[Run, dict[str, ServerItem]], before: Status) -> None:
    """A new generation is pending whatever came before, also with an empty list; its listed members are all pending."""
    run, servers = recorded
    older = {m: item for m, item in servers.items() if item.generation < 3}
    opened = open_status(run, older, status_of(run, before), REQUESTER)
    assert opened.status is PENDING
    assert opened.counts.pending == len(run.listed)
    assert (opened.last_applied, opened.applied_by) == (OPENED_AT, "alice")


def test_property_11_the_transitions_are_those_that_happen() -> None:
    """Opening and settling together make exactly the transitions that the status machine names, and no other."""
    made: set[tuple[Status, Status]] = set()
    members = MEMBERS[:2]
    for before in (None, READY, FAILED, PENDING):
        run = run_over(members, frozenset(members))
        status = status_of(run, before) if before else None
        opened = open_status(run, {}, status, REQUESTER)
        made.add((before or Status.NOT_CONFIGURED, opened.status))
    for listed, outcomes in product([frozenset(members), frozenset[str]()], product([READY, FAILED], repeat=2)):
        run = run_over(members, listed)
        items = {
            member: ServerItem(member, outcome, 3, run.config_hashes[member], OPENED_AT, 1)
            for member, outcome in zip(members, outcomes, strict=True)
        }
        made.add((PENDING, combine_status(run, items, status_of(run), OPENED_AT).status))
    assert made == TRANSITIONS


@pytest.mark.parametrize("before", [READY, FAILED, PENDING])
def test_a_superseded_run_is_closed_by_its_successor(before: Status) -> None:
    """Whoever opens over an unsettled run closes it in the same transaction; of a settled one only the end is set."""
    run = run_over(MEMBERS[:2], frozenset(MEMBERS[:2]), generation=4)
    earlier = status_of(run_over(MEMBERS[:2], frozenset()), before)
    writes = put_opening(run, earlier, status_of(run))
    (earlier_head,) = [write for write in writes if write.key == ("pg-1", "head#0000000003")]
    assert ("supersededBy" in earlier_head.values) == (before is PENDING)
    # Every write is planned over the state that was read: none is unconditional.
    assert all(write.condition is not None for write in writes)


@given(listed=st.sets(st.sampled_from(MEMBERS)))
def test_a_deadline_grows_with_the_list(listed: set[str]) -> None:
    """A run has its quarter of an hour, and four times what its servers take at one token each."""
    run = run_over(MEMBERS, frozenset(listed))
    assert (run.head.deadline - OPENED_AT).total_seconds() == pytest.approx(15 * 60 + 4 * len(listed) * 0.2)
    assert run.head.listed == len(listed)


_REQUESTS = st.builds(
    ApplyRequest,
    force=st.booleans(),
    only_failed=st.booleans(),
    source_server_ids=st.none(),
)


@given(statuses=_MEMBER_STATUSES, request=_REQUESTS, data=st.data())
def test_superseding_loses_no_source_server(
    statuses: dict[str, Status], request: ApplyRequest, data: st.DataObject
) -> None:
    """A new list holds everything that is not ready, whatever is asked, and beyond that only what is asked."""
    asked = data.draw(st.none() | st.sets(st.sampled_from(sorted(statuses))).map(sorted).map(tuple))
    request = ApplyRequest(request.force, request.only_failed, asked)
    listed = select_listed(statuses, request)
    not_ready = {member for member, status in statuses.items() if status is not READY}
    assert listed >= not_ready
    assert listed <= statuses.keys()
    if not request.force or request.only_failed:
        assert listed == not_ready
    else:
        assert listed == not_ready | set(statuses if asked is None else asked)


@pytest.mark.parametrize(
    ("statuses", "listed", "request_", "in_hand"),
    [
        ({"a": READY, "b": READY}, "", ApplyRequest(), True),
        ({"a": READY, "b": READY}, "", ApplyRequest(only_failed=True), True),
        ({"a": READY, "b": READY}, "", ApplyRequest(force=True), False),
        ({"a": READY, "b": FAILED}, "ab", ApplyRequest(), False),
        ({"a": READY, "b": FAILED}, "ab", ApplyRequest(only_failed=True), False),
        ({"a": READY, "b": FAILED}, "ab", ApplyRequest(source_server_ids=("b",)), False),
        # Only what is ready is asked for: the failed one is somebody else's decision.
        ({"a": READY, "b": FAILED}, "ab", ApplyRequest(source_server_ids=("a",)), True),
        ({"a": READY, "b": FAILED}, "ab", ApplyRequest(source_server_ids=("a",), force=True), False),
        ({"a": READY, "b": PENDING}, "b", ApplyRequest(), True),
        ({"a": FAILED, "b": PENDING}, "ab", ApplyRequest(), True),
        # The run that is under way does not list everything that is asked for.
        ({"a": FAILED, "b": PENDING}, "b", ApplyRequest(), False),
        ({"a": FAILED, "b": PENDING}, "b", ApplyRequest(source_server_ids=("b",)), True),
        ({"a": READY, "b": PENDING}, "b", ApplyRequest(force=True), False),
        # What is known to be lost has failed in this run, which does it no more; another's failure is not meant.
        ({"a": FAILED, "b": PENDING}, "ab", ApplyRequest(source_server_ids=("a",), resend=True), False),
        ({"a": FAILED, "b": PENDING}, "ab", ApplyRequest(source_server_ids=("b",), resend=True), True),
    ],
)
def test_what_is_in_hand_opens_nothing(
    statuses: dict[str, Status], listed: str, request_: ApplyRequest, in_hand: bool
) -> None:
    """A request is answered by the present state, or by a run that lists all it asks for; `force` never is."""
    assert is_in_hand(combine(statuses.values()), frozenset(listed), statuses, request_) is in_hand
