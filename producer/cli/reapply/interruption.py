"""
Ctrl-C and SIGTERM: the first asks for an orderly end, the second one ends at once.

Nothing that is on its way to our tables is broken off by the first: a run that is opened has its jobs sent.
"""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """What was under way was broken off, for somebody asked for the end."""


class Interruption:
    """Whether somebody asked for the end."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._task = asyncio.current_task()
        self.signal: signal.Signals | None = None

    @property
    def is_asked(self) -> bool:
        """Tell whether the end was asked for."""
        return self._asked.is_set()

    def ask(self, number: signal.Signals) -> None:
        """Ask for the end."""
        if self.signal is not None and self._task is not None:
            self._task.cancel()
        self.signal = self.signal or number
        self._asked.set()

    async def wait(self) -> None:
        """Wait until the end is asked for."""
        await self._asked.wait()

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until the end is asked for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wait()

    async def unless_asked(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Do what may be broken off.

        Parameters:
            work: Reads.

        Returns:
            Its answer.

        Raises:
            Interrupted: The end was asked for before it was there.
        """
        doing, asked = asyncio.create_task(work), asyncio.create_task(self.wait())
        try:
            await asyncio.wait({doing, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise Interrupted
            return doing.result()
        finally:
            for task in (doing, asked):
                task.cancel()
            await asyncio.gather(doing, asked, return_exceptions=True)


@contextmanager
def heed_signals() -> Iterator[Interruption]:
    """Take Ctrl-C and SIGTERM for a wish to end, while the block runs."""
    loop, interruption = asyncio.get_running_loop(), Interruption()
    for number in SIGNALS:
        loop.add_signal_handler(number, interruption.ask, number)
    try:
        yield interruption
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
