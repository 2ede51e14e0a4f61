"""
Hand back, at SIGTERM, what a worker holds but has not started.

Without it dramatiq keeps receiving while running jobs finish, and what it receives stays hidden, unstarted,
for the whole grace. Jobs that run are never touched here: dramatiq's worker waits for them.
"""

import threading
import time
from queue import PriorityQueue
from typing import Any

from dramatiq import Broker, Middleware, Worker
from dramatiq.common import iter_queue

from workers.core.queue.redelivery import HandBack


class Drain(Middleware):
    """Tells the consumers of a process that its worker is stopping."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._work_queue: PriorityQueue[Any] = PriorityQueue()

    @property
    def begun(self) -> bool:
        """Whether the worker is stopping."""
        return self._begun.is_set()

    def wait(self, seconds: float) -> None:
        """Wait for so long, or until the worker is stopping."""
        self._begun.wait(seconds)

    @staticmethod
    def rest(seconds: float) -> None:
        """Wait for so long, while the worker stops."""
        time.sleep(seconds)

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        """Let consumers receive."""
        self._work_queue = worker.work_queue
        self._begun.clear()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        """Stop receiving and hand back what no thread has started."""
        self._begun.set()
        self.sweep()

    def sweep(self) -> None:
        """
        Hand back what waits for a thread.

        Consumers call it again while the worker stops: a message that one of them passed on in the instant of
        the first sweep would else stay hidden for the whole grace.
        """
        for item in iter_queue(self._work_queue):  # type: ignore[no-untyped-call]  # dramatiq's own
            item.message.settle(HandBack())
            self._work_queue.task_done()
