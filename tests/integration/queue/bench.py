"""The same scenario on two brokers: ours, and dramatiq_sqs as it comes.

A scenario that finds no difference between them shows no cure.
"""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.middleware import AsyncIO, Middleware
from dramatiq_sqs import SQSBroker

from tests.integration.queue.sqs import Stack
from workers.core.contract import Queue
from workers.core.queue.broker import JobBroker, QueuePeriods

PERIODS = QueuePeriods(poll_wait_seconds=1)


@dataclass(frozen=True)
class Side:
    """A broker and the queue behind its `jobs`."""

    broker: Any
    url: str

    def declare(self, fn: Any) -> Any:
        return dramatiq.actor(broker=self.broker, queue_name=Queue.NORMAL)(fn)

    def fail_calls(self, operation: str) -> None:
        """Let every call of one operation end without an answer."""
        self.broker.sqs.meta.client.meta.events.register(f"before-call.sqs.{operation}", _hang_up)


def make_ours(stack: Stack, *, periods: QueuePeriods = PERIODS, **options: Any) -> Side:
    return Side(JobBroker(stack=stack.name, periods=periods, **options), stack.find_url(Queue.NORMAL))


def make_plain(stack: Stack, *, middleware: Any = (), **options: Any) -> Side:
    broker = SQSBroker(namespace=stack.name, middleware=[AsyncIO(), *middleware], **options)
    broker.declare_queue(Queue.NORMAL)
    broker._ensure_queue(Queue.NORMAL)
    return Side(broker, broker.queues[Queue.NORMAL].url)


@contextmanager
def run_worker(side: Side, *, threads: int = 4, stop_ms: int = 5000) -> Iterator[dramatiq.Worker]:
    worker = dramatiq.Worker(side.broker, worker_threads=threads, worker_timeout=100)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop(timeout=stop_ms)
        side.broker.close()


class Gate:
    """Where jobs wait, running, until the test lets them go on."""

    def __init__(self, wanted: int) -> None:
        self.running = 0
        self.passed = 0
        self._wanted = wanted
        self._full = threading.Event()
        self._opened: Future[None] = Future()

    async def enter(self) -> None:
        """Wait, as a job; all jobs run on the one loop, so that counting needs no lock."""
        self.running += 1
        if self.running >= self._wanted:
            self._full.set()
        await asyncio.shield(asyncio.wrap_future(self._opened))
        self.running -= 1
        self.passed += 1

    def wait_until_full(self, seconds: float) -> bool:
        return self._full.wait(seconds)

    def open(self) -> None:
        self._opened.set_result(None)


class Tally:
    """Counts what jobs did and tells when there were enough."""

    def __init__(self, wanted: int) -> None:
        self.items: list[Any] = []
        self._wanted = wanted
        self._reached = threading.Event()

    def add(self, item: Any) -> None:
        self.items.append(item)
        if len(self.items) >= self._wanted:
            self._reached.set()

    def wait(self, seconds: float) -> bool:
        return self._reached.wait(seconds)


class Settled(Middleware):
    """Counts the messages that dramatiq is done with."""

    def __init__(self, wanted: int) -> None:
        self.tally = Tally(wanted)

    def after_ack(self, broker: object, message: MessageProxy) -> None:
        self.tally.add(message)

    after_nack = after_ack


def _hang_up(**_: Any) -> None:
    raise ConnectionResetError("the connection was cut")
