"""
A job on the wire and in a worker's hands: encode it, decode it, know its delivery. No I/O.

The body is dramatiq's message in base64, because that is what dramatiq_sqs puts on the wire. Nothing that a
body says about its queue or about dramatiq's options is believed: a wrong queue name, a far `eta` or a
`throws` would stop a consumer, hold a slot for hours or end a worker thread.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.errors import DecodeError

from workers.core.queue.errors import UnreadableJob
from workers.core.queue.redelivery import Outcome


@dataclass(frozen=True, slots=True)
class Delivery:
    """One receive of one message."""

    message_id: str
    """SQS's id: the same for every delivery of the message."""

    receipt_handle: str
    """What this delivery is deleted, hidden and renewed by."""

    body: str

    receive_count: int
    """How often SQS has delivered the message, this time included; hand-backs count too."""

    first_received_at: datetime
    """When any worker first received it."""

    group_id: str | None = None
    """The fair-queue group, if the sender named one."""


class JobMessage(MessageProxy):
    """
    A delivered job as dramatiq's worker carries it.

    Parameters:
        message: The decoded message.
        delivery: Where it came from.
        release: Carries out the outcome and frees the slot.
    """

    def __init__(
        self,
        message: "dramatiq.Message[object]",
        delivery: Delivery,
        release: Callable[[Delivery, Outcome], None],
    ) -> None:
        super().__init__(message)
        self.delivery = delivery
        self.outcome: Outcome | None = None
        self._release: Callable[[Delivery, Outcome], None] | None = release

    def settle(self, outcome: Outcome) -> None:
        """Carry out the outcome; a second call does nothing, so that a slot is never given back twice."""
        release, self._release = self._release, None
        if release is not None:
            release(self.delivery, outcome)


def encode_job(actor_name: str, queue_name: str, kwargs: Mapping[str, object]) -> str:
    """
    Build the body of a job.

    Parameters:
        actor_name: The actor that runs it.
        queue_name: The queue's name without the stack.
        kwargs: The actor's keyword arguments; JSON values.

    Returns:
        dramatiq's message as JSON, in base64.
    """
    message: dramatiq.Message[object] = dramatiq.Message(
        queue_name=queue_name, actor_name=actor_name, args=(), kwargs=dict(kwargs), options={}
    )
    return base64.b64encode(message.encode()).decode()


def decode_job(body: str, queue_name: str) -> "dramatiq.Message[object]":
    """
    Read the body of a job.

    Parameters:
        body: What SQS delivered.
        queue_name: The queue that delivered it; replaces what the body says.

    Raises:
        UnreadableJob: If it is no job; the text says why.

    Returns:
        The message, with the queue that delivered it and without options.
    """
    try:
        message = dramatiq.Message.decode(base64.b64decode(body, validate=True))
    except (binascii.Error, ValueError) as error:
        raise UnreadableJob("the body is not base64") from error
    except DecodeError as error:
        raise UnreadableJob("the body is not a dramatiq message") from error
    parts = {"actor_name": str, "message_id": str, "kwargs": dict}
    for part, kind in parts.items():
        if not isinstance(getattr(message, part), kind):
            raise UnreadableJob(f"{part} of the message is not a {kind.__name__}")
    return dramatiq.Message(
        queue_name=queue_name,
        actor_name=message.actor_name,
        args=message.args,
        kwargs=message.kwargs,
        options={},
        message_id=message.message_id,
    )
