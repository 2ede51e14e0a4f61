"""The benchmark in small: it measures, writes nothing then, and leaves nothing behind. No law here is about speed."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.commands import find_processes_with, kill_group, make_environment, wait_until
from tests.chaos.processes import tied
from tests.measuring import VARIABLE

ROOT = Path(__file__).parents[2]
GIVE_UP_SECONDS = 300
WRITTEN = ("benchmarks/results.json", "docs/performance.md", "docs/performance/time.svg")


@contextmanager
def benchmark(folder: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Start the benchmark; every process that it starts inherits a mark."""
    name, value = "ACCEPTANCE_TEST", uuid.uuid4().hex
    environment = make_environment({name: value, "TMPDIR": str(folder)})
    environment.pop(VARIABLE, None)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            tied(sys.executable, "-m", "tests.benchmarks", *arguments),
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
                yield process, f"{name}={value}"
            finally:
                kill_group(process)
                wait_until(lambda: not find_processes_with(f"{name}={value}"), "the end of all that it started")


def read_written() -> dict[str, bytes | None]:
    paths = {name: ROOT / name for name in WRITTEN}
    return {name: path.read_bytes() if path.exists() else None for name, path in paths.items()}


# With the demo and the chaos, one after the other: what they show is time.
@pytest.mark.xdist_group("demo")
def test_lines_are_measured_with_fewer_source_servers(tmp_path: Path) -> None:
    """Each line has its figures, nothing of them is published, and no process is left."""
    before = read_written()
    with benchmark(tmp_path, "apply-100-2", "submit", "--shrink", "20") as (process, mark):
        output, _ = process.communicate(timeout=GIVE_UP_SECONDS)
        # 1 where a bar does not hold, as on a machine that does something else.
        assert process.returncode in {0, 1}, (tmp_path / "log").read_text()
        assert find_processes_with(mark) == {}
    assert ": failures" not in output
    for name in ("apply-100-2: time", "apply-100-2: throttled", "submit-4000: SendMessageBatch"):
        assert name in output
    assert "32 calls of DRS and EC2" in output, "five source servers, six calls each, and two before they are stored"
    assert "20 calls" in output, "200 jobs"
    assert read_written() == before


@pytest.mark.xdist_group("demo")
def test_a_benchmark_told_to_stop_leaves_no_process(tmp_path: Path) -> None:
    """SIGTERM in the middle: status 1, nothing is written, nothing left."""
    before = read_written()
    with benchmark(tmp_path, "apply-300-4") as (process, mark):
        wait_until(lambda: len(find_processes_with(mark)) > 6, "every process")
        os.kill(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=GIVE_UP_SECONDS)
        assert process.returncode == 1
        assert "stopped by SIGTERM: nothing is written" in output
        assert find_processes_with(mark) == {}
    assert read_written() == before


def test_an_unknown_line_is_refused(tmp_path: Path) -> None:
    """Status 2, and the lines that there are."""
    with benchmark(tmp_path, "walk") as (process, _):
        output, _ = process.communicate(timeout=GIVE_UP_SECONDS)
        assert process.returncode == 2
        assert "there are wave-100, apply-100-1" in output
