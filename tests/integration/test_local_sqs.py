"""The stand-in's SQS: fast at any depth, and as strict and as forgiving as AWS's."""

import base64
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.process import StandIn

Clients = Callable[..., Any]


@pytest.fixture
def sqs(client: Clients) -> Any:
    return client("sqs", parameter_validation=False)


@pytest.fixture
def queue(sqs: Any) -> Iterator[str]:
    url = make_queue(sqs)
    yield url
    sqs.delete_queue(QueueUrl=url)


def make_queue(sqs: Any, **attributes: str) -> str:
    return str(sqs.create_queue(QueueName=f"test-{uuid.uuid4()}", Attributes=attributes)["QueueUrl"])


def send(sqs: Any, queue: str, count: int, group: str | None = None) -> None:
    for start in range(0, count, 10):
        entries = [
            {"Id": str(n), "MessageBody": str(n), **({"MessageGroupId": group} if group else {})}
            for n in range(start, min(start + 10, count))
        ]
        assert len(sqs.send_message_batch(QueueUrl=queue, Entries=entries)["Successful"]) == len(entries)


def receive(sqs: Any, queue: str, number: int = 1, visibility: int = 30, **more: Any) -> list[Any]:
    answer = sqs.receive_message(
        QueueUrl=queue,
        MaxNumberOfMessages=number,
        VisibilityTimeout=visibility,
        AttributeNames=["All"],
        **more,
    )
    return list(answer.get("Messages", []))


def receive_one(sqs: Any, queue: str, **more: Any) -> Any:
    (message,) = receive(sqs, queue, **more)
    return message


def depth(sqs: Any, queue: str) -> tuple[int, int, int]:
    names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
    told = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    ready, in_flight, delayed = (int(told[name]) for name in names)
    return ready, in_flight, delayed


def test_every_message_is_received_once_and_deleted(sqs: Any, queue: str) -> None:
    """Nothing is lost or doubled on the way through."""
    send(sqs, queue, 95)
    assert depth(sqs, queue) == (95, 0, 0)
    bodies = []
    while messages := receive(sqs, queue, number=10):
        bodies += [message["Body"] for message in messages]
        entries = [{"Id": m["MessageId"], "ReceiptHandle": m["ReceiptHandle"]} for m in messages]
        sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
    assert sorted(bodies, key=int) == [str(n) for n in range(95)]
    assert depth(sqs, queue) == (0, 0, 0)


def test_a_deep_queue_is_as_fast_as_a_shallow_one(sqs: Any, queue: str) -> None:
    """50 rounds of send, receive and delete at 4,000 messages take at most thrice what they take at none."""

    def measure() -> float:
        start = time.monotonic()
        for _ in range(50):
            sqs.send_message(QueueUrl=queue, MessageBody="x")
            handle = receive_one(sqs, queue)["ReceiptHandle"]
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)
        return time.monotonic() - start

    shallow = measure()
    send(sqs, queue, 4000)
    assert measure() < 3 * shallow


def test_a_long_poll_wakes_at_once(client: Clients, sqs: Any, queue: str) -> None:
    """A message sent during a poll of 20 seconds is there as soon as it is sent."""
    sent_at, received_at = [], []

    def poll() -> None:
        receive_one(client("sqs"), queue, WaitTimeSeconds=20)
        received_at.append(time.monotonic())

    poller = threading.Thread(target=poll)
    poller.start()
    assert depth(sqs, queue) == (0, 0, 0)
    sent_at.append(time.monotonic())
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    poller.join()
    assert received_at[0] - sent_at[0] < 2


def test_a_long_poll_sees_a_message_come_back(sqs: Any, queue: str) -> None:
    """The end of a visibility timeout wakes a poll that waits for it."""
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    receive_one(sqs, queue, visibility=1)
    again = receive_one(sqs, queue, WaitTimeSeconds=10)
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"


def test_a_hidden_message_can_be_handed_back(sqs: Any, queue: str) -> None:
    """A visibility of 0 makes it receivable at once; a new one hides it for so long."""
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    first = receive_one(sqs, queue)
    assert depth(sqs, queue) == (0, 1, 0)
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    assert depth(sqs, queue) == (1, 0, 0)
    second = receive_one(sqs, queue)
    assert second["MessageId"] == first["MessageId"]
    assert receive(sqs, queue) == []


def test_an_old_handle_is_accepted_and_does_nothing(sqs: Any, queue: str) -> None:
    """Who was overtaken by a later receive can neither delete the message nor hide or show it."""
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    old = receive_one(sqs, queue, visibility=0)["ReceiptHandle"]
    new = receive_one(sqs, queue)["ReceiptHandle"]
    assert old != new
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=old)
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=old, VisibilityTimeout=0)
    assert depth(sqs, queue) == (0, 1, 0)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=new)
    assert depth(sqs, queue) == (0, 0, 0)


def test_the_latest_handle_deletes_also_after_its_time(sqs: Any, queue: str) -> None:
    """A message that is visible again, but was not received anew, is deleted by its handle."""
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    handle = receive_one(sqs, queue, visibility=0)["ReceiptHandle"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)
    assert depth(sqs, queue) == (0, 0, 0)


def test_a_deleted_message_can_be_deleted_again_but_not_hidden(sqs: Any, queue: str) -> None:
    """Delete is idempotent; a visibility of what is gone is an InvalidParameterValue."""
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    handle = receive_one(sqs, queue)["ReceiptHandle"]
    for _ in range(2):
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)
    with pytest.raises(ClientError, match="not available for visibility timeout change"):
        sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=9)


