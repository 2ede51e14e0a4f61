"""Doing the same for hundreds of groups, so many at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

READS_AT_ONCE = 16
"""Groups that are read at once: each takes a few calls, one after the other."""


class Room:
    """
    Room for so many source servers at once, of whichever groups; who waits longest is next.

    Parameters:
        most: How many there is room for.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._places = asyncio.Semaphore(most)
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def take(self, number: int) -> AsyncIterator[None]:
        """Wait for so many places, at the most for all, and have them while the block runs."""
        wanted, taken = min(number, self._most), 0
        try:
            # Two that each have half of what they need would wait for each other.
            async with self._turn:
                while taken < wanted:
                    await self._places.acquire()
                    taken += 1
            yield
        finally:
            for _ in range(taken):
                self._places.release()


async def do_all(
    items: Iterable[T],
    work: Callable[[T], Awaitable[R]],
    at_once: int = READS_AT_ONCE,
    tell: Callable[[int, int], None] = lambda _done, _of: None,
) -> list[R]:
    """
    Do something for each item.

    Parameters:
        items: Any number.
        work: Called with each; the first exception ends all of it.
        at_once: How many are in hand at the same time.
        tell: Called with how many are done, of how many: before the first, and after each.

    Returns:
        The answers, in the order of the items.
    """
    gate = asyncio.Semaphore(at_once)
    done = 0

    async def do(item: T) -> R:
        nonlocal done
        async with gate:
            answer = await work(item)
        done += 1
        tell(done, len(tasks))
        return answer

    tasks = [asyncio.create_task(do(item)) for item in items]
    if tasks:
        tell(0, len(tasks))
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
