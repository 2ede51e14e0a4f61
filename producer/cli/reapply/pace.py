"""How fast source servers come to their outcome, and how long the rest takes. Pure but for the clock it is given."""

from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 60.0
"""What is slow or fast now says more of the rest than how it began."""


class Pace:
    """
    The pace of the last minute.

    Parameters:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, done: int) -> None:
        """Note how many are done by now."""
        now = self._clock()
        self._seen.append((now, done))
        # The last one before the window is where the window begins.
        while len(self._seen) > 1 and self._seen[1][0] <= now - WINDOW_SECONDS:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Tell how many are done a second; 0 where that is not known yet."""
        if not self._seen:
            return 0.0
        (begun, before), (now, done) = self._seen[0], self._seen[-1]
        return max(0.0, (done - before) / (now - begun)) if now > begun else 0.0

    def find_left(self, left: float) -> float | None:
        """Tell how many seconds so many more take at this pace; None where nobody can tell."""
        if left <= 0:
            return 0.0
        return left / self.rate if self.rate > 0 else None


def say_duration(seconds: float | None) -> str:
    """Say a duration as a person reads it."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