def foreign_handle() -> str:
    return base64.b64encode(json.dumps(["arn:of:another:queue", "id", 1, "x"]).encode()).decode()


@pytest.mark.parametrize("handle", ["garbage", foreign_handle(), base64.b64encode(b'"text"').decode()])
def test_a_handle_of_nothing_is_invalid(sqs: Any, queue: str, handle: str) -> None:
    """Garbage and another queue's handles are refused; in a batch, that entry fails alone."""
    with pytest.raises(ClientError, match="ReceiptHandleIsInvalid"):
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    entries = [
        {"Id": "good", "ReceiptHandle": receive_one(sqs, queue)["ReceiptHandle"]},
        {"Id": "bad", "ReceiptHandle": handle},
    ]
    answer = sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    assert [entry["Code"] for entry in answer["Failed"]] == ["ReceiptHandleIsInvalid"]


def test_twelve_hours_is_the_longest_a_message_hides(sqs: Any, queue: str) -> None:
    """Counted from its first receive."""
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    handle = receive_one(sqs, queue)["ReceiptHandle"]
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=43_190)
    with pytest.raises(ClientError, match="Total VisibilityTimeout"):
        sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=43_200)


def test_a_body_of_1_mib_passes_and_a_byte_more_does_not(sqs: Any, queue: str) -> None:
    """The limit counts bytes, not characters, and a batch's bodies together."""
    whole = "x" * 2**20
    sqs.send_message(QueueUrl=queue, MessageBody=whole)
    assert receive_one(sqs, queue)["Body"] == whole
    for body in (whole + "x", "é" * (2**19 + 1)):
        with pytest.raises(ClientError, match="must be shorter than"):
            sqs.send_message(QueueUrl=queue, MessageBody=body)
    half = "é" * (2**18)
    entries = [{"Id": str(n), "MessageBody": half} for n in range(2)]
    sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    with pytest.raises(ClientError, match="BatchRequestTooLong"):
        sqs.send_message_batch(QueueUrl=queue, Entries=[*entries, {"Id": "9", "MessageBody": "x"}])


def test_attributes_count_with_the_body(sqs: Any, queue: str) -> None:
    """A body that passes alone does not with a reason beside it: name, type and value count too."""
    attribute = {"reason": {"DataType": "String", "StringValue": "why"}}
    room = 2**20 - len("reason" + "String" + "why")
    sqs.send_message(QueueUrl=queue, MessageBody="x" * room, MessageAttributes=attribute)
    with pytest.raises(ClientError, match="must be shorter than"):
        sqs.send_message(QueueUrl=queue, MessageBody="x" * (room + 1), MessageAttributes=attribute)


def test_a_quiet_group_does_not_wait_behind_a_noisy_one(sqs: Any, queue: str) -> None:
    """Fair queues: with the noisy group's messages in flight, the quiet group's come next."""
    send(sqs, queue, 100, group="noisy")
    receive(sqs, queue, number=10)
    send(sqs, queue, 5, group="quiet")
    groups = [message["Attributes"]["MessageGroupId"] for message in receive(sqs, queue, number=5)]
    assert groups == ["quiet"] * 5


def test_too_many_receives_end_in_the_dead_letter_queue(sqs: Any, queue: str) -> None:
    """The redrive policy holds: same message, other queue."""
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    source = make_queue(sqs, RedrivePolicy=policy)
    sqs.send_message(QueueUrl=source, MessageBody="poison")
    assert [len(receive(sqs, source, visibility=0)) for _ in range(3)] == [1, 1, 0]
    assert receive_one(sqs, queue)["Body"] == "poison"
    sqs.delete_queue(QueueUrl=source)


def test_a_delayed_message_comes_when_it_is_due(sqs: Any, queue: str) -> None:
    """It is counted as delayed, and a poll that waits gets it."""
    sqs.send_message(QueueUrl=queue, MessageBody="x", DelaySeconds=1)
    assert receive(sqs, queue) == []
    assert depth(sqs, queue) == (0, 0, 1)
    assert receive_one(sqs, queue, WaitTimeSeconds=10)["Body"] == "x"


def test_a_delay_over_15_minutes_is_refused(sqs: Any, queue: str) -> None:
    """In a batch that entry fails alone."""
    with pytest.raises(ClientError, match="DelaySeconds"):
        sqs.send_message(QueueUrl=queue, MessageBody="x", DelaySeconds=901)
    entries = [{"Id": "a", "MessageBody": "x", "DelaySeconds": 901}, {"Id": "b", "MessageBody": "x"}]
    answer = sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert [entry["Id"] for entry in answer["Failed"]] == ["a"]
    assert [entry["Id"] for entry in answer["Successful"]] == ["b"]


def test_many_pollers_share_the_messages(local: StandIn, client: Clients, queue: str) -> None:
    """30 pollers that wait get 30 messages, one each and none twice."""
    sqs, bodies, lock = client("sqs"), list[str](), threading.Lock()

    def poll() -> None:
        message = receive_one(sqs, queue, WaitTimeSeconds=20)
        with lock:
            bodies.append(message["Body"])

    pollers = [threading.Thread(target=poll) for _ in range(30)]
    for poller in pollers:
        poller.start()
    send(client("sqs"), queue, 30)
    for poller in pollers:
        poller.join()
    assert sorted(bodies, key=int) == [str(n) for n in range(30)]


def test_purge_empties_the_queue(sqs: Any, queue: str) -> None:
    """Ready and in flight alike."""
    send(sqs, queue, 20)
    receive(sqs, queue, number=10)
    sqs.purge_queue(QueueUrl=queue)
    assert depth(sqs, queue) == (0, 0, 0)
