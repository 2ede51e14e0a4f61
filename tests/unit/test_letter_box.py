"""Holding dead letters, over an SQS that answers as it may: few at a time, twice, without end, or not at all."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from structlog.testing import capture_logs

from workers.core.contract import APPLY_ACTOR, DEAD_LETTER_QUEUES, ApplyWork
from workers.core.letters.letter import Letter
from workers.core.queue import letter_text
from workers.core.queue.errors import QueueMissing
from workers.core.queue.job import encode_job
from workers.core.queue.letter_box import SPARE_RECEIVES, SqsLetterBox
from workers.core.queue.letter_text import MOVED, read_letter
from workers.core.queue.source import read_delivery, write_burial

MINUTE = timedelta(minutes=1)
SERVER = "s-1a2b3c4d5e6f7a8b9"
BODY = encode_job(APPLY_ACTOR, "jobs", {"groupId": "pg-1", "sourceServerId": SERVER})
SYSTEM = {"ApproximateReceiveCount": "7", "SentTimestamp": "1772352000000"}


def make_message(number: int, handle: str = "", body: str = BODY, **attributes: str) -> dict[str, Any]:
    told = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    message = {"MessageId": f"m{number}", "ReceiptHandle": handle or f"r{number}", "Body": body, "Attributes": SYSTEM}
    return {**message, "MessageAttributes": told} if told else message


class FakeSqs:
    """Answers the receives of the queue `jobs` by script, and remembers what is given back and deleted."""

    def __init__(self, answer: Callable[[int], list[dict[str, Any]]]) -> None:
        self.meta = type("Meta", (), {"endpoint_url": "http://fake"})
        self.answer = answer
        self.receives = 0
        self.given_back: list[str] = []
        self.refuses = ""

    async def get_queue_url(self, QueueName: str) -> dict[str, str]:  # noqa: N803
        self._refuse("get_queue_url", QueueName)
        return {"QueueUrl": QueueName}

    async def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        return {"Attributes": dict.fromkeys(names, "0")}

    async def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int, **_: Any) -> dict[str, Any]:  # noqa: N803
        self._refuse("receive_message", QueueUrl)
        if QueueUrl != "prelaunch-jobs-dlq":
            return {}
        self.receives += 1
        return {"Messages": self.answer(MaxNumberOfMessages)}

    async def change_message_visibility_batch(self, *, Entries: list[dict[str, Any]], **_: Any) -> None:  # noqa: N803
        self._refuse("change_message_visibility_batch", "")
        self.given_back += [entry["ReceiptHandle"] for entry in Entries if entry["VisibilityTimeout"] == 0]

    def _refuse(self, operation: str, queue: str) -> None:
        if self.refuses == operation + queue:
            code = "QueueDoesNotExist" if operation == "get_queue_url" else "AccessDenied"
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


def script(*answers: list[dict[str, Any]]) -> FakeSqs:
    left = list(answers)
    return FakeSqs(lambda _limit: left.pop(0) if left else [])


async def find_no_key() -> bytes | None:
    return None


async def look(sqs: FakeSqs, limit: int = 100) -> tuple[list[Letter], bool]:
    box = SqsLetterBox(sqs, stack="prelaunch", wait=timedelta(0), seal_key=find_no_key)
    async with box.hold(limit, MINUTE) as held:
        return list(held.letters), held.truncated


async def test_few_at_a_time_are_all_found() -> None:
    """SQS may answer fewer than it has: only an answer without any is the end."""
    sqs = script([make_message(0)], [make_message(1), make_message(2)], [make_message(3)])
    letters, truncated = await look(sqs)
    assert ([letter.message_id for letter in letters], truncated) == (["m0", "m1", "m2", "m3"], False)
    assert sorted(sqs.given_back) == ["r0", "r1", "r2", "r3"]


async def test_a_letter_that_comes_twice_is_one() -> None:
    """At least once: it is shown once, and given back by the newest handle, for the old one does nothing."""
    sqs = script([make_message(0), make_message(1)], [make_message(1, "r1 again"), make_message(2)])
    letters, _ = await look(sqs)
    assert sorted(letter.message_id for letter in letters) == ["m0", "m1", "m2"]
    assert sorted(sqs.given_back) == ["r0", "r1 again", "r2"]


async def test_letters_that_come_round_again_are_the_end() -> None:
    """When their time hidden is over while more is received, nothing new comes: there may be more, and it is said."""
    sqs = FakeSqs(lambda _limit: [make_message(0)])
    letters, truncated = await look(sqs)
    assert ([letter.message_id for letter in letters], truncated, sqs.receives) == (["m0"], True, 2)


async def test_one_more_than_asked_for_is_received_and_given_back() -> None:
    """That is how it is known whether there are more; it is not shown."""
    numbers = iter(range(1000))
    sqs = FakeSqs(lambda limit: [make_message(next(numbers)) for _ in range(limit)])
    letters, truncated = await look(sqs, limit=25)
    assert (len(letters), truncated, len(sqs.given_back)) == (25, True, 26)


async def test_receives_are_bounded() -> None:
    """A queue that answers one at a time, for ever, ends after a few receives more than ten at a time would take."""
    numbers = iter(range(10_000))
    sqs = FakeSqs(lambda _limit: [make_message(next(numbers))])
    letters, truncated = await look(sqs, limit=99)
    assert sqs.receives == len(letters) == 2 * 10 + SPARE_RECEIVES
    assert truncated


@pytest.mark.parametrize("queue", DEAD_LETTER_QUEUES)
async def test_a_missing_queue_is_named_and_nothing_stays_hidden(queue: str) -> None:
    """One clear error; what another queue had given is given back."""
    sqs = script([make_message(0)])
    sqs.refuses = f"get_queue_urlprelaunch-{queue}-dlq"
    with pytest.raises(QueueMissing, match=f"prelaunch-{queue}-dlq"):
        await look(sqs)
    assert sqs.given_back == ([] if queue == "jobs" else ["r0"])


async def test_what_cannot_be_given_back_comes_back_by_itself() -> None:
    """A look is not a failure because SQS does not take letters back at once; the log says it."""
    sqs = script([make_message(0)])
    sqs.refuses = "change_message_visibility_batch"
    with capture_logs() as lines:
        letters, _ = await look(sqs)
    assert len(letters) == 1
    assert [line["event"] for line in lines] == ["letters.not_given_back"]


def test_a_letter_of_ours_says_all() -> None:
    """Reason, receives and times are those of the message that was dead-lettered."""
    message = make_message(
        1, reason="KeyError: 'x'", receiveCount="3", messageId="was", sentAt="2026-03-01T07:00:00+00:00"
    )
    letter = read_letter(message, "jobs", "prelaunch")
    assert (letter.reason, letter.received, letter.original_message_id) == ("KeyError: 'x'", 3, "was")
    assert letter.sent_at == datetime(2026, 3, 1, 7, tzinfo=UTC)
    assert letter.dead_lettered_at == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert letter.work == ApplyWork("pg-1", SERVER)


@pytest.mark.parametrize(
    "attributes",
    [
        {"reason": "x", "receiveCount": "many", "sentAt": "yesterday"},
        {"reason": "x", "receiveCount": "-1", "sentAt": "2026-03-01T07:00:00"},
        {"reason": "x", "receiveCount": "²"},
        {"reason": "x", "receiveCount": "9" * 5000, "sentAt": "0001-01-01T00:00:00+23:59"},
        {"reason": "x", "receiveCount": "1234567890", "sentAt": "9999-12-31T23:59:00-23:59"},
        {},
    ],
)
def test_attributes_of_others_are_read_as_far_as_they_can_be(attributes: dict[str, str]) -> None:
    """Whoever wrote the letter, it is listed: what cannot be read is left to what SQS says, or out."""
    letter = read_letter(make_message(1, **attributes), "jobs", "prelaunch")
    assert (letter.received, letter.original_message_id) == (7, None)
    assert letter.sent_at == (None if attributes else letter.arrived_at)


def test_what_a_request_says_of_itself_is_not_believed() -> None:
    """Whoever may send requests may write attributes: the letter says what SQS knows of it."""
    told = {"reason": "all is well", "receiveCount": "1", "messageId": "another", "sentAt": "2026-03-01T07:00:00+00:00"}
    letter = read_letter(make_message(1, body="{}", **told), "requests", "prelaunch")
    assert (letter.reason, letter.received, letter.original_message_id) == (MOVED.format(count=7), 7, None)
    assert (letter.sent_at, letter.dead_lettered_at) == (letter.arrived_at, None)


KEY = b"the stack's own key"


def bury_request(body: str = "{}", key: bytes = KEY) -> dict[str, Any]:
    """Write the letter of a request that our door refused, as SQS answers it."""
    delivery = read_delivery({"MessageId": "was", "ReceiptHandle": "r", "Body": body, "Attributes": SYSTEM})
    told = write_burial(delivery, "prelaunch-requests", "operation must be one of …", key)
    return {**make_message(1, body=told["MessageBody"]), "MessageAttributes": told["MessageAttributes"]}


def test_what_our_door_says_of_a_request_is_believed() -> None:
    """Its seal takes the stack's key: reason, receives and times are those of the request."""
    letter = read_letter(bury_request(), "requests", "prelaunch", KEY)
    assert (letter.reason, letter.received, letter.original_message_id) == ("operation must be one of …", 7, "was")
    assert letter.dead_lettered_at == letter.arrived_at
    assert letter.fault == letter_text.REQUEST


