"""
Hold the letters of a stack's dead-letter queues, over an aiobotocore SQS client.

SQS has no peek: a letter is received with a short visibility, and given back by ending that. What cannot be given
back comes back by itself when the visibility ends. Nothing is decided here.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from workers.core.contract import DEAD_LETTER_QUEUES, REQUESTS
from workers.core.errors import PrelaunchError
from workers.core.letters.letter import Letter, Undeleted
from workers.core.queue.depths import read_depth
from workers.core.queue.letter_text import read_any
from workers.core.queue.names import name_dead_letter_queue
from workers.core.queue.source import BATCH, batch, explain

log = structlog.get_logger()

SPARE_RECEIVES = 10
"""SQS may answer fewer than ten at a time although there are more; so many receives more are tried, and no more."""

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
        depth = await read_depth(self._client, url)
        visible, hidden = depth.visible, depth.in_flight
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


class SqsLetterBox:
    """
    The dead-letter queues of one stack. Belongs to the event loop of its client.

    Parameters:
        client: An open aiobotocore SQS client.
        stack: The prefix of the queues.
        wait: How long SQS looks for a letter before it answers that there is none; whole seconds, 20 at most.
        seal_key: Answers what reasons of requests are sealed with; None where none ever was.
    """

    def __init__(
        self, client: Any, *, stack: str, wait: timedelta, seal_key: Callable[[], Awaitable[bytes | None]]
    ) -> None:
        self._client = client
        self._stack = stack
        self._wait_seconds = int(wait.total_seconds())
        self._seal_key = seal_key

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
        url, key = await self._find_url(name), await self._find_key(queue)

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
            return [read_any(message, queue, self._stack, key) for message in answer.get("Messages", [])]

        await held.receive(queue, url, limit, receive)

    async def _find_key(self, queue: str) -> bytes | None:
        if queue != REQUESTS:
            return None
        try:
            return await self._seal_key()
        except PrelaunchError as error:
            # Letters can be looked at and purged all the same: their reasons are not believed then.
            log.warning("letters.no_seal_key", code=error.code, error=error.message)
            return None

    async def _find_url(self, name: str) -> str:
        try:
            answer = await self._client.get_queue_url(QueueName=name)
        except (BotoCoreError, ClientError) as error:
            raise explain(error, name, self._client) from error
        return str(answer["QueueUrl"])
