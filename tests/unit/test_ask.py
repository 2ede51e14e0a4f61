"""What messages and invocations ask the application for, over operations that nobody gets to."""

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import fields
from typing import Any

import pytest
import structlog

from producer.access import Caller, Principal, Role
from producer.ask import Answer, Operations
from producer.http import create_app
from producer.http.body import MAX_BODY_BYTES
from producer.operations import CHECK_DRIFT
from producer.services import Services
from workers.core.errors import ServiceUnavailable
from workers.core.model.errors import show
from workers.core.requests import RequestRefused

ADMIN = Caller("lambda", Principal("alias admin", Role.ADMIN), key="k")


class Refusing:
    """Operations of which each one refuses, in words of its own, or cannot be had."""

    async def ask(self, *_: object) -> int:
        raise ServiceUnavailable("SQS takes nothing")

    def __getattr__(self, name: str) -> Any:
        async def refuse(*_: object, **__: object) -> None:
            raise RequestRefused(f"{name} was reached", code="NOT_READY")

        return refuse


def ask(message: object, caller: Caller = ADMIN) -> Answer:
    """Ask for it on a loop of its own, at the depth at which a door does."""
    made: Mapping[str, Any] = {field.name: Refusing() for field in fields(Services)}
    services = Services(**{**made, "regions": frozenset({"us-east-1"})})

    async def do() -> Answer:
        app = create_app(lambda: nullcontext(services), has_callers=True)
        async with app.router.lifespan_context(app):
            return await Operations(app).ask(message, caller, "req-of-the-door")

    return asyncio.run(do())


@pytest.mark.parametrize("name", ["nextToken", "limit"])
def test_a_parameter_as_long_as_a_book_is_refused_in_words(name: str) -> None:
    """What cannot even be sent is a refusal like another, and no message that comes again."""
    answer = ask({"operation": "list_waves", name: "я" * 70_000})
    assert (answer.status, answer.document["code"]) == (400, "INVALID_BODY")
    assert f"What is given for {name} is too long" in answer.document["errors"][0]["message"]


def test_json_of_every_depth_is_refused_in_words() -> None:
    """Also where it could just be read, and is too deep to be handed on."""
    for depth in range(sys.getrecursionlimit() - 200, sys.getrecursionlimit() + 1, 2):
        groups: list[Any] = []
        for _ in range(depth):
            groups = [groups]
        answer = ask({"operation": "start_wave_recovery", "groupIds": groups})
        assert (answer.status, answer.document["code"]) == (400, "INVALID_BODY"), depth


@pytest.mark.parametrize("text", ["я", "a", '"'])
def test_a_body_is_as_long_as_it_is_over_http(text: str) -> None:
    """One that HTTP takes is not too long because it came in a message; one byte more is."""
    room = MAX_BODY_BYTES - len(json.dumps({"groupIds": [""]}, separators=(",", ":")))
    long = text * (room // len(json.dumps(text, ensure_ascii=False).encode()[1:-1]))
    answer = ask({"operation": "start_wave_recovery", "groupIds": [long]})
    assert (answer.status, answer.document["code"]) == (400, "INVALID_BODY")
    answer = ask({"operation": "start_wave_recovery", "groupIds": [long + text]})
    assert (answer.status, answer.document["code"]) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    "message",
    [{"operation": "get_wave"}, {"operation": "sing"}, {"operation": "list_waves"}, {"operation": CHECK_DRIFT}],
)
def test_a_request_keeps_its_id_whatever_becomes_of_it(message: dict[str, object]) -> None:
    """Done, refused by a route, or no request at all."""
    answer = ask({**message, "requestId": "mine-1"})
    assert answer.status >= 400
    assert (answer.document["requestId"], answer.headers["X-Request-Id"]) == ("mine-1", "mine-1")


@pytest.mark.parametrize("given", ["two words", "x" * 129, "", 7])
def test_an_id_that_no_header_can_be_is_refused_and_not_replaced(given: object) -> None:
    """Whoever looks for it in a log would find nothing."""
    answer = ask({"operation": "list_waves", "requestId": given})
    assert (answer.status, answer.document["requestId"]) == (400, "req-of-the-door")
    assert "requestId must be 1 to 128 printable ASCII" in answer.document["errors"][0]["message"]


@pytest.mark.parametrize("message", [{"operation": "sing"}, {"operation": "get_wave"}, {"httpMethod": "DELETE"}, [1]])
def test_what_is_no_request_is_logged_with_who_and_what(message: object) -> None:
    """Somebody may be playing API Gateway."""
    with structlog.testing.capture_logs() as logs:
        ask(message, Caller("lambda", None, reason="no alias", claimed="alias live on behalf of mallory"))
    (told,) = (line for line in logs if line["event"] == "request.refused")
    assert (told["principal"], told["door"]) == ("alias live on behalf of mallory", "lambda")
    assert told["operation"] == (show(message.get("operation")) if isinstance(message, dict) else None)
    assert told["reason"]


def test_whom_a_door_could_not_tell_is_logged_by_what_it_knows_of_him() -> None:
    """Not by the address of this very process."""
    with structlog.testing.capture_logs() as logs:
        answer = ask({"operation": "list_waves"}, Caller("lambda", None, reason="no alias", claimed="alias live"))
    assert answer.status == 401
    assert [line["principal"] for line in logs if "principal" in line] == ["alias live"] * 2


def test_what_cannot_be_done_now_says_when_to_ask_again() -> None:
    """Also the one operation that is no route."""
    answer = ask({"operation": CHECK_DRIFT})
    assert (answer.status, answer.headers.get("Retry-After")) == (503, "5")
