"""The same request through every door: the same answer, and the same refusal."""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from producer.operations import CHECK_DRIFT, ROUTES
from tests.integration.doors.doors import DOORS, REPLIES, Answered, Doors, make_context

REGION = "us-east-1"
CONFIG = {"instanceType": "m5.xlarge", "targetInstanceTypeRightSizingMethod": "NONE"}
_CHANGING = re.compile(
    r"(?:pg|run|wave|req|s|lt|pit|job|drsjob)-[0-9a-zA-Z]{8,}|sha256:[0-9a-f]+|\d{4}-\d\d-\d\dT[\d:.]+Z|"
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)
Message = dict[str, Any]
REQUEST_ID = "of-a-test"
OTHERWISE = {
    "requestId": "each request has its own",
    "requestedBy": "each door has its own way to tell who asks",
    "appliedBy": "likewise",
    "changedBy": "likewise",
    "door": "it is another one",
    "description": "names the test",
    "groupName": "there is one of each name",
    "nextToken": "holds the last name",
    "approximateCounts": "of all queues",
}
"""What differs from door to door, and why."""


def body(doors: Doors, count: int = 1) -> Message:
    members = doors.aws.control("POST", "servers", {"count": count})["sourceServerIds"]
    return {
        "groupName": f"group {uuid.uuid4().hex}",
        "region": REGION,
        "sourceServerIds": members,
        "launchConfig": CONFIG,
    }


def create(doors: Doors, **more: Any) -> Message:
    answer = doors.ask_http({"operation": "create_protection_group", **body(doors), **more})
    assert answer.status == 201, answer.document
    return dict(answer.document)


def group_id(doors: Doors) -> str:
    return str(create(doors)["groupId"])


def update(doors: Doors) -> Message:
    shown = create(doors)
    wanted = {name: shown[name] for name in ("groupId", "groupName", "region", "sourceServerIds")}
    return {
        **wanted,
        "version": 1,
        "description": "another one",
        "launchConfig": {**CONFIG, "instanceType": "m5.large"},
    }


def of_a_run(doors: Doors) -> Message:
    shown = create(doors)
    return {"groupId": shown["groupId"], "runId": shown["launchConfigStatus"]["runId"]}


def rollback(doors: Doors) -> Message:
    changed = update(doors)
    assert doors.ask_http({"operation": "update_protection_group", **changed}).status == 200
    return {"groupId": changed["groupId"], "toRun": 1}


def wave(doors: Doors) -> str:
    answer = doors.ask_http({"operation": "start_wave_recovery", "groupIds": [group_id(doors)]})
    assert answer.status == 202, answer.document
    return str(answer.document["waveId"])


def letters(doors: Doors) -> Message:
    doors.take("jobs-dlq")
    doors.sqs.send_message(QueueUrl=doors.url("jobs-dlq"), MessageBody="?")
    return {}


def of(make: Callable[[Doors], str], name: str, **more: Any) -> Callable[[Doors], Message]:
    return lambda doors: {name: make(doors), **more}


ASKED: Mapping[str, tuple[Callable[[Doors], Message], int]] = {
    "create_protection_group": (body, 201),
    "update_protection_group": (update, 200),
    "get_protection_group": (of(group_id, "groupId"), 200),
    "delete_protection_group": (of(group_id, "groupId"), 204),
    "list_protection_groups": (lambda doors: {"limit": 1}, 200),
    "apply_launch_configs": (of(group_id, "groupId", force=True), 202),
    "get_launch_config_status": (of(group_id, "groupId", servers="pending", limit=10, live=True), 200),
    "get_launch_config_plan": (of(group_id, "groupId", limit=5), 200),
    "list_apply_runs": (of(group_id, "groupId"), 200),
    "get_apply_run": (of_a_run, 200),
    "rollback": (rollback, 202),
    "start_wave_recovery": (lambda doors: {"groupIds": [group_id(doors)], "isDrill": True}, 202),
    "get_wave": (of(wave, "waveId"), 200),
    "list_waves": (lambda doors: {"limit": 1}, 200),
    "list_dead_letters": (letters, 200),
    "redrive_dead_letters": (letters, 200),
}
"""What is asked of each operation, and the status that it is answered with."""
OF_AWS = ("get_launch_config_status", "get_launch_config_plan")
"""What shows launch templates: no two source servers have the same one."""


