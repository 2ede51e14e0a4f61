"""A reading that is shared: one read for all who ask, kept for its time, and nothing of old where it fails."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import structlog

from tests.fakes.runs import OPENED_AT
from tests.fakes.virtual_time import run_virtually
from workers.core.clock import Time
from workers.core.errors import ServiceUnavailable
from workers.core.kept_reading import BUG, LONGEST_READ, TIMEOUT, KeptReading, Reading

KEPT_FOR = timedelta(seconds=15)


@dataclass
class Source:
    """What is read: it answers how often it was, as soon as somebody lets it."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    reads: int = 0
    fails: Exception | None = None
    seconds: float = 0.0
    """What the clocks show, from a moment on."""
    set_by: float = 0.0
    """By how many seconds the one on the wall differs from the other."""

    def keep(self) -> KeptReading[int]:
        time = Time(lambda: OPENED_AT + timedelta(seconds=self.seconds + self.set_by), lambda: self.seconds)
        return KeptReading("letters", self.read, kept_for=KEPT_FOR, time=time)

    async def read(self) -> int:
        self.reads += 1
        self.begun.set()
        await self.opened.wait()
        if self.fails is not None:
            raise self.fails
        return self.reads


@pytest.fixture
def source() -> Source:
    source = Source()
    source.opened.set()
    return source


def at(seconds: float, found: int | None) -> Reading[int]:
    return Reading(OPENED_AT + timedelta(seconds=seconds), found)


async def test_many_who_ask_at_once_are_answered_by_one_read(source: Source) -> None:
    """Also who comes while it is under way; all get the same."""
    source.opened.clear()
    kept = source.keep()
    asking = [asyncio.create_task(kept.get()) for _ in range(100)]
    await asyncio.sleep(0)
    asking += [asyncio.create_task(kept.get()) for _ in range(100)]
    await asyncio.sleep(0)
    source.opened.set()
    assert await asyncio.gather(*asking) == [at(0, 1)] * 200
    assert source.reads == 1


async def test_it_is_kept_for_its_time_and_no_longer(source: Source) -> None:
    """From when the read began: until then it says when that was, then it is read anew."""
    kept = source.keep()
    assert await kept.get() == at(0, 1)
    source.seconds = 14.999
    assert await kept.get() == at(0, 1)
    source.seconds = 15
    assert await kept.get() == at(15, 2)


async def test_a_slow_read_is_kept_from_when_it_began(source: Source) -> None:
    """What it answers is of then, at best."""
    source.opened.clear()
    kept = source.keep()
    asking = asyncio.create_task(kept.get())
    await source.begun.wait()
    source.seconds = 7
    source.opened.set()
    assert await asking == at(0, 1)
    source.seconds = 14.999
    assert await kept.get() == at(0, 1)
    source.seconds = 15
    assert await kept.get() == at(15, 2)


@pytest.mark.parametrize(("seconds", "set_by"), [(0, 15), (0, 3600), (0, -1), (20, -10)])
async def test_no_clock_that_stands_still_or_is_set_makes_it_old(source: Source, seconds: float, set_by: float) -> None:
    """A machine that slept for an hour reads anew, though the clock that only rises knows nothing of it."""
    kept = source.keep()
    assert await kept.get() == at(0, 1)
    source.seconds, source.set_by = seconds, set_by
    assert await kept.get() == at(seconds + set_by, 2)
    assert await kept.get() == at(seconds + set_by, 2)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ServiceUnavailable("SQS is away."), "SERVICE_UNAVAILABLE"),
        (ServiceUnavailable("No.", code="AccessDenied"), "AccessDenied"),
        (ZeroDivisionError("a bug"), BUG),
    ],
)
async def test_what_cannot_be_read_has_no_value(source: Source, error: Exception, code: str) -> None:
    """Not even the one of before; the failure is kept like an answer, told in the log, and over with the next read."""
    kept = source.keep()
    assert await kept.get() == at(0, 1)
    source.fails, source.seconds = error, 15
    with structlog.testing.capture_logs() as logs:
        assert [await kept.get() for _ in range(3)] == [at(15, None)] * 3
    assert source.reads == 2
    assert [(line["event"], line["source"], line["code"]) for line in logs] == [("figures.unread", "letters", code)]
    source.fails, source.seconds = None, 30
    assert await kept.get() == at(30, 3)


def test_who_does_not_answer_is_given_up_before_the_scraper_gives_up() -> None:
    """After 8 s, in which the others have long been read."""

    async def tell() -> None:
        source = Source()
        loop = asyncio.get_running_loop()
        began = loop.time()
        with structlog.testing.capture_logs() as logs:
            assert await source.keep().get() == at(0, None)
        assert loop.time() - began == LONGEST_READ.total_seconds()
        assert [line["code"] for line in logs] == [TIMEOUT]

    run_virtually(tell)


async def test_who_stops_waiting_takes_it_from_nobody(source: Source) -> None:
    """A scraper that goes away ends its own waiting alone."""
    source.opened.clear()
    kept = source.keep()
    first, second = asyncio.create_task(kept.get()), asyncio.create_task(kept.get())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    source.opened.set()
    assert await second == at(0, 1)
    assert (first.cancelled(), source.reads) == (True, 1)


async def test_closing_ends_what_is_under_way(source: Source) -> None:
    """Nothing reads on with clients that are closed."""
    source.opened.clear()
    kept = source.keep()
    asking = asyncio.create_task(kept.get())
    await asyncio.sleep(0)
    await kept.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
