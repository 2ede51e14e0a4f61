"""
The operations by the names that messages and invocations ask for them by, and the request that each of them is.

There is one code for all doors, that of the routes: here a message becomes the very request that a route takes, so
that every door checks, refuses and answers alike. Nothing is checked here but what makes a request of a message.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import FastAPI
from fastapi.routing import APIRoute

from producer.http.asking import query_names
from producer.http.exchange import REQUEST_ID
from workers.core.model.errors import FieldError, InvalidBody, show

ROUTES: Mapping[str, str] = {
    "create_protection_group": "create_group",
    "update_protection_group": "update_group",
    "get_protection_group": "get_group",
    "delete_protection_group": "delete_group",
    "list_protection_groups": "list_groups",
    "apply_launch_configs": "apply_launch_configs",
    "get_launch_config_status": "get_launch_config_status",
    "get_launch_config_plan": "get_launch_config_plan",
    "list_apply_runs": "list_apply_runs",
    "get_apply_run": "get_apply_run",
    "rollback": "rollback",
    "start_wave_recovery": "start_wave",
    "get_wave": "get_wave",
    "list_waves": "list_waves",
    "list_dead_letters": "list_dead_letters",
    "redrive_dead_letters": "redrive_dead_letters",
}
"""The route, by its name in the OpenAPI document, that does what an operation asks for."""
CHECK_DRIFT = "check_drift"
"""The one operation that is no route: what it takes are CloudTrail's events, as EventBridge sends them."""
ENVELOPE = ("operation", "body", "invokedBy", "idempotencyKey", "requestId", "replyTo", "correlationId")
"""Members of every message that are no part of what is asked."""
LONGEST_NAME = 64
LONGEST_QUERY = 16_384
"""Characters of a request's parameters, encoded as in an address; of four times as many no request can be made."""
_ANY = (re.compile("[^\x00-\x1f\ud800-\udfff]{1,255}"), "1 to 255 printable characters")
_ALLOWED = {
    "idempotencyKey": (re.compile("[!-~]([ -~]{0,253}[!-~])?"), "1 to 255 printable ASCII characters"),
    "requestId": (REQUEST_ID, "1 to 128 printable ASCII characters without blanks"),
}
"""What goes on as a header of the request has to be one."""
_NAME = re.compile(rf"(?!\.\.?$)[^/\x00-\x1f\ud800-\udfff]{{1,{LONGEST_NAME}}}")
"""What stays one step of a path: with a slash, or dots alone, it would lead to another route."""
_HALF = re.compile("[\ud800-\udfff]")
"""Half a character, which JSON can hold and nothing can send."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What one route takes."""

    method: str
    path: str
    """A template: each name in braces is a member of the message. In a request: filled, and percent-encoded."""
    path_names: tuple[str, ...]
    query_names: frozenset[str]
    takes_body: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """The request that a message is."""

    operation: str
    method: str
    path: str
    query: str
    """Encoded, without a question mark."""
    body: Mapping[str, Any] | None
    envelope: Mapping[str, str]
    """What stands in the envelope beside operation and body, texts all of them."""
    has_pages: bool = False
    """Whether its answer is one page of several."""


def list_operations(app: FastAPI) -> Mapping[str, Operation]:
    """Answer what can be asked, by name, as the application's routes take it."""
    routes = {route.name: route for route in app.routes if isinstance(route, APIRoute)}
    return {name: _describe(routes[route]) for name, route in ROUTES.items()}


def _describe(route: APIRoute) -> Operation:
    method = next(iter(route.methods or ()))
    return Operation(
        method=method,
        path=route.path_format,
        path_names=tuple(parameter.alias for parameter in route.dependant.path_params),
        query_names=frozenset(query_names(route.dependant)),
        takes_body="requestBody" in (route.openapi_extra or {}),
    )


