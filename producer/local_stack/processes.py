"""
Prelaunch's own commands as processes; and what ends early whoever started them: a signal, or one of them dying.

Nothing here raises out of a signal handler: an exception at any instant could leave a process behind that was
just started. Whoever waits asks `check` instead, at points where everything started is on record.
"""

import os
import signal
import subprocess  # nosec B404  # our own programs, without a shell
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

STOP_SECONDS = 40
"""Longer than a worker's grace."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""SIGHUP comes when the terminal is closed."""


class LocalStackFailed(Exception):
    """What runs on this machine cannot go on; the message says why, in one line."""


@dataclass(slots=True)
class StopSignals:
    """The signals that told a program to stop."""

    program: str
    received: signal.Signals | None = None
    at_once: Callable[[], None] | None = None
    """Called when Ctrl-C comes after Ctrl-C. A second SIGTERM says nothing new: `timeout` and `make` send two."""

    @classmethod
    @contextmanager
    def watch(cls, program: str) -> Iterator["StopSignals"]:
        """
        Remember the signals that end a program while the block runs; none breaks anything off by itself.

        Parameters:
            program: What is stopped, as the first words of a sentence.

        Yields:
            What was received so far.
        """
        signals = cls(program)

        def remember(number: int, _frame: object) -> None:
            if number == signals.received == signal.SIGINT and signals.at_once:
                signals.at_once()
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
            LocalStackFailed: Somebody did.
        """
        if self.received:
            raise LocalStackFailed(f"{self.program} was stopped by {self.received.name} before its end.")


@dataclass(frozen=True, slots=True)
class Running:
    """One of prelaunch's own commands, running."""

    name: str
    process: "subprocess.Popen[str]"
    log: TextIO

    def poll(self) -> int | None:
        """Answer the status that it ended with, below 0 a signal's; None while it runs."""
        return self.process.poll()

    def read_last_lines(self, count: int) -> list[str]:
        """Read the last lines of its log."""
        # Anew, for the handle's position is the program's own.
        lines = Path(self.log.name).read_text(errors="replace").splitlines()
        return lines[-count:] or ["its log is empty"]

    def check(self) -> None:
        """
        Make sure that it still runs.

        Raises:
            LocalStackFailed: It has ended; the last line of its log says why.
        """
        status = self.poll()
        if status is not None:
            raise LocalStackFailed(
                f"{self.name} ended with status {status} while it was needed: {self.read_last_lines(1)[0]}"
            )

    def read_url(self) -> str:
        """
        Read where it listens from the line that it prints once it does.

        Returns:
            Its address.

        Raises:
            LocalStackFailed: It ended, or said something else.
        """
        line = self.process.stdout.readline() if self.process.stdout else ""
        if "http://" not in line:
            # It has closed its output, so it is about to end, and its log then says why.
            self.stop()
            self.check()
        return line[line.index("http://") :].strip()

    def stop(self) -> None:
        """End it in order, and by force if that takes longer than it may."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()

    def kill(self) -> None:
        """End it at once."""
        # A worker's parent alone would leave the processes that it forked.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def start_prelaunch(environment: Mapping[str, str], log: TextIO, *arguments: str) -> Running:
    """
    Start one of prelaunch's own commands, which ends with us, however we end.

    Parameters:
        environment: The whole environment of the process.
        log: Where its standard error goes, a file.
        *arguments: What follows `prelaunch`.

    Returns:
        The running command.
    """
    process = subprocess.Popen(  # noqa: S603  # nosec B603
        [sys.executable, "-m", "producer.local_stack.tied", *arguments],
        env=dict(environment),
        # The life line: whoever holds its other end lives, or it closes.
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        # Ctrl-C reaches us alone, who end our processes in order; and a group can be ended whole.
        start_new_session=True,
    )
    return Running(" ".join(("prelaunch", *arguments)), process, log)


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
        running = start_prelaunch(environment, log, *arguments)
        try:
            yield running
        finally:
            running.stop()
