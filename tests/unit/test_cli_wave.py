"""How `prelaunch wave` ends: a script reads from its status whether somebody has to look."""

from typing import Any

import pytest
import typer

from producer.cli.wave import show_wave

WAVE: dict[str, Any] = {
    "waveId": "wave-1",
    "isDrill": False,
    "acceptedAt": "2026-03-04T05:06:07.891234Z",
    "startedAt": None,
    "waitingFor": None,
    "groups": [{"groupId": "pg-1", "path": "fast"}],
    "jobs": [],
}
REFUSED = {"groupId": "pg-1", "sourceServerIds": ["s-a"], "code": "AccessDenied", "message": "You may not."}


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
