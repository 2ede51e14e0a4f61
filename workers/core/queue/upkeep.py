"""
Keep a queue's held messages hidden while their jobs run, and carry out what was decided about them.

One daemon thread a queue does both, one after the other: so a renewal can never be on the wire behind a
hand-back and undo it, and worker threads never wait for SQS. Nothing here may end that thread or hold a slot:
what SQS refuses is tried again a few times and then left to the visibility timeout (at least once).
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from workers.core.queue.errors import QueueError
from workers.core.queue.job import Delivery
from workers.core.queue.redelivery import Acknowledge, Bury, HandBack, Outcome
from workers.core.queue.source import BATCH, Failure, SourceQueue, batch
from workers.core.retry import back_off

log = structlog.get_logger(__name__)

MAX_TRIES = 5
"""Tries of one outcome before the message is left to come back by itself."""

_FIRST_WAIT = timedelta(milliseconds=200)
_LONGEST_WAIT = timedelta(seconds=5)


@dataclass(slots=True, eq=False)
class _Task:
    delivery: Delivery
    outcome: Outcome
    tries: int = 0
    due_at: float = 0.0


class Upkeep:
    """
    The thread that renews, deletes, hands back and buries the messages of one queue.

    Parameters:
        source: The queue.
        heartbeat: Time between two renewals; a quarter of the visibility timeout leaves three to fail.
        clock: Seconds that never jump.
    """

    def __init__(
        self,
        source: SourceQueue,
        *,
        heartbeat: timedelta,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._heartbeat = heartbeat.total_seconds()
        self._clock = clock
        self._changed = threading.Condition()
        self._held: dict[str, Delivery] = {}
        self._tasks: list[_Task] = []
        self._buried = 0
        self._working = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"upkeep-{source.name}", daemon=True)
        self._thread.start()

    def hold(self, delivery: Delivery) -> None:
        """Keep a message hidden until it is settled."""
        with self._changed:
            self._held[delivery.receipt_handle] = delivery

    def settle(self, delivery: Delivery, outcome: Outcome) -> None:
        """Stop renewing a message and carry out its outcome soon; returns at once."""
        with self._changed:
            self._held.pop(delivery.receipt_handle, None)
            self._tasks.append(_Task(delivery, outcome))
            self._changed.notify_all()

    def flush(self, limit: timedelta) -> bool:
        """Wait until every outcome is carried out or given up; answer False if the limit came first."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._tasks or self._working), timeout=limit.total_seconds())

    def close(self, limit: timedelta) -> None:
        """Carry out what is left, within the limit, and end the thread; what is still held comes back."""
        self.flush(limit)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(limit.total_seconds())

    def _run(self) -> None:
        renew_at = self._clock() + self._heartbeat
        while (due := self._wait_for_work(renew_at)) is not None:
            try:
                if self._clock() >= renew_at:
                    renew_at = self._clock() + self._heartbeat
                    self._renew()
                self._carry_out(due)
            except Exception:
                # Without this thread every running job would be delivered twice.
                log.exception("queue.upkeep_failed", queue=self._source.queue)

    def _wait_for_work(self, renew_at: float) -> list[_Task] | None:
        with self._changed:
            self._working = False
            self._changed.notify_all()
            while not self._closing:
                now = self._clock()
                # A few at a time: renewals must get their turn between calls that hang.
                due = [task for task in self._tasks if task.due_at <= now][:BATCH]
                if due or now >= renew_at:
                    self._tasks = [task for task in self._tasks if task not in due]
                    self._working = True
                    return due
                next_at = min([renew_at, *(task.due_at for task in self._tasks)])
                self._changed.wait(next_at - now)
        return None

    def _renew(self) -> None:
        with self._changed:
            held = list(self._held.values())
        for part in batch(held):
            # A message settled since then is about to be deleted or handed back: renewing it is only waste.
            still_held = [(d, self._source.visibility_seconds) for d in part if d.receipt_handle in self._held]
            if not still_held:
                continue
            try:
                failures = self._source.hide(still_held)
            except QueueError as error:
                log.warning("queue.renewal_failed", queue=self._source.queue, error=str(error))
                continue
            for failure in failures:
                self._lose(failure)

    def _lose(self, failure: Failure) -> None:
        if failure.gone:
            with self._changed:
                self._held.pop(failure.delivery.receipt_handle, None)
        log.info(
            "queue.renewal_refused",
            queue=self._source.queue,
            message_id=failure.delivery.message_id,
            code=failure.code,
        )

    def _carry_out(self, tasks: Sequence[_Task]) -> None:
        for task in tasks:
            if isinstance(task.outcome, Bury):
                self._bury(task, task.outcome.reason)
        self._in_batches(
            (task for task in tasks if isinstance(task.outcome, Acknowledge)),
            lambda part: self._source.delete([task.delivery for task in part]),
        )
        self._in_batches(
            (task for task in tasks if isinstance(task.outcome, HandBack)),
            lambda part: self._source.hide([(task.delivery, _whole_seconds(task.outcome)) for task in part]),
        )

    def _bury(self, task: _Task, reason: str) -> None:
        try:
            self._source.bury(task.delivery, reason)
        except QueueError as error:
            self._try_again(task, str(error))
        else:
            self._buried += 1
            log.warning(
                "queue.buried",
                queue=self._source.queue,
                message_id=task.delivery.message_id,
                reason=reason,
                buried=self._buried,
            )
            # From here on it is only a delete: trying the whole again would bury a second copy.
            task.outcome = Acknowledge()
            task.tries = 0

    def _in_batches(self, tasks: Iterable[_Task], call: Callable[[Sequence[_Task]], Sequence[Failure]]) -> None:
        for part in batch(tasks):
            try:
                failures = call(part)
            except QueueError as error:
                for task in part:
                    self._try_again(task, str(error))
                continue
            failed = {failure.delivery.receipt_handle: failure for failure in failures if not failure.gone}
            for task in part:
                if failure := failed.get(task.delivery.receipt_handle):
                    self._try_again(task, failure.code)

    def _try_again(self, task: _Task, cause: str) -> None:
        task.tries += 1
        if task.tries >= MAX_TRIES:
            log.warning(
                "queue.outcome_given_up",
                queue=self._source.queue,
                message_id=task.delivery.message_id,
                outcome=type(task.outcome).__name__,
                cause=cause,
            )
            return
        wait = back_off(task.tries, first=_FIRST_WAIT, longest=_LONGEST_WAIT)
        task.due_at = self._clock() + wait.total_seconds()
        with self._changed:
            self._tasks.append(task)


def _whole_seconds(outcome: Outcome) -> int:
    return math.ceil(outcome.delay.total_seconds()) if isinstance(outcome, HandBack) else 0
