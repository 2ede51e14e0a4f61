"""Threads with a loop and clients of their own, which meet at the database as so many processes would."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

_T = TypeVar("_T")
MEETING_SECONDS = 60


class Fleet:
    """As many loops as clients, each on a thread."""

    def __init__(self, clients: list[Any], loops: list[asyncio.AbstractEventLoop]) -> None:
        self._clients = clients
        self._loops = loops

    async def do(self, many: int, work: Callable[[Any, int], Awaitable[_T]]) -> list[_T]:
        """
        Do a piece of work many times, shared out to the threads, which begin at the same moment.

        Parameters:
            many: How often; at least as often as there are threads.
            work: Is given the clients of its thread, and its number.

        Returns:
            What came of each, by its number.
        """
        count = len(self._loops)
        begin = threading.Barrier(count)

        async def share(thread: int) -> list[_T]:
            begin.wait(MEETING_SECONDS)
            return await asyncio.gather(*(work(self._clients[thread], n) for n in range(thread, many, count)))

        sharing = (asyncio.run_coroutine_threadsafe(share(n), loop) for n, loop in enumerate(self._loops))
        shares = await asyncio.gather(*map(asyncio.wrap_future, sharing))
        return [shares[number % count][number // count] for number in range(many)]


@contextmanager
def open_fleet(connect: Callable[[], AbstractAsyncContextManager[Any]], count: int) -> Iterator[Fleet]:
    """
    Open a fleet while the block runs.

    Parameters:
        connect: Makes the clients of one loop.
        count: How many threads there are.

    Yields:
        The fleet, once every client is made.
    """
    loops = [asyncio.new_event_loop() for _ in range(count)]
    threads = [threading.Thread(target=loop.run_forever) for loop in loops]
    for thread in threads:
        thread.start()
    connections = [connect() for _ in loops]
    try:
        yield Fleet([_run(loop, c.__aenter__()) for loop, c in zip(loops, connections, strict=True)], loops)
    finally:
        for loop, connection, thread in zip(loops, connections, threads, strict=True):
            _run(loop, connection.__aexit__(None, None, None))
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


def _run(loop: asyncio.AbstractEventLoop, making: Any) -> Any:
    return asyncio.run_coroutine_threadsafe(making, loop).result(MEETING_SECONDS)
