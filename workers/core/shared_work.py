"""
Work that many wait for and that is done once.

Whoever stops waiting ends only the waiting, and what came to nothing is not kept: the next one who asks begins anew.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from contextvars import Context
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class SharedWork:
    """What is under way on one event loop, by key."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}

    def start(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """
        Begin a piece of work, unless it is under way.

        Parameters:
            key: What it is known by; the same key means the same work.
            work: Begins it.

        Returns:
            Its task; to be awaited shielded, for others may wait for it, too.
        """
        task = self._under_way.get(key)
        if task is None or task.done():
            # A context of its own: it belongs to none of those who wait, neither to a call's guard nor to a job's log.
            task = asyncio.create_task(work(), context=Context())
            self._under_way[key] = task
            task.add_done_callback(partial(self._end, key))
        return task

    async def join(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """
        Wait for a piece of work, which is begun unless it is under way.

        Parameters:
            key: What it is known by.
            work: Begins it.

        Returns:
            What comes of it; what it raises is raised to all who wait.
        """
        return await asyncio.shield(self.start(key, work))

    async def cancel(self) -> None:
        """Cancel everything that is under way, and wait for its end."""
        tasks = [*self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        if self._under_way.get(key) is task:
            del self._under_way[key]
        if not task.cancelled():
            # Where nobody waits any more the loop would report a failure that was never looked at.
            task.exception()
