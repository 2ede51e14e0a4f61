"""Doing the same for hundreds of groups, so many at once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

READS_AT_ONCE = 16
"""Groups that are read at once: each takes a few calls, one after the other."""


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
