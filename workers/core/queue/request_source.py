"""The queue of plain JSON requests from outside, over an aiobotocore SQS client. Nothing is decided here."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from workers.core.contract import REQUESTS
from workers.core.queue.job import Delivery
from workers.core.queue.names import name_dead_letter_queue, name_queue
from workers.core.queue.source import BATCH, SYSTEM_ATTRIBUTES, explain, read_delivery, write_burial


class RequestSource:
    """
    Receives requests. Belongs to the event loop of its client; every call raises a QueueError where it failed.

    Parameters:
        client: An open aiobotocore SQS client.
        stack: The prefix of the queue.
        wait: How long SQS waits for a first message; whole seconds, 20 at most.
        seal_key: Answers what reasons are sealed with; where it fails nothing is buried.
    """

    def __init__(self, client: Any, *, stack: str, wait: timedelta, seal_key: Callable[[], Awaitable[bytes]]) -> None:
        self._client = client
        self._name = name_queue(stack, REQUESTS)
        self._dead_letter_name = name_dead_letter_queue(stack, REQUESTS)
        self._wait_seconds = int(wait.total_seconds())
        self._seal_key = seal_key
        self._urls: dict[str, str] = {}

    async def receive(self) -> list[Delivery]:
        """Receive at most ten requests, hidden from others for the queue's own visibility; wait for the first."""
        answer = await self._call(
            self._name,
            "receive_message",
            MaxNumberOfMessages=BATCH,
            WaitTimeSeconds=self._wait_seconds,
            MessageSystemAttributeNames=SYSTEM_ATTRIBUTES,
        )
        return [read_delivery(message) for message in answer.get("Messages", [])]

    async def delete(self, delivery: Delivery) -> None:
        """Delete a request that is done."""
        await self._call(self._name, "delete_message", ReceiptHandle=delivery.receipt_handle)

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """Put a request that nobody can do on the dead-letter queue with the reason, and delete it."""
        burial = write_burial(delivery, self._name, reason, await self._seal_key())
        await self._call(self._dead_letter_name, "send_message", **burial)
        await self.delete(delivery)

    async def reply(self, queue: str, body: str) -> None:
        """Answer on a queue of this account, by its full name."""
        await self._call(queue, "send_message", MessageBody=body)

    async def _call(self, queue: str, operation: str, **parameters: Any) -> Any:
        try:
            if queue not in self._urls:
                self._urls[queue] = (await self._client.get_queue_url(QueueName=queue))["QueueUrl"]
            return await getattr(self._client, operation)(QueueUrl=self._urls[queue], **parameters)
        except (BotoCoreError, ClientError) as error:
            self._urls.pop(queue, None)
            raise explain(error, queue, self._client) from error
