"""
What Linux's /proc tells of processes, asked from outside; and prelaunch's own commands, running.

None outlives the benchmark, however that ends: each is tied to the thread that starts it, which has to be the main one.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from producer.local_stack.processes import STOP_SECONDS, Running
from tests.chaos.processes import tied

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
KIB_IN_MB = 1024
SAMPLE_SECONDS = 0.1
IDLE_COLUMNS = (3, 4)
"""Of a line of /proc/stat: idle, and waiting for a disk."""
ALL_COLUMNS = 8
"""Those behind are counted among them already."""


def find_children(process_id: int) -> list[int]:
    """Find the processes that a process has forked and that live."""
    found: list[int] = []
    with suppress(OSError):
        for task in (PROC / str(process_id) / "task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def read_busy_seconds(process_id: int) -> float:
    """Read how long a process has used a core, with its threads and without its children; 0 if it is gone."""
    try:
        # Behind the name, which may hold anything.
        fields = (PROC / str(process_id) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def read_machine_seconds() -> float:
    """Read how long the cores were used, all of them together, whoever used them."""
    ticks = list(map(int, (PROC / "stat").read_text().splitlines()[0].split()[1 : 1 + ALL_COLUMNS]))
    return (sum(ticks) - sum(ticks[column] for column in IDLE_COLUMNS)) / TICKS


def read_memory_mb(process_id: int) -> float:
    """Read how much memory of a process is resident; 0 if it is gone. A MB is 1,024 KiB here."""
    with suppress(OSError):
        for line in (PROC / str(process_id) / "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / KIB_IN_MB
    return 0.0


@dataclass(slots=True)
class Peak:
    """The most memory that a process had resident while it was watched."""

    process_id: int
    mb: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    @classmethod
    @contextmanager
    def watch(cls, process_id: int) -> Iterator["Peak"]:
        """Watch a process while the block runs."""
        peak = cls(process_id)
        thread = threading.Thread(target=peak._sample, daemon=True)
        thread.start()
        try:
            yield peak
        finally:
            peak._over.set()
            thread.join()

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.mb = max(self.mb, read_memory_mb(self.process_id))


@contextmanager
def python_process(environment: Mapping[str, str], module: str, *arguments: str) -> Iterator[Running]:
    """
    Run a module as a program while the block runs.

    Parameters:
        environment: The whole environment of the process.
        module: The module; `producer.cli` is `prelaunch` itself.
        *arguments: Its command line.

    Yields:
        The running program.
    """
    name = " ".join(("prelaunch" if module == "producer.cli" else module, *arguments))
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        process = subprocess.Popen(
            tied(sys.executable, "-m", module, *arguments),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        try:
            yield Running(name, process, log)
        finally:
            _stop(process)


def count_in_log(running: Running, words: str) -> int:
    """Count how often a program has logged something."""
    # Anew, for the handle's position is the program's own.
    return Path(running.log.name).read_text(errors="replace").count(words)


def _stop(process: "subprocess.Popen[str]") -> None:
    children = find_children(process.pid)
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        # Workers have sessions of their own: each is named, for its parent's group does not hold it.
        for process_id in (process.pid, *children):
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
        process.wait()
    if process.stdout:
        process.stdout.close()
