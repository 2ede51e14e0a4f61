"""`prelaunch rollback` over a real stack: what it does, what it says, and how it ends."""

import json
from pathlib import Path

import pytest

from infra.local.process import StandIn
from tests.acceptance.in_process import Command
from tests.acceptance.test_cli_group import FAILED, command, environment, shared_aws, write_group

__all__ = ["command", "environment", "shared_aws"]
pytestmark = pytest.mark.xdist_group("cli_rollback")


def test_a_group_goes_back_to_a_run(command: Command, shared_aws: StandIn, tmp_path: Path) -> None:
    """By generation or id, told on standard error; the answer is the door's, and what is not there is a failure."""
    file = tmp_path / "group.json"
    write_group(shared_aws, file, "goes back")
    assert command("group", "create", "-f", str(file), "--no-wait")[0] == 0
    _, shown, _ = command("group", "get", "goes back", "--json")
    group = json.loads(shown)
    file.write_text(json.dumps({**group, "launchConfig": {"copyTags": True}}))
    assert command("group", "update", "goes back", "-f", str(file), "--no-wait")[0] == 0
    _, printed, _ = command("history", "goes back", "--json")
    latest, first = json.loads(printed)["applyRuns"]

    status, printed, errors = command("rollback", "goes back", "--to-run", "1", "--no-wait", "--json")
    answer = json.loads(printed)
    assert (status, answer["status"], answer["version"], answer["toRunId"]) == (0, "pending", 3, first["runId"])
    named = f"goes back ({group['groupId']}) goes back to run"
    assert errors.startswith(
        f"prelaunch: {named} {first['runId']} (generation 1), as version 3; source servers to apply: 2."
    )
    assert answer["keptSourceServerIds"] == []
    assert answer["runId"] not in {first["runId"], latest["runId"]}
    status, printed, errors = command("rollback", "goes back", "--to-run", latest["runId"], "--no-wait")
    assert (status, "as version 4" in errors) == (0, True)
    assert "copyTags" in printed
    for missing in (
        ("goes back", "--to-run", "99"),
        ("goes back", "--to-run", "run-none"),
        ("nobody", "--to-run", "1"),
    ):
        status, printed, errors = command("rollback", *missing)
        assert (status, printed, errors.count("\n")) == (FAILED, "", 1)
    assert json.loads(command("group", "get", "goes back", "--json")[1])["version"] == 4
