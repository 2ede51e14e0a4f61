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
