"""How `prelaunch wave` ends: a script reads from its status whether somebody has to look."""

from typing import Any

import pytest
import typer

from producer.cli.wave import print_wave, show_wave

WAVE: dict[str, Any] = {
    "waveId": "wave-1",
    "isDrill": False,
    "acceptedAt": "2026-03-04T05:06:07.891234Z",
    "startedAt": None,
    "waitingFor": None,
    "groups": [{"groupId": "pg-1", "path": "fast"}],
    "jobs": [],
}
REFUSED = {
    "groupId": "pg-1",
    "sourceServerIds": ["s-a"],
    "code": "AccessDenied",
    "message": "You may\nnot.",
    "requestId": "r-1",
}


@pytest.mark.parametrize(
    ("status", "errors", "waited", "ends"),
    [
        ("starting", [], False, 0),
        ("starting", [], True, 1),
        ("waiting", [], True, 1),
        ("started", [], True, 0),
        ("started", [REFUSED], False, 1),
        ("finished", [], True, 0),
        ("failed", [], False, 1),
    ],
)
def test_the_exit_status_says_whether_all_is_well(
    capsys: pytest.CaptureFixture[str], *, status: str, errors: list[dict[str, Any]], waited: bool, ends: int
) -> None:
    """Not started is well for who does not wait, and overdue for who did; what is not recovered is a failure."""
    with pytest.raises(typer.Exit) as ended:
        show_wave({**WAVE, "status": status, "errors": errors}, as_json=False, waited=waited)
    assert ended.value.exit_code == ends
    told = [error["code"] for error in errors]
    assert [line.split("\t")[2] for line in capsys.readouterr().out.splitlines()[2:]] == told


def test_who_is_not_recovered_is_told_with_what_aws_support_asks_for(capsys: pytest.CaptureFixture[str]) -> None:
    """One line each: AWS's code and reason, and the id of its request where AWS was asked."""
    ours = {**REFUSED, "sourceServerIds": ["s-b", "s-c"], "code": "NOT_READY", "requestId": None}
    print_wave({**WAVE, "status": "failed", "errors": [REFUSED, ours]})
    assert capsys.readouterr().out.splitlines()[2:] == [
        "pg-1\ts-a\tAccessDenied\tYou may not. (request r-1)",
        "pg-1\ts-b\tNOT_READY\tYou may not.",
        "pg-1\ts-c\tNOT_READY\tYou may not.",
    ]
