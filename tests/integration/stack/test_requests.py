"""The door of plain JSON messages: what is done, what comes again, and what is buried with its reason."""

import asyncio
import json
from typing import Any

import pytest

from producer.ask import Operations
from producer.requests import REST_SECONDS, RequestsDoor
from tests.integration.product import Product, Sent
from workers.core.contract import WATCH_ACTOR, Queue
from workers.core.errors import ServiceUnavailable
from workers.core.queue.job import Delivery
from workers.core.queue.request_source import RequestSource
from workers.core.settings import RoleName

pytestmark = pytest.mark.asyncio(loop_scope="session")
MOST_POLLS = 100
SERVER = "s-1a2b3c4d5e6f7a8b9"
PLACE = {"accountId": "123456789012", "region": "us-east-1"}


class Requests:
    """The queue of requests and its dead-letter queue, empty at first."""

    def __init__(self, product: Product, role: RoleName = "operator") -> None:
        self._product = product
        settings = product.settings.model_copy(update={"requests_role": role})
        self._sqs = product.client("sqs")
        self.door = RequestsDoor(Operations(product.app), product.services.requests, settings)
        self.take("requests")
        self.take("requests-dlq")

    def _url(self, queue: str) -> str:
        return str(self._sqs.get_queue_url(QueueName=f"{self._product.settings.stack}-{queue}")["QueueUrl"])

    def send(self, body: object) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self._sqs.send_message(QueueUrl=self._url("requests"), MessageBody=text)

    def forge(self, attributes: dict[str, str]) -> None:
        """Put a message where SQS would have moved it, with attributes of its sender's."""
        told = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        self._sqs.send_message(QueueUrl=self._url("requests-dlq"), MessageBody="{}", MessageAttributes=told)

    def take(self, queue: str) -> list[dict[str, Any]]:
        taken: list[dict[str, Any]] = []
        asked = {"MaxNumberOfMessages": 10, "WaitTimeSeconds": 0, "MessageAttributeNames": ["All"]}
        while messages := self._sqs.receive_message(QueueUrl=self._url(queue), **asked).get("Messages"):
            for message in messages:
                self._sqs.delete_message(QueueUrl=self._url(queue), ReceiptHandle=message["ReceiptHandle"])
                taken.append(message)
        return taken

    def count(self) -> int:
        """How many requests are left, also such as are hidden for now."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self._sqs.get_queue_attributes(QueueUrl=self._url("requests"), AttributeNames=names)["Attributes"]
        return sum(int(count) for count in told.values())

    async def receive(self) -> Delivery:
        """Receive one request: a short poll asks some of SQS's servers only."""
        for _ in range(MOST_POLLS):
            for delivery in await self._product.services.requests.receive():
                return delivery
        raise AssertionError("the request is not there")

    async def receive_and_do(self) -> Delivery:
        delivery = await self.receive()
        await self.door.take(delivery)
        return delivery

    def forget(self, delivery: Delivery) -> None:
        """Delete what would come again in a later test."""
        self._sqs.delete_message(QueueUrl=self._url("requests"), ReceiptHandle=delivery.receipt_handle)


@pytest.fixture
def requests(product: Product) -> Requests:
    return Requests(product)


@pytest.mark.parametrize("nested", [False, True])
async def test_a_check_for_drift_is_sent_to_the_workers(product: Product, requests: Requests, nested: bool) -> None:
    """Flat or with `body`: one message a source server on the queue of the workers, and the request is gone."""
    asked = {**PLACE, "sourceServerIds": [SERVER], "eventName": "UpdateLaunchConfiguration", "userIdentity": "bo"}
    requests.send({"operation": "check_drift", **({"body": asked} if nested else asked)})
    await requests.receive_and_do()
    (job,) = product.take_jobs()
    assert job.actor == WATCH_ACTOR
    assert job.arguments.pop("requestId")
    assert job.arguments == {**PLACE, "sourceServerId": SERVER, "changedBy": "UpdateLaunchConfiguration by bo"}
    assert requests.count() == 0
    assert requests.take("requests-dlq") == []