@pytest.mark.parametrize("name", ["reason", "receiveCount", "messageId", "sentAt", "queue", "seal"])
def test_what_is_changed_behind_a_seal_is_not_believed(name: str) -> None:
    """None of what is told, however much of it is ours."""
    message = bury_request()
    message["MessageAttributes"][name] = {"DataType": "String", "StringValue": "8"}
    letter = read_letter(message, "requests", "prelaunch", KEY)
    assert (letter.reason, letter.original_message_id) == (MOVED.format(count=7), None)
    del message["MessageAttributes"][name]
    assert read_letter(message, "requests", "prelaunch", KEY).reason == MOVED.format(count=7)


@pytest.mark.parametrize("key", [None, b"another stack's"])
def test_a_seal_of_another_key_is_none(key: bytes | None) -> None:
    """Nor is one where no key is known."""
    assert read_letter(bury_request(), "requests", "prelaunch", key).reason == MOVED.format(count=7)


def test_a_seal_is_of_one_message() -> None:
    """Put beside another body it says nothing."""
    message = {**bury_request(), "Body": '{"operation": "another"}'}
    assert read_letter(message, "requests", "prelaunch", KEY).reason == MOVED.format(count=7)


def test_a_request_as_long_as_sqs_takes_is_cut_and_sealed_as_it_is_left() -> None:
    """The seal has to fit in too."""
    message = bury_request("x" * 2**20)
    told = message["MessageAttributes"]
    beside = sum(len(name) + len("String") + len(value["StringValue"].encode()) for name, value in told.items())
    assert len(message["Body"].encode()) + beside <= 2**20
    assert read_letter(message, "requests", "prelaunch", KEY).original_message_id == "was"


