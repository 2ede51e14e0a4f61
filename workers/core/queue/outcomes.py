"""
Turn how an actor ended into what becomes of its message.

This takes the place of dramatiq's Retries, which sends a *new* message for each try and loses the job when
that send fails. Nothing is acknowledged here but an actor that returned.
"""

import random
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import structlog
from dramatiq import Actor, Broker, Middleware
from dramatiq.broker import MessageProxy

from workers.core.priority import set_priority
from workers.core.queue.job import JobMessage
from workers.core.queue.redelivery import (
    Acknowledge,
    Bury,
    DeadLetter,
    HandBack,
    Outcome,
    Redeliver,
    plan_backoff,
    plan_retry,
)

log = structlog.get_logger(__name__)

_REMEMBERED = 10_000
_JITTER = random.SystemRandom()


class Outcomes(Middleware):
    """
    Decides the outcome of every job; the consumer carries it out.

    Parameters:
        draw: A random number from 0 to 1, for the jitter of retries.
    """

    def __init__(self, *, draw: Callable[[], float] = _JITTER.random) -> None:
        self._draw = draw
        self._failures = FailureCounts()

    def before_declare_actor(self, broker: Broker, actor: "Actor[..., Any]") -> None:  # noqa: ARG002
        """Keep dramatiq from logging what is logged here, and the instructions of actors as errors."""
        actor.options.setdefault("throws", (BaseException,))

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:  # noqa: ARG002
        """Set the priority of what the actor does: its coroutine runs in a copy of this thread's context."""
        set_priority(message.queue_name)

    def after_process_message(
        self,
        broker: Broker,  # noqa: ARG002
        message: MessageProxy,
        *,
        result: object = None,  # noqa: ARG002
        exception: BaseException | None = None,
    ) -> None:
        """Decide the outcome."""
        if isinstance(message, JobMessage):
            message.outcome = self._decide(message, exception)

    def _decide(self, message: JobMessage, exception: BaseException | None) -> Outcome:
        event = log.bind(
            queue=message.queue_name,
            actor=message.actor_name,
            message_id=message.delivery.message_id,
            receive_count=message.delivery.receive_count,
        )
        match exception:
            case Redeliver():
                delay = exception.delay
                if delay is None:
                    delay = plan_backoff(message.delivery.receive_count, jitter=self._draw())
                event.info("queue.redelivered", delay=delay.total_seconds(), reason=exception.reason)
                return HandBack(delay)
            case None:
                self._failures.forget(message.delivery.message_id)
                return Acknowledge()
            case DeadLetter():
                event.warning("queue.dead_lettered", reason=exception.reason)
                return self._bury(message, exception.reason)
            case _:
                return self._plan(message, exception, event)

    def _plan(
        self, message: JobMessage, exception: BaseException, event: structlog.typing.FilteringBoundLogger
    ) -> Outcome:
        failures = self._failures.add(message.delivery.message_id)
        delay = plan_retry(failures, jitter=self._draw())
        cause = f"{type(exception).__name__}: {exception}"
        event.error("queue.job_failed", failures=failures, retried=delay is not None, exc_info=exception)
        if delay is not None:
            return HandBack(delay)
        event.warning("queue.dead_lettered", reason=cause)
        return self._bury(message, cause)

    def _bury(self, message: JobMessage, reason: str) -> Bury:
        self._failures.forget(message.delivery.message_id)
        return Bury(reason)


class FailureCounts:
    """
    How often each message failed by a bug in this process.

    SQS's own receive count cannot say it: hand-backs (throttled, lease held, SIGTERM) count there too, so a
    job that waited its turn five times would be dead-lettered by its first failure.
    """

    def __init__(self, limit: int = _REMEMBERED) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._limit = limit
        self._lock = threading.Lock()

    def add(self, message_id: str) -> int:
        """Count one failure and return how many there are."""
        with self._lock:
            count = self._counts.pop(message_id, 0) + 1
            self._counts[message_id] = count
            if len(self._counts) > self._limit:
                self._counts.popitem(last=False)
            return count

    def forget(self, message_id: str) -> None:
        """Stop counting for a message that will not come back."""
        with self._lock:
            self._counts.pop(message_id, None)
