"""
Hold the letters of a stack's dead-letter queues, over an aiobotocore SQS client.

SQS has no peek: a letter is received with a short visibility, and given back by ending that. What cannot be given
back comes back by itself when the visibility ends. Nothing is decided here.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from workers.core.contract import (
    DEAD_LETTER_QUEUES,
    NO_NAMES,
    REQUESTS,
    Names,
    UnknownActor,
    Work,
    WrongJob,
    read_names,
    read_work,
)
from workers.core.letters.letter import Letter, Undeleted
from workers.core.queue.errors import UnreadableJob
from workers.core.queue.job import decode_job
from workers.core.queue.names import name_dead_letter_queue
from workers.core.queue.source import BATCH, batch, explain, read_time

log = structlog.get_logger()

SPARE_RECEIVES = 10
"""SQS may answer fewer than ten at a time although there are more; so many receives more are tried, and no more."""
LONGEST_TEXT = 1000
LONGEST_COUNT = 9
"""Digits of a receive count. Python refuses to read a number of thousands of them."""
MOVED = "It was received too often without an outcome: SQS itself moved it here."
REQUEST = "It is a request from outside, which is not redriven: send it again, then purge it."
ODD = "It cannot be read, and the log says why: a bug of ours. Keep it until that is mended, or purge it."
UNKNOWN = "This release has no actor of its name; redrive it with the release that has it."

Receive = Callable[[int], Awaitable[list[Letter]]]


class HeldLetters:
    """Letters that are held of one stack. Belongs to the block that `SqsLetterBox.hold` opens."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._urls: dict[str, str] = {}
        self._received: dict[tuple[str, str], Letter] = {}
        self._shown: list[Letter] = []
        self._counts: dict[str, int] = {}
        self._truncated = False

    @property
    def letters(self) -> Sequence[Letter]:
        """Each of them once."""
        return self._shown

    @property
    def truncated(self) -> bool:
        """Whether there may be more than were held."""
        return self._truncated

    @property
    def counts(self) -> Mapping[str, int]:
        """About how many letters of each queue there are: SQS counts roughly."""
        return self._counts

    async def receive(self, queue: str, url: str, limit: int, receive: "Receive") -> None:
        """
        Receive the letters of one queue.

        Parameters:
            queue: Its queue, without the stack.
            url: The dead-letter queue's.
            limit: The most that are shown; one more is received, to know whether there is one.
            receive: Receives at most so many messages.
        """
        self._urls[queue] = url
        visible, hidden = await self._count(url)
        self._counts[queue] = visible + hidden
        found: dict[str, Letter] = {}
        emptied = False
        for _ in range(2 * math.ceil((limit + 1) / BATCH) + SPARE_RECEIVES):
            letters = await receive(min(BATCH, limit + 1 - len(found)))
            emptied = not letters
            fresh = {letter.message_id for letter in letters} - found.keys()
            for letter in letters:
                # Of a letter that came back meanwhile only the newest handle counts.
                found[letter.message_id] = self._received[queue, letter.message_id] = letter
            if not fresh or len(found) > limit:
                break
        # What others hold just now, another listing say, is not here. SQS's count of the hidden lags: both together.
        held_by_others = hidden > 0 and visible + hidden > len(found)
        self._truncated |= not emptied or held_by_others
        self._shown += list(found.values())[:limit]

    async def delete(self, letters: Sequence[Letter]) -> list[Undeleted]:
        """Delete some of them for good; answer those that were not."""
        undeleted: list[Undeleted] = []
        for queue, part in self._in_batches(letters):
            entries = [{"Id": str(n), "ReceiptHandle": letter.receipt_handle} for n, letter in enumerate(part)]
            try:
                answer = await self._client.delete_message_batch(QueueUrl=self._urls[queue], Entries=entries)
            except (BotoCoreError, ClientError) as error:
                undeleted += [Undeleted(letter, str(explain(error, queue, self._client))) for letter in part]
                continue
            refused = {int(entry["Id"]): str(entry["Code"]) for entry in answer.get("Failed", [])}
            undeleted += [Undeleted(part[n], code) for n, code in refused.items()]
            for n, letter in enumerate(part):
                if n not in refused:
                    self._received.pop((queue, letter.message_id), None)
        return undeleted

    async def give_back(self) -> None:
        """Let everything that was not deleted be received again; what SQS refuses comes back by itself."""
        for queue, part in self._in_batches(self._received.values()):
            entries = [
                {"Id": str(n), "ReceiptHandle": letter.receipt_handle, "VisibilityTimeout": 0}
                for n, letter in enumerate(part)
            ]
            try:
                await self._client.change_message_visibility_batch(QueueUrl=self._urls[queue], Entries=entries)
            except (BotoCoreError, ClientError) as error:
                log.warning("letters.not_given_back", queue=queue, count=len(part), error=str(error))

    @staticmethod
    def _in_batches(letters: Iterable[Letter]) -> list[tuple[str, list[Letter]]]:
        by_queue: dict[str, list[Letter]] = {}
        for letter in letters:
            by_queue.setdefault(letter.queue, []).append(letter)
        return [(queue, part) for queue, each in by_queue.items() for part in batch(each)]

    async def _count(self, url: str) -> tuple[int, int]:
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        try:
            answer = await self._client.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))
        except (BotoCoreError, ClientError) as error:
            raise explain(error, url, self._client) from error
        visible, hidden = (int(answer["Attributes"][name]) for name in names)
        return visible, hidden


