"""Refusals and failures as problem documents."""

import json
from http import HTTPStatus

import pytest

from producer.problems import render_error
from workers.core import errors
from workers.core.model.errors import FieldError, GroupTooLarge, InvalidBody
from workers.core.requests import Conflict, NotFound, RequestRefused, group_not_found

WRONG = FieldError("/launchConfig/instanceType", "INVALID_LAUNCH_CONFIG", "no such type", None)
WRONG_SERVER = FieldError("/servers/0", "INVALID_BODY", "not a member", "s-0123456789abcdefg")
MEMBERS = {"type", "title", "status", "code", "detail", "errors"}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidBody((WRONG,)), 400, "INVALID_LAUNCH_CONFIG"),
        (InvalidBody((WRONG, WRONG_SERVER)), 400, "INVALID_BODY"),
        (GroupTooLarge(4001, 4000), 413, "GROUP_TOO_LARGE"),
        (group_not_found("pg-1"), 404, "GROUP_NOT_FOUND"),
        (NotFound("no wave", code="WAVE_NOT_FOUND"), 404, "WAVE_NOT_FOUND"),
        (Conflict("taken", (WRONG_SERVER,), code="SERVER_CONFLICT"), 409, "SERVER_CONFLICT"),
        (Conflict("taken", code="GROUP_NAME_EXISTS"), 409, "GROUP_NAME_EXISTS"),
        (Conflict("moved", code="STATUS_CHANGED"), 409, "STATUS_CHANGED"),
        (Conflict("failed", code="NOT_READY"), 409, "NOT_READY"),
        (RequestRefused("too much", code="BODY_TOO_LARGE"), 413, "BODY_TOO_LARGE"),
        (errors.ServiceUnavailable("busy"), 503, "SERVICE_UNAVAILABLE"),
        (errors.SetupError("no tables"), 503, "NOT_REACHABLE"),
        (errors.GroupDeleted("pg-1 was deleted"), 404, "GROUP_NOT_FOUND"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_refusal_is_a_problem(error: Exception, status: int, code: str) -> None:
    """The answer's status and the document's agree, the code is the error's, and it is JSON of RFC 9457's members."""
    answered, document = render_error(error)
    assert (answered, document["status"], document["code"]) == (status, status, code)
    assert document["title"] == HTTPStatus(status).phrase
    assert document.keys() == MEMBERS
    assert document["detail"]
    assert json.loads(json.dumps(document)) == document


def test_a_problem_tells_everything_at_once() -> None:
    """Every error stands in the document with place, source server, code and message; the detail counts them."""
    _, document = render_error(InvalidBody((WRONG, WRONG_SERVER)))
    assert document["errors"] == [
        {
            "pointer": "/launchConfig/instanceType",
            "sourceServerId": None,
            "code": "INVALID_LAUNCH_CONFIG",
            "message": "no such type",
        },
        {
            "pointer": "/servers/0",
            "sourceServerId": "s-0123456789abcdefg",
            "code": "INVALID_BODY",
            "message": "not a member",
        },
    ]
    assert "2 things are wrong" in document["detail"]
    assert "1 thing is wrong" in render_error(InvalidBody((WRONG,)))[1]["detail"]


def test_a_bug_is_no_refusal() -> None:
    """What is none of ours is not dressed up as a problem of the request; its cause is kept, its text not shown."""
    with pytest.raises(TypeError) as caught:
        render_error(KeyError("secret"))
    assert isinstance(caught.value.__cause__, KeyError)
    assert "secret" not in str(caught.value)
