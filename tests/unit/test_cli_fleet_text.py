"""What a fleet's file changes, as text: counts in words, and a row for everything that differs."""

from typing import Any

import pytest

from producer.cli.fleet_text import find_rows, say_differences, say_outcome, summarize

GROUP: dict[str, Any] = {
    "groupName": "web\n1",
    "groupId": "pg-1",
    "accountId": "111122223333",
    "region": "us-east-1",
    "change": "update",
    "fields": [
        {"field": "launchConfig.monitoring", "stored": True, "wanted": None},
        {"field": "description", "wanted": "all"},
        {"field": "launchConfig.tags.a\tb", "stored": "x"},
    ],
    "joiningSourceServerIds": ["s-a"],
    "leavingSourceServerIds": ["s-b"],
}


def test_each_thing_that_differs_has_its_row() -> None:
    """Null is what is said, a dash what is not; nothing of others' text breaks a line."""
    assert find_rows(GROUP) == [
        ("web 1", "update", "", "pg-1", "111122223333 us-east-1"),
        ("web 1", "update", "launchConfig.monitoring", "true", "null"),
        ("web 1", "update", "description", "-", "all"),
        ("web 1", "update", "launchConfig.tags.a b", "x", "-"),
        ("web 1", "joins", "s-a", "-", "member"),
        ("web 1", "leaves", "s-b", "member", "-"),
    ]
    assert find_rows({**GROUP, "change": "none", "fields": []}) == []


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ([], "nothing to do: 0 groups as in the file"),
        (["none"], "nothing to do: 1 group as in the file"),
        (["create", "none", "update", "update"], "1 to create, 2 to update, 1 group as in the file"),
        (["delete"], "1 to delete, 0 groups as in the file"),
    ],
)
def test_one_line_says_how_much_differs(kinds: list[str], told: str) -> None:
    """Nothing to do is said as that."""
    assert say_differences([{**GROUP, "change": kind} for kind in kinds]) == told


def test_what_was_done_is_told() -> None:
    """Each group in a line, and how many of them could not be changed."""
    done = {**GROUP, "version": 3, "error": None}
    assert say_outcome(done) == "web 1 (pg-1) is updated as version 3."
    assert say_outcome({**done, "change": "delete", "version": None}) == "web 1 (pg-1) is deleted."
    assert summarize([], 2) == "Nothing to do: 2 groups as in the file."
    assert summarize([done], 2) == "1 group changed."
    assert summarize([done, {**done, "error": {}}], 2) == "1 group changed, 1 could not be."
