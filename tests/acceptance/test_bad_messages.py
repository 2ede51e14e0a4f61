"""A real worker on messages that are no jobs: each is dead-lettered once with its reason, and nothing else happens."""

import json
import re
from pathlib import Path
from typing import Any

from infra.local.process import StandIn
from tests.acceptance.commands import connect, make_environment, running, wait_until
from tests.fakes.bad_messages import BAD, HARMLESS

QUEUE = "prelaunch-jobs"


def read_log(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def count(sqs: Any, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(told[name]) for name in names)


def receive_all(sqs: Any, url: str) -> list[dict[str, Any]]:
    """Take every message of a queue, and leave it hidden."""
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=600
    ).get("Messages"):
        found += messages
    return found


def test_bad_messages_are_dead_lettered_once_with_the_reason(aws: StandIn, tmp_path: Path) -> None:
    """Unknown, too long, of a wrong type, another stack's: buried as they came, counted, never tried; the rest is done.

    Of a body that fills SQS's limit the copy is cut, for the reason has to stand beside it.
    """
    sqs = connect(aws, "sqs")
    url, dead = (sqs.get_queue_url(QueueName=f"{QUEUE}{end}")["QueueUrl"] for end in ("", "-dlq"))
    sent = {}
    for name, body in {**{name: body for name, (body, _) in BAD.items()}, **HARMLESS}.items():
        sent[sqs.send_message(QueueUrl=url, MessageBody=body)["MessageId"]] = name
    log = tmp_path / "worker.log"
    with running(make_environment(aws.environment), "worker", "--threads", "4", log=log):
        wait_until(lambda: count(sqs, url) == 0, "the queue's end")
        wait_until(lambda: sum(line["event"] == "job.done" for line in read_log(log)) == len(HARMLESS), "the last job")
    reasons = {}
    for letter in receive_all(sqs, dead):
        attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
        name = sent[attributes["messageId"]]
        assert name not in reasons, f"{name} was buried twice"
        reasons[name] = attributes["reason"]
        assert attributes["receiveCount"] == "1"
        assert attributes["queue"] == QUEUE
        assert attributes["sentAt"]
        body, _ = BAD[name]
        assert letter["Body"] == body or (body.startswith(letter["Body"]) and attributes["cutFrom"] == "1048576")
    assert reasons.keys() == BAD.keys()
    for name, reason in reasons.items():
        assert re.search(f"^unreadable: .*{BAD[name][1]}", reason), (name, reason)
    lines = read_log(log)
    buried = [line for line in lines if line["event"] == "queue.buried"]
    assert [line["buried"] for line in buried] == list(range(1, len(BAD) + 1))
    assert {(sent[line["message_id"]], line["reason"]) for line in buried} == set(reasons.items())
    named = [(line["event"], line["queue"]) for line in lines if line["event"] in {"queue.buried", "queue.unreadable"}]
    assert set(named) == {("queue.buried", "jobs"), ("queue.unreadable", "jobs")}
    assert not [line for line in lines if line["level"] in {"error", "critical"}]
    assert not [line for line in lines if line["event"] in {"queue.job_failed", "queue.redelivered", "job.redelivered"}]
