"""
prelaunch's own commands, each in a slot that is filled again when its process has died.

None may outlive the chaos, however that ends: each is tied to the thread that started it, and so has to be started by
the main one.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.commands import PRELAUNCH, kill_group

PR_SET_PDEATHSIG = 1
"""Linux, prctl(2): the signal that the kernel sends when the parent ends."""
TIED = (
    "import ctypes, os, signal, sys\n"
    f"sys.platform == 'linux' and ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, signal.SIGKILL)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
"""A program that becomes another one, which the kernel kills when its starter is gone."""
NOT_REACHABLE = 3
"""The exit status that says so."""
APP_ID = "AWS_SDK_UA_APP_ID"
"""The SDK's own variable: it stands in the user agent of every call, by which CloudTrail tells who wrote."""


def tied(*command: str) -> list[str]:
    """Make a command whose process ends with the one that starts it, even if that is killed."""
    return [sys.executable, "-c", TIED, *command]


@dataclass(slots=True)
class Stop:
    """A time in which a process did not run; wall clock, seconds."""

    who: str
    begun_at: float
    ended_at: float | None = None


@dataclass(slots=True)
class Slot:
    """A place for one process, which is filled anew whenever it is empty."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    started: int = 0
    stops: list[Stop] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    """Ends that nobody asked for, in words."""
    _process: "subprocess.Popen[str] | None" = None
    _signalled: bool = False
    _continue_at: float | None = None

    @property
    def who(self) -> str:
        """Name the process that is in the slot now."""
        return f"chaos-{self.name}-{self.started}"

    @property
    def is_running(self) -> bool:
        """Tell whether a process is in the slot and not stopped."""
        return self._is_alive() and self._continue_at is None

    @property
    def url(self) -> str | None:
        """Tell where the process listens, once it has said so."""
        line = self._file("out").read_text()
        return line[line.index("http://") :].strip() if line.endswith("\n") and "http://" in line else None

    def read_logs(self) -> Iterator[tuple[str, str]]:
        """Answer each line that the slot's processes have logged, with the process."""
        for number in range(1, self.started + 1):
            name = f"chaos-{self.name}-{number}"
            for line in (self.folder / f"{name}.log").read_text(errors="replace").splitlines():
                yield name, line

    def look(self) -> None:
        """Fill the slot if it is empty, and let a stopped process go on when its time has come."""
        if self._continue_at is not None and time.monotonic() >= self._continue_at:
            self.go_on()
        if not self._is_alive():
            self._bury()
            self._start()

    def kill(self, *, forked: bool) -> None:
        """SIGKILL: the process that was started, or those that it forked."""
        self._signalled = True
        first, *others = self._tree()
        for process_id in (forked and others) or [first]:
            _signal(process_id, signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM, as a service manager sends it: to the process that was started."""
        self._signalled = True
        _signal(self._tree()[0], signal.SIGTERM)

    def stop(self, seconds: float) -> None:
        """SIGSTOP, for so long: to the process and to all that it forked."""
        self._continue_at = time.monotonic() + seconds
        for process_id in self._tree():
            _signal(process_id, signal.SIGSTOP)
        # Not before: what is sent while the signals go out was held back by nothing.
        self.stops.append(Stop(self.who, time.time()))

    def go_on(self) -> None:
        """SIGCONT, if it was stopped: it does not know for how long."""
        if self._continue_at is None:
            return
        self._continue_at = None
        for process_id in self._tree():
            _signal(process_id, signal.SIGCONT)
        self.stops[-1].ended_at = time.time()

    def empty(self) -> None:
        """End the process for good."""
        if self._process is not None:
            kill_group(self._process)
            self._process.wait()

    def _start(self) -> None:
        self.started += 1
        self._signalled, self._continue_at = False, None
        with self._file("out").open("w") as output, self._file("log").open("w") as errors:
            self._process = subprocess.Popen(
                tied(PRELAUNCH, *self.arguments),
                env={**self.environment, APP_ID: self.who},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def _bury(self) -> None:
        if self._process is None:
            return
        if self._continue_at is not None:
            self.stops[-1].ended_at = time.time()
        # That its tables or queues do not answer ends a process that is starting: whoever runs it starts it again.
        if not self._signalled and self._process.returncode != NOT_REACHABLE:
            self.ends.append(f"{self.who} ended by itself, with status {self._process.returncode}")

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _tree(self) -> list[int]:
        """Name the process and those that it forked."""
        assert self._process is not None
        found = [self._process.pid]
        for process_id in found:
            with suppress(OSError):
                for task in (Path("/proc") / str(process_id) / "task").iterdir():
                    found += map(int, (task / "children").read_text().split())
        return found

    def _file(self, kind: str) -> Path:
        return self.folder / f"{self.who}.{kind}"


@contextmanager
def emptied(slots: list[Slot]) -> Iterator[None]:
    """End what is in the slots when the block is left, however it is."""
    try:
        yield
    finally:
        for slot in slots:
            slot.empty()


def _signal(process_id: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process_id, number)
