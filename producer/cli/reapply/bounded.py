"""Doing the same for hundreds of groups, so many at once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

READS_AT_ONCE = 16
"""Groups that are read at once: each takes a few calls, one after the other."""


async def do_all(items: Iterable[T], work: Callable[[T], Awaitable[R]], at_once: int = READS_AT_ONCE) -> list[R]:
    """
    Do something for each item.

    Parameters:
        items: Any number.
        work: Called with each; the first exception ends all of it.
        at_once: How many are in hand at the same time.

    Returns:
        The answers, in the order of the items.
    """
    gate = asyncio.Semaphore(at_once)

    async def do(item: T) -> R:
        async with gate:
            return await work(item)

    tasks = [asyncio.create_task(do(item)) for item in items]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
