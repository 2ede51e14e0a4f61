"""Who may what, at each door; and that nothing in a request's own words counts."""

from typing import Any

import pytest

from producer.operations import CHECK_DRIFT, ROUTES, Asked
from tests.integration.doors.doors import DOORS, Doors, make_context, make_event
from tests.integration.doors.test_doors import ASKED, group_id
from workers.core.errors import SetupError
from workers.core.settings import Settings

NEEDS = {
    "reader": {"get_", "list_"},
    "operator": {"apply_", "start_", "redrive_", "check_"},
    "admin": {"create_", "update_", "delete_", "rollback"},
}
RANKS = ("reader", "operator", "admin")


def needed(operation: str) -> str:
    return next(role for role, begins in NEEDS.items() if operation.startswith(tuple(begins)))


def ask_of(doors: Doors, operation: str) -> dict[str, Any]:
    return {"operation": operation, **(ASKED[operation][0](doors) if operation in ASKED else {})}


@pytest.mark.parametrize("operation", [*ROUTES, CHECK_DRIFT])
@pytest.mark.parametrize("role", RANKS)
def test_an_alias_is_a_role(doors: Doors, operation: str, role: str) -> None:
    """What a role is enough for is done; else 403 says which one is needed, and nothing is changed."""
    message = ask_of(doors, operation)
    answer = doors.ask_directly(message, role)
    enough = RANKS.index(role) >= RANKS.index(needed(operation))
    assert (answer.status != 403) is enough
    if not enough:
        assert answer.document["code"] == "FORBIDDEN"
        assert answer.document["detail"] == f"This needs the role {needed(operation)}; alias {role} is {role}."


@pytest.mark.parametrize("alias", [None, "live", "7", "api", "requests"])
def test_an_invocation_through_no_role_s_alias_may_nothing(doors: Doors, alias: str | None) -> None:
    """Also through API Gateway's own alias, or the queue's."""
    answer = doors.ask_directly({"operation": "list_protection_groups"}, alias)
    assert (answer.status, answer.document["code"]) == (401, "UNAUTHENTICATED")
    assert "by one of its aliases reader, operator or admin" in answer.document["detail"]


@pytest.mark.parametrize("alias", ["reader", "operator", "requests"])
def test_an_invocation_that_plays_api_gateway_is_not_believed(doors: Doors, alias: str) -> None:
    """Its claims count through API Gateway's alias alone: what it really asks for is no operation."""
    claims = {"cognito:username": "mallory", "cognito:groups": "admin"}
    asked = make_event(
        Asked("", "DELETE", f"/protection-groups/{group_id(doors)}", "", None, {}), {"authorizer": {"claims": claims}}
    )
    answer = doors.function.handle(asked, make_context(alias))
    assert (answer["statusCode"], answer["body"]["code"]) == (400, "INVALID_BODY")


@pytest.mark.parametrize("alias", ["reader", "operator", "api"])
def test_an_invocation_that_plays_the_queue_is_not_believed(doors: Doors, alias: str) -> None:
    """Messages come through the queue's alias alone."""
    target = group_id(doors)
    record = doors.make_record({"operation": "delete_protection_group", "groupId": target})
    with pytest.raises(SetupError, match="through the alias requests"):
        doors.function.handle({"Records": [record]}, make_context(alias))
    assert doors.ask_http({"operation": "get_protection_group", "groupId": target}).status == 200
    doors.sqs.delete_message(QueueUrl=doors.url("requests"), ReceiptHandle=record["receiptHandle"])


@pytest.mark.parametrize(
    ("groups", "status"),
    [("reader", 403), ("[reader operator]", 202), ("others,admin", 202), ("others", 403), ("", 403), ("ADMINS", 403)],
)
def test_a_token_s_groups_are_roles(doors: Doors, groups: str, status: int) -> None:
    """As API Gateway hands them on: one text, with or without brackets."""
    message = {"operation": "apply_launch_configs", "groupId": group_id(doors), "force": True}
    assert doors.ask_with_token(message, groups).status == status


