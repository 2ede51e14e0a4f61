"""How many messages queues hold, by SQS's own counts, which are approximate. Nothing is received for it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from workers.core.queue.errors import QueueMissing
from workers.core.queue.names import name_queue
from workers.core.queue.source import explain

VISIBLE = "ApproximateNumberOfMessages"
IN_FLIGHT = "ApproximateNumberOfMessagesNotVisible"
DELAYED = "ApproximateNumberOfMessagesDelayed"


@dataclass(frozen=True, slots=True)
class Depth:
    """About how many messages a queue holds."""

    visible: int
    """Ready to be received."""
    in_flight: int
    """Received and not visible: under way, or handed back to be tried again later."""
    delayed: int
    """Not ready yet: they were sent with a delay."""


async def read_depth(client: Any, url: str) -> Depth:
    """
    Read how many messages a queue holds.

    Parameters:
        client: An open aiobotocore SQS client.
        url: The queue's.

    Returns:
        SQS's counts.

    Raises:
        QueueError: The queue is missing, or does not answer.
    """
    try:
        answer = await client.get_queue_attributes(QueueUrl=url, AttributeNames=[VISIBLE, IN_FLIGHT, DELAYED])
    except (BotoCoreError, ClientError) as error:
        raise explain(error, url, client) from error
    told = answer["Attributes"]
    return Depth(int(told[VISIBLE]), int(told[IN_FLIGHT]), int(told[DELAYED]))


class SqsDepths:
    """
    The depths of one stack's queues. Belongs to the event loop of its client.

    Parameters:
        client: An open aiobotocore SQS client.
        stack: The prefix of the queues.
    """

    def __init__(self, client: Any, *, stack: str) -> None:
        self._client = client
        self._stack = stack
        self._urls: dict[str, str] = {}

    async def read(self, queues: Sequence[str]) -> Mapping[str, Depth]:
        """
        Read how many messages each of some queues holds.

        Parameters:
            queues: Their names without the stack.

        Returns:
            Queue to its depth, each of them.

        Raises:
            QueueError: One of them is missing, or does not answer.
        """
        # All of them to their end: none is left behind on the loop when another fails.
        depths: dict[str, Depth] = {}
        ended = await asyncio.gather(*map(self._read, queues), return_exceptions=True)
        for queue, depth in zip(queues, ended, strict=True):
            if isinstance(depth, BaseException):
                raise depth
            depths[queue] = depth
        return depths

    async def _read(self, queue: str) -> Depth:
        try:
            return await read_depth(self._client, await self._find_url(queue))
        except QueueMissing as error:
            # It may be deployed anew, under another address.
            self._urls.pop(queue, None)
            raise QueueMissing([name_queue(self._stack, queue)]) from error

    async def _find_url(self, queue: str) -> str:
        if queue not in self._urls:
            name = name_queue(self._stack, queue)
            try:
                answer = await self._client.get_queue_url(QueueName=name)
            except (BotoCoreError, ClientError) as error:
                raise explain(error, name, self._client) from error
            self._urls[queue] = str(answer["QueueUrl"])
        return self._urls[queue]
