"""A function that cannot be opened: what each of its callers is told, and that it goes on once it can."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest

from producer import lambda_handler
from producer.services import Services
from workers.core.errors import SetupError

SECRET = "hunter2-and-more"
CONTEXT = SimpleNamespace(invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:f", aws_request_id="r-1")
GATEWAY = {"resource": "/{proxy+}", "path": "/waves", "httpMethod": "GET", "requestContext": {}}
BATCH = {"Records": [{"eventSource": "aws:sqs", "messageId": "1"}]}


@pytest.fixture(autouse=True)
def cold(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test begins and ends in an execution environment of its own, without log lines of another one."""
    monkeypatch.setattr(lambda_handler, "configure_logs", lambda: None)
    lambda_handler._open.cache_clear()
    yield
    lambda_handler._open.cache_clear()


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stand for the stack, which is not there until somebody says so."""
    standing = SimpleNamespace(is_there=False)

    @asynccontextmanager
    async def open_services(*_: object) -> AsyncIterator[Services]:
        if not standing.is_there:
            raise SetupError(f"Stack {SECRET!r} is not in this account.")
        made: dict[str, Any] = dict.fromkeys(field.name for field in fields(Services))
        yield Services(**made)

    monkeypatch.setattr(lambda_handler, "open_services", open_services)
    return standing


@pytest.mark.usefixtures("stack")
def test_api_gateway_s_callers_are_told_when_to_ask_again() -> None:
    """As over HTTP; not by a 502 of API Gateway's own, and without a name of anything in the account."""
    answer = lambda_handler.handle(GATEWAY, CONTEXT)
    document = json.loads(answer["body"])
    assert (answer["statusCode"], document["code"], document["requestId"]) == (503, "SERVICE_UNAVAILABLE", "r-1")
    assert (answer["headers"]["Retry-After"], answer["headers"]["X-Request-Id"]) == ("5", "r-1")
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert SECRET not in json.dumps(answer)


@pytest.mark.usefixtures("stack")
def test_an_invocation_is_told_when_to_ask_again() -> None:
    """In the shape of its other answers."""
    answer = lambda_handler.handle({"operation": "list_waves"}, CONTEXT)
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert (answer["statusCode"], answer["body"]["code"], answer["headers"]["Retry-After"]) == (
        503,
        "SERVICE_UNAVAILABLE",
        "5",
    )
    assert SECRET not in json.dumps(answer)


@pytest.mark.usefixtures("stack")
def test_messages_come_again_all_of_them() -> None:
    """Only an error tells SQS so when nothing of a batch was looked at."""
    with pytest.raises(SetupError):
        lambda_handler.handle(BATCH, CONTEXT)


def test_the_next_invocation_opens_the_function(stack: SimpleNamespace) -> None:
    """An execution environment that began in an outage is not lost."""
    assert lambda_handler.handle({"operation": "sing"}, CONTEXT)["statusCode"] == 503
    stack.is_there = True
    assert lambda_handler.handle({"operation": "sing"}, CONTEXT)["statusCode"] == 400
    lambda_handler._open().close()


def test_wrong_settings_are_named_and_their_values_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret may have been put into the wrong variable, and Lambda shows what is raised to whoever invokes."""
    monkeypatch.setenv("PRELAUNCH_IAM_ROLES", SECRET)
    monkeypatch.setenv("PRELAUNCH_THREADS", SECRET)
    with pytest.raises(SetupError) as raised:
        lambda_handler.handle(BATCH, CONTEXT)
    assert "PRELAUNCH_IAM_ROLES" in str(raised.value)
    assert "PRELAUNCH_THREADS" in str(raised.value)
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def ask_gateway(stack: SimpleNamespace, claims: dict[str, str], alias: str = "api") -> tuple[int, str]:
    """Delete a group as API Gateway hands it on; answer the status, and what was said."""
    stack.is_there = True
    event = {
        "resource": "/{proxy+}",
        "path": "/protection-groups/pg-1",
        "httpMethod": "DELETE",
        "requestContext": {"authorizer": {"claims": claims}},
    }
    context = SimpleNamespace(invoked_function_arn=f"{CONTEXT.invoked_function_arn}:{alias}")
    answer = lambda_handler.handle(event, context)
    lambda_handler._open().close()
    return answer["statusCode"], str(answer["body"])


@pytest.mark.parametrize(
    ("claims", "is_in"),
    [
        ({"token_use": "id", "aud": "ours"}, True),
        ({"token_use": "access", "client_id": "ours"}, True),
        ({"token_use": "id", "aud": "another"}, False),
        ({"token_use": "access", "client_id": "another"}, False),
        ({"token_use": "access", "aud": "ours"}, False),
        ({"token_use": "refresh", "aud": "ours"}, False),
        ({}, False),
    ],
)
def test_a_token_of_another_application_opens_nothing_through_api_gateway_either(
    stack: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, claims: dict[str, str], is_in: bool
) -> None:
    """API Gateway's authorizer takes the tokens of every app client of the pool; ours takes those of one."""
    monkeypatch.setenv("PRELAUNCH_AUTH_ISSUER", "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_pool")
    monkeypatch.setenv("PRELAUNCH_AUTH_AUDIENCE", "ours")
    status, said = ask_gateway(stack, {"sub": "1", "cognito:groups": "admin", **claims})
    # Nothing is behind the door: who gets in meets that.
    assert (status == 500) is is_in, said
    assert status in {401, 500}