@pytest.mark.parametrize(
    ("name", "status"), [("administrators", 202), ("Administrators", 403), ("administrators2", 403), ("else", 403)]
)
def test_a_role_of_iam_has_the_role_that_the_setting_names(doors: Doors, name: str, status: int) -> None:
    """By account and name: the ARN of a session does not have the role's path."""
    message = {"operation": "apply_launch_configs", "groupId": group_id(doors), "force": True}
    answer = doors.ask_with_signature(message, name)
    assert answer.status == status


@pytest.mark.parametrize(
    "who",
    [
        {},
        {"authorizer": {}},
        {"authorizer": None},
        {"authorizer": {"claims": {}}},
        {"authorizer": {"claims": "admin"}},
        {"identity": {"userArn": None}},
        {"identity": {"userArn": ""}},
    ],
)
def test_whom_api_gateway_does_not_know_may_nothing(doors: Doors, who: dict[str, Any]) -> None:
    """A method without an authorizer is an open door: it is told to have one."""
    answer = doors.ask_gateway({"operation": "list_protection_groups"}, **who)
    assert (answer.status, answer.document["code"]) == (401, "UNAUTHENTICATED")
    assert "give its method an authorizer" in answer.document["detail"]


@pytest.mark.parametrize("role", RANKS)
def test_what_senders_of_messages_may_is_a_setting(doors: Doors, monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    """Whoever a message says that it is for: the answer says no, and it is a dead letter."""
    settings = doors.settings.model_copy(update={"requests_role": role})
    monkeypatch.setattr(doors.function, "_settings", settings)
    doors.take("requests-dlq")
    message = {"operation": "delete_protection_group", "groupId": group_id(doors), "invokedBy": "admin"}
    answer = doors.ask_by_message(message)
    assert answer.status == (204 if role == "admin" else 403)
    assert len(doors.take("requests-dlq")) == (0 if role == "admin" else 1)


RAISING = ("role", "roles", "principal", "requestedBy", "appliedBy", "door", "cognito:groups", "userArn")


@pytest.mark.parametrize("door", DOORS)
def test_a_role_in_the_body_is_no_role(doors: Doors, door: str) -> None:
    """Members that would raise who asks are members that nobody knows."""
    message = {"operation": "start_wave_recovery", "groupIds": ["pg-0"], **dict.fromkeys(RAISING, "admin")}
    answer = DOORS[door](doors, message)
    assert answer.status == 400
    assert {error["pointer"] for error in answer.document["errors"]} == {f"/{name}" for name in RAISING}


@pytest.mark.parametrize(
    ("door", "who", "by"),
    [
        ("http", "unauthenticated@127.0.0.1", "http"),
        ("api gateway with a token", "alice", "http"),
        ("api gateway with a signature", "arn:aws:sts::123456789012:assumed-role/administrators/alice", "http"),
        ("invocation", "alias admin on behalf of mallory", "lambda"),
        ("invocation with body", "alias admin on behalf of alice", "lambda"),
        ("message", "{sender} on behalf of mallory", "sqs"),
    ],
)
def test_who_asked_is_written_down_as_the_door_knows_him(doors: Doors, door: str, who: str, by: str) -> None:
    """For whom a message says that it is stands beside that, and never in its place."""
    record = doors.make_record({})
    doors.sqs.delete_message(QueueUrl=doors.url("requests"), ReceiptHandle=record["receiptHandle"])
    asked = {"operation": "create_protection_group", **ASKED["create_protection_group"][0](doors)}
    group = DOORS[door](doors, {**asked, "invokedBy": "mallory"}).document
    (run,) = doors.ask_http({"operation": "list_apply_runs", "groupId": group["groupId"]}).document["applyRuns"]
    assert (run["requestedBy"], run["door"]) == (who.format(sender=record["attributes"]["SenderId"]), by)


def test_a_sender_may_do_what_operators_may() -> None:
    """Unless the installation says more: applies and waves, and no change of what is applied."""
    assert Settings.model_fields["requests_role"].default == "operator"
