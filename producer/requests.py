"""
The door of plain JSON messages: the queue `<stack>-requests`, which `prelaunch api` consumes, or a Lambda function.

A message is deleted once its operation has ended well. What cannot be done now comes again by itself; what nobody
could ever do goes to the dead-letter queue with the reason. Who waits for the answer names a queue for it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import structlog

from producer.access import ROLES, Caller, Principal
from producer.ask import Answer, Operations, open_operations
from producer.operations import read_named
from producer.replies import find_fault, write_reply
from producer.services import Services, new_request_id
from producer.strict_json import parse_json
from workers.core.errors import PrelaunchError
from workers.core.model.errors import FieldError, InvalidBody
from workers.core.queue.job import Delivery
from workers.core.queue.request_source import RequestSource
from workers.core.settings import Settings

log = structlog.get_logger()

DOOR = "sqs"
REST_SECONDS = 5.0
"""After a failed receive."""
MOST_UNDER_WAY = 30
"""Requests that are being done when no more are received: each may wait for its run."""
MOST_FAILURES = 5
"""Receives of a message that fails by a bug of ours, before it is buried."""


class RequestsDoor:
    """
    Does what messages ask for.

    Parameters:
        operations: What they can ask for.
        source: Their queue.
        settings: The installation's: its stack, and what senders may.
    """

    def __init__(self, operations: Operations, source: RequestSource, settings: Settings) -> None:
        self._operations = operations
        self._source = source
        self._stack = settings.stack
        self._role = ROLES[settings.requests_role]

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Receive and do, again and again, until cancelled; who waits for a run keeps no later message waiting."""
        under_way: set[asyncio.Task[bool]] = set()
        try:
            while True:
                for delivery in await self._receive(sleep):
                    task = asyncio.create_task(self.take(delivery))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                while len(under_way) > MOST_UNDER_WAY:
                    await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _receive(self, sleep: Callable[[float], Awaitable[None]]) -> list[Delivery]:
        try:
            return await self._source.receive()
        except PrelaunchError as error:
            log.warning("requests.not_received", error=error.message)
        except Exception:  # a bug in one receive must not end the door
            log.exception("requests.crashed")
        await sleep(REST_SECONDS)
        return []

    async def take(self, delivery: Delivery) -> bool:
        """
        Do what one message asks for.

        Parameters:
            delivery: The message.

        Returns:
            Whether that is over; else it comes again.
        """
        with structlog.contextvars.bound_contextvars(message_id=delivery.message_id):
            try:
                return await self._take(delivery)
            except PrelaunchError as error:
                log.warning("request.comes_again", code=error.code, error=error.message)
            except Exception:  # a bug in one request must not end the door
                log.exception("request.crashed")
                return await self._bury_crashed(delivery)
            return False

    async def _take(self, delivery: Delivery) -> bool:
        try:
            message = parse_json(delivery.body.encode(errors="replace"))
            self._check_reply(message)
        except InvalidBody as refused:
            return await self._bury(delivery, " ".join(error.message for error in refused.errors))
        answer = await self._operations.ask(message, self._find_caller(message, delivery), new_request_id())
        if answer.status == 500:  # noqa: PLR2004  # HTTP's own; what met the bug is in the log
            return await self._bury_crashed(delivery)
        if not answer.is_refused and not answer.is_done:
            log.warning("request.comes_again", code=answer.document["code"], error=answer.document["detail"])
            return False
        await self._reply(message, answer)
        if answer.is_refused:
            return await self._bury(delivery, answer.explain())
        await self._source.delete(delivery)
        log.info("request.done", operation=answer.asked and answer.asked.operation, status=answer.status)
        return True

    def _find_caller(self, message: object, delivery: Delivery) -> Caller:
        """Tell who sent a message: SQS knows whose credentials that were; for whom it was is only said."""
        who = read_named(message, "invokedBy") or "unknown"
        sender = f"{delivery.sender_id} on behalf of {who}" if delivery.sender_id else who
        # SQS delivers a message more than once: what it asks for is done once.
        return Caller(DOOR, Principal(sender, self._role), key=delivery.message_id)

    def _check_reply(self, message: object) -> None:
        queue = message.get("replyTo") if isinstance(message, dict) else None
        told = find_fault(queue, self._stack) if queue is not None else None
        if told is not None:
            raise InvalidBody((FieldError("/replyTo", "INVALID_BODY", told, None),))

    async def _reply(self, message: object, answer: Answer) -> None:
        queue = message.get("replyTo") if isinstance(message, dict) else None
        if not isinstance(queue, str):
            return
        # Also of what is no request: whoever waits for its answer knows it by its correlation id alone.
        text = write_reply(answer, read_named(message, "correlationId"))
        try:
            await self._source.reply(queue, text)
        except PrelaunchError as error:
            # What was asked for is done, and its repetition would answer no better.
            log.warning("request.not_answered", queue=queue, code=error.code, error=error.message)

    async def _bury_crashed(self, delivery: Delivery) -> bool:
        if delivery.receive_count < MOST_FAILURES:
            return False
        return await self._bury(delivery, "prelaunch met an error of its own, which is in its log")

    async def _bury(self, delivery: Delivery, reason: str) -> bool:
        try:
            await self._source.bury(delivery, reason)
        except PrelaunchError as error:
            log.warning("request.not_buried", reason=reason, code=error.code, error=error.message)
            return False
        log.warning("request.buried", reason=reason)
        return True


def consuming(
    open_services: Callable[[], AbstractAsyncContextManager[Services]], settings: Settings
) -> Callable[[], AbstractAsyncContextManager[Services]]:
    """
    Let a process consume requests for as long as its operations are open.

    Parameters:
        open_services: Opens the operations.
        settings: The installation's.

    Returns:
        What opens them, and the door beside them.
    """
    return partial(_open_with_door, open_services, settings)


@asynccontextmanager
async def _open_with_door(
    open_services: Callable[[], AbstractAsyncContextManager[Services]], settings: Settings
) -> AsyncIterator[Services]:
    async with open_services() as services, open_operations(services) as operations:
        door = asyncio.create_task(RequestsDoor(operations, services.requests, settings).run())
        try:
            yield services
        finally:
            door.cancel()
            await asyncio.wait([door])
