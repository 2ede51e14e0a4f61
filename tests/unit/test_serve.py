"""What `prelaunch serve` keeps running, what it gives up, what it shows of logs, and the groups that it makes."""

import json
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from producer.local_stack.groups import refuse_one
from producer.local_stack.processes import LocalStackFailed, StopSignals
from producer.serve.groups import FirstGroups
from producer.serve.keeper import QUICK_ENDS, QUICK_SECONDS, Keeper
from producer.serve.logs import LogFile, render
from producer.serve.run import describe

URL = "http://127.0.0.1:4566"


@dataclass
class Process:
    """One that ended, or did not."""

    status: int | None = None
    name: str = "prelaunch worker"
    stopped: bool = False

    def poll(self) -> int | None:
        return self.status

    def read_last_lines(self, count: int) -> list[str]:
        return [f"line {number}" for number in range(count)][-1:]

    def stop(self) -> None:
        self.stopped = True

    def kill(self) -> None:
        raise AssertionError("nothing is to be ended at once")


@dataclass
class Kept:
    """A keeper with its clock and the processes that it started."""

    now: float = 0.0
    started: list[Process] = field(default_factory=list)
    keeper: Keeper = field(init=False)

    def __post_init__(self) -> None:
        self.keeper = Keeper(self.start(), self.start, lambda: self.now)

    def start(self) -> Process:
        self.started.append(Process())
        return self.started[-1]

    def end(self, status: int, after: float) -> str | None:
        self.now += after
        self.started[-1].status = status
        return self.keeper.look()


def test_what_runs_is_left_alone_and_what_ends_is_started_anew() -> None:
    """Which one, with which status or signal, and the end of its log; what was held of the old one is let go."""
    kept = Kept()
    assert kept.keeper.look() is None
    assert len(kept.started) == 1
    assert kept.end(3, 100) == (
        "prelaunch worker ended with status 3, and is started anew. The last lines of its log:\n  line 4"
    )
    assert [process.stopped for process in kept.started] == [True, False]
    assert str(kept.end(-signal.SIGKILL, 100)).startswith("prelaunch worker was ended by SIGKILL, and is started anew")
    assert str(kept.end(-250, 100)).startswith("prelaunch worker was ended by signal 250")
    assert kept.keeper.process is kept.started[-1]


def test_what_ends_at_once_again_and_again_is_given_up() -> None:
    """So often in a row, and no oftener; one that lived meanwhile begins the count anew."""
    kept = Kept()
    for lasts in [*[QUICK_SECONDS / 2] * (QUICK_ENDS - 1), QUICK_SECONDS] * 2:
        assert kept.end(1, lasts)
    for _ in range(QUICK_ENDS - 1):
        assert kept.end(1, 0)
    before = len(kept.started)
    with pytest.raises(LocalStackFailed, match=r"worker ended with status 1 soon after .*3 times.*\n  line 4"):
        kept.end(1, 0)
    assert len(kept.started) == before


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (json.dumps({"event": "job.done", "level": "info", "server": "s-1"}), None),
        (json.dumps({"event": "aws.changed", "level": "debug"}), None),
        (
            json.dumps({"server": "s-1", "event": "server.failed", "level": "warning", "timestamp": "t"}),
            "warning server.failed server=s-1",
        ),
        (json.dumps({"event": "bug\x1b[2J", "level": "error", "exception": [{"exc_type": "E"}]}), "error bug [2J"),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
        ("[1, 2]", "[1, 2]"),
        ("  ", None),
    ],
)
def test_of_a_log_a_person_sees_what_is_wrong(line: str, shown: str | None) -> None:
    """Warnings and errors with their values, and what is no log line; nothing of what went well."""
    assert render(line) == shown


def test_a_log_is_read_by_whole_lines_and_once(tmp_path: Path) -> None:
    """A line that is still being written waits until it is whole."""
    path = tmp_path / "worker.log"
    path.write_text("first\nsec")
    log = LogFile("worker", path)
    assert log.read_news() == ["worker: first"]
    assert log.read_news() == []
    with path.open("a") as more:
        more.write("ond\nthird\n")
    assert log.read_news() == ["worker: second", "worker: third"]


