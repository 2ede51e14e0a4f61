"""
A reading that many ask for: one read at a time, whose outcome is kept for a short while, a failure too.

What was read before never stands for what cannot be read now: where a read fails there is no value until the next one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import structlog

from workers.core.clock import Time
from workers.core.errors import PrelaunchError
from workers.core.shared_work import SharedWork

log = structlog.get_logger()

LONGEST_READ = timedelta(seconds=8)
"""Prometheus gives up a scrape after 10 s where nothing else is set (its configuration's scrape_timeout)."""
TIMEOUT = "TIMEOUT"
BUG = "INTERNAL_ERROR"

T = TypeVar("T")
Found_co = TypeVar("Found_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Reading(Generic[Found_co]):
    """What came of a read."""

    read_at: datetime
    """When it began."""
    found: Found_co | None
    """None: it could not be read."""


class KeptReading(Generic[T]):
    """
    Reads when somebody asks and nothing fresh is kept. Belongs to one event loop.

    Parameters:
        source: What the log calls it.
        read: Reads it.
        kept_for: How long an outcome is answered, from when its read began.
        time: The machine's, or a test's.
        longest: After how long a read is given up.
    """

    def __init__(
        self,
        source: str,
        read: Callable[[], Awaitable[T]],
        *,
        kept_for: timedelta,
        time: Time,
        longest: timedelta = LONGEST_READ,
    ) -> None:
        self._source = source
        self._read = read
        self._kept_for = kept_for
        self._time = time
        self._longest = longest
        self._work = SharedWork()
        self._kept: tuple[float, Reading[T]] | None = None

    async def get(self) -> Reading[T]:
        """Answer what is kept, else what is read now; never raises what the read does."""
        if self._kept is not None:
            began, reading = self._kept
            if self._is_fresh(began, reading.read_at):
                return reading
        return await self._work.join(self._source, self._read_anew)

    async def close(self) -> None:
        """Give up what is being read."""
        await self._work.cancel()

    def _is_fresh(self, began: float, read_at: datetime) -> bool:
        # While a machine sleeps the one clock stands still on Linux; the other one may be set.
        by_wall = self._time.wall() - read_at
        risen = timedelta(seconds=self._time.monotonic() - began)
        return risen < self._kept_for and timedelta(0) <= by_wall < self._kept_for

    async def _read_anew(self) -> Reading[T]:
        began, read_at = self._time.monotonic(), self._time.wall()
        reading = Reading(read_at, await self._try_read())
        self._kept = began, reading
        return reading

    async def _try_read(self) -> T | None:
        try:
            async with asyncio.timeout(self._longest.total_seconds()):
                return await self._read()
        except PrelaunchError as error:
            log.warning("figures.unread", source=self._source, code=error.code, reason=error.message)
        except TimeoutError:
            told = f"It did not answer within {self._longest.total_seconds():g} s."
            log.warning("figures.unread", source=self._source, code=TIMEOUT, reason=told)
        except Exception:
            # One that is broken must not hide the others, which are what its trouble is seen by.
            log.exception("figures.unread", source=self._source, code=BUG)
        return None
