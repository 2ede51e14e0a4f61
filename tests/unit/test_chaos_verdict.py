"""The chaos's judgement: each promise that is broken is told, and what holds is not."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.evidence import Evidence
from tests.chaos.processes import Stop
from tests.chaos.readers import Watch
from tests.chaos.traffic import Accepted
from tests.chaos.truth import AwsWrite, Version, compare
from tests.chaos.verdict import judge

A, B = "s-a", "s-b"
OLD, NEW = "v1-creator", "v2-u1"
CONFIG = {"instanceType": "m5.xlarge", "monitoring": True, "tags": {"Chaos": NEW}, "name": NEW}
DEFINITION: dict[str, Any] = {"sourceServerIds": [A, B], "launchConfig": CONFIG, "servers": []}


def at(second: int) -> str:
    return f"1970-01-01T00:00:{second:02d}Z"


def make_run(generation: int, mark: str, second: int, **changes: Any) -> dict[str, Any]:
    """A run that is ready and changed A, verified at that second."""
    change = {
        "sourceServerId": A,
        "fields": [{"field": "tags.Chaos", "observed": None, "desired": mark}],
        "completedAt": at(second),
        "outcome": "ready",
    }
    run = {
        "runId": f"run-{generation}",
        "generation": generation,
        "status": "ready",
        "openedAt": at(second - 2),
        "settledAt": at(second),
        "reason": "requested",
        "requestId": f"key-{generation}",
        "changes": [change],
    }
    return {**run, **changes}


def make_write(second: float, who: str, version: int, mark: str, operation: str = "ModifyLaunchTemplate") -> AwsWrite:
    return AwsWrite(second, who, operation, A, version, "1", f"prelaunch {mark}", mark)


CREATES = [make_write(n, "w1", n + 1, mark, "CreateLaunchTemplateVersion") for n, mark in ((1, OLD), (4, NEW))]
WRITES = [CREATES[0], make_write(2, "w1", 2, OLD), CREATES[1], make_write(5, "w2", 3, NEW)]
STATUS = {
    "status": "ready",
    "generation": 2,
    "serverConfigs": {A: {"status": "ready"}, B: {"status": "ready"}},
    "errors": [],
}
HOLDS = Evidence(
    faults=Counter({"SIGKILL to a worker": 7}),
    accepted=[
        Accepted("key-1", "create", "run-1", 1, {**DEFINITION, "launchConfig": {**CONFIG, "name": OLD}}),
        Accepted("key-2", "update", "run-2", 2, DEFINITION),
        Accepted("key-3", "apply", "run-3"),
    ],
    runs=[make_run(1, OLD, 3, status="superseded"), make_run(2, NEW, 6), make_run(3, NEW, 30, changes=[])],
    status=STATUS,
    definition=DEFINITION,
    writes=WRITES,
    versions=[Version(A, 2, "prelaunch 1", OLD), Version(A, 3, "prelaunch 2", NEW)],
    stops=[],
    before={},
    looked_at=25,
    after={},
    forced_run=make_run(3, NEW, 30, changes=[]),
    prevented=5,
    answers=10,
    truths=1,
    repeats=2,
    conflicts=3,
)
STALE = make_write(10, "w1", 2, OLD)
REPAIR = make_write(20, "w3", 3, NEW)
FORCED = make_write(29, "w3", 3, NEW)
STOPPED = [Stop("w1", 7, 9)]
FOUND = make_run(3, NEW, 30)


def test_what_holds_is_summed_up_in_one_line() -> None:
    """Nothing broken: the last line says the six figures."""
    verdict = judge(HOLDS)
    assert verdict.broken == []
    assert verdict.summary == (
        "chaos: 7 faults, 3 requests accepted, 3 settled, lost 0, duplicate versions 0,"
        " stale writes neither prevented nor found 0"
    )


def test_a_late_write_of_a_process_that_was_stopped_is_forgiven_where_it_is_repaired() -> None:
    """Stopped between check and send, then written over: one stale write found, nothing broken."""
    verdict = judge(replace(HOLDS, writes=[*WRITES, STALE, REPAIR], stops=STOPPED))
    figures = verdict.figures
    assert (verdict.broken, figures["staleWritesFound"], figures["staleWritesExcused"]) == ([], 1, 0)


def test_what_the_chaos_repairs_itself_at_the_end_is_not_found_but_named_apart() -> None:
    """Only the forced apply wrote over the late write: excused, in a figure of its own and in words."""
    seen = replace(HOLDS, writes=[*WRITES, STALE, FORCED], stops=STOPPED, before={A: "old"}, forced_run=FOUND)
    verdict = judge(seen)
    figures = verdict.figures
    assert (verdict.broken, figures["staleWritesFound"], figures["staleWritesExcused"]) == ([], 0, 1)
    assert verdict.summary.endswith("stale writes neither prevented nor found 0")
    (excused,) = verdict.to_json()["excused"]
    assert excused.endswith("after generation 2 had verified it; repaired by the forced apply at the end only")


WATCHED = make_run(3, NEW, 27, reason="drift", requestId=None)
APPLIED = make_run(4, NEW, 31, requestId="key-3", runId="run-3", changes=[])


@pytest.mark.parametrize(("repaired_at", "before"), [(20, {}), (26, {A: "old"})])
def test_what_the_watch_repairs_is_found(repaired_at: float, before: Mapping[str, str]) -> None:
    """A run that the product opened over a late write, before all was looked at or between that and the last apply."""
    repair = replace(REPAIR, at=repaired_at)
    runs = [*HOLDS.runs[:2], WATCHED, APPLIED]
    seen = replace(HOLDS, writes=[*WRITES, STALE, repair], stops=STOPPED, before=before, runs=runs, forced_run=APPLIED)
    verdict = judge(seen)
    figures = verdict.figures
    assert (verdict.broken, figures["staleWritesFound"], figures["driftRuns"]) == ([], 1, 1)


def test_each_stop_excuses_a_write_of_each_source_server() -> None:
    """Two source servers in hand at one stop, and one of them again at the next: three late writes, all excused."""
    verified_b = {**make_run(2, NEW, 6)["changes"][0], "sourceServerId": B}
    runs = [HOLDS.runs[0], make_run(2, NEW, 6, changes=[*make_run(2, NEW, 6)["changes"], verified_b]), HOLDS.runs[2]]
    late = [STALE, replace(STALE, source_server_id=B), replace(STALE, at=15)]
    repairs = [REPAIR, replace(REPAIR, source_server_id=B)]
    stops = [*STOPPED, Stop("w1", 12, 14)]
    verdict = judge(replace(HOLDS, runs=runs, writes=[*WRITES, *late, *repairs], stops=stops))
    assert (verdict.broken, verdict.figures["staleWritesFound"]) == ([], 3)


LOST = Accepted("key-4", "apply", "run-4")
BROKEN: Mapping[str, tuple[Evidence, str]] = {
    "an accepted request without a run": (replace(HOLDS, accepted=[*HOLDS.accepted, LOST]), "promise 3: the apply"),
    "a run that never settles": (
        replace(HOLDS, runs=[*HOLDS.runs[:2], make_run(3, NEW, 30, status="pending")]),
        "promise 3: generation 3",
    ),
    "a generation opened twice for one request": (
        replace(HOLDS, runs=[*HOLDS.runs, make_run(4, NEW, 30, requestId="key-3")]),
        "the request key-3 opened 2",
    ),
    "a generation for nobody": (
        replace(HOLDS, runs=[*HOLDS.runs, make_run(4, NEW, 30, requestId="key-9")]),
        "which nobody was told to be accepted",
    ),
    "drift that nobody made": (
        replace(HOLDS, runs=[*HOLDS.runs[:2], WATCHED, APPLIED]),
        "promise 11: generation 3 found drift of s-a in ['tags.Chaos'], which nobody changed",
    ),
    "drift that was found before somebody made it": (
        replace(
            HOLDS,
            writes=[*WRITES, replace(STALE, at=26), REPAIR],
            stops=STOPPED,
            runs=[*HOLDS.runs[:2], WATCHED, APPLIED],
        ),
        "promise 11: generation 3 found drift of s-a",
    ),
    "two versions for one payload": (
        replace(HOLDS, writes=[*WRITES, replace(CREATES[1], version=4)]),
        "promise 4: s-a has versions",
    ),
    "a version that no write made": (
        replace(HOLDS, versions=[*HOLDS.versions, Version(B, 2, "prelaunch 3", NEW)]),
        "version 2 of s-b",
    ),
    "a stale write of a process that was not stopped": (
        replace(HOLDS, writes=[*WRITES, STALE, REPAIR]),
        "which no stop excuses; found",
    ),
    "a second stale write after one stop": (
        replace(HOLDS, writes=[*WRITES, STALE, replace(STALE, at=11), REPAIR], stops=STOPPED),
        "which no stop excuses; found",
    ),
    "a stale write after another write since the stop": (
        replace(HOLDS, writes=[*WRITES, replace(CREATES[1], at=9.5, who="w1"), STALE, REPAIR], stops=STOPPED),
        "which no stop excuses; found",
    ),
    "wrong at the end though what was stale is repaired": (
        replace(HOLDS, writes=[*WRITES, STALE, REPAIR], stops=STOPPED, before={A: "old"}, forced_run=FOUND),
        "promise 1: s-a reads ready at generation 2",
    ),
    "a stale write of a process that was stopped for too long ago": (
        replace(HOLDS, writes=[*WRITES, replace(STALE, at=400), replace(REPAIR, at=500)], stops=STOPPED),
        "which no stop excuses",
    ),
    "a stale write of a process that was stopped for longer than a signature is good": (
        replace(HOLDS, writes=[*WRITES, replace(STALE, at=400), replace(REPAIR, at=500)], stops=[Stop("w1", 7, 399)]),
        "which no stop excuses",
    ),
    "a stale write that nobody repairs": (
        replace(HOLDS, writes=[*WRITES, STALE], stops=STOPPED, before={A: "old"}, after={A: "old"}),
        "; not found",
    ),
    "ready without a reason to be wrong": (
        replace(HOLDS, before={B: "InstanceType is 't3.micro'"}),
        "promise 1: s-b reads ready at generation 2",
    ),
    "failed at the end": (replace(HOLDS, status={**STATUS, "status": "failed"}), "the group ended failed"),
    "an update that is not what was asked for": (
        replace(HOLDS, definition={**DEFINITION, "launchConfig": {**CONFIG, "name": OLD}}),
        "not as the last accepted update, 2, has it",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_told(name: str) -> None:
    """Each broken promise is told in words, and by them only."""
    seen, words = BROKEN[name]
    broken = judge(seen).broken
    assert any(words in problem for problem in broken), broken


def make_answer(generation: int, status: str, ready: int = 0, failed: int = 0, pending: int = 0) -> dict[str, Any]:
    statuses = ["ready"] * ready + ["failed"] * failed + ["pending"] * pending
    return {
        "generation": generation,
        "status": status,
        "runId": f"run-{generation}",
        "digest": f"digest-{generation}",
        "appliedServers": ready,
        "failedServers": failed,
        "pendingServers": pending,
        "errors": [],
        "serverConfigs": {f"s-{number}": {"status": each} for number, each in enumerate(statuses)},
    }


READY, PENDING = make_answer(2, "ready", ready=2), make_answer(2, "pending", ready=1, pending=1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, READY),
        (PENDING, READY),
        (READY, make_answer(3, "pending", ready=2)),
        (PENDING, make_answer(2, "failed", ready=1, failed=1)),
    ],
)
def test_answers_that_follow_from_each_other_are_no_lies(before: Any, after: dict[str, Any]) -> None:
    """Pending to settled within a generation, anything with the next one."""
    watch = Watch(2)
    watch.see(before, after)
    assert watch.broken == []


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (None, make_answer(2, "ready", ready=1, pending=1), "is not ready"),
        (None, {**READY, "serverConfigs": PENDING["serverConfigs"]}, "mixes moments"),
        (None, make_answer(2, "ready", ready=1), "is not ready"),
        (READY, make_answer(1, "ready", ready=2), "generation 2 was read before"),
        (READY, make_answer(2, "failed", ready=1, failed=1), "without a new generation"),
        (READY, PENDING, "without a new generation"),
    ],
)
def test_an_answer_that_lies_is_told(before: Any, after: dict[str, Any], words: str) -> None:
    """A mix of two moments, a generation that goes back, a settled status that changes."""
    watch = Watch(2)
    watch.see(before, after)
    assert any(words in problem for problem in watch.broken), watch.broken


def test_pages_of_two_generations_are_told() -> None:
    """A page that goes on in another generation mixes two moments."""
    watch = Watch(2)
    watch.see_pages(None, [PENDING, make_answer(3, "pending", pending=2)])
    assert any("several generations" in problem for problem in watch.broken)


def test_what_aws_holds_is_compared_field_by_field() -> None:
    """The instance's tags, the volume's, and DRS's half: each that differs is named."""
    wanted = {**CONFIG, "targetInstanceTypeRightSizingMethod": "NONE", "copyPrivateIp": False}
    tags = [{"ResourceType": kind, "Tags": [{"Key": "Chaos", "Value": NEW}]} for kind in ("instance", "volume")]
    template = {"InstanceType": "m5.xlarge", "Monitoring": {"Enabled": True}, "TagSpecifications": tags}
    drs = {"name": NEW, "targetInstanceTypeRightSizingMethod": "NONE", "copyPrivateIp": False}
    assert compare(wanted, template, drs) == []
    assert compare(wanted, {**template, "TagSpecifications": tags[:1]}, {**drs, "name": OLD}) == [
        f"tags of the volume is {{'Chaos': None}} instead of {{'Chaos': '{NEW}'}}",
        f"DRS's name is '{OLD}' instead of '{NEW}'",
    ]
