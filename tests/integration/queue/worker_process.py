"""A worker in a process of its own, for tests that end it by a signal."""

import asyncio
import os
import signal
import sys
import threading
from datetime import timedelta

import dramatiq
from dramatiq.middleware import AsyncIO
from dramatiq_sqs import SQSBroker

from workers.core.contract import Queue
from workers.core.logs import configure_logs
from workers.core.queue.broker import JobBroker, QueuePeriods


async def hold() -> None:
    """Run until killed."""
    print("running", flush=True)  # noqa: T201 - what the test waits for
    await asyncio.Event().wait()


async def hold_until_term() -> None:
    """Run until this process is told to stop, and a little longer."""
    print("running", flush=True)  # noqa: T201 - what the test waits for
    await asyncio.to_thread(stopping.wait)
    await asyncio.sleep(2)


class Stopping(dramatiq.Middleware):
    """Tells the jobs that the worker is stopping."""

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Let the jobs end."""
        stopping.set()


stopping = threading.Event()


def make_broker() -> None:
    """Make our broker and set it as dramatiq's own, as a composition root does."""
    broker = JobBroker(
        stack=os.environ["TEST_STACK"],
        capacity=int(os.environ["TEST_CAPACITY"]),
        periods=QueuePeriods(poll_wait_seconds=1),
        middleware=[Stopping()],
    )
    broker.check_queues()
    dramatiq.actor(broker=broker, queue_name=Queue.NORMAL)(hold_until_term)
    dramatiq.set_broker(broker)


def main(kind: str, stack: str) -> None:
    """Run one worker of that kind until killed."""
    # To standard error, as the product's: standard output says what a job does.
    configure_logs()
    periods = QueuePeriods(visibility=timedelta(seconds=2), heartbeat=timedelta(seconds=1), poll_wait_seconds=1)
    broker: dramatiq.Broker
    if kind == "plain":
        broker = SQSBroker(namespace=stack, middleware=[AsyncIO()])
    else:
        broker = JobBroker(stack=stack, periods=periods)
    dramatiq.actor(broker=broker, queue_name=Queue.NORMAL)(hold)
    dramatiq.Worker(broker, worker_threads=2).start()
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