def read_message(message: object, operations: Mapping[str, Operation]) -> Asked:
    """
    Make a request of a message.

    Parameters:
        message: Any JSON value; `{"operation": …}` with what the operation takes beside it, or in its member `body`.
        operations: What can be asked, by name.

    Returns:
        The request; whether it can be done its route says.

    Raises:
        InvalidBody: No request can be made of it; all that is wrong, at once.
    """
    if not isinstance(message, dict):
        raise _wrong([("", "The message is no JSON object.")])
    name = message.get("operation")
    known = ", ".join((*operations, CHECK_DRIFT))
    if not isinstance(name, str) or name not in {*operations, CHECK_DRIFT}:
        raise _wrong([("/operation", f"operation must be one of {known}, not {show(name)}.")])
    envelope, faults = _read_envelope(message)
    asked, more = _read_asked(message)
    faults += more
    operation = operations.get(name)
    if operation is None:
        if faults:
            raise _wrong(faults)
        return Asked(name, "", "", "", asked, envelope)
    path, more = _fill(operation, asked)
    faults += more
    query = {each: asked[each] for each in sorted(operation.query_names & asked.keys()) if asked[each] is not None}
    faults += [
        (f"/{each}", f"{each} must be text, a number, true or false, not {show(value)}.")
        for each, value in query.items()
        if not isinstance(value, str | int | float) or (isinstance(value, str) and _HALF.search(value))
    ]
    body = {each: value for each, value in asked.items() if each not in {*operation.path_names, *operation.query_names}}
    if body and not operation.takes_body:
        takes = ", ".join((*operation.path_names, *sorted(operation.query_names))) or "nothing"
        faults += [(f"/{each}", f"{show(each)} is not known here; {name} takes {takes}.") for each in body]
    if faults:
        raise _wrong(faults)
    shown = urlencode({each: _write(value) for each, value in query.items()})
    if len(shown) > LONGEST_QUERY:
        told = f"What is given for {', '.join(query)} is too long: {len(shown)} characters, of {LONGEST_QUERY} at most."
        raise _wrong([("", told)])
    has_pages = "nextToken" in operation.query_names
    return Asked(name, operation.method, path, shown, body if operation.takes_body else None, envelope, has_pages)


def _read_envelope(message: Mapping[str, Any]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    given = {name: message[name] for name in ENVELOPE[2:] if message.get(name) is not None}
    faults = [
        (f"/{name}", f"{name} must be {_ALLOWED.get(name, _ANY)[1]}, not {show(value)}.")
        for name, value in given.items()
        if read_named(message, name) is None
    ]
    return given, faults


def read_named(message: object, name: str) -> str | None:
    """
    Read what stands in the envelope of a message, of which perhaps no request can be made.

    Parameters:
        message: Any JSON value.
        name: The member's; none of operation and body.

    Returns:
        It; None where it is not there, or not what it has to be.
    """
    value = message.get(name) if isinstance(message, dict) else None
    return value if isinstance(value, str) and _ALLOWED.get(name, _ANY)[0].fullmatch(value) else None


def _read_asked(message: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Read what is asked, which may stand beside the operation's name or in `body`, but nothing in both."""
    flat = {name: value for name, value in message.items() if name not in ENVELOPE}
    body = message.get("body")
    if body is None:
        return flat, []
    if not isinstance(body, dict):
        # Of a text nothing is repeated: it may be the whole request, with its secrets, written as JSON once too often.
        given = "text: give the JSON itself" if isinstance(body, str) else show(body)
        return flat, [("/body", f"body must be an object, not {given}.")]
    twice = sorted(flat.keys() & body.keys())
    return {**flat, **body}, [(f"/{each}", f"{each} is given twice: also in body.") for each in twice]


def _fill(operation: Operation, asked: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    faults = list(_find_wrong_names(operation.path_names, asked))
    if faults:
        return operation.path, faults
    return operation.path.format_map({name: quote(asked[name], safe="") for name in operation.path_names}), []


def _find_wrong_names(names: Sequence[str], asked: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in names:
        value = asked.get(name)
        if not isinstance(value, str) or _NAME.fullmatch(value) is None:
            yield (
                f"/{name}",
                f"{name} must be an id of 1 to {LONGEST_NAME} characters without a slash, not {show(value)}.",
            )


def _write(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wrong(faults: Sequence[tuple[str, str]]) -> InvalidBody:
    return InvalidBody(tuple(FieldError(pointer, "INVALID_BODY", told, None) for pointer, told in faults))
