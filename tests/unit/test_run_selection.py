"""What a request or an update lists: never less than what is not known to be right."""

import pytest

from workers.core.runs.selection import ApplyRequest, Change, find_change, find_waiting, is_in_hand, select_listed
from workers.core.status import Status

READY, FAILED, PENDING = Status.READY, Status.FAILED, Status.PENDING
STATUSES = {"r": READY, "f": FAILED, "p": PENDING, "q": PENDING}


def test_what_is_waited_for_is_asked_for_and_pending() -> None:
    """All of it, or what was named."""
    assert find_waiting(STATUSES, ApplyRequest()) == {"p", "q"}
    assert find_waiting(STATUSES, ApplyRequest(source_server_ids=("r", "q"))) == {"q"}
    assert find_waiting(STATUSES, ApplyRequest(source_server_ids=())) == frozenset()


@pytest.mark.parametrize(
    ("before", "after", "statuses", "change"),
    [
        ({"a": "1"}, {"a": "1"}, {"a": READY}, Change(*map(frozenset, ([], [], [], [])))),
        ({"a": "1"}, {"a": "1"}, {"a": FAILED}, Change(*map(frozenset, ([], [], [], ["a"])))),
        ({"a": "1"}, {"a": "2"}, {"a": READY}, Change(*map(frozenset, ([], [], ["a"], [])))),
        ({"a": "1"}, {"b": "1"}, {"a": PENDING}, Change(*map(frozenset, (["b"], ["a"], [], [])))),
        ({"a": "1"}, {"a": "2", "b": "1"}, {}, Change(*map(frozenset, (["b"], [], ["a"], [])))),
        ({"a": "1", "b": "1"}, {"a": "1"}, {"a": PENDING}, Change(*map(frozenset, ([], ["b"], [], ["a"])))),
    ],
)
def test_an_update_changes_what_differs(
    before: dict[str, str], after: dict[str, str], statuses: dict[str, Status], change: Change
) -> None:
    """Who joins, who leaves, of whom something else is wanted, and who was not ready anyway."""
    found = find_change(before, after, statuses)
    assert found == change
    assert found.needs_generation is bool(change.joining or change.leaving or change.changed)
    assert found.listed == change.joining | change.changed | change.not_ready


def test_what_is_asked_and_what_is_not_ready_is_listed() -> None:
    """A new generation owns all of the group; force takes what is ready too, where it is asked for."""
    assert select_listed(STATUSES, ApplyRequest()) == {"f", "p", "q"}
    assert select_listed(STATUSES, ApplyRequest(force=True)) == set(STATUSES)
    assert select_listed(STATUSES, ApplyRequest(force=True, source_server_ids=("r",))) == set(STATUSES)
    assert select_listed(STATUSES | {"s": READY}, ApplyRequest(force=True, source_server_ids=("r",))) == set(STATUSES)
    assert select_listed(STATUSES, ApplyRequest(source_server_ids=("r",))) == {"f", "p", "q"}


def test_what_is_under_way_is_in_hand() -> None:
    """Of a pending group whose run lists all that is wanted; where nothing is wanted in any case."""
    ask, ready = ApplyRequest(source_server_ids=("p",)), ApplyRequest(source_server_ids=("r",))
    assert is_in_hand(PENDING, frozenset("p"), STATUSES, ask)
    assert not is_in_hand(FAILED, frozenset("p"), STATUSES, ask)
    assert not is_in_hand(PENDING, frozenset("q"), STATUSES, ask)
    assert is_in_hand(FAILED, frozenset(), STATUSES, ready)
    assert is_in_hand(PENDING, frozenset("fpq"), STATUSES, ApplyRequest())
    assert not is_in_hand(PENDING, frozenset("pq"), STATUSES, ApplyRequest())
    assert not is_in_hand(PENDING, frozenset(STATUSES), STATUSES, ApplyRequest(force=True))


def test_force_may_be_for_what_has_failed_alone() -> None:
    """Then what is ready is left alone, whatever is asked for."""
    assert select_listed(STATUSES, ApplyRequest(force=True, only_failed=True)) == {"f", "p", "q"}
    named = ApplyRequest(force=True, only_failed=True, source_server_ids=("r", "f"))
    assert select_listed(STATUSES, named) == {"f", "p", "q"}
