"""A guard that does what a test tells it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class ScriptedGuard:
    """Asks what it is told to, and counts the writes that were not answered."""

    check: Callable[[], None] = lambda: None
    unanswered: int = 0

    def note_unanswered(self) -> None:
        self.unanswered += 1