@pytest.mark.parametrize(
    ("groups", "is_admin"),
    [
        ("admin", True),
        ("a,admin", True),
        ("admin,us-east-1_pool_Google", True),
        ("[admin]", True),
        ("[a admin]", True),
        ("[a,admin]", False),
        ("[b a,admin]", False),
        ("[a,admin,b c]", False),
        ("[[admin]]", False),
        ("a.admin", False),
        ("administrators", False),
        ("a admin", False),
        ("[]", False),
        ("", False),
    ],
)
def test_a_group_s_name_is_read_whole_as_far_as_api_gateway_lets_it_be(
    stack: SimpleNamespace, groups: str, *, is_admin: bool
) -> None:
    """Commas part names at a REST API, blanks between brackets at an HTTP API; there a comma is a name's own."""
    status, said = ask_gateway(stack, {"sub": "1", "cognito:groups": groups})
    # Nothing is behind the door: who gets in meets that.
    assert (status == 500) is is_admin, said
    assert status in {403, 500}


@pytest.mark.parametrize("alias", ["live", "7", "admin", "requests"])
def test_api_gateway_s_claims_count_through_no_other_alias(stack: SimpleNamespace, alias: str) -> None:
    """Whoever may invoke some alias could claim to be anybody there."""
    status, said = ask_gateway(stack, {"sub": "1", "cognito:groups": "admin"}, alias)
    assert (status, "operation must be one of" in said) == (400, True)


@pytest.mark.parametrize("alias", ["Admin", "ADMIN", "adm"])
def test_an_alias_is_a_role_by_its_whole_name(stack: SimpleNamespace, alias: str) -> None:
    """To Lambda, and to IAM's policies, it is another alias."""
    stack.is_there = True
    context = SimpleNamespace(invoked_function_arn=f"{CONTEXT.invoked_function_arn}:{alias}")
    answer = lambda_handler.handle({"operation": "list_waves"}, context)
    lambda_handler._open().close()
    assert answer["statusCode"] == 401


@pytest.mark.parametrize("alias", ["live", "7", "api", "admin"])
@pytest.mark.parametrize("queue", ["prelaunch-requests", "prelaunch-jobs", "other-requests", None])
def test_messages_that_are_not_taken_are_not_deleted(stack: SimpleNamespace, alias: str, queue: str | None) -> None:
    """What a function answers without an error is a success to SQS: its event source mapping would lose all of them."""
    stack.is_there = True
    for invoked in (alias, "requests") if queue != "prelaunch-requests" else (alias,):
        context = SimpleNamespace(invoked_function_arn=f"{CONTEXT.invoked_function_arn}:{invoked}")
        record = {"eventSource": "aws:sqs", "eventSourceARN": queue and f"arn:aws:sqs:us-east-1:123456789012:{queue}"}
        with pytest.raises(SetupError, match="let the event source mapping of that queue invoke that alias"):
            lambda_handler.handle({"Records": [record]}, context)
    lambda_handler._open().close()


@pytest.mark.parametrize(("is_open", "status"), [("", 401), ("false", 401), ("true", 500)])
def test_the_metrics_are_open_where_that_is_set(
    stack: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, is_open: str, status: int
) -> None:
    """To whoever comes through API Gateway; behind the door there is nothing, which who gets in meets."""
    stack.is_there = True
    if is_open:
        monkeypatch.setenv("PRELAUNCH_METRICS_OPEN", is_open)
    assert lambda_handler.handle({**GATEWAY, "path": "/metrics"}, CONTEXT)["statusCode"] == status
    lambda_handler._open().close()
