"""The worker's event loop: dramatiq's own, on a thread that never keeps a process alive that has to end."""

from typing import Any

from dramatiq.asyncio import EventLoopThread, set_event_loop_thread
from dramatiq.middleware import AsyncIO

START_SECONDS = 10.0
"""dramatiq gives the thread one second, which a busy machine may not."""


class WorkerLoop(AsyncIO):
    """Starts the loop's thread as a daemon: a second SIGTERM would else wait for it for ever."""

    def before_worker_boot(self, broker: Any, worker: Any) -> None:  # noqa: ARG002
        """Start the loop."""
        thread = EventLoopThread(self.logger)
        thread.daemon = True
        thread.start(timeout=START_SECONDS)
        set_event_loop_thread(thread)
