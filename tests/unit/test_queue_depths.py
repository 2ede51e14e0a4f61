"""How many messages queues hold, over an SQS that loses a queue, or answers late."""

import asyncio
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from workers.core.queue.depths import Depth, SqsDepths
from workers.core.queue.errors import QueueMissing, QueueUnreachable

MISSING = "AWS.SimpleQueueService.NonExistentQueue"


class FakeSqs:
    """Has queues, each at an address of its own, that hold 1 visible, 2 hidden and 3 delayed messages."""

    def __init__(self, *queues: str) -> None:
        self.meta = type("Meta", (), {"endpoint_url": "http://fake"})
        self.at = {queue: f"http://fake/1/{queue}" for queue in queues}
        self.looked_up: list[str] = []
        self.unreachable = ""
        self.answers = asyncio.Event()
        self.answers.set()

    async def get_queue_url(self, QueueName: str) -> dict[str, str]:  # noqa: N803
        self.looked_up.append(QueueName)
        if QueueName not in self.at:
            raise ClientError({"Error": {"Code": MISSING}}, "GetQueueUrl")
        return {"QueueUrl": self.at[QueueName]}

    async def get_queue_attributes(self, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:  # noqa: N803
        if self.unreachable and QueueUrl.endswith(self.unreachable):
            raise EndpointConnectionError(endpoint_url=QueueUrl)
        if QueueUrl not in self.at.values():
            raise ClientError({"Error": {"Code": MISSING}}, "GetQueueAttributes")
        await self.answers.wait()
        held = {"": "1", "NotVisible": "2", "Delayed": "3"}
        return {"Attributes": {name: held[name.removeprefix("ApproximateNumberOfMessages")] for name in AttributeNames}}


async def test_each_queue_is_asked_at_its_address_which_is_looked_up_once() -> None:
    """By the names without the stack."""
    sqs = FakeSqs("dr-jobs", "dr-requests-dlq")
    depths = SqsDepths(sqs, stack="dr")
    for _ in range(3):
        found = await depths.read(["jobs", "requests-dlq"])
        assert found == {"jobs": Depth(1, 2, 3), "requests-dlq": Depth(1, 2, 3)}
    assert sqs.looked_up == ["dr-jobs", "dr-requests-dlq"]


async def test_a_queue_that_is_deployed_anew_is_found_again() -> None:
    """Its address may be another one; while it is missing it is named."""
    sqs = FakeSqs("dr-jobs")
    depths = SqsDepths(sqs, stack="dr")
    await depths.read(["jobs"])
    sqs.at = {}
    for _ in range(2):
        with pytest.raises(QueueMissing) as raised:
            await depths.read(["jobs"])
        assert raised.value.names == ("dr-jobs",)
    sqs.at = {"dr-jobs": "http://fake/2/dr-jobs"}
    assert await depths.read(["jobs"]) == {"jobs": Depth(1, 2, 3)}


async def test_one_that_fails_is_told_when_all_have_answered() -> None:
    """No call is left behind with a client that may be closed; of the others nothing is told as if it were all."""
    sqs = FakeSqs("dr-jobs", "dr-jobs-bulk", "dr-requests")
    sqs.unreachable = "dr-jobs"
    sqs.answers.clear()
    reading = asyncio.create_task(SqsDepths(sqs, stack="dr").read(["jobs", "jobs-bulk", "requests"]))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not reading.done()
    sqs.answers.set()
    with pytest.raises(QueueUnreachable):
        await reading
