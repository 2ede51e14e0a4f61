"""What is sent to a queue that somebody names: to which, and what of an answer that no message holds."""

import json

import pytest

from producer.ask import Answer
from producer.operations import Asked
from producer.replies import FIRST_ERRORS, MOST_BYTES, find_fault, write_reply


@pytest.mark.parametrize(
    ("queue", "is_right"),
    [
        ("a-replies", True),
        ("a-replies-of-jobs-and-more", True),
        ("a-replies2", True),
        ("a-replies-jobs", False),
        ("a-replies-x-jobs", False),
        ("a-replies-x-jobs-dlq", False),
        ("a-replies-x-jobs-urgent", False),
        ("a-replies-x-jobs-bulk-dlq", False),
        ("a-replies-x-requests", False),
        ("a-replies-x-requests-dlq", False),
        ("a-replies.fifo", False),
        ("a-replies/../a-jobs", False),
        ("a-replies" + "x" * 80, False),
        ("a-jobs", False),
        ("b-replies", False),
        ("https://sqs.us-east-1.amazonaws.com/1/a-replies", False),
        (["a-replies"], False),
    ],
)
def test_only_queues_for_replies_are_answered_to(queue: object, *, is_right: bool) -> None:
    """A stack may be called as another one's queues begin: what it works by is no queue for replies."""
    told = find_fault(queue, "a")
    assert (told is None) is is_right
    assert is_right or "begins with a-replies and does not end as a stack's own queues do (-jobs-urgent, " in str(told)


def reply_of(answer: Answer) -> dict[str, object]:
    text = write_reply(answer, "c-1")
    assert len(text) < MOST_BYTES / 10
    told: dict[str, object] = json.loads(text)
    assert (told["correlationId"], told["statusCode"]) == ("c-1", answer.status)
    return told


def make_asked(method: str, path: str, *, has_pages: bool = False) -> Asked:
    return Asked("an_operation", method, path, "", None, {}, has_pages)


@pytest.mark.parametrize(
    ("asked", "location", "way"),
    [
        (make_asked("GET", "/g/1"), None, "Read it over HTTP: GET /g/1."),
        (make_asked("PUT", "/g/1"), None, "Read it over HTTP: GET /g/1."),
        (make_asked("POST", "/g/1/rollback"), None, "Read it over HTTP: GET /g/1."),
        (make_asked("POST", "/g"), "/g/2", "Read it over HTTP: GET /g/2."),
        (make_asked("GET", "/g", has_pages=True), None, "Ask for it in pages: with a smaller limit, then "),
    ],
)
def test_an_answer_that_no_message_holds_is_told_of(asked: Asked, location: str | None, way: str) -> None:
    """Whoever waits is told that it was done, how large the answer is and where it can be had."""
    body = {"groups": "x" * MOST_BYTES}
    answer = Answer(200, body, {"Location": location} if location else {}, asked)
    told = reply_of(answer)
    assert told["operation"] == "an_operation"
    said = told["body"]
    assert isinstance(said, dict)
    size = len(json.dumps({**answer.render(), "operation": "an_operation", "correlationId": "c-1"}))
    assert (said["code"], said["answerBytes"], said["mostBytes"]) == ("ANSWER_TOO_LARGE", size, MOST_BYTES)
    assert f"{size} bytes" in said["detail"]
    assert way in said["detail"]


def test_of_a_refusal_that_no_message_holds_the_first_errors_are_told() -> None:
    """They are what whoever waits can correct."""
    errors = [{"pointer": f"/servers/{n}", "message": "x" * 1000} for n in range(2000)]
    document = {"code": "INVALID_BODY", "detail": "The body is wrong.", "errors": errors}
    said = reply_of(Answer(400, document, {}, None))["body"]
    assert isinstance(said, dict)
    assert (said["code"], said["errors"]) == ("INVALID_BODY", errors[:FIRST_ERRORS])
    assert "The body is wrong. Of its 2000 errors these are the first 20" in said["detail"]


def test_an_answer_that_a_message_holds_is_sent_as_it_is() -> None:
    """To the last byte that SQS takes."""
    answer = Answer(200, {"x": ""}, {}, None)
    room = MOST_BYTES - len(write_reply(answer, None))
    most = Answer(200, {"x": "x" * room}, {}, None)
    assert json.loads(write_reply(most, None))["body"] == most.document
    more = Answer(200, {"x": "x" * (room + 1)}, {}, make_asked("GET", "/g"))
    assert "x" * room not in write_reply(more, None)
