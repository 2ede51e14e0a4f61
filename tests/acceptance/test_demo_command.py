"""`prelaunch demo`: the main job on real input, its one JSON object, and no process left behind whatever happens."""

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.commands import find_processes_with
from tests.acceptance.marked import Marked, running_marked

DEMO_SECONDS = 240
SERIAL_CALLS = (
    "drs.GetLaunchConfiguration",
    "drs.UpdateLaunchConfiguration",
    "ec2.CreateLaunchTemplateVersion",
    "ec2.ModifyLaunchTemplate",
)


@contextmanager
def running_demo(log: Path, *, measure: bool = True) -> Iterator[Marked]:
    """Start a demo in an environment that leads to another account; nothing of it outlives the block."""
    with running_marked(log, "demo", "--json", measure=measure) as demo:
        yield demo


@pytest.mark.xdist_group("demo")
def test_the_demo_keeps_every_promise(tmp_path: Path) -> None:
    """Its one object says: 119 of 120 ahead and why one not, one corrected, a wave without a config call.

    It takes more than a minute, for the serial way that it compares with is done for real. What it shows is time, so
    its processes are not measured by coverage, which takes time.
    """
    with running_demo(tmp_path / "log", measure=False) as demo:
        status, output, errors = demo.end(DEMO_SECONDS)
        assert errors == ""
        assert status == 0
        assert find_processes_with(demo.mark) == {}
    figures = json.loads(output)
    assert set(figures) == {
        *("groups", "failure", "correction", "drift", "readySeconds"),
        *("wave", "serial", "reduction", "calls"),
    }
    groups = figures["groups"]
    assert len({group.pop("groupId") for group in groups}) == 2
    assert groups == [{"status": "ready", "total": 60, "ready": 60, "failed": 0}] * 2
    failure = figures["failure"]
    assert set(failure) == {"sourceServerId", "code", "message"}
    assert re.fullmatch(r"s-[0-9a-zA-Z]{17}", failure["sourceServerId"])
    assert failure["code"] == "ValidationException"
    assert failure["message"]
    assert figures["correction"] == {"reappliedServers": 1}
    assert figures["readySeconds"] > 0
    assert_what_others_changed_was_found_and_put_back(figures["drift"])
    assert_the_wave_is_faster(figures)
    assert_the_calls_are_those_of_the_least_plan(figures["calls"])


def assert_what_others_changed_was_found_and_put_back(drift: dict[str, Any]) -> None:
    """Three edited launch templates: each named with its field, what was there and what is wanted; all as before."""
    assert {drift["editedTemplates"], drift["repairedServers"], drift["restoredTemplates"]} == {3}
    assert drift["foundSeconds"] > 0
    assert drift["repairSeconds"] > 0
    found = drift["found"]
    assert len({each.pop("sourceServerId") for each in found}) == 3
    assert sorted(found, key=str) == [
        {"field": "instanceType", "observed": "t3.micro", "desired": "m5.xlarge"},
        {"field": "monitoring", "observed": False, "desired": True},
        {"field": "tags.Application", "observed": "theirs", "desired": "database tier"},
    ]


def assert_the_wave_is_faster(figures: dict[str, Any]) -> None:
    wave, serial = figures["wave"], figures["serial"]
    fast, slow = wave.pop("requestToStartSeconds"), serial.pop("requestToStartSeconds")
    assert wave == {"path": "fast", "configCalls": 0}
    assert serial == {"configCalls": 4 * 120}
    assert figures["reduction"] == pytest.approx(1 - fast / slow, abs=1e-4)
    assert figures["reduction"] >= 0.99


def assert_the_calls_are_those_of_the_least_plan(calls: dict[str, dict[str, dict[str, int]]]) -> None:
    """Each part made the calls that its work needs, none twice, and none was throttled."""
    counts = {part: {name: count["count"] for name, count in of.items()} for part, of in calls.items()}
    assert counts["serial"] == {**dict.fromkeys(SERIAL_CALLS, 120), "drs.StartRecovery": 2}
    assert {name: n for name, n in counts["wave"].items() if name != "drs.DescribeJobs"} == {"drs.StartRecovery": 2}
    applied = counts["apply"]
    # The refused update is one call that changed nothing; its template is then left alone.
    assert applied["drs.GetLaunchConfiguration"] == applied["drs.UpdateLaunchConfiguration"] == 120
    assert applied["ec2.CreateLaunchTemplateVersion"] == applied["ec2.ModifyLaunchTemplate"] == 119
    # What is applied was looked up before: at most 12 calls a group.
    looked_up = ("DescribeSourceServers", "DescribeSubnets", "DescribeSecurityGroups", "DescribeInstance")
    assert 4 <= sum(n for name, n in applied.items() if name.partition(".")[2].startswith(looked_up)) <= 2 * 12
    # 120 source servers are compared by one Get each and pages of 200 launch templates; three more are read again,
    # once for the report and once for the repair, and of these alone the template is written.
    assert counts["watch"]["drs.GetLaunchConfiguration"] == 120 + 3
    assert not [name for name in counts["watch"] if "Update" in name or "Create" in name or "Modify" in name]
    repaired = counts["repair"]
    assert repaired["drs.GetLaunchConfiguration"] == 3
    assert repaired["ec2.CreateLaunchTemplateVersion"] == repaired["ec2.ModifyLaunchTemplate"] == 3
    assert "drs.UpdateLaunchConfiguration" not in repaired
    assert not [name for of in calls.values() for name, count in of.items() if count["throttled"]]


@pytest.mark.parametrize(
    ("moment", "number", "whole_group"),
    [("infra.local", signal.SIGTERM, False), ("tied api", signal.SIGINT, True)],
)
def test_a_demo_told_to_stop_ends_in_order(
    tmp_path: Path, moment: str, number: signal.Signals, *, whole_group: bool
) -> None:
    """SIGTERM to it alone, or Ctrl-C to its whole group: one line, status 1, and no process is left."""
    with running_demo(tmp_path / "log") as demo:
        demo.wait_for_child(moment)
        (os.killpg if whole_group else os.kill)(demo.process.pid, number)
        status, output, errors = demo.end()
        assert (status, output) == (1, "")
        assert errors == f"prelaunch: The demo was stopped by {number.name} before its end.\n"
        assert find_processes_with(demo.mark) == {}


@pytest.mark.parametrize("part", ["worker", "api"])
def test_a_demo_whose_part_dies_says_which_and_ends(tmp_path: Path, part: str) -> None:
    """A process that dies under it: one line that names it, status 1, no waiting for what cannot come."""
    with running_demo(tmp_path / "log") as demo:
        demo.wait_for_child("tied api")
        os.killpg(demo.wait_for_child(f"tied {part}"), signal.SIGKILL)
        status, output, errors = demo.end()
        assert (status, output) == (1, "")
        assert errors.count("\n") == 1, errors
        assert errors.startswith("prelaunch: ")
        assert f"prelaunch {part}" in errors
        assert find_processes_with(demo.mark) == {}