def plain(document: Any) -> Any:
    """What an answer says, without what is every request's own."""
    if isinstance(document, dict):
        return {_plain_text(name): plain(value) for name, value in document.items() if name not in OTHERWISE}
    if isinstance(document, list):
        return [plain(each) for each in document]
    return _plain_text(document) if isinstance(document, str) else document


def _plain_text(text: str) -> str:
    return _CHANGING.sub("…", text)


def ask(doors: Doors, door: str, message: Message) -> Answered:
    return DOORS[door](doors, message)


def test_every_operation_is_asked_for() -> None:
    """An operation that is added is one of these, or this fails."""
    assert set(ASKED) == set(ROUTES)


@pytest.mark.parametrize("operation", ASKED)
def test_the_same_request_has_the_same_answer_through_each_door(doors: Doors, operation: str) -> None:
    """Status, headers and document, but for ids, times and who asked; each carries its request's own id."""
    make, status = ASKED[operation]
    shared = make(doors) if operation in OF_AWS else None
    named = {"operation": operation, "requestId": REQUEST_ID}
    answers = {door: ask(doors, door, {**named, **(shared or make(doors))}) for door in DOORS}
    assert {door: answer.status for door, answer in answers.items()} == dict.fromkeys(DOORS, status)
    expected = plain(answers["http"].document)
    for door, answer in answers.items():
        assert plain(answer.document) == expected, door
        assert plain(answer.headers) == plain(answers["http"].headers), door
        assert answer.headers["x-request-id"] == REQUEST_ID, door
        assert ("content-type" in answer.headers) is (answer.document is not None), door
        if "location" in answer.headers:
            made = answer.document.get("groupId") or answer.document["waveId"]
            assert answer.headers["location"].rpartition("/")[2] == made, door


BROKEN: Mapping[str, Message] = {
    "no such group": {"operation": "get_protection_group", "groupId": "pg-00000000000000000"},
    "no such run": {"operation": "get_apply_run", "groupId": "pg-0", "runId": "9"},
    "a wrong member": {"operation": "create_protection_group", "groupName": "", "region": "moon", "colour": "red"},
    "a body that lacks what is needed": {"operation": "start_wave_recovery"},
    "a parameter out of range": {"operation": "list_protection_groups", "limit": 0},
    "a parameter of another kind": {"operation": "list_waves", "limit": "many"},
    "a filter that is none": {"operation": "get_launch_config_status", "groupId": "pg-0", "servers": "blue"},
    "a wait too long": {"operation": "apply_launch_configs", "groupId": "pg-0", "wait": 26},
}


@pytest.mark.parametrize("broken", BROKEN)
def test_the_same_wrong_request_has_the_same_refusal_through_each_door(doors: Doors, broken: str) -> None:
    """Code, detail and every error; through the queue it is a dead letter too, with the reason."""
    doors.take("requests-dlq")
    answers = {door: ask(doors, door, {**BROKEN[broken], "requestId": REQUEST_ID}) for door in DOORS}
    expected = plain(answers["http"].document)
    told = {"content-type": "application/problem+json", "x-request-id": REQUEST_ID}
    assert {door: answer.headers for door, answer in answers.items()} == dict.fromkeys(DOORS, told)
    assert {answer.document["requestId"] for answer in answers.values()} == {REQUEST_ID}
    assert 400 <= answers["http"].status < 500
    assert {door: (answer.status, plain(answer.document)) for door, answer in answers.items()} == dict.fromkeys(
        DOORS, (answers["http"].status, expected)
    )
    (letter,) = doors.take("requests-dlq")
    reason = letter["MessageAttributes"]["reason"]["StringValue"]
    assert reason
    assert all(error["message"] in reason for error in answers["http"].document["errors"])


