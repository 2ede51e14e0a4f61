"""
How a worker process comes up and ends: made fit for its work, tied to its parent, its use cases opened on its loop.

Everything that lives on the event loop is made when the worker boots, on its loop, and closed when it stops. What the
use cases are made of is main's alone to know.
"""

import asyncio
import ctypes
import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Protocol

import dramatiq
import structlog
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.middleware import MiddlewareError

from workers.actors import UseCases
from workers.aws.clients import Clients
from workers.core.errors import PrelaunchError, RetryableError, SetupError
from workers.core.settings import Settings

log = structlog.get_logger()

OPENINGS = 3
"""How often a process tries to come up: one that was stopped meanwhile finds its time gone, and nothing else wrong."""
PR_SET_PDEATHSIG = 1
"""Linux, prctl(2): the signal that the kernel sends when the parent ends."""
SWITCH_SECONDS = 0.001
"""How long the loop waits at most for a thread that keeps the interpreter busy; CPython's own is 5 ms, each time."""
COLLECTED_AFTER = (10_000, 20, 50)
"""Garbage is looked for after so many new objects, among older ones the more rarely: CPython's own are 700, 10, 10."""


class OpenedUseCases(UseCases, Protocol):
    """What a process opens: what its actors call, and what it does by itself from time to time."""

    async def run_sweeps(self) -> None:
        """Sweep again and again, until cancelled."""

    async def run_watches(self) -> None:
        """Ask for a watch again and again, until cancelled."""

    async def close(self) -> None:
        """Hand out no more turns to call AWS."""


class OpenUseCases(dramatiq.Middleware):
    """Makes the use cases when the worker boots, on its loop, and closes their clients when it stops."""

    def __init__(self, settings: Settings, wire: Callable[[Settings, Clients], Awaitable[OpenedUseCases]]) -> None:
        self._settings = settings
        self._wire = wire
        self._closing = AsyncExitStack()
        self._wired: OpenedUseCases | None = None
        self._timers: list[asyncio.Task[None]] = []

    def wired(self) -> UseCases:
        """
        Answer the use cases of the running worker.

        Returns:
            The use cases.

        Raises:
            SetupError: No worker has booted in this process.
        """
        if self._wired is None:
            raise SetupError("No worker has booted in this process.")
        return self._wired

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:  # noqa: ARG002
        """Wire on the loop that AsyncIO has just started."""
        loop = get_event_loop_thread()
        if loop is None:
            raise MiddlewareError("The event loop did not start.")
        try:
            loop.run_coroutine(self._open())
        except PrelaunchError as error:
            # Of anything else dramatiq would only write a line, and then consume jobs that nobody can do.
            raise MiddlewareError(error.message) from error

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:  # noqa: ARG002
        """Close the clients while the loop still runs."""
        loop = get_event_loop_thread()
        if loop is not None:
            loop.run_coroutine(self._close())

    async def _open(self) -> None:
        for left in reversed(range(OPENINGS)):
            try:
                await self._open_once()
            except RetryableError as error:
                await self._closing.aclose()
                if not left:
                    raise
                log.warning("worker.opens_again", code=error.code, reason=error.message)
            else:
                return

    async def _open_once(self) -> None:
        clients = await self._closing.enter_async_context(Clients(connections=2 * self._settings.threads))
        await clients.warm()
        self._wired = await self._wire(self._settings, clients)
        _spare_what_stays()
        runs = (self._wired.run_sweeps(), self._wired.run_watches())
        self._timers = [asyncio.create_task(each) for each in runs]

    async def _close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._timers:
            await asyncio.wait(self._timers)
        if self._wired is not None:
            await self._wired.close()
        await self._closing.aclose()


def _spare_what_stays() -> None:
    """
    Let the garbage collector leave alone what there is now: modules, and the SDK's models of the services.

    All of it stays until the process ends, and a full collection that goes through it lets the loop stand still.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)


def tune() -> None:
    """Let the loop have the interpreter soon, whatever a thread does meanwhile."""
    sys.setswitchinterval(SWITCH_SECONDS)


def follow_parent() -> None:
    """
    Tie this process, which dramatiq's CLI forked, to its parent alone.

    In a session of its own a SIGTERM to the parent's group reaches it once, from the parent, and not twice, which
    dramatiq takes for a kill. And it ends with its parent: an orphan would go on beside the worker that replaces it.
    """
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        # It was killed between the fork and the line above, of which the kernel tells nobody. At once: dramatiq's CLI
        # would first tell it that this process has booted, and wait for ever for a dead one to hear that.
        os._exit(1)
