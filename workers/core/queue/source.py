"""
Speak to one queue and its dead-letter queue, in batches, over a boto3 client.

The only place where the workers' SQS requests and answers are spelled. It decides nothing and retries
nothing: a batch answers which entries failed and whether trying those again can help.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from workers.core.queue.errors import QueueError, QueueMissing, QueueUnreachable
from workers.core.queue.job import Delivery
from workers.core.queue.seal import LENGTH, SEAL, make_seal

BATCH = 10
"""Entries in one batch call, and messages in one receive: SQS's limit."""

SYSTEM_ATTRIBUTES = [
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "MessageGroupId",
    "SentTimestamp",
    "SenderId",
]
"""What SQS is asked to tell of each message."""

T = TypeVar("T")

_GONE = {
    "ReceiptHandleIsInvalid",
    "MessageNotInflight",
    "AWS.SimpleQueueService.MessageNotInflight",
    "InvalidParameterValue",  # an expired handle, or hidden for longer than 12 hours in all
}
_MAX_REASON = 1000
_MAX_MESSAGE_BYTES = 2**20
"""SQS's limit, over body and attributes together: name, data type and value of each (source: AWS, SQS quotas)."""
_MISSING = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
_FORBIDDEN_IN_ATTRIBUTES = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Failure:
    """An entry of a batch that SQS refused."""

    delivery: Delivery
    code: str

    gone: bool
    """The receipt is no longer ours to use: someone else has the message, or it is deleted."""


@dataclass(frozen=True, slots=True)
class SourceQueue:
    """One queue that jobs come from. Every call raises a QueueError if all of it failed."""

    client: Any
    queue: str
    """The queue's name without the stack: what every line of the log calls it."""

    name: str
    """The queue's name in SQS."""

    url: str
    dead_letter_url: str
    visibility_seconds: int

    def receive(self, limit: int, *, wait_seconds: int) -> list[Delivery]:
        """
        Receive messages, hidden from others for the visibility timeout.

        Parameters:
            limit: 1 to 10.
            wait_seconds: How long SQS may wait for a first message, 0 to 20.

        Returns:
            At most so many, perhaps none.
        """
        answer = self._call(
            self.client.receive_message,
            MaxNumberOfMessages=limit,
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=self.visibility_seconds,
            MessageSystemAttributeNames=SYSTEM_ATTRIBUTES,
        )
        return [read_delivery(message) for message in answer.get("Messages", [])]

    def delete(self, deliveries: Sequence[Delivery]) -> list[Failure]:
        """Delete up to ten messages and return what was refused."""
        entries = [{"Id": str(i), "ReceiptHandle": delivery.receipt_handle} for i, delivery in enumerate(deliveries)]
        answer = self._call(self.client.delete_message_batch, Entries=entries)
        return _read_failures(answer, deliveries)

    def hide(self, deliveries: Sequence[tuple[Delivery, int]]) -> list[Failure]:
        """Let up to ten messages become visible so many seconds from now; return what was refused."""
        entries = [
            {"Id": str(i), "ReceiptHandle": delivery.receipt_handle, "VisibilityTimeout": seconds}
            for i, (delivery, seconds) in enumerate(deliveries)
        ]
        answer = self._call(self.client.change_message_visibility_batch, Entries=entries)
        return _read_failures(answer, [delivery for delivery, _ in deliveries])

    def bury(self, delivery: Delivery, reason: str) -> None:
        """Put a copy of a message, as it came, on the dead-letter queue with the reason; cut where both do not fit."""
        burial = write_burial(delivery, self.name, reason)
        self._call(self.client.send_message, url=self.dead_letter_url, **burial)

    def _call(self, operation: Callable[..., Any], *, url: str = "", **parameters: Any) -> Any:
        try:
            return operation(QueueUrl=url or self.url, **parameters)
        except (BotoCoreError, ClientError) as error:
            raise explain(error, url or self.name, self.client) from error


def write_burial(delivery: Delivery, queue: str, reason: str, key: bytes | None = None) -> dict[str, Any]:
    """
    Write the copy of a message that goes to a dead-letter queue.

    Parameters:
        delivery: The message, as it came.
        queue: The queue that it came from, as SQS names it.
        reason: Why.
        key: What it is sealed with; None: not at all.

    Returns:
        Parameters of SendMessage; the body is cut where it and the reason do not fit together.
    """
    attributes = {
        "reason": _clean_attribute(reason),
        "queue": queue,
        "receiveCount": str(delivery.receive_count),
        "messageId": delivery.message_id,
    }
    if delivery.sent_at is not None:
        attributes["sentAt"] = delivery.sent_at.isoformat()
    if key is not None:
        # It has to fit in too, and is about the body that is left.
        attributes[SEAL] = "0" * LENGTH
    body = _fit(delivery.body, attributes)
    if key is not None:
        attributes[SEAL] = make_seal(attributes, body, key)
    group = {"MessageGroupId": delivery.group_id} if delivery.group_id else {}
    told = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    return {"MessageBody": body, "MessageAttributes": told, **group}


def explain(error: Exception, queue: str, client: Any) -> QueueError:
    """Turn an error of the SDK into ours."""
    code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
    if code in _MISSING:
        return QueueMissing([queue])
    return QueueUnreachable(client.meta.endpoint_url, error)


def read_time(milliseconds: str) -> datetime:
    """Read a time as SQS says it: milliseconds since 1970, as text."""
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


def batch(items: Iterable[T]) -> Iterator[list[T]]:
    """Cut into lists of at most ten."""
    rest = iter(items)
    while part := list(itertools.islice(rest, BATCH)):
        yield part


def read_delivery(message: dict[str, Any]) -> Delivery:
    """Read a message as SQS answers it with SYSTEM_ATTRIBUTES."""
    attributes = message.get("Attributes", {})
    sent = attributes.get("SentTimestamp")
    return Delivery(
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        body=message["Body"],
        receive_count=int(attributes.get("ApproximateReceiveCount", 1)),
        first_received_at=read_time(attributes.get("ApproximateFirstReceiveTimestamp", "0")),
        group_id=attributes.get("MessageGroupId"),
        sent_at=read_time(sent) if sent else None,
        sender_id=attributes.get("SenderId"),
    )


def _read_failures(answer: dict[str, Any], deliveries: Sequence[Delivery]) -> list[Failure]:
    return [
        Failure(deliveries[int(entry["Id"])], code=entry["Code"], gone=entry["Code"] in _GONE)
        for entry in answer.get("Failed", [])
    ]


def _clean_attribute(text: str) -> str:
    # SQS refuses empty values and most control characters, and a refused copy would never be buried.
    return _FORBIDDEN_IN_ATTRIBUTES.sub("\ufffd", text[:_MAX_REASON]) or "no reason given"


def _fit(body: str, attributes: dict[str, str]) -> str:
    """Cut a body that came at SQS's limit, and say so: SQS would refuse it with the reason beside it, for ever."""
    taken = sum(len(text.encode()) for item in attributes.items() for text in (*item, "String"))
    encoded = body.encode()
    if len(encoded) + taken <= _MAX_MESSAGE_BYTES:
        return body
    attributes["cutFrom"] = str(len(encoded))
    room = _MAX_MESSAGE_BYTES - taken - len("cutFrom" + "String" + attributes["cutFrom"])
    return encoded[:room].decode(errors="ignore")
