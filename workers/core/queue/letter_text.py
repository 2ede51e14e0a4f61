"""
Read what a message of a dead-letter queue says. No I/O.

Anybody may have put it there: nothing that it holds may keep the other letters from being read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from workers.core.contract import NO_NAMES, REQUESTS, Names, UnknownActor, Work, WrongJob, read_names, read_work
from workers.core.letters.letter import Letter
from workers.core.queue.errors import UnreadableJob
from workers.core.queue.job import decode_job
from workers.core.queue.seal import is_sealed
from workers.core.queue.source import read_time

log = structlog.get_logger()

LONGEST_TEXT = 1000
LONGEST_COUNT = 9
"""Digits of a receive count. Python refuses to read a number of thousands of them."""
MOVED = (
    "No worker said why: SQS itself, or somebody, moved it here. Received so far, looks at it here included: {count}."
)
REQUEST = "It is a request from outside, which is not redriven: send it again, then purge it."
ODD = "It cannot be read, and the log says why: a bug of ours. Keep it until that is mended, or purge it."
UNKNOWN = "This release has no actor of its name; redrive it with the release that has it."


def read_letter(message: Mapping[str, Any], queue: str, stack: str, key: bytes | None = None) -> Letter:
    """
    Read a message of a dead-letter queue, whoever put it there.

    Parameters:
        message: As SQS answers it.
        queue: Its queue, without the stack.
        stack: The stack whose jobs can be done again.
        key: What reasons of requests are sealed with; None: that is not known, or nothing ever was.

    Returns:
        The letter; of a message that SQS itself, or somebody, moved it knows less.
    """
    attributes = message.get("MessageAttributes", {})
    told = {name: str(value.get("StringValue", "")) for name, value in attributes.items()}
    # SQS moves requests too, with their senders' attributes, who must not put words into our mouth.
    if queue == REQUESTS and not is_sealed(told, message["Body"], key):
        told = {}
    system = message["Attributes"]
    arrived_at = read_time(system["SentTimestamp"])
    is_ours, received = "reason" in told, told.get("receiveCount", "")
    is_count = is_ours and received.isascii() and received.isdecimal() and len(received) <= LONGEST_COUNT
    count = int(received if is_count else system["ApproximateReceiveCount"])
    content = _read_content(message["Body"], queue, stack)
    return Letter(
        queue=queue,
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        reason=told["reason"][:LONGEST_TEXT] if is_ours else MOVED.format(count=count),
        received=count,
        arrived_at=arrived_at,
        work=content.work,
        fault=content.fault,
        actor=content.actor,
        names=content.names,
        original_message_id=told.get("messageId", "")[:LONGEST_TEXT] or None,
        sent_at=_read_iso(told.get("sentAt", "")) if is_ours else arrived_at,
        dead_lettered_at=arrived_at if is_ours else None,
    )


def read_any(message: Mapping[str, Any], queue: str, stack: str, key: bytes | None = None) -> Letter:
    """Read a message of a dead-letter queue, also where `read_letter` cannot: one odd letter hides no other."""
    try:
        return read_letter(message, queue, stack, key)
    except Exception:  # a bug in the reading of one must not keep the others from being redriven
        log.exception("letter.not_read", queue=queue, message_id=message["MessageId"])
    system = message["Attributes"]
    return Letter(
        queue=queue,
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        reason=ODD,
        received=int(system["ApproximateReceiveCount"]),
        arrived_at=read_time(system["SentTimestamp"]),
        fault=ODD,
    )


@dataclass(frozen=True, slots=True)
class _Content:
    fault: str = ""
    work: Work | None = None
    actor: str | None = None
    names: Names = NO_NAMES


def _read_content(body: str, queue: str, stack: str) -> _Content:
    if queue == REQUESTS:
        return _Content(REQUEST)
    try:
        job = decode_job(body, queue, stack=stack)
    except UnreadableJob as error:
        return _Content(f"It is no job: {error}.")
    actor, names = job.actor_name[:LONGEST_TEXT], read_names(job.kwargs)
    try:
        return _Content(work=read_work(job.actor_name, job.kwargs), actor=actor, names=names)
    except UnknownActor:
        return _Content(UNKNOWN, actor=actor, names=names)
    except WrongJob as wrong:
        return _Content(f"It is no job: {wrong}.", actor=actor, names=names)


def _read_iso(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
        # A time at the ends of the calendar has none in UTC.
        return at.astimezone(UTC) if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
