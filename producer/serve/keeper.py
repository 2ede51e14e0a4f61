"""
Keeps one of prelaunch's own commands running.

A process that cannot live must not be started for ever: nobody would see that it does nothing.
"""

from collections.abc import Callable
from signal import Signals
from typing import Protocol

from producer.local_stack.processes import LocalStackFailed

QUICK_SECONDS = 20.0
"""Who ends sooner after its start has done nothing yet but start, on a busy machine too."""
QUICK_ENDS = 3
LAST_LINES = 5


class Process(Protocol):
    """A process that can be looked at."""

    @property
    def name(self) -> str:
        """Tell what it is called."""

    def poll(self) -> int | None:
        """Answer the status that it ended with, below 0 a signal's; None while it runs."""

    def read_last_lines(self, count: int) -> list[str]:
        """Read the last lines of its log."""

    def stop(self) -> None:
        """End it, and let go of what was held of it."""

    def kill(self) -> None:
        """End it at once."""


class Keeper:
    """
    One process, started anew whenever it ends.

    Parameters:
        process: It, running.
        start: Starts it anew.
        now: The time, in seconds.
    """

    def __init__(self, process: Process, start: Callable[[], Process], now: Callable[[], float]) -> None:
        self.process = process
        self.start = start
        self._now = now
        self._started_at = now()
        self._quick_ends = 0

    def look(self) -> str | None:
        """
        Start it anew if it has ended.

        Returns:
            Which one ended and how, with the last lines of its log; None while it runs.

        Raises:
            LocalStackFailed: It ended soon after its start, as often in a row as is enough.
        """
        status = self.process.poll()
        if status is None:
            return None
        lasted = self._now() - self._started_at
        self._quick_ends = self._quick_ends + 1 if lasted < QUICK_SECONDS else 0
        told = f"{self.process.name} {_describe_end(status)}"
        lines = "".join(f"\n  {line}" for line in self.process.read_last_lines(LAST_LINES))
        self.process.stop()
        if self._quick_ends >= QUICK_ENDS:
            raise LocalStackFailed(
                f"{told} soon after its start, {QUICK_ENDS} times in a row. The last lines of its log:{lines}"
            )
        self.process, self._started_at = self.start(), self._now()
        return f"{told}, and is started anew. The last lines of its log:{lines}"


def _describe_end(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {Signals(-status).name}"
    except ValueError:
        # Python has no names for real-time signals.
        return f"was ended by signal {-status}"
