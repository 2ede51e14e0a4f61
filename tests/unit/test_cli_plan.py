"""`prelaunch plan` as text: field by field what is there and what is wanted, and in words how much that is."""

from typing import Any

import pytest

from producer.cli.plan import find_rows, print_plan, summarize

NOTHING: dict[str, Any] = {"steps": [], "errors": []}
CHANGED: dict[str, Any] = {
    "steps": [
        {
            "step": "drs.UpdateLaunchConfiguration",
            "fields": [{"field": "copyTags", "observed": False, "desired": True}],
        },
        {
            "step": "ec2.CreateLaunchTemplateVersion",
            "launchTemplateId": "lt-1",
            "sourceVersion": 3,
            "fields": [{"field": "tags.Owner", "observed": None, "desired": "bo"}],
        },
    ],
    "errors": [],
}
WRONG: dict[str, Any] = {
    "steps": [],
    "errors": [
        {
            "code": "ResourceNotFoundException",
            "message": "No such\nserver.",
            "operation": "drs.GetLaunchConfiguration",
            "requestId": "req-1",
        }
    ],
}


@pytest.mark.parametrize(
    ("plans", "told"),
    [
        ({"s-a": NOTHING}, "nothing to do"),
        ({}, "nothing to do"),
        ({"s-a": CHANGED}, "2 fields to change in 1 of 1 source server"),
        ({"s-a": CHANGED, "s-b": NOTHING, "s-c": CHANGED}, "4 fields to change in 2 of 3 source servers"),
        ({"s-a": NOTHING, "s-b": WRONG}, "1 of 2 source servers cannot be planned"),
        (
            {"s-a": CHANGED, "s-b": WRONG},
            "2 fields to change in 1 of 2 source servers, 1 of 2 source servers cannot be planned",
        ),
    ],
)
def test_one_line_says_how_much_there_is_to_do(plans: dict[str, Any], told: str) -> None:
    """Nothing to do is said as that, and never where a source server could not be planned."""
    assert summarize(plans) == told


def test_each_field_has_its_row() -> None:
    """With its step, what is observed and what is desired; an error is whole and on one line."""
    assert find_rows("s-a", CHANGED) == [
        ("s-a", "drs.UpdateLaunchConfiguration", "copyTags", "false", "true"),
        ("s-a", "ec2.CreateLaunchTemplateVersion", "tags.Owner", "-", "bo"),
    ]
    assert find_rows("s-b", NOTHING) == [("s-b", "nothing to do", "", "", "")]
    why = "drs.GetLaunchConfiguration: No such server. (request req-1)"
    assert find_rows("s-c", WRONG) == [("s-c", "cannot be planned", "ResourceNotFoundException", why, "")]


def test_a_terminal_shows_it_in_colour(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What is observed is red and what is desired green on a terminal; in a pipe there is no colour."""
    document = {"groupId": "pg-1", "serverPlans": {"s-a": CHANGED}}
    print_plan("web", document)
    plain = capsys.readouterr().out
    assert plain.splitlines()[0] == "web (pg-1): 2 fields to change in 1 of 1 source server."
    assert "s-a\tdrs.UpdateLaunchConfiguration\tcopyTags\tfalse\ttrue" in plain.splitlines()
    assert "\x1b" not in plain
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_plan("web", document)
    coloured = capsys.readouterr().out
    assert "\x1b[31mfalse" in coloured
    assert "\x1b[32mtrue" in coloured
