"""The demo's judgement of itself, and what may end it early."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from producer.demo.processes import DemoFailed, Running, StopSignals
from producer.demo.report import Screen
from producer.demo.result import CONFIG_CALLS, Result
from producer.demo.scenario import GROUP_NAMES, Network, draw_group
from workers.core.model.group import parse_group

GOOD = Result(
    groups=[{"groupId": f"pg-{n}", "status": "ready", "total": 60, "ready": 60, "failed": 0} for n in range(2)],
    failure={"sourceServerId": "s-1", "code": "ValidationException", "message": "no", "attempt": 1},
    reapplied_servers=1,
    ready_seconds=10.0,
    wave_path="fast",
    wave_seconds=0.1,
    serial_seconds=50.0,
    calls={
        "apply": {},
        "wave": {"drs.StartRecovery": {"count": 2, "throttled": 0}},
        "serial": {"drs.GetLaunchConfiguration": {"count": 120, "throttled": 0}},
    },
)


def test_what_was_promised_is_no_problem() -> None:
    """A run as promised has nothing to complain of, and renders as one JSON object."""
    assert GOOD.find_problems() == []
    figures = json.loads(GOOD.to_json())
    assert figures["reduction"] == pytest.approx(1 - 0.1 / 50)
    assert figures["failure"] == {"sourceServerId": "s-1", "code": "ValidationException", "message": "no"}


@pytest.mark.parametrize(
    "otherwise",
    [
        {"groups": [*GOOD.groups[:1], {**GOOD.groups[1], "status": "failed", "failed": 1}]},
        {"failure": {"sourceServerId": None, "code": None, "message": "2 errors"}},
        {"reapplied_servers": 0},
        {"reapplied_servers": 60},
        {"wave_path": "fallback"},
        {"wave_path": "fallback/fast"},
        *({"calls": {**GOOD.calls, "wave": {name: {"count": 1, "throttled": 0}}}} for name in CONFIG_CALLS),
    ],
)
def test_what_comes_out_otherwise_is_said(otherwise: dict[str, Any]) -> None:
    """Each broken promise alone is one complaint, so the demo can fail."""
    assert len(replace(GOOD, **otherwise).find_problems()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_breaks_nothing_off_and_is_told_at_the_next_check(number: signal.Signals) -> None:
    """Where nobody asks nothing happens; whoever asks next stops; afterwards signals act as before."""
    before = signal.getsignal(number)
    with StopSignals.watch() as signals:
        signals.check()
        signal.raise_signal(number)
        signal.raise_signal(number)
        with pytest.raises(DemoFailed, match=number.name):
            signals.check()
    assert signal.getsignal(number) == before


def test_a_part_that_ended_is_told_with_the_last_line_of_its_log(tmp_path: Path) -> None:
    """A running part is no complaint; one that ended is named with its status and its last word."""
    program = "import sys; sys.stderr.write('first\\nno [queue] here\\n'); sys.stdin.read(); sys.exit(3)"
    with (tmp_path / "log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        part = Running("prelaunch worker", process, log)
        part.check()
        process.communicate()
        with pytest.raises(DemoFailed, match=r"^prelaunch worker ended with status 3 .*: no \[queue\] here$"):
            part.check()


def test_a_complaint_is_one_line_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """However long, with brackets or not: one line on standard error, and nothing else there or on the other."""
    complaint = "[red]not markup[/] " + "long " * 60
    with Screen.open(quiet=True) as screen:
        screen.say("nothing in a quiet one")
        screen.complain(complaint)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.rstrip("\n") == f"prelaunch: {complaint}"


@pytest.mark.parametrize("name", GROUP_NAMES)
def test_the_groups_are_valid_and_differ_member_by_member(name: str) -> None:
    """Each group passes the door's own checks, with six overrides of which two fix an address inside the subnet."""
    members = [f"s-{n:017d}" for n in range(60)]
    group = parse_group(draw_group(name, members, Network("subnet-0a1b2c3d", "172.31.0.0/20", "sg-0a1b2c3d")))
    types = [group.effective(member).values["instanceType"] for member in members]
    assert types.count("m5.xlarge") == 56
    addresses = [str(group.effective(member).values.get("staticPrivateIp")) for member in members]
    assert sum(address.startswith("172.31.0.2") for address in addresses) == 2
    assert len(set(addresses)) == 3