@pytest.mark.parametrize(
    ("asked", "jobs"),
    [
        ({}, [{}]),
        (PLACE, [PLACE]),
        ({**PLACE, "launchTemplateId": "lt-1", "eventName": "CreateLaunchTemplateVersion"}, []),
        ({**PLACE, "eventName": "CreateTags"}, []),
    ],
)
async def test_what_is_named_is_looked_at(
    product: Product, requests: Requests, asked: dict[str, Any], jobs: list[dict[str, Any]]
) -> None:
    """Nothing named: everywhere; a place: all of it; an event that changes nothing: nothing."""
    requests.send({"operation": "check_drift", **asked})
    await requests.receive_and_do()
    found = [
        {name: value for name, value in job.arguments.items() if name != "requestId"} for job in product.take_jobs()
    ]
    assert found == jobs
    assert requests.count() == 0


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("no json", "no JSON"),
        ([1], "no JSON object"),
        ({"operation": "sing"}, 'not "sing"'),
        ({}, "check_drift"),
        ({"operation": "check_drift", "body": 3}, "body must be an object"),
        ({"operation": "check_drift", "accountId": "12", "region": "us-east-1"}, "12 digits"),
        ({"operation": "check_drift", "accountId": "123456789012"}, "both or neither"),
        ({"operation": "check_drift", **PLACE, "sourceServerIds": ["web"]}, "sourceServerIds must be"),
        ({"operation": "check_drift", **PLACE, "sourceServerIds": SERVER}, "sourceServerIds must be a list of"),
        ({"operation": "check_drift", "acountId": "123456789012"}, "did you mean accountId?"),
    ],
)
async def test_what_nobody_could_ever_do_is_buried_with_the_reason(
    product: Product, requests: Requests, body: object, why: str
) -> None:
    """It goes to the dead-letter queue as it came, and is received no more."""
    requests.send(body)
    await requests.receive_and_do()
    (letter,) = requests.take("requests-dlq")
    assert letter["Body"] == (body if isinstance(body, str) else json.dumps(body))
    assert why in letter["MessageAttributes"]["reason"]["StringValue"]
    assert requests.count() == 0
    assert product.take_jobs() == []


async def test_the_list_of_letters_says_why_a_request_was_refused(product: Product, requests: Requests) -> None:
    """Two doors seal alike; what a sender says of his own message, with a seal of his own too, is not believed."""
    for _ in range(2):
        requests.send({"operation": "sing"})
        await requests.receive_and_do()
    forged = {"reason": "all is well", "seal": "0" * 64, "messageId": "m", "queue": "q", "receiveCount": "1"}
    requests.forge(forged)
    letters = (await product.api.get("/dead-letters")).json()["deadLetters"]
    found = [letter for letter in letters if letter["queue"] == "requests"]
    assert [('not "sing"' in each["reason"], each["originalMessageId"] is None) for each in found].count(
        (True, False)
    ) == 2
    (other,) = (each for each in found if each["originalMessageId"] is None)
    assert "or somebody" in other["reason"]


async def test_where_the_key_cannot_be_read_letters_are_listed_all_the_same(
    product: Product, requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their reasons are not believed then; and what is refused meanwhile comes again, and is buried later."""
    requests.send({"operation": "sing"})
    await requests.receive_and_do()

    async def fail(*_: object) -> None:
        raise ServiceUnavailable("DynamoDB does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(product.services.dead_letters._box, "_seal_key", fail)
        broken.setattr(product.services.requests, "_seal_key", fail)
        (letter,) = (await product.api.get("/dead-letters")).json()["deadLetters"]
        assert "or somebody" in letter["reason"]
        requests.send({"operation": "dance"})
        delivery = await requests.receive_and_do()
        assert requests.count() == 1
    await requests.door.take(delivery)
    assert (requests.count(), len(requests.take("requests-dlq"))) == (0, 2)


async def test_what_cannot_be_done_now_comes_again(
    product: Product, requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request whose job was not sent stays in the queue, hidden for its visibility."""

    async def refuse(*_: object) -> None:
        raise ServiceUnavailable("SQS takes nothing")

    monkeypatch.setattr(type(product.services.drift_checks), "ask", refuse)
    requests.send({"operation": "check_drift", **PLACE})
    delivery = await requests.receive_and_do()
    assert requests.count() == 1
    assert requests.take("requests-dlq") == []
    requests.forget(delivery)


async def test_a_bug_ends_neither_the_door_nor_the_request(
    product: Product, requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next request is done; the one that met the bug comes again, and is buried the fifth time."""

    async def break_down(*_: object) -> None:
        raise RuntimeError

    requests.send({"operation": "check_drift", **PLACE})
    delivery = await requests.receive()
    with monkeypatch.context() as broken:
        broken.setattr(type(product.services.drift_checks), "ask", break_down)
        await requests.door.take(delivery)
        assert requests.count() == 1
        object.__setattr__(delivery, "receive_count", 5)
        await requests.door.take(delivery)
    (letter,) = requests.take("requests-dlq")
    assert "error of its own" in letter["MessageAttributes"]["reason"]["StringValue"]
    assert requests.count() == 0


async def test_the_door_receives_until_it_is_ended(
    product: Product, requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests are done as they come, also after a receive that failed."""
    receive, failures = RequestSource.receive, [ServiceUnavailable("no answer")]
    rested: list[float] = []

    async def receive_at_last(source: RequestSource) -> list[Delivery]:
        if failures:
            raise failures.pop()
        return await receive(source)

    async def rest(seconds: float) -> None:
        rested.append(seconds)

    monkeypatch.setattr(RequestSource, "receive", receive_at_last)
    door = asyncio.create_task(requests.door.run(rest))
    requests.send({"operation": "check_drift", **PLACE})
    jobs: list[Sent] = []
    async with asyncio.timeout(30):
        while not jobs:
            jobs = await asyncio.to_thread(product.take_jobs, Queue.NORMAL)
    door.cancel()
    await asyncio.wait([door])
    assert [job.actor for job in jobs] == [WATCH_ACTOR]
    assert rested == [REST_SECONDS]
