"""
A standard queue whose every call costs the same at any depth.

It answers receipt handles as AWS does: an old one is accepted and does nothing, one of a deleted message is
accepted too, garbage is refused. A long poll must wake as soon as there is a message, and must never take
one for a client that is gone.
"""

import base64
import copy
import heapq
import json
import threading
import time
from collections import Counter, deque
from itertools import count
from uuid import uuid4

from moto.core.utils import unix_time_millis
from moto.sqs.exceptions import InvalidParameterValue, ReceiptHandleIsInvalid
from moto.sqs.models import Message, Queue

from infra.local.httpd import client_is_connected

_VISIBILITY_LIMIT_MS = 43_200_000
_MEASURED_MS = 900_000


class StandardQueue(Queue):
    """A standard queue: every message is ready, delayed or in flight, and knows until when."""

    def adopt(self) -> None:
        """Take over a queue that moto has just made."""
        self._changed = threading.Condition()
        self._order = count()
        self._receives: deque[tuple[float, int]] = deque()
        """When it was asked for messages, in milliseconds, and how many there were; none older than is measured."""
        self._clear()

    def _clear(self) -> None:
        self._by_id: dict[str, Message] = {}
        self._ready: dict[str, deque[tuple[int, str]]] = {}
        self._hidden: dict[str, tuple[float, bool]] = {}
        """When a message comes back, in milliseconds, and whether it is in flight."""
        self._due: list[tuple[float, int, str]] = []
        self._in_flight: Counter[str] = Counter()

    @property
    def _messages(self) -> list[Message]:
        return list(self._by_id.values())

    @_messages.setter
    def _messages(self, messages: list[Message]) -> None:
        with self._changed:
            self._clear()
            for message in messages:
                self._put_ready(message)

    @property
    def approximate_number_of_messages(self) -> int:
        """Count what can be received now."""
        with self._changed:
            self._bring_back()
            return len(self._by_id) - len(self._hidden)

    @property
    def approximate_number_of_messages_not_visible(self) -> int:
        """Count what is in flight."""
        with self._changed:
            self._bring_back()
            return self._in_flight.total()

    @property
    def approximate_number_of_messages_delayed(self) -> int:
        """Count what was sent with a delay that still runs."""
        with self._changed:
            self._bring_back()
            return len(self._hidden) - self._in_flight.total()

    def add_message(self, message: Message) -> None:
        """Take a message in and wake one who waits for it."""
        with self._changed:
            self._by_id[message.id] = message
            if message.delayed:
                self._hide(message, message.delayed_until, in_flight=False)
            else:
                self._put_ready(message)

    def receive(self, number: int, wait_seconds: float, visibility_seconds: int) -> list[Message]:
        """Receive up to `number` messages; wait for the first one as long as told."""
        deadline = time.monotonic() + wait_seconds
        taken: list[Message] = []
        dead: list[Message] = []
        with self._changed:
            while True:
                if not client_is_connected():
                    self._changed.notify()
                    break
                self._bring_back()
                self._take(number, visibility_seconds, taken, dead)
                pause = deadline - time.monotonic()
                if taken or pause <= 0:
                    break
                self._changed.wait(min(pause, self._seconds_to_next()))
            self._count_receive(len(taken))
        for message in dead:
            if self.dead_letter_queue is not None:
                self.dead_letter_queue.add_message(message)
        return taken

    def count_receives(self, since_ms: float) -> tuple[int, int]:
        """Count the messages that were received since then, and the receives that found none."""
        with self._changed:
            counts = [number for at, number in self._receives if at >= since_ms]
        return sum(counts), counts.count(0)

    def _count_receive(self, number: int) -> None:
        now = unix_time_millis()
        self._receives.append((now, number))
        while self._receives[0][0] < now - _MEASURED_MS:
            self._receives.popleft()

    def delete_message(self, receipt_handle: str) -> None:
        """Delete the message, if the handle is of its latest receive."""
        with self._changed:
            message = self._by_latest_handle(receipt_handle)
            if message is None:
                return
            self._forget(message)

    def change_visibility(self, receipt_handle: str, seconds: int) -> None:
        """
        Move the end of a message's invisibility.

        AWS accepts a handle whose time is over, or which a later receive has replaced, and does nothing; one
        of a deleted message is an InvalidParameterValue.
        """
        with self._changed:
            self._bring_back()
            message = self._by_latest_handle(receipt_handle)
            if message is None:
                if _read_handle(self, receipt_handle)[0] in self._by_id:
                    return
                raise InvalidParameterValue(
                    f"Value {receipt_handle} for parameter ReceiptHandle is invalid. Reason: Message does "
                    "not exist or is not available for visibility timeout change."
                )
            if message.id not in self._hidden:
                return
            until = unix_time_millis() + int(seconds) * 1000
            if until - (message.approximate_first_receive_timestamp or until) > _VISIBILITY_LIMIT_MS:
                raise InvalidParameterValue(
                    f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Total "
                    "VisibilityTimeout for the message is beyond the limit [43200 seconds]"
                )
            self._show(message)
            if seconds:
                self._hide(message, until, in_flight=True)
            else:
                self._put_ready(message)

    def _by_latest_handle(self, receipt_handle: str) -> Message | None:
        message_id, receives = _read_handle(self, receipt_handle)
        message = self._by_id.get(message_id)
        return message if message and message.approximate_receive_count == receives else None

    def _put_ready(self, message: Message) -> None:
        self._by_id[message.id] = message
        self._ready.setdefault(message.group_id or "", deque()).append((next(self._order), message.id))
        self._changed.notify()

    def _hide(self, message: Message, until_ms: float, *, in_flight: bool) -> None:
        self._hidden[message.id] = until_ms, in_flight
        self._in_flight[message.group_id or ""] += in_flight
        heapq.heappush(self._due, (until_ms, next(self._order), message.id))
        self._changed.notify()

    def _show(self, message: Message) -> None:
        _, in_flight = self._hidden.pop(message.id)
        self._in_flight[message.group_id or ""] -= in_flight

    def _forget(self, message: Message) -> None:
        if message.id in self._hidden:
            self._show(message)
        del self._by_id[message.id]

    def _bring_back(self) -> None:
        now = unix_time_millis()
        while self._due and self._due[0][0] <= now:
            until, _, message_id = heapq.heappop(self._due)
            # A message that was deleted or hidden anew since has another time, or none.
            if self._hidden.get(message_id, (None, False))[0] == until:
                message = self._by_id[message_id]
                self._show(message)
                self._put_ready(message)

    def _seconds_to_next(self) -> float:
        return max(0.001, (self._due[0][0] - unix_time_millis()) / 1000) if self._due else float("inf")

    def _take(self, number: int, visibility_seconds: int, taken: list[Message], dead: list[Message]) -> None:
        back: list[Message] = []
        while len(taken) < number and (message := self._next()):
            if self._is_over(message):
                self._forget(message)
            elif self._has_failed_too_often(message):
                self._forget(message)
                dead.append(message)
            else:
                taken.append(self._receive_one(message, visibility_seconds, back))
        for message in back:
            self._put_ready(message)

    def _next(self) -> Message | None:
        """Take the next ready message of the group that has the fewest in flight: a fair queue."""
        while self._ready:
            group = min(self._ready, key=lambda name: (self._in_flight[name], self._ready[name][0]))
            _, message_id = self._ready[group].popleft()
            if not self._ready[group]:
                del self._ready[group]
            if message_id in self._by_id:
                return self._by_id[message_id]
        return None

    def _receive_one(self, message: Message, visibility_seconds: int, back: list[Message]) -> Message:
        now = int(unix_time_millis())
        message.approximate_first_receive_timestamp = message.approximate_first_receive_timestamp or now
        message.approximate_receive_count += 1
        message.receipt_handle = _write_handle(self, message)
        if visibility_seconds:
            self._hide(message, now + visibility_seconds * 1000, in_flight=True)
        else:
            back.append(message)
        return copy.copy(message)

    def _is_over(self, message: Message) -> bool:
        kept_ms = self.message_retention_period * 1000  # type: ignore[attr-defined]  # moto sets it by name
        return bool(message.sent_timestamp + kept_ms <= unix_time_millis())

    def _has_failed_too_often(self, message: Message) -> bool:
        policy = self.redrive_policy
        return bool(
            policy and self.dead_letter_queue and message.approximate_receive_count >= policy["maxReceiveCount"]
        )


def _write_handle(queue: Queue, message: Message) -> str:
    told = [queue.queue_arn, message.id, message.approximate_receive_count, str(uuid4())]
    return base64.b64encode(json.dumps(told).encode()).decode()


def _read_handle(queue: Queue, receipt_handle: str) -> tuple[str, int]:
    try:
        arn, message_id, receives, _ = json.loads(base64.b64decode(receipt_handle, validate=True))
    except ValueError:
        raise ReceiptHandleIsInvalid from None
    if arn != queue.queue_arn:
        raise ReceiptHandleIsInvalid
    return message_id, receives