@pytest.mark.parametrize("door", DOORS)
def test_what_a_key_names_is_done_once_through_each_door(doors: Doors, door: str) -> None:
    """One group, however often it is asked for; another request under the key is refused."""
    message = {"operation": "create_protection_group", "idempotencyKey": uuid.uuid4().hex, **body(doors)}
    first, second = (ask(doors, door, message) for _ in range(2))
    assert (first.status, second.status) == (201, 201)
    assert first.document["groupId"] == second.document["groupId"]
    other = ask(doors, door, {**message, "description": "another"})
    assert (other.status, other.document["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    doors.take("requests-dlq")


def test_of_a_batch_comes_again_what_cannot_be_done_now_and_nothing_else(doors: Doors) -> None:
    """Each message has its own end: done, refused, or left to SQS."""
    doors.take("requests-dlq")
    asked = (
        {"operation": "list_waves"},
        {"operation": "create_protection_group", **body(doors)},
        {"operation": "sing"},
    )
    records = [doors.make_record(message) for message in asked]
    fault = {"service": "drs", "operation": "DescribeSourceServers", "code": "InternalServerException"}
    try:
        doors.aws.control("PUT", "faults", [fault])
        left = doors.function.handle({"Records": records}, make_context("requests"))
    finally:
        doors.aws.control("PUT", "faults", [])
    assert left == {"batchItemFailures": [{"itemIdentifier": records[1]["messageId"]}]}
    (letter,) = doors.take("requests-dlq")
    assert json.loads(letter["Body"]) == asked[2]
    doors.sqs.delete_message(QueueUrl=doors.url("requests"), ReceiptHandle=records[1]["receiptHandle"])


def test_what_passes_says_through_each_door_when_to_ask_again(doors: Doors) -> None:
    """All answer 503 with the same headers but the queue's, which needs none: the message comes again by itself."""
    message = {"operation": "create_protection_group", **body(doors)}
    try:
        fault = {"service": "drs", "operation": "DescribeSourceServers", "code": "InternalServerException"}
        doors.aws.control("PUT", "faults", [fault])
        answers = {door: ask(doors, door, message) for door in DOORS if door != "message"}
        record = doors.make_record(message)
        left = doors.function.handle({"Records": [record]}, make_context("requests"))
    finally:
        doors.aws.control("PUT", "faults", [])
    assert left == {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
    doors.sqs.delete_message(QueueUrl=doors.url("requests"), ReceiptHandle=record["receiptHandle"])
    for door, answer in answers.items():
        assert (answer.status, answer.document["code"]) == (503, "InternalServerException"), door
        own = {"x-request-id": answer.document["requestId"]}
        assert answer.headers == {"content-type": "application/problem+json", "retry-after": "5", **own}, door


ADDRESSES = (
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/schemas/fleet.json"),
    ("HEAD", "/healthz"),
    ("OPTIONS", "/waves"),
    ("PATCH", "/waves"),
    ("GET", "/nowhere"),
)


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_what_is_no_operation_is_answered_alike_over_http_and_behind_api_gateway(
    doors: Doors, method: str, path: str
) -> None:
    """Status, headers and document; as text, which API Gateway hands on unchanged."""
    found = doors.knock(method, path)
    answers = [(each.status, plain(each.document), plain(each.headers)) for each in found.values()]
    assert answers[0] == answers[1]


NO_REQUEST: Mapping[str, tuple[object, str]] = {
    "no object": ([1], "The message is no JSON object."),
    "no operation": ({}, "operation must be one of create_protection_group, "),
    "another operation": ({"operation": "DROP TABLE"}, 'not "DROP TABLE".'),
    "an id missing": ({"operation": "get_protection_group"}, "groupId must be an id of 1 to 64 characters"),
    "an id that is a path": (
        {"operation": "delete_protection_group", "groupId": "pg-1/apply-runs"},
        "groupId must be an id of 1 to 64 characters without a slash",
    ),
    "an id of dots": ({"operation": "get_wave", "waveId": ".."}, "waveId must be an id"),
    "an id that is a number": ({"operation": "get_wave", "waveId": 7}, "waveId must be an id"),
    "a parameter that is an object": ({"operation": "list_waves", "limit": {}}, "limit must be text, a number"),
    "something twice": ({"operation": "get_wave", "waveId": "w", "body": {"waveId": "x"}}, "waveId is given twice"),
    "a body that is none": ({"operation": "get_wave", "waveId": "w", "body": "x"}, "body must be an object"),
    "what is not taken": ({"operation": "get_wave", "waveId": "w", "force": True}, '"force" is not known here'),
    "a key that is no text": ({"operation": "get_wave", "waveId": "w", "idempotencyKey": 1}, "idempotencyKey must be"),
    "a key that is no header": ({"operation": "get_wave", "waveId": "w", "idempotencyKey": "ж"}, "printable ASCII"),
    "half a character": ({"operation": "list_waves", "nextToken": "\ud800"}, "nextToken must be text, a number"),
}


@pytest.mark.parametrize("case", NO_REQUEST)
def test_what_is_no_request_is_refused_before_anything(doors: Doors, case: str) -> None:
    """One clear error, by invocation and by message; nothing is looked up for it."""
    message, told = NO_REQUEST[case]
    doors.take("requests-dlq")
    found = doors.function.handle(message, make_context("reader"))
    assert (found["statusCode"], found["body"]["code"]) == (400, "INVALID_BODY")
    (error,) = found["body"]["errors"]
    assert told in error["message"]
    assert doors.function.handle({"Records": [doors.make_record(message)]}, None) == {"batchItemFailures": []}
    (letter,) = doors.take("requests-dlq")
    assert error["message"] in letter["MessageAttributes"]["reason"]["StringValue"]
    assert json.loads(letter["Body"]) == message


@pytest.mark.parametrize("door", ["invocation", "invocation with body", "message"])
def test_a_check_for_drift_is_sent_to_the_workers(doors: Doors, door: str) -> None:
    """The one operation without a route; it says how many messages the workers get."""
    doors.take("jobs")
    asked = {"accountId": "123456789012", "region": REGION, "sourceServerIds": ["s-1a2b3c4d5e6f7a8b9"]}
    answer = ask(doors, door, {"operation": CHECK_DRIFT, **asked})
    assert (answer.status, answer.document) == (202, {"sentMessages": 1})
    assert len(doors.take("jobs")) == 1


def test_a_delete_that_comes_twice_is_done_once_and_answered_alike(doors: Doors) -> None:
    """Its process may die between the doing and the deletion of the message: what is done is no dead letter."""
    doors.take("requests-dlq")
    message = {"operation": "delete_protection_group", "groupId": group_id(doors), "replyTo": doors.replies}
    record = doors.make_record(message)
    for _ in range(2):
        left = doors.function.handle({"Records": [record]}, make_context("requests"))
        assert left == {"batchItemFailures": []}
        (reply,) = doors.take(REPLIES)
        assert json.loads(reply["Body"])["statusCode"] == 204
    assert doors.take("requests-dlq") == []
    assert doors.ask_by_message({"operation": "delete_protection_group", "groupId": message["groupId"]}).status == 404


def test_whoever_waits_for_an_answer_that_no_message_holds_is_told(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, with the way to it; what was asked for is done, and the message is no dead letter."""
    doors.take("requests-dlq")
    monkeypatch.setattr("producer.replies.MOST_BYTES", 400)
    group = group_id(doors)
    answer = doors.ask_by_message({"operation": "get_protection_group", "groupId": group})
    assert (answer.status, answer.document["code"]) == (200, "ANSWER_TOO_LARGE")
    assert f"GET /protection-groups/{group}" in answer.document["detail"]
    assert doors.take("requests-dlq") == []
