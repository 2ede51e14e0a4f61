"""
The door of plain JSON messages: the queue `<stack>-requests`, which `prelaunch api` consumes.

A message is deleted once its operation has ended well. What cannot be done now comes again by itself; what nobody
could ever do goes to the dead-letter queue with the reason.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import structlog

from producer.change_events import read_check
from producer.services import Services, new_request_id
from producer.strict_json import parse_json
from workers.core.errors import PrelaunchError
from workers.core.model.bodies import parse_rollback
from workers.core.model.errors import FieldError, GroupTooLarge, InvalidBody
from workers.core.queue.job import Delivery
from workers.core.queue.request_source import RequestSource
from workers.core.requests import Requester, RequestKey, RequestRefused

log = structlog.get_logger()

DOOR = "sqs"
REST_SECONDS = 5.0
"""After a failed receive."""
MOST_FAILURES = 5
"""Receives of a message that fails by a bug of ours, before it is buried."""

Operation = Callable[[Services, Mapping[str, Any], Requester], Awaitable[Any]]


async def check_drift(services: Services, request: Mapping[str, Any], requester: Requester) -> int:
    """Ask the workers to look for drift."""
    return await services.drift_checks.ask(read_check(request), requester)


async def rollback(services: Services, request: Mapping[str, Any], requester: Requester) -> str | None:
    """Give each member of a group the launch config that it had in an earlier run."""
    to_run = parse_rollback({"toRun": request["toRun"]} if "toRun" in request else {})
    group_id = request.get("groupId")
    if not isinstance(group_id, str):
        raise _wrong("/groupId", "groupId must be a group's id.")
    rolled_back = await services.rollback.roll_back(group_id, to_run, requester)
    return rolled_back.updated.reapply.run_id if rolled_back.updated.reapply else None


OPERATIONS: Mapping[str, Operation] = {"check_drift": check_drift, "rollback": rollback}
"""By the name that a message asks for it by: the same operations that every door calls."""


class RequestsDoor:
    """Does what messages ask for."""

    def __init__(self, services: Services, source: RequestSource) -> None:
        self._services = services
        self._source = source

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Receive and do, again and again, until cancelled."""
        while True:
            try:
                deliveries = await self._source.receive()
            except PrelaunchError as error:
                log.warning("requests.not_received", error=error.message)
                await sleep(REST_SECONDS)
                continue
            await asyncio.gather(*(self.take(delivery) for delivery in deliveries))

    async def take(self, delivery: Delivery) -> None:
        """Do what one message asks for."""
        with structlog.contextvars.bound_contextvars(message_id=delivery.message_id, request_id=new_request_id()):
            try:
                await self._do(delivery)
            except PrelaunchError as error:
                log.warning("request.comes_again", code=error.code, error=error.message)
            except Exception:  # a bug in one request must not end the door
                log.exception("request.crashed")
                if delivery.receive_count >= MOST_FAILURES:
                    await self._bury(delivery, "prelaunch met an error of its own, which is in its log")

    async def _do(self, delivery: Delivery) -> None:
        try:
            name, request = _read(delivery)
            result = await OPERATIONS[name](self._services, request, _make_requester(request, delivery))
        except (InvalidBody, GroupTooLarge, RequestRefused) as refused:
            await self._bury(delivery, _explain(refused))
            return
        await self._source.delete(delivery)
        log.info("request.done", operation=name, result=result)

    async def _bury(self, delivery: Delivery, reason: str) -> None:
        log.warning("request.buried", reason=reason)
        with suppress(PrelaunchError):
            # Otherwise it comes again, and is buried then.
            await self._source.bury(delivery, reason)


def consuming(
    open_services: Callable[[], AbstractAsyncContextManager[Services]],
) -> Callable[[], AbstractAsyncContextManager[Services]]:
    """
    Let a process consume requests for as long as its operations are open.

    Parameters:
        open_services: Opens the operations.

    Returns:
        What opens them, and the door beside them.
    """

    @asynccontextmanager
    async def opening() -> AsyncIterator[Services]:
        async with open_services() as services:
            door = asyncio.create_task(RequestsDoor(services, services.requests).run())
            try:
                yield services
            finally:
                door.cancel()
                await asyncio.wait([door])

    return opening


def _read(delivery: Delivery) -> tuple[str, Mapping[str, Any]]:
    """Read which operation a message asks for, and of what: flat, or in its member `body`."""
    message = parse_json(delivery.body.encode(errors="replace"))
    if not isinstance(message, dict):
        raise _wrong("", "The message is no JSON object.")
    body = message.get("body", {})
    if not isinstance(body, dict):
        raise _wrong("/body", "body must be an object.")
    name = message.get("operation")
    if not isinstance(name, str) or name not in OPERATIONS:
        known = ", ".join(OPERATIONS)
        raise _wrong("/operation", f"operation must be one of {known}, not {json.dumps(name)[:100]}.")
    return name, {**message, **body}


def _make_requester(request: Mapping[str, Any], delivery: Delivery) -> Requester:
    bound = structlog.contextvars.get_contextvars()
    invoked_by = request.get("invokedBy")
    principal = invoked_by if isinstance(invoked_by, str) and invoked_by else "unknown"
    # SQS delivers a message more than once: what it asks for is done once.
    key = RequestKey(delivery.message_id, hashlib.sha256(delivery.body.encode(errors="replace")).hexdigest())
    return Requester(principal=principal, door=DOOR, reason="requested", request_id=bound["request_id"], key=key)


def _wrong(pointer: str, message: str) -> InvalidBody:
    return InvalidBody((FieldError(pointer, "INVALID_BODY", message, None),))


def _explain(refused: InvalidBody | GroupTooLarge | RequestRefused) -> str:
    if isinstance(refused, InvalidBody):
        return " ".join(error.message for error in refused.errors)
    return str(refused)
