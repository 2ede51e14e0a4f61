"""
Receive the jobs of one queue for dramatiq's worker, as many as the process has slots for.

Runs on dramatiq's consumer thread, one a queue. It must never raise: dramatiq would sleep three seconds and
start a new consumer, with a traceback each time.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from dramatiq_sqs.broker import SQSConsumer

from workers.core.queue.drain import Drain
from workers.core.queue.errors import QueueError, UnreadableJob
from workers.core.queue.job import Delivery, JobMessage, decode_job
from workers.core.queue.redelivery import Bury, HandBack, Outcome, plan_unknown
from workers.core.queue.slots import Slots
from workers.core.queue.source import BATCH, SourceQueue
from workers.core.queue.upkeep import Upkeep

log = structlog.get_logger(__name__)

_WAIT_FOR_SLOT = timedelta(seconds=1)
_WAIT_AFTER_ERROR_SECONDS = 2.0
_WAIT_WHILE_DRAINING_SECONDS = 0.25
_FLUSH_LIMIT = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Intake:
    """What a consumer works with; the broker makes it once a queue, so that a new consumer carries on."""

    queue: str
    """The queue's name without the stack."""

    stack: str
    """The stack whose jobs it may bring."""

    source: SourceQueue
    upkeep: Upkeep
    slots: Slots
    drain: Drain
    knows_actor: Callable[[str], bool]
    find_fault: Callable[[str, Mapping[str, object]], str | None]
    """Tells why a job, by its actor and arguments, can never be done; None where it can."""
    poll_wait_seconds: int
    deploy_grace: timedelta

    def release(self, delivery: Delivery, outcome: Outcome) -> None:
        """Free the slot at once and let the outcome be carried out."""
        self.slots.give_back(self.queue)
        self.upkeep.settle(delivery, outcome)


class JobConsumer(SQSConsumer):  # type: ignore[misc]  # dramatiq_sqs is not typed
    """The consumer of one queue."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._buffer: deque[JobMessage] = deque()
        self._busy = False

    def __next__(self) -> JobMessage | None:
        """Return the next job, or None if there is none now."""
        if not self._buffer and not self._intake.drain.begun:
            self._receive()
        if self._intake.drain.begun:
            # After the receive, not only before it: a long poll may end with messages while the worker stops.
            self._stand_down()
            return None
        return self._buffer.popleft() if self._buffer else None

    def ack(self, message: JobMessage) -> None:
        """Carry out what Outcomes decided; if nothing did, the message comes back."""
        message.settle(message.outcome or HandBack(_WAIT_FOR_SLOT))

    def nack(self, message: JobMessage) -> None:
        """Carry out what Outcomes decided; dramatiq itself rejects only what it cannot run."""
        message.settle(message.outcome or Bury("rejected by the worker"))

    def requeue(self, messages: Iterable[JobMessage]) -> None:
        """Hand back jobs that were not started."""
        for message in messages:
            message.settle(HandBack())

    def close(self) -> None:
        """Hand back what is buffered and wait, briefly, until SQS knows the outcomes."""
        self.requeue(self._buffer)
        self._buffer.clear()
        self._intake.upkeep.flush(_FLUSH_LIMIT)

    def _stand_down(self) -> None:
        self.requeue(self._buffer)
        self._buffer.clear()
        self._intake.drain.sweep()
        self._intake.drain.rest(_WAIT_WHILE_DRAINING_SECONDS)

    def _receive(self) -> None:
        """
        Receive up to ten messages.

        A queue that just had messages takes its slots first and does not wait for more; an idle one waits
        without slots, or three idle queues would keep thirty slots from the busy one, and hands back what it
        then finds no slot for.
        """
        queue, slots = self._intake.queue, self._intake.slots
        taken = slots.take(queue, BATCH) if self._busy else 0
        limit = taken or min(BATCH, slots.count_free(queue))
        if not limit:
            slots.wait_for_one(queue, _WAIT_FOR_SLOT)
            return
        deliveries = self._poll(limit, wait_seconds=0 if taken else self._intake.poll_wait_seconds)
        self._busy = bool(deliveries)
        if taken:
            slots.give_back(queue, taken - len(deliveries))
        else:
            taken = slots.take(queue, len(deliveries))
        for delivery in deliveries[:taken]:
            self._admit(delivery)
        for delivery in deliveries[taken:]:
            self._intake.upkeep.settle(delivery, HandBack())

    def _poll(self, limit: int, *, wait_seconds: int) -> list[Delivery]:
        try:
            return self._intake.source.receive(limit, wait_seconds=wait_seconds)
        except QueueError as error:
            log.warning("queue.receive_failed", queue=self._intake.queue, error=str(error))
            self._intake.drain.wait(_WAIT_AFTER_ERROR_SECONDS)
            return []

    def _admit(self, delivery: Delivery) -> None:
        try:
            message = decode_job(delivery.body, self._intake.queue, stack=self._intake.stack)
            # What no release can ever do: to try it would be a bug's five tries, each with a traceback.
            fault = self._intake.find_fault(message.actor_name, message.kwargs)
        except UnreadableJob as error:
            self._refuse(delivery, str(error))
            return
        if fault is not None:
            self._refuse(delivery, fault)
            return
        if not self._intake.knows_actor(message.actor_name):
            self._refuse_unknown(delivery, message.actor_name)
            return
        self._intake.upkeep.hold(delivery)
        self._buffer.append(JobMessage(message, delivery, self._intake.release))

    def _refuse(self, delivery: Delivery, reason: str) -> None:
        log.warning("queue.unreadable", queue=self._intake.queue, message_id=delivery.message_id, reason=reason)
        self._intake.release(delivery, Bury(f"unreadable: {reason}"))

    def _refuse_unknown(self, delivery: Delivery, actor_name: str) -> None:
        waited = datetime.now(UTC) - delivery.first_received_at
        outcome = plan_unknown(actor_name, waited, grace=self._intake.deploy_grace)
        log.warning(
            "queue.actor_unknown",
            queue=self._intake.queue,
            message_id=delivery.message_id,
            actor=actor_name,
            outcome=type(outcome).__name__,
        )
        self._intake.release(delivery, outcome)
