"""
Work that keeps a processor busy, done beside the event loop: a loop that did it itself would stand still for so long.

Making one of the SDK's clients is such work: some ten milliseconds for its session, and more for EC2's hundreds of
methods, for each account that a worker comes to while it is at work for others.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")


class Aside(Protocol):
    """Where work is done that must not keep the loop."""

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do a piece of work."""

    def close(self) -> None:
        """Begin no more of it."""


class OneThread:
    """One thread, for the SDK's sessions are not made to be used by several at once."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aside")

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """
        Do a piece of work on a loop of the thread's own.

        Parameters:
            work: Waits for nothing and nobody: whatever comes after it waits for its end.

        Returns:
            What comes of it; what it raises is raised.
        """

        async def await_it() -> T:
            return await work()

        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: asyncio.run(await_it()))

    def close(self) -> None:
        """Begin no more of it; what was begun comes to its end by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)
