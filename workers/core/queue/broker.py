"""
The broker that dramatiq's worker runs on: three queues of one stack, made by its deployment.

It never creates a queue: one made here would lack its redrive policy, alarms and encryption, and hide that
the worker looks at the wrong stack, account or Region.

An actor is declared once, with any of the three queues: the worker consumes all three whatever actors name,
and a job runs the actor that it names on whichever queue it came by. Middleware is [WorkerLoop, Outcomes, Drain,
*middleware]: WorkerLoop first, so that the loop is there before, and until after, every middleware of yours
that opens or closes clients on it. No Retries (Outcomes redelivers the same message), no TimeLimit (it
redelivers while the coroutine may still run: use asyncio.timeout in the actor), no ShutdownNotifications (the
same fault: it waits one second for a cancelled coroutine; jobs are short, the grace lets them finish).

Threads of the process = jobs at once. A service manager that stops it needs a longer limit than the grace that the
worker gives its running jobs. With `reserved`, other queues run at most threads - reserved jobs at once.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from dramatiq import Middleware
from dramatiq.errors import ConnectionFailed
from dramatiq.errors import QueueNotFound as QueueNotDeclared
from dramatiq_sqs.broker import SQSBroker

from workers.core.contract import Queue, find_fault
from workers.core.queue.consumer import Intake, JobConsumer
from workers.core.queue.drain import Drain
from workers.core.queue.errors import QueueError, QueueMissing, QueueUnreachable
from workers.core.queue.loop import WorkerLoop
from workers.core.queue.names import name_dead_letter_queue, name_queue
from workers.core.queue.outcomes import Outcomes
from workers.core.queue.slots import Slots
from workers.core.queue.source import SourceQueue, explain
from workers.core.queue.upkeep import Upkeep

log = structlog.get_logger(__name__)

_MAX_CONNECTIONS = 100
_ANSWER_SECONDS = 8
_CLOSE_LIMIT = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class QueuePeriods:
    """The queue's durations."""

    visibility: timedelta = timedelta(seconds=60)
    """How long a message stays hidden without a renewal: a killed worker's jobs come back after this."""

    heartbeat: timedelta = timedelta(seconds=15)
    """Time between two renewals of the messages that a process holds."""

    poll_wait_seconds: int = 2
    """How long SQS waits for a first message, 0 to 20; a worker that stops waits for it."""

    deploy_grace: timedelta = timedelta(minutes=15)
    """How long a job whose actor is unknown is handed back before it is dead-lettered."""

    def __post_init__(self) -> None:
        if self.visibility < timedelta(seconds=1) or self.heartbeat * 2 > self.visibility:
            raise ValueError("a heartbeat must be at most half of the visibility, which is at least 1 second")


