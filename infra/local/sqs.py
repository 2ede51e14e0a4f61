"""
moto's SQS with our standard queues in place of its own, and AWS's limits counted in bytes.

moto scans all messages of a queue on every call: a few thousand jobs, and the queue is all that a load test
measures. No scan may come back here.
"""

from collections.abc import Callable
from typing import Any

from moto.sqs.exceptions import BatchRequestTooLong, InvalidParameterValue
from moto.sqs.models import Message, Queue, SQSBackend, _filter_message_attributes

from infra.local.mend import replace
from infra.local.standard_queue import StandardQueue

_BODY_LIMIT = 2**20


def install() -> None:
    """Mend moto's SQS; FIFO queues stay moto's own."""
    replace(SQSBackend, "create_queue", _creating)
    replace(SQSBackend, "receive_message", _receiving)
    replace(SQSBackend, "change_message_visibility", _changing_visibility)
    replace(SQSBackend, "_validate_message", _validating)
    replace(SQSBackend, "send_message", _sending)
    replace(SQSBackend, "send_message_batch", _sending_batch)


def _creating(original: Callable[..., Queue]) -> Callable[..., Queue]:
    def create_queue(self: SQSBackend, name: str, *args: Any, **more: Any) -> Queue:
        queue = original(self, name, *args, **more)
        if not queue.fifo_queue and not isinstance(queue, StandardQueue):
            queue.__class__ = StandardQueue  # type: ignore[type-abstract]  # takes the object over
            assert isinstance(queue, StandardQueue)  # noqa: S101 - tells mypy what the line above did  # nosec B101
            queue.adopt()
        return queue

    return create_queue


def _receiving(original: Callable[..., list[Message]]) -> Callable[..., list[Message]]:
    def receive_message(  # noqa: PLR0917 - moto calls it so
        self: SQSBackend,
        queue_name: str,
        count: int,
        wait_seconds_timeout: int,
        visibility_timeout: int,
        message_attribute_names: list[str] | None = None,
    ) -> list[Message]:
        queue = self.get_queue(queue_name)
        if not isinstance(queue, StandardQueue):
            return original(self, queue_name, count, wait_seconds_timeout, visibility_timeout, message_attribute_names)
        messages = queue.receive(count, wait_seconds_timeout, int(visibility_timeout or 0))
        for message in messages:
            _filter_message_attributes(message, message_attribute_names or [])
        return messages

    return receive_message


def _changing_visibility(original: Callable[..., None]) -> Callable[..., None]:
    def change_message_visibility(
        self: SQSBackend, queue_name: str, receipt_handle: str, visibility_timeout: int
    ) -> None:
        queue = self.get_queue(queue_name)
        if isinstance(queue, StandardQueue):
            queue.change_visibility(receipt_handle, int(visibility_timeout))
        else:
            original(self, queue_name, receipt_handle, visibility_timeout)

    return change_message_visibility


def _validating(original: Callable[..., None]) -> Callable[..., None]:
    def _validate_message(self: SQSBackend, queue: Queue, message_body: str, *args: Any, **more: Any) -> None:
        # moto counts characters: a body of accents would pass here and be refused by AWS.
        limit = queue.maximum_message_size  # type: ignore[attr-defined]  # moto sets it by name
        if len(message_body.encode()) > limit:
            raise _too_long(limit)
        original(self, queue, message_body, *args, **more)

    return _validate_message


def _sending(original: Callable[..., Any]) -> Callable[..., Any]:
    def send_message(
        self: SQSBackend,
        queue_name: str,
        message_body: str,
        message_attributes: dict[str, dict[str, Any]] | None = None,
        **more: Any,
    ) -> Any:
        queue = self.get_queue(queue_name)
        # Source: AWS, SQS, "Message attributes": name, type and value count together with the body; moto counts none.
        beside = sum(_measure_attribute(name, told) for name, told in (message_attributes or {}).items())
        if len(message_body.encode()) + beside > queue.maximum_message_size:  # type: ignore[attr-defined]  # by name
            raise _too_long(queue.maximum_message_size)  # type: ignore[attr-defined]  # by name
        return original(self, queue_name, message_body, message_attributes, **more)

    return send_message


def _measure_attribute(name: str, told: dict[str, Any]) -> int:
    value = str(told.get("StringValue") or told.get("BinaryValue") or "")
    return sum(len(text.encode()) for text in (name, str(told.get("DataType", "")), value))


def _too_long(limit: int) -> InvalidParameterValue:
    reason = f"Message must be shorter than {limit} bytes."
    return InvalidParameterValue(f"One or more parameters are invalid. Reason: {reason}")


def _sending_batch(original: Callable[..., Any]) -> Callable[..., Any]:
    def send_message_batch(self: SQSBackend, queue_name: str, entries: dict[str, dict[str, Any]]) -> Any:
        length = sum(len(entry["MessageBody"].encode()) for entry in entries.values())
        if length > _BODY_LIMIT:
            raise BatchRequestTooLong(length)
        return original(self, queue_name, entries)

    return send_message_batch
