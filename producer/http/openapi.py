"""
What /openapi.json says of the routes: the shape of what they take, of every answer, and of every problem.

What is declared here is what is answered, code by code; the tests ask the running door whether that is so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from producer.access import Role
from producer.http import examples
from producer.http.asking import refuse_unknown_parameters, require
from producer.http.exchange import PROBLEM, REQUEST_ID_HEADER
from producer.http.schemas import REFERENCE, Problem, describe_shapes
from producer.problems import STATUS_BY_CODE

JSON = "application/json"
_ROLE = "x-role"
_SCHEME = "bearer"
_HEADERS: Mapping[str, dict[str, Any]] = {
    REQUEST_ID_HEADER: {
        "description": "The request's id: the caller's own where one was sent, else a new one.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
    },
    "Location": {"description": "Where it is from now on.", "required": True, "schema": {"type": "string"}},
    "Retry-After": {
        "description": "Seconds until it is worth trying again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate (RFC 6750).",
        "required": True,
        "schema": {"type": "string"},
    },
}
_HEADER_OF_STATUS = {HTTPStatus.SERVICE_UNAVAILABLE: "Retry-After", HTTPStatus.UNAUTHORIZED: "WWW-Authenticate"}
_PROBLEMS_OF_ALL = ("INTERNAL_ERROR", "INVALID_BODY", "SERVICE_UNAVAILABLE")
_REQUEST_ID = {
    "name": REQUEST_ID_HEADER,
    "in": "header",
    "required": False,
    "description": "An id of the caller's own, 1 to 128 printable ASCII characters without spaces; any other is "
    "replaced. It stands in the answer and in every log line, the workers' too.",
    "schema": {"type": "string"},
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a route answers when all is well."""

    status: HTTPStatus
    description: str
    shape: type | None = None
    """None: no content."""
    example: Any = None
    headers: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    """Operations that the answer's members lead to, each with the parameter that it takes."""

    def describe(self) -> dict[str, Any]:
        """Render as a response of an OpenAPI document."""
        response: dict[str, Any] = {"description": self.description, "headers": _headers(self.headers)}
        if self.shape is not None:
            response["content"] = {JSON: {"schema": _reference(self.shape), "example": self.example}}
        if self.links:
            response["links"] = {
                operation: {"operationId": operation, "parameters": {name: f"$response.body#/{name}"}}
                for operation, name in self.links.items()
            }
        return response


@dataclass(frozen=True, slots=True)
class Body:
    """What a route takes."""

    shape: type
    examples: Mapping[str, Any]
    required: bool = True

    def describe(self) -> dict[str, Any]:
        """Render as the request body of an OpenAPI document."""
        shown = {name: {"value": value} for name, value in self.examples.items()}
        content = {JSON: {"schema": _reference(self.shape), "examples": shown}}
        return {"required": self.required, "content": content}


def operation(role: Role | None, *answers: Answer, refusals: Sequence[str] = (), body: Body | None = None) -> Any:
    """
    Declare a route, and what it begins with.

    Parameters:
        role: What the caller must be allowed; None: anybody.
        *answers: What it answers when all is well, the usual one first.
        refusals: The codes of its problems, beside those of every route.
        body: What it takes.

    Returns:
        Keyword arguments for FastAPI's decorators.
    """
    codes = {*_PROBLEMS_OF_ALL, *refusals}
    extra: dict[str, Any] = {}
    checks = [Depends(refuse_unknown_parameters)]
    if role is not None:
        codes |= {"UNAUTHENTICATED", "FORBIDDEN"}
        checks.insert(0, Depends(require(role)))
        extra |= {_ROLE: role.name.lower(), "security": [{_SCHEME: []}]}
    if body is not None:
        codes |= {"BODY_TOO_LARGE"}
        extra["requestBody"] = body.describe()
    responses: dict[int | str, dict[str, Any]] = {answer.status.value: answer.describe() for answer in answers}
    return {
        "status_code": answers[0].status.value,
        "response_class": JSONResponse,
        "responses": {**responses, **_describe_problems(codes)},
        "dependencies": checks,
        "openapi_extra": extra,
    }