@pytest.mark.parametrize("odd", ["\ud800", "é" * 64, ""])
def test_an_odd_seal_is_none(odd: str) -> None:
    """It costs no other letter."""
    message = bury_request()
    message["MessageAttributes"]["seal"]["StringValue"] = odd
    assert read_letter(message, "requests", "prelaunch", KEY).reason == MOVED.format(count=7)


def test_a_count_beside_no_reason_of_ours_is_not_believed() -> None:
    """Somebody put it there by hand, with an attribute of ours: SQS's own count is told."""
    letter = read_letter(make_message(1, receiveCount="3"), "jobs", "prelaunch")
    assert (letter.reason, letter.received) == (MOVED.format(count=7), 7)


async def test_a_letter_that_cannot_be_read_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is odd about one: it is listed with what SQS says, cannot be redriven, and the others are read."""

    def stumble(body: str, *_: object, **__: object) -> None:
        raise RecursionError(body)

    monkeypatch.setattr(letter_text, "read_names", stumble)
    with capture_logs() as lines:
        letters, _ = await look(script([make_message(0), make_message(1, body="?")], []))
    odd, other = letters
    assert (odd.message_id, odd.work, odd.received, odd.receipt_handle) == ("m0", None, 7, "r0")
    assert odd.fault == letter_text.ODD
    assert "not base64" in other.fault
    assert [(line["event"], line["message_id"]) for line in lines] == [("letter.not_read", "m0")]


def test_a_receive_count_of_nine_digits_is_read() -> None:
    """Longer ones are no count of SQS's."""
    assert read_letter(make_message(1, reason="x", receiveCount="0" * 8 + "3"), "jobs", "prelaunch").received == 3
