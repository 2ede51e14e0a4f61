"""`prelaunch serve`: ready for who types it, kept running whatever dies, and nothing left of it however it ends."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from infra.local.process import read_environment
from producer.local_stack.groups import read_status
from tests.acceptance.commands import (
    PATIENCE_SECONDS,
    find_processes_with,
    make_environment,
    read_line,
    run,
    wait_until,
)
from tests.acceptance.marked import Marked, running_marked

HEADING = "To use the command line on it, in another terminal:\n"
EXPORTS = 6
INTERRUPTED = 130


@dataclass(frozen=True)
class Served:
    """A running local stack, as somebody finds it who reads what it printed."""

    command: Marked
    url: str
    exported: dict[str, str]
    logs: Path

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(method, self.url + path, json=body, timeout=60, trust_env=False)
        assert answer.is_success, answer.text
        return answer.json()

    def statuses(self) -> list[Any]:
        groups = self.call("GET", "/protection-groups")["protectionGroups"]
        return [read_status(self, group["groupId"]) for group in groups]


@contextmanager
def serving(log: Path, *options: str) -> Iterator[Served]:
    """Run it until it says that it is ready; nothing of it outlives the block."""
    with running_marked(log, "serve", "--port", "0", *options) as command:
        told = ""
        while HEADING not in told:
            line = read_line(command.process)
            assert line, log.read_text()
            told += line
        page, folder = re.search(r"(http://\S+)/$", told, re.MULTILINE), re.search(r"logs +(.+)/api.log", told)
        assert page
        assert folder
        exported = read_environment(read_line(command.process) for _ in range(EXPORTS))
        assert exported
        yield Served(command, page[1], exported, Path(folder[1]))


def test_it_is_ready_and_stays_so_until_it_is_told_to_end(tmp_path: Path) -> None:
    """Its groups come with one failure that is explained; who is killed comes back; SIGTERM ends all in order."""
    with serving(tmp_path / "log", "--servers", "15") as served:
        command = served.command
        wait_until(lambda: [each["status"] for each in served.statuses()] == ["ready", "failed"], "both groups")
        failed = served.statuses()[1]
        assert [each["appliedServers"] + each["failedServers"] for each in served.statuses()] == [7, 8]
        assert failed["failedServers"] == 1
        assert "scripted by PUT /_local/faults" in failed["errors"][0]["message"]
        listed = run(make_environment(served.exported), "group", "list")
        assert "database tier" in listed.stdout, listed.stderr

        for part in ("worker", "api"):
            os.killpg(command.wait_for_child(f"tied {part}"), signal.SIGKILL)
            wait_until(partial(_is_told, command, part), f"what became of the {part}")
            command.wait_for_child(f"tied {part}")
        wait_until(lambda: _answers(served.url), "the API at its old address")
        httpx.put(f"{served.exported['AWS_ENDPOINT_URL']}/_local/faults", json=[], trust_env=False)
        served.call("POST", f"/protection-groups/{failed['groupId']}/apply-launch-configs", {"onlyFailed": True})
        wait_until(lambda: {each["status"] for each in served.statuses()} == {"ready"}, "what was applied again")

        command.process.terminate()
        status, output, errors = command.end()
        assert status == 0
        assert find_processes_with(command.mark) == {}
        assert not served.logs.exists()
    assert "14 of 15 source servers are ready." in output
    assert f"failed {failed['errors'][0]['sourceServerId']}: " in output
    ends = [line.partition(" has ended")[0] for line in output.splitlines() if " has ended" in line]
    assert [end.split()[-1 if end.startswith("The") else 1] for end in ends] == ["api", "worker", "AWS"]
    assert "Traceback" not in errors


def _is_told(command: Marked, part: str) -> bool:
    told = f"^prelaunch: prelaunch {part}.* was ended by SIGKILL, and is started anew"
    return re.search(told, command.log.read_text(), re.MULTILINE) is not None


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=60, trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_killed_it_leaves_no_process(tmp_path: Path) -> None:
    """SIGKILL, at which it can end nothing itself: each of its processes ends because it is gone."""
    with serving(tmp_path / "log", "--servers", "0") as served:
        served.command.wait_for_child("tied worker")
        served.command.process.kill()
        served.command.process.wait(PATIENCE_SECONDS)
        wait_until(lambda: find_processes_with(served.command.mark) == {}, "the end of every process")
        assert find_processes_with(served.command.mark) == {}


def test_ctrl_c_twice_ends_all_at_once(tmp_path: Path) -> None:
    """Also what is stuck, which an orderly end would wait for."""
    with serving(tmp_path / "log", "--servers", "0") as served:
        command = served.command
        os.kill(command.wait_for_child("tied api"), signal.SIGSTOP)
        command.process.send_signal(signal.SIGINT)
        assert read_line(command.process).startswith("SIGINT: ")
        command.process.send_signal(signal.SIGINT)
        status, output, _ = command.end(seconds=PATIENCE_SECONDS)
        assert (status, output) == (INTERRUPTED, "")
        assert not served.logs.exists()
        wait_until(lambda: find_processes_with(command.mark) == {}, "the end of every process")


def test_without_its_stand_in_it_ends_and_says_why(tmp_path: Path) -> None:
    """All that it held was there: status 1, one sentence, the logs are kept, and no process is left."""
    with serving(tmp_path / "log", "--servers", "0") as served:
        os.kill(served.command.wait_for_child("infra.local"), signal.SIGKILL)
        status, _, errors = served.command.end()
        assert status == 1
        assert "The stand-in for AWS ended with status -9, and all that it held is gone" in errors
        assert find_processes_with(served.command.mark) == {}
        assert (served.logs / "api.log").read_text()
        assert str(served.logs) in errors


def test_nobody_who_reads_it_ends_nothing(tmp_path: Path) -> None:
    """Standard output that was closed at its other end: it starts, runs, and ends at Ctrl-C as with a reader."""
    with running_marked(tmp_path / "log", "serve", "--port", "0", "--servers", "0") as command:
        assert command.process.stdout
        command.process.stdout.close()
        wait_until(lambda: "access.open" in command.log.read_text(), "the API's first warning")
        command.process.send_signal(signal.SIGINT)
        assert command.process.wait(PATIENCE_SECONDS) == 0
        assert find_processes_with(command.mark) == {}
        assert [line for line in command.log.read_text().splitlines() if "access.open" not in line] == []