def describe(app: FastAPI, *, authenticated: bool) -> dict[str, Any]:
    """
    Render the application's OpenAPI document.

    Parameters:
        app: The application, with all its routes.
        authenticated: Whether it asks for tokens: if not, nothing is said of them.

    Returns:
        The document.
    """
    document: dict[str, Any] = get_openapi(
        title=app.title, version=version("prelaunch"), summary=app.summary, routes=app.routes
    )
    document["components"] = {"schemas": describe_shapes()}
    if authenticated:
        scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": _describe_roles()}
        document["components"]["securitySchemes"] = {_SCHEME: scheme}
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                declared = document["paths"][route.path_format][method.lower()]
                _finish(declared, route, authenticated=authenticated)
    return document


def _finish(declared: dict[str, Any], route: APIRoute, *, authenticated: bool) -> None:
    # FastAPI declares a problem of its own that is never answered here, and drops every null of an example.
    declared["responses"] = {str(status): response for status, response in route.responses.items()}
    declared.update(route.openapi_extra or {})
    parameters = declared.setdefault("parameters", [])
    for parameter in parameters:
        parameter["schema"] = _without_null(parameter["schema"])
        parameter["schema"].pop("title", None)
    parameters.append(_REQUEST_ID)
    if not authenticated:
        declared.pop("security", None)
        declared.pop(_ROLE, None)
        declared["responses"].pop("401", None)
        declared["responses"]["403"] = _describe_problem(
            HTTPStatus.FORBIDDEN, {"FORBIDDEN": examples.problem_of("FORBIDDEN_TO_PAGES", HTTPStatus.FORBIDDEN)}
        )


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is given or left out; there is no null in a URL or a header."""
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) != 1:
        return schema
    return {**{name: value for name, value in schema.items() if name != "anyOf"}, **choices[0]}


def _describe_problems(codes: Iterable[str]) -> dict[int | str, dict[str, Any]]:
    by_status: dict[HTTPStatus, list[str]] = {}
    for code in sorted(codes):
        by_status.setdefault(status_of(code), []).append(code)
    return {
        status.value: _describe_problem(status, {code: examples.problem_of(code, status) for code in found})
        for status, found in sorted(by_status.items())
    }


def status_of(code: str) -> HTTPStatus:
    """Answer the HTTP status that a problem of a code has."""
    others = {"INTERNAL_ERROR": HTTPStatus.INTERNAL_SERVER_ERROR, "NOT_FOUND": HTTPStatus.NOT_FOUND}
    return STATUS_BY_CODE.get(code) or others.get(code, HTTPStatus.SERVICE_UNAVAILABLE)


def _describe_problem(status: HTTPStatus, shown: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    # Where AWS or our own tables do not answer the code is theirs: there is no list of those.
    listed = {} if status is HTTPStatus.SERVICE_UNAVAILABLE else {"enum": list(shown)}
    narrowed = {"properties": {"status": {"const": status.value}, "code": {"type": "string", **listed}}}
    more = [_HEADER_OF_STATUS[status]] if status in _HEADER_OF_STATUS else []
    return {
        "description": f"{status.phrase}: {', '.join(shown)}.",
        "headers": _headers(more),
        "content": {
            PROBLEM: {
                "schema": {"allOf": [_reference(Problem), narrowed]},
                "examples": {code: {"value": example} for code, example in shown.items()},
            }
        },
    }


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: _HEADERS[name] for name in (REQUEST_ID_HEADER, *names)}


def _reference(shape: type) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=shape.__name__)}


def _describe_roles() -> str:
    return (
        "An access or ID token of the user pool. Roles are its groups: reader (reads), operator (also applies and "
        "waves), admin (also creates, changes and deletes groups)."
    )
