"""The demo's judgement of itself, and what may end it early."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from producer.demo.outside import EDITS
from producer.demo.report import Screen
from producer.demo.result import CONFIG_CALLS, Drift, Found, Result
from producer.local_stack.processes import LocalStackFailed, Running, StopSignals
from producer.local_stack.scenario import (
    EDITED_MEMBERS,
    GROUP_NAMES,
    OVERRIDES_A_GROUP,
    REFUSED_MEMBER,
    Network,
    draw_group,
)
from workers.core.model.group_parse import parse_group
from workers.core.plan.drift import find_template_drift
from workers.core.plan.observed import ObservedTemplate
from workers.core.plan.template import TEMPLATE_FIELDS

DRIFT = Drift(
    edited=("s-2", "s-3"),
    found=(
        Found("web tier", "s-2", "instanceType", "t3.micro", "m5.xlarge"),
        Found("database tier", "s-3", "tags.Application", "theirs", "database tier"),
    ),
    found_seconds=9.12345,
    repaired_servers=2,
    repair_seconds=1.5,
    restored_templates=2,
    watch_calls={"drs.GetLaunchConfiguration": {"count": 120, "throttled": 0}},
    repair_calls={},
)
REAPPLY = "apply-launch-configs with onlyFailed"
GOOD = Result(
    groups=[{"groupId": f"pg-{n}", "status": "ready", "total": 60, "ready": 60, "failed": 0} for n in range(2)],
    failure={"sourceServerId": "s-1", "code": "ValidationException", "message": "no", "attempt": 1},
    reapplied_servers=1,
    drift=DRIFT,
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
        {"drift": replace(DRIFT, found=DRIFT.found[:1])},
        {"drift": replace(DRIFT, found=(*DRIFT.found, Found("web tier", "s-4", "name", "", "web")))},
        {"drift": replace(DRIFT, repaired_servers=60)},
        {"drift": replace(DRIFT, restored_templates=1)},
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
    with StopSignals.watch("The demo") as signals:
        signals.check()
        signal.raise_signal(number)
        signal.raise_signal(number)
        with pytest.raises(LocalStackFailed, match=number.name):
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
        with pytest.raises(LocalStackFailed, match=r"^prelaunch worker ended with status 3 .*: no \[queue\] here$"):
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


def test_each_edit_is_of_a_field_that_its_group_wants() -> None:
    """What somebody else writes drifts in one field, and in a source server that nothing else happens to."""
    positions = [position for _, position in EDITED_MEMBERS]
    assert len({*EDITED_MEMBERS}) == len(EDITS)
    assert min(positions) >= OVERRIDES_A_GROUP
    assert REFUSED_MEMBER not in positions
    members = [f"s-{n:017d}" for n in range(60)]
    for edit, (group, position) in zip(EDITS, EDITED_MEMBERS, strict=True):
        body = draw_group(GROUP_NAMES[group], members, Network("subnet-0a1b2c3d", "172.31.0.0/20", "sg-0a1b2c3d"))
        desired = parse_group(body).effective(members[position])
        data: dict[str, Any] = {}
        for name, value in desired.values.items():
            data = TEMPLATE_FIELDS[name].write(data, value) if name in TEMPLATE_FIELDS else data
        read_at = datetime(2026, 1, 2, tzinfo=UTC)
        assert find_template_drift(desired, ObservedTemplate("lt-1", 1, data, read_at)) == []
        edited = ObservedTemplate("lt-1", 2, {**data, **edit(data)}, read_at)
        assert len(find_template_drift(desired, edited)) == 1


def test_what_was_found_is_named_field_by_field(capsys: pytest.CaptureFixture[str]) -> None:
    """Each source server with its group, the field, what is there and what is wanted; and what was put back."""
    with Screen.open(quiet=False) as screen:
        screen.show_found(DRIFT.found, DRIFT.found_seconds, DRIFT.watch_calls)
        screen.show_drift(DRIFT)
    assert capsys.readouterr().out.splitlines() == [
        "The watch found 2 source servers that are not as they were applied, in 9.1 s:",
        '  drifted s-2 (web tier): instanceType "t3.micro" → "m5.xlarge"',
        '  drifted s-3 (database tier): tags.Application "theirs" → "database tier"',
        "  calls: 120 GetLaunchConfiguration; throttled: 0",
        f"{REAPPLY} put 2 source servers back in 1.5 s; 2 launch templates hold again all that they held.",
        "  calls: ; throttled: 0",
    ]


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
