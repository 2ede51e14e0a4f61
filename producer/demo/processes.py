"""
The demo's own processes, and what ends the demo early: a signal, or one of them dying.

Nothing here raises out of a signal handler: an exception at any instant could leave a process behind that was
just started. Whoever waits asks `check` instead, at points where everything started is on record.
"""

import os
import signal
import subprocess  # nosec B404  # our own programs, without a shell
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

STOP_SECONDS = 40
"""Longer than a worker's grace."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""SIGHUP comes when the terminal is closed."""


class DemoFailed(Exception):
    """The demo did not come to its end; the message says why, in one line."""


@dataclass(slots=True)
class StopSignals:
    """The signals that told the demo to stop."""

    received: signal.Signals | None = None

    @classmethod
    @contextmanager
    def watch(cls) -> Iterator["StopSignals"]:
        """Remember the signals that end a program while the block runs; none breaks anything off by itself."""
        signals = cls()

        def remember(number: int, _frame: object) -> None:
            signals.received = signal.Signals(number)

        before = {number: signal.signal(number, remember) for number in ENDING}
        try:
            yield signals
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """
        Stop here if somebody asked for it.

        Raises:
            DemoFailed: Somebody did.
        """
        if self.received:
            raise DemoFailed(f"The demo was stopped by {self.received.name} before its end.")


@dataclass(frozen=True, slots=True)
class Running:
    """One of prelaunch's own commands, running."""

    name: str
    process: subprocess.Popen[str]
    log: TextIO

    def check(self) -> None:
        """
        Make sure that it still runs.

        Raises:
            DemoFailed: It has ended; the last line of its log says why.
        """
        status = self.process.poll()
        if status is None:
            return
        self.log.seek(0)
        lines = self.log.read().splitlines() or ["its log is empty"]
        raise DemoFailed(f"{self.name} ended with status {status} in the middle of the demo: {lines[-1]}")

    def read_url(self) -> str:
        """
        Read where it listens from the line that it prints once it does.

        Returns:
            Its address.

        Raises:
            DemoFailed: It ended, or said something else.
        """
        line = self.process.stdout.readline() if self.process.stdout else ""
        if "http://" not in line:
            # It has closed its output, so it is about to end, and its log then says why.
            _stop(self.process)
            self.check()
        return line[line.index("http://") :].strip()


@contextmanager
def prelaunch_process(environment: Mapping[str, str], *arguments: str) -> Iterator[Running]:
    """
    Run one of prelaunch's own commands while the block runs.

    Parameters:
        environment: The whole environment of the process.
        *arguments: What follows `prelaunch`.

    Yields:
        The running command.
    """
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        process = subprocess.Popen(  # noqa: S603  # nosec B603
            [sys.executable, "-m", "producer.cli", *arguments],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            # Ctrl-C reaches the demo alone, which ends its processes in order; and a group can be ended whole.
            start_new_session=True,
        )
        try:
            yield Running(" ".join(("prelaunch", *arguments)), process, log)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        # A worker's parent alone would leave the processes that it forked.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout:
        process.stdout.close()