class SqsLetterBox:
    """
    The dead-letter queues of one stack. Belongs to the event loop of its client.

    Parameters:
        client: An open aiobotocore SQS client.
        stack: The prefix of the queues.
        wait: How long SQS looks for a letter before it answers that there is none; whole seconds, 20 at most.
    """

    def __init__(self, client: Any, *, stack: str, wait: timedelta) -> None:
        self._client = client
        self._stack = stack
        self._wait_seconds = int(wait.total_seconds())

    @asynccontextmanager
    async def hold(self, limit: int, hidden_for: timedelta) -> AsyncIterator[HeldLetters]:
        """
        Hold the letters of every queue while the block runs.

        Parameters:
            limit: The most of each queue.
            hidden_for: How long a letter stays hidden if it is never given back.

        Yields:
            The letters.

        Raises:
            QueueError: A dead-letter queue is missing or does not answer.
        """
        held = HeldLetters(self._client)
        try:
            receiving = (self._receive(held, queue, limit, hidden_for) for queue in DEAD_LETTER_QUEUES)
            # All of them to their end: what one has received when another fails is given back.
            for ended in await asyncio.gather(*receiving, return_exceptions=True):
                if isinstance(ended, BaseException):
                    raise ended
            yield held
        finally:
            await held.give_back()

    async def _receive(self, held: HeldLetters, queue: str, limit: int, hidden_for: timedelta) -> None:
        name = name_dead_letter_queue(self._stack, queue)
        url = await self._find_url(name)

        async def receive(most: int) -> list[Letter]:
            try:
                answer = await self._client.receive_message(
                    QueueUrl=url,
                    MaxNumberOfMessages=most,
                    WaitTimeSeconds=self._wait_seconds,
                    VisibilityTimeout=int(hidden_for.total_seconds()),
                    MessageAttributeNames=["All"],
                    MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
                )
            except (BotoCoreError, ClientError) as error:
                raise explain(error, name, self._client) from error
            return [_read_any(message, queue, self._stack) for message in answer.get("Messages", [])]

        await held.receive(queue, url, limit, receive)

    async def _find_url(self, name: str) -> str:
        try:
            answer = await self._client.get_queue_url(QueueName=name)
        except (BotoCoreError, ClientError) as error:
            raise explain(error, name, self._client) from error
        return str(answer["QueueUrl"])


def read_letter(message: Mapping[str, Any], queue: str, stack: str) -> Letter:
    """
    Read a message of a dead-letter queue, whoever put it there.

    Parameters:
        message: As SQS answers it.
        queue: Its queue, without the stack.
        stack: The stack whose jobs can be done again.

    Returns:
        The letter; of a message that SQS moved itself it knows less.
    """
    # A request is moved by SQS alone: its attributes are the sender's, who must not put words into our mouth.
    attributes = {} if queue == REQUESTS else message.get("MessageAttributes", {})
    told = {name: str(value.get("StringValue", "")) for name, value in attributes.items()}
    system = message["Attributes"]
    arrived_at = read_time(system["SentTimestamp"])
    is_ours, received = "reason" in told, told.get("receiveCount", "")
    is_count = received.isascii() and received.isdecimal() and len(received) <= LONGEST_COUNT
    content = _read_content(message["Body"], queue, stack)
    return Letter(
        queue=queue,
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        reason=told["reason"][:LONGEST_TEXT] if is_ours else MOVED,
        received=int(received if is_count else system["ApproximateReceiveCount"]),
        arrived_at=arrived_at,
        work=content.work,
        fault=content.fault,
        actor=content.actor,
        names=content.names,
        original_message_id=told.get("messageId", "")[:LONGEST_TEXT] or None,
        sent_at=_read_iso(told.get("sentAt", "")) if is_ours else arrived_at,
        dead_lettered_at=arrived_at if is_ours else None,
    )


def _read_any(message: Mapping[str, Any], queue: str, stack: str) -> Letter:
    try:
        return read_letter(message, queue, stack)
    except Exception:  # one odd letter must not hide all the others, nor keep them from being redriven
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
