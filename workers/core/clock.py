"""The clock that everything goes by; it is passed down, so that tests bring their own."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def read_clock() -> datetime:
    """Tell the present, aware, in UTC."""
    return datetime.now(UTC)


def say_time(at: datetime) -> str:
    """Say a time to a person, in UTC and to the second."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Time:
    """The time of one process: the clock on the wall, which is compared with others', and the one that only rises."""

    wall: Callable[[], datetime] = read_clock
    monotonic: Callable[[], float] = time.monotonic