class Api:
    """Answers as it is told; keeps what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = [*answers]
        self.asked: list[httpx.Request] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def serve(self, *members: Sequence[str]) -> FirstGroups:
        bodies = [{"groupName": f"group {len(each)}", "sourceServerIds": each} for each in members]
        client = httpx.Client(base_url=URL, transport=httpx.MockTransport(self.answer))
        return FirstGroups(client, bodies, URL)


def made(group_id: str) -> httpx.Response:
    return httpx.Response(201, json={"groupId": group_id})


def status(word: str, ready: int, failed: int, pending: int, errors: Sequence[dict[str, Any]] = ()) -> httpx.Response:
    counts = {"appliedServers": ready, "failedServers": failed, "pendingServers": pending}
    return httpx.Response(200, json={"status": word, **counts, "errors": [*errors]})


def test_groups_are_made_once_whatever_the_api_does_meanwhile() -> None:
    """One that does not answer, or cannot, is asked again by the same key; the next group has a key of its own."""
    api = Api(httpx.ConnectError("gone"), httpx.Response(503, text="soon"), made("pg-1"), made("pg-2"))
    groups = api.serve(["s-1"], ["s-2", "s-3"])
    told = [groups.step() for _ in range(4)]
    assert told == [
        [],
        [],
        ["Group group 1 of 1 source servers is being applied."],
        ["Group group 2 of 2 source servers is being applied."],
    ]
    keys = [request.headers["Idempotency-Key"] for request in api.asked]
    assert keys[0] == keys[1] == keys[2] != keys[3]


def test_a_group_that_is_refused_ends_it() -> None:
    """That is no trouble that passes: the API's own words are told."""
    groups = Api(httpx.Response(400, text="no such subnet")).serve(["s-1"])
    with pytest.raises(LocalStackFailed, match=r"answered 400 to POST /protection-groups: no such subnet"):
        groups.step()


def test_how_the_groups_settled_is_told_once_with_the_failure_and_its_remedy() -> None:
    """Nothing while one is pending; then the counts, who failed and why; afterwards nobody is asked any more."""
    error = {
        "sourceServerId": "s-1",
        "operation": "drs.UpdateLaunchConfiguration",
        "code": "ValidationException",
        "message": "no",
        "requestId": "r",
        "attempt": 1,
    }
    settled = [status("failed", 0, 1, 0, [error]), status("ready", 2, 0, 0)]
    again = [status("failed", 0, 1, 0, [error]), status("ready", 2, 0, 0)]
    pending = [status("failed", 0, 1, 0, [error]), status("pending", 1, 0, 1)]
    api = Api(made("pg-1"), made("pg-2"), *pending, *settled, *again)
    groups = api.serve(["s-1"], ["s-2", "s-3"])
    told = [groups.step() for _ in range(5)]
    assert told[2] == []
    assert told[3] == [
        "2 of 3 source servers are ready.",
        "failed s-1: drs.UpdateLaunchConfiguration answered ValidationException: no (request r, attempt 1)",
        f"It was scripted, so that there is one. Its cause goes with: curl -X PUT {URL}/_local/faults -d '[]'",
    ]
    assert told[4] == []


def test_without_source_servers_nobody_is_asked() -> None:
    """An empty stack stays empty."""
    assert Api().serve().step() == []


@pytest.mark.parametrize(("count", "refused"), [(60, "s-7"), (8, "s-7"), (1, "s-0")])
def test_one_member_is_refused_however_few_there_are(count: int, refused: str) -> None:
    """Always the same one where there is it, else the last."""

    class Aws:
        faults: Any = None

        def control(self, _method: str, _path: str, body: Any) -> None:
            self.faults = body

    aws = Aws()
    refuse_one(aws, {"sourceServerIds": [f"s-{number}" for number in range(count)]})  # type: ignore[arg-type]  # a fake
    assert [fault["sourceServerId"] for fault in aws.faults] == [refused]


def test_what_is_printed_to_be_exported_stands_alone_on_its_lines() -> None:
    """As a shell takes it; and the addresses are the API's."""
    lines = describe("http://127.0.0.1:8080", {"AWS_REGION": "us-east-1"}, Path("/logs")).splitlines()
    assert lines[-1] == "export AWS_REGION=us-east-1"
    assert [line.split()[-1] for line in lines if "127.0.0.1" in line] == [
        "http://127.0.0.1:8080/",
        "http://127.0.0.1:8080/openapi.json",
        "http://127.0.0.1:8080/metrics",
    ]


@pytest.mark.parametrize(
    ("numbers", "ends"),
    [
        ([signal.SIGINT, signal.SIGINT], 1),
        ([signal.SIGINT], 0),
        ([signal.SIGTERM, signal.SIGTERM], 0),
        ([signal.SIGINT, signal.SIGTERM], 0),
        ([signal.SIGTERM, signal.SIGINT, signal.SIGINT], 1),
    ],
)
def test_only_a_second_ctrl_c_ends_at_once(numbers: Sequence[signal.Signals], ends: int) -> None:
    """A service manager's SIGTERM may come twice, to the process and to its group, and means an orderly end."""
    ended = []
    with StopSignals.watch("It") as signals:
        signals.at_once = lambda: ended.append(True)
        for number in numbers:
            signal.raise_signal(number)
    assert len(ended) == ends
