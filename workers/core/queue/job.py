"""
A job on the wire and in a worker's hands: encode it, decode it, know its delivery. No I/O.

The body is dramatiq's message in base64, because that is what dramatiq_sqs puts on the wire. Nothing that a
body says about its queue or about dramatiq's options is believed: a wrong queue name, a far `eta` or a
`throws` would stop a consumer, hold a slot for hours or end a worker thread. One option is ours: `stack` names the
stack that the job is of, and a job of another stack is refused. A sender that cannot encode, EventBridge's rule, may
put the same message on the wire as it is, without base64.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.errors import DecodeError

from workers.core.model.errors import show
from workers.core.queue.errors import UnreadableJob
from workers.core.queue.redelivery import Outcome

MAX_BODY_BYTES = 64 * 1024
"""The longest body that is read. A job of ours has some hundred bytes; SQS itself takes 1 MiB a message."""

_STACK = "stack"


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

    sent_at: datetime | None = None
    """When the message was sent, if SQS said so."""

    sender_id: str | None = None
    """With whose credentials it was sent: an IAM user's id, or `<role id>:<session>` (SQS: SenderId)."""


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


def encode_job(actor_name: str, queue_name: str, kwargs: Mapping[str, object], *, stack: str | None = None) -> str:
    """
    Build the body of a job.

    Parameters:
        actor_name: The actor that runs it.
        queue_name: The queue's name without the stack.
        kwargs: The actor's keyword arguments; JSON values.
        stack: The stack that it is of; None leaves it unsaid.

    Returns:
        dramatiq's message as JSON, in base64.
    """
    options = {} if stack is None else {_STACK: stack}
    message: dramatiq.Message[object] = dramatiq.Message(
        queue_name=queue_name, actor_name=actor_name, args=(), kwargs=dict(kwargs), options=options
    )
    return base64.b64encode(message.encode()).decode()


def decode_job(body: str, queue_name: str, *, stack: str | None = None) -> "dramatiq.Message[object]":
    """
    Read the body of a job.

    Parameters:
        body: What SQS delivered.
        queue_name: The queue that delivered it; replaces what the body says.
        stack: The stack whose jobs are read; None reads those of every stack.

    Raises:
        UnreadableJob: If it is no job, or another stack's; the text says why.

    Returns:
        The message, with the queue that delivered it and without options.
    """
    message = _read_message(body)
    parts = {"actor_name": str, "message_id": str, "kwargs": dict}
    for part, kind in parts.items():
        if not isinstance(getattr(message, part), kind):
            raise UnreadableJob(f"{part} of the message is not a {kind.__name__}")
    if message.args:
        raise UnreadableJob("args of the message is not empty; a job's arguments have names")
    if "self" in message.kwargs:
        # dramatiq's own call of an actor fails on it.
        raise UnreadableJob("no argument of a job can be named self")
    _check_text(message)
    _check_stack(message.options, stack)
    return dramatiq.Message(
        queue_name=queue_name,
        actor_name=message.actor_name,
        args=(),
        kwargs=message.kwargs,
        options={},
        message_id=message.message_id,
    )


def _read_message(body: str) -> "dramatiq.Message[object]":
    size = len(body.encode(errors="replace"))
    if size > MAX_BODY_BYTES:
        raise UnreadableJob(f"the body has {size} bytes, and no job has over {MAX_BODY_BYTES}")
    try:
        # No base64 begins so.
        raw = body.encode() if body.lstrip().startswith("{") else base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableJob("the body is not base64") from error
    try:
        return dramatiq.Message.decode(raw)
    except DecodeError as error:
        raise UnreadableJob("the body is not a dramatiq message") from error


def _check_text(message: "dramatiq.Message[object]") -> None:
    # JSON can escape half of a character; whatever is to be sent on in UTF-8, an answer or a log line, fails on it.
    try:
        json.dumps([message.actor_name, message.message_id, message.kwargs], ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise UnreadableJob("there is half a character, a lone surrogate, in the message") from error
    except RecursionError as error:
        raise UnreadableJob("the arguments of the message are nested too deep") from error


def _check_stack(options: object, stack: str | None) -> None:
    named = options.get(_STACK) if isinstance(options, dict) else None
    # Jobs of releases that named none are still on the way; whoever sent them, they come from our own queue.
    if stack is not None and named is not None and named != stack:
        raise UnreadableJob(f"it is a job of the stack {show(named)}, and this is the stack {show(stack)}")