class JobBroker(SQSBroker):  # type: ignore[misc]  # dramatiq_sqs is not typed
    """
    dramatiq's door to the stack's queues.

    Its client is made from the SDK's own variables, and makes no call yet.

    Parameters:
        stack: The prefix of the queues.
        periods: The queue's durations.
        capacity: Jobs that the process holds at once; by default the worker's threads.
        reserved: Slots that only the named queue may take; at most half of all, on a small worker.
        outcomes: Decides what becomes of each job.
        middleware: More middleware, after our own.

    Raises:
        QueueUnreachable: If the SDK's variables name no Region.
    """

    def __init__(
        self,
        *,
        stack: str = "prelaunch",
        periods: QueuePeriods | None = None,
        capacity: int | None = None,
        reserved: Mapping[str, int] | None = None,
        outcomes: Outcomes | None = None,
        middleware: Sequence[Middleware] = (),
    ) -> None:
        self.stack = stack
        self.periods = periods or QueuePeriods()
        self._capacity = capacity
        self._reserved = reserved
        self._slots: Slots | None = None
        self._intakes: dict[str, Intake] = {}
        self._opening = threading.Lock()
        self._drain = Drain()
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=_MAX_CONNECTIONS,
            connect_timeout=_ANSWER_SECONDS,
            # A renewal behind a dead connection must end well before the visibility does.
            read_timeout=self.periods.poll_wait_seconds + _ANSWER_SECONDS,
        )
        try:
            ours = [WorkerLoop(), outcomes or Outcomes(), self._drain]
            super().__init__(middleware=[*ours, *middleware], config=config)
        except BotoCoreError as error:
            raise QueueUnreachable("an unknown endpoint", error) from error
        for queue in Queue:
            self.declare_queue(queue.value)

    @property
    def consumer_class(self) -> type[JobConsumer]:
        """The consumer that dramatiq's worker gets for each queue."""
        return JobConsumer

    def check_queues(self) -> None:
        """
        Look up every queue and dead-letter queue; QueueUnreachable says that SQS did not answer.

        Raises:
            QueueMissing: If any does not exist; names them all.
        """
        missing: list[str] = []
        for queue in Queue:
            for name in (name_queue(self.stack, queue), name_dead_letter_queue(self.stack, queue)):
                try:
                    self._find_url(name)
                except QueueMissing as error:
                    missing += error.names
        if missing:
            raise QueueMissing(missing)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 0) -> JobConsumer:  # noqa: ARG002
        """
        Make a consumer of one queue.

        Parameters:
            queue_name: The queue's name without the stack.
            prefetch: Twice the worker's threads.
            timeout: Unused: the poll's wait is a setting.

        Raises:
            ConnectionFailed: If the queue cannot be found; dramatiq logs one line and tries again.

        Returns:
            The consumer; what it works with outlives it, so that a restarted one carries on.
        """
        try:
            return self.consumer_class(self._open_intake(queue_name, threads=prefetch // 2))
        except QueueError as error:
            raise ConnectionFailed(str(error)) from error  # type: ignore[no-untyped-call]  # dramatiq's own

    def close(self) -> None:
        """Carry out the outcomes that are left, and stop renewing: running jobs come back to others."""
        for intake in self._intakes.values():
            intake.upkeep.close(_CLOSE_LIMIT)
        self._intakes.clear()
        self._slots = None
        self.sqs.meta.client.close()

    def _open_intake(self, queue: str, *, threads: int) -> Intake:
        with self._opening:
            if queue not in self._intakes:
                self._intakes[queue] = self._make_intake(queue, threads)
                if self._intakes.keys() == self.queue_names:
                    log.info("worker.consuming", stack=self.stack, queues=sorted(self._intakes), threads=threads)
            return self._intakes[queue]

    def _make_intake(self, queue: str, threads: int) -> Intake:
        if self._slots is None:
            total = self._capacity or max(1, threads)
            # A reserve made for 64 threads must not keep a small worker from doing anything else.
            reserved = {name: min(count, total // 2) for name, count in (self._reserved or {}).items()}
            self._slots = Slots(total, reserved=reserved)
        name = name_queue(self.stack, queue)
        source = SourceQueue(
            client=self.sqs.meta.client,
            queue=queue,
            name=name,
            url=self._find_url(name),
            dead_letter_url=self._find_url(name_dead_letter_queue(self.stack, queue)),
            visibility_seconds=int(self.periods.visibility.total_seconds()),
        )
        return Intake(
            queue=queue,
            stack=self.stack,
            source=source,
            upkeep=Upkeep(source, heartbeat=self.periods.heartbeat),
            slots=self._slots,
            drain=self._drain,
            knows_actor=self.actors.__contains__,
            find_fault=find_fault,
            poll_wait_seconds=self.periods.poll_wait_seconds,
            deploy_grace=self.periods.deploy_grace,
        )

    def _ensure_queue(self, queue_name: str) -> None:
        """Find the queue that dramatiq_sqs is about to send to; its own version would create it."""
        if queue_name not in self.queue_names:
            raise QueueNotDeclared(queue_name)  # type: ignore[no-untyped-call]  # dramatiq's own
        if queue_name not in self.queues:
            self.queues[queue_name] = self.sqs.Queue(self._find_url(name_queue(self.stack, queue_name)))

    def _find_url(self, name: str) -> str:
        client: Any = self.sqs.meta.client
        try:
            return str(client.get_queue_url(QueueName=name)["QueueUrl"])
        except (BotoCoreError, ClientError) as error:
            raise explain(error, name, client) from error
