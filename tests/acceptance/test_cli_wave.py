"""`prelaunch wave` over a real stack: what it starts, what it says, and how it ends."""

import json
from pathlib import Path

import pytest

from infra.local.process import StandIn
from tests.acceptance.in_process import Command
from tests.acceptance.test_cli_group import FAILED, command, environment, shared_aws, write_group

__all__ = ["command", "environment", "shared_aws"]
pytestmark = pytest.mark.xdist_group("cli_wave")
WRONG_USE = 2


def make_group(command: Command, aws: StandIn, tmp_path: Path, name: str) -> str:
    file = tmp_path / "group.json"
    write_group(aws, file, name)
    assert command("group", "create", "-f", str(file), "--no-wait")[0] == 0
    return str(json.loads(command("group", "get", name, "--json")[1])["groupId"])


def test_a_wave_is_started_shown_and_listed(command: Command, shared_aws: StandIn, tmp_path: Path) -> None:
    """By the group's name; the answer is the door's. A second one beside it is refused, and told who has the group."""
    group_id = make_group(command, shared_aws, tmp_path, "to be recovered")
    status, printed, errors = command("wave", "start", "--group", "to be recovered", "--no-wait", "--json")
    wave = json.loads(printed)
    follow = f"'prelaunch wave get {wave['waveId']}' follows it"
    assert errors.startswith(f"prelaunch: {wave['waveId']}, a drill, is accepted; {follow}. Request: req-")
    assert (status, wave["status"], wave["isDrill"], wave["onNotReady"]) == (0, "applying", True, "apply")
    assert [(group["groupId"], group["path"]) for group in wave["groups"]] == [(group_id, "fallback")]

    status, printed, _ = command("wave", "get", wave["waveId"])
    assert status == 0
    assert printed.startswith(f"{wave['waveId']}, a drill, is applying: {group_id} (fallback).")
    status, printed, _ = command("wave", "list")
    assert (status, printed.splitlines()[0].split()[:3]) == (0, [wave["waveId"], "applying", "drill"])

    status, printed, errors = command("wave", "start", "--group", group_id, "--no-wait")
    assert (status, printed) == (FAILED, "")
    assert wave["waveId"] in errors


def test_a_recovery_in_earnest_takes_all_that_can_be_asked(
    command: Command, shared_aws: StandIn, tmp_path: Path
) -> None:
    """Kind, choice, verification and points in time reach the wave."""
    make_group(command, shared_aws, tmp_path, "in earnest")
    (first, _) = json.loads(command("group", "get", "in earnest", "--json")[1])["sourceServerIds"]
    options = ["--recovery", "--on-not-ready", "skip", "--verify", "live", "--snapshot", f"{first}=pit-{'1' * 17}"]
    status, printed, _ = command("wave", "start", "--group", "in earnest", *options, "--no-wait", "--json")
    wave = json.loads(printed)
    told = (wave["isDrill"], wave["onNotReady"], wave["verify"])
    assert (status, told) == (0, (False, "skip", "live"))


@pytest.mark.parametrize(
    ("arguments", "ends", "says"),
    [
        (("--group", "nobody"), FAILED, "nobody"),
        (("--group", "nobody", "--group", "unready", "--group", "none"), FAILED, "/groupIds/2: There is no protection"),
        (("--group", "unready", "--on-not-ready", "fail"), FAILED, "is pending"),
        (("--group", "unready", "--snapshot", "s-1"), WRONG_USE, "is not SERVER=SNAPSHOT"),
        (("--group", "unready", "--snapshot", "s-1=a", "--snapshot", "s-1=b"), WRONG_USE, "named twice"),
        (("--group", "unready", "--snapshot", "s-1=a"), WRONG_USE, "recoverySnapshotIds"),
        ((), WRONG_USE, "--group"),
    ],
)
def test_what_cannot_be_started_is_told(
    command: Command, shared_aws: StandIn, tmp_path: Path, *, arguments: tuple[str, ...], ends: int, says: str
) -> None:
    """With the status that says whose fault it is, and nothing on standard output."""
    if "unready" in arguments and command("group", "get", "unready")[0] != 0:
        make_group(command, shared_aws, tmp_path, "unready")
    status, printed, errors = command("wave", "start", *arguments, "--no-wait")
    assert (status, printed) == (ends, "")
    assert says in errors


def test_a_wave_that_is_not_there_is_a_failure(command: Command) -> None:
    """One line, with its id."""
    status, printed, errors = command("wave", "get", "wave-none")
    assert (status, printed, errors.count("\n")) == (FAILED, "", 1)
    assert "wave-none" in errors
