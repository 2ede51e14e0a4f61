"""The door of plain JSON messages, over a queue that is a list: what it answers, and what it survives."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import fields
from typing import Any

import pytest
import structlog

from producer.ask import Operations
from producer.http import create_app
from producer.requests import MOST_UNDER_WAY, REST_SECONDS, RequestsDoor
from producer.services import Services
from workers.core.clock import read_clock
from workers.core.queue.errors import QueueMissing
from workers.core.queue.job import Delivery
from workers.core.settings import Settings

REPLIES = "prelaunch-replies-of-tests"
LATE = "late"


class Source:
    """A queue whose messages are given, and what became of them."""

    def __init__(self, *received: list[Delivery] | Exception) -> None:
        self._received = list(received)
        self.deleted: list[str] = []
        self.buried: list[str] = []
        self.replies: list[dict[str, Any]] = []
        self.has_dead_letters = True
        self.is_empty, self.is_done = asyncio.Event(), asyncio.Event()
        self.left = sum(len(each) for each in received if isinstance(each, list))

    async def receive(self) -> list[Delivery]:
        if not self._received:
            self.is_empty.set()
            await asyncio.Event().wait()
        first = self._received.pop(0)
        if isinstance(first, Exception):
            raise first
        return first

    def _count(self) -> None:
        self.left -= 1
        if not self.left:
            self.is_done.set()

    async def delete(self, delivery: Delivery) -> None:
        self._count()
        self.deleted.append(delivery.message_id)

    async def bury(self, delivery: Delivery, reason: str) -> None:
        self._count()
        if not self.has_dead_letters:
            raise QueueMissing(["prelaunch-requests-dlq"])
        self.buried.append(reason)

    async def reply(self, queue: str, body: str) -> None:
        assert queue == REPLIES
        self.replies.append(json.loads(body))


def send(message: object, message_id: str = "m-1") -> Delivery:
    return Delivery(
        message_id=message_id,
        receipt_handle="r-1",
        body=json.dumps(message),
        receive_count=1,
        first_received_at=read_clock(),
        group_id=None,
        sender_id="AIDA1",
    )


async def consume(source: Source) -> list[float]:
    """Let the door consume what is given; answer how long it rested."""
    made: Mapping[str, Any] = dict.fromkeys(field.name for field in fields(Services))
    app = create_app(lambda: nullcontext(Services(**made)), has_callers=True)
    rested: list[float] = []

    async def rest(seconds: float) -> None:
        rested.append(seconds)

    async with app.router.lifespan_context(app):
        door = RequestsDoor(Operations(app), source, Settings())  # type: ignore[arg-type]  # as much of it as is asked
        running = asyncio.create_task(door.run(rest))
        async with asyncio.timeout(60):
            await source.is_empty.wait()
            await source.is_done.wait()
        running.cancel()
        await asyncio.wait([running])
    return rested


@pytest.mark.parametrize(
    "message",
    [{"operation": "get_wave"}, {"operation": "sing"}, {"operation": "list_waves", "limit": 0}, {"operation": {}}],
)
async def test_whoever_waits_is_answered_whatever_was_wrong(message: dict[str, object]) -> None:
    """By the correlation id alone he knows which answer is his, also where no request could be made of the message."""
    source = Source([send({**message, "replyTo": REPLIES, "correlationId": "c-1"})])
    await consume(source)
    (reply,) = source.replies
    assert (reply["correlationId"], reply["statusCode"]) == ("c-1", 400)
    assert len(source.buried) == 1


@pytest.mark.parametrize("given", ["", "x" * 256, "a\nb", 7, ["c-1"]])
async def test_a_correlation_id_that_is_none_is_not_repeated(given: object) -> None:
    """The answer says what is wrong with it."""
    source = Source([send({"operation": "list_waves", "replyTo": REPLIES, "correlationId": given})])
    await consume(source)
    (reply,) = source.replies
    assert "correlationId" not in reply
    assert [error["pointer"] for error in reply["body"]["errors"]] == ["/correlationId"]


async def test_a_bug_in_a_receive_does_not_end_the_door() -> None:
    """Nobody would notice: the API goes on, and no message is consumed any more."""
    source = Source(RuntimeError("no such answer is known"), [send({"operation": "sing"})])
    assert await consume(source) == [REST_SECONDS]
    assert len(source.buried) == 1


async def test_what_could_not_be_buried_is_not_said_to_be() -> None:
    """The log names the queue that is missing, once each time; the message is still there."""
    source = Source([send({"operation": "sing"})])
    source.has_dead_letters = False
    with structlog.testing.capture_logs() as logs:
        await consume(source)
    assert [line["event"] for line in logs if "buried" in line["event"]] == ["request.not_buried"]
    assert "prelaunch-requests-dlq" in str(logs)
    assert source.deleted == []


class Slow(Source):
    """A queue whose messages are long in being done: until one comes late, or somebody lets them."""

    def __init__(self, *received: list[Delivery]) -> None:
        super().__init__(*received)
        self.goes_on = asyncio.Event()
        self.under_way = 0

    async def bury(self, delivery: Delivery, reason: str) -> None:
        self.under_way += 1
        if delivery.message_id == LATE:
            self.goes_on.set()
        await self.goes_on.wait()
        await super().bury(delivery, reason)


async def test_who_waits_keeps_no_later_message_waiting() -> None:
    """A wave that is asked for must not wait until ten runs of others have settled."""
    source = Slow([send({"operation": "sing"})] * 10, [send({"operation": "sing"}, LATE)])
    await consume(source)
    assert len(source.buried) == 11


async def test_no_more_are_received_than_can_be_done() -> None:
    """The rest stays visible to other processes."""
    source = Slow(*([send({"operation": "sing"})] * 10 for _ in range(9)))
    running = asyncio.create_task(consume(source))
    for _ in range(1000):
        await asyncio.sleep(0)
    assert source.under_way == MOST_UNDER_WAY + 10
    source.goes_on.set()
    await running
    assert len(source.buried) == 90
