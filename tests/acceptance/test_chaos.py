"""The chaos in its short form: the same faults, readers and verdict as `make chaos`, at a tenth of all times."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.commands import find_processes_with, kill_group, make_environment, wait_until
from tests.chaos.processes import tied
from tests.measuring import VARIABLE

FAULT_SECONDS = 30
GIVE_UP_SECONDS = 1200
"""Past every deadline that a run can state meanwhile."""
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Chaos:
    """A running chaos; every process that it starts inherits a mark."""

    process: "subprocess.Popen[str]"
    mark: str

    def count_processes(self) -> int:
        return len(find_processes_with(self.mark))


@contextmanager
def running_chaos(folder: Path, *arguments: str) -> Iterator[Chaos]:
    """Start the chaos; nothing of it outlives the block, nor whoever runs the tests."""
    name, value = "ACCEPTANCE_TEST", uuid.uuid4().hex
    environment = make_environment({name: value, "TMPDIR": str(folder)})
    # To be measured slows the workers down, and who is killed with SIGKILL is not counted.
    environment.pop(VARIABLE, None)
    command = tied(sys.executable, "-m", "tests.chaos", "--scale", "0.1", *arguments)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                yield Chaos(process, f"{name}={value}")
            finally:
                kill_group(process)
                wait_until(lambda: not find_processes_with(f"{name}={value}"), "the end of all that it started")


@pytest.mark.xdist_group("demo")
def test_no_promise_breaks_whatever_dies(tmp_path: Path) -> None:
    """Workers killed, stopped and told to end, the API too, AWS in trouble: nothing lost, doubled or stale.

    In the demo's group, so that the two are never at work at once: what the demo shows is time.
    """
    figures = tmp_path / "figures.json"
    with running_chaos(tmp_path, "--seconds", str(FAULT_SECONDS), "--json", str(figures)) as chaos:
        output, _ = chaos.process.communicate(timeout=GIVE_UP_SECONDS)
        assert (chaos.process.returncode, (tmp_path / "log").read_text()) == (0, ""), output
        assert find_processes_with(chaos.mark) == {}
    found = json.loads(figures.read_text())
    assert output.splitlines()[-1] == found["summary"]
    assert found["summary"].endswith("lost 0, duplicate versions 0, stale writes neither prevented nor found 0")
    assert found["accepted"] == found["settled"] == found["runs"] > 1
    assert found["faults"] > 1
    assert found["answersRead"] > found["truthsRead"] > 0
    assert found["versions"] >= 300


def test_chaos_told_to_stop_leaves_no_process(tmp_path: Path) -> None:
    """SIGTERM in the middle: status 1, no verdict, nothing left."""
    with running_chaos(tmp_path) as chaos:
        wait_until(lambda: chaos.count_processes() > 6, "every process")
        chaos.process.send_signal(signal.SIGTERM)
        output, _ = chaos.process.communicate(timeout=GIVE_UP_SECONDS)
        assert chaos.process.returncode == 1
        assert "stopped by SIGTERM" in output
        assert "no verdict" in output.splitlines()[-1]
        assert find_processes_with(chaos.mark) == {}


def test_chaos_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    """SIGKILL of the process that started all others ends them."""
    with running_chaos(tmp_path) as chaos:
        wait_until(lambda: chaos.count_processes() > 6, "every process")
        os.kill(chaos.process.pid, signal.SIGKILL)
        chaos.process.wait()
        wait_until(lambda: not find_processes_with(chaos.mark), "the end of all that it started")
