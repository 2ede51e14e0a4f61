"""
Asking the application what a message asks for, in this process: no socket, and no other code than a request's.

The doors of messages and invocations tell callers apart; the application believes them, for no client of its own can
put a Caller into a scope.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx
import structlog
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from producer.access import CALLER, Caller, Role, check_role, find_principal
from producer.change_events import read_check
from producer.http.app import create_app
from producer.http.exchange import PROBLEM, REQUEST_ID_HEADER
from producer.operations import CHECK_DRIFT, Asked, list_operations, read_message, read_named
from producer.problems import RETRY_AFTER_SECONDS, render_error
from producer.services import Services
from producer.strict_json import write_json
from workers.core.drift_checks import DriftChecks
from workers.core.errors import PrelaunchError
from workers.core.model.errors import InvalidBody, show
from workers.core.requests import Requester, RequestRefused

log = structlog.get_logger()

CONTENT_TYPE = "Content-Type"
JSON = "application/json"
SHOWN_HEADERS = (REQUEST_ID_HEADER, CONTENT_TYPE, "Location", "Retry-After")
"""What of an answer's headers goes on to who asked by a message: the others are about a connection, or its browser."""
_BASE_URL = "http://localhost"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the application answers: the same at every door."""

    status: int
    """As HTTP has it."""
    document: Any
    """JSON; None where there is nothing to say."""
    headers: Mapping[str, str]
    asked: Asked | None
    """The request; None where none could be made of the message."""

    @property
    def is_refused(self) -> bool:
        """Whether it can never be done as it was asked."""
        return 400 <= self.status < 500  # noqa: PLR2004  # HTTP's own

    @property
    def is_done(self) -> bool:
        """Whether it was done, or accepted."""
        return self.status < 400  # noqa: PLR2004  # HTTP's own

    def explain(self) -> str:
        """Say in a line why it was refused."""
        errors = [str(error["message"]) for error in self.document["errors"]]
        return " ".join(errors) or str(self.document["detail"])

    def render(self) -> dict[str, Any]:
        """Render as what an invocation or a message is answered with."""
        return {"statusCode": self.status, "headers": dict(self.headers), "body": self.document}


@asynccontextmanager
async def open_operations(services: Services) -> AsyncIterator["Operations"]:
    """
    Open what messages can ask for.

    Parameters:
        services: The operations, which are open.

    Yields:
        Them, until the block is left.
    """
    app = create_app(lambda: nullcontext(services), has_callers=True)
    async with app.router.lifespan_context(app):
        yield Operations(app)


class Operations:
    """
    What messages can ask for.

    Parameters:
        app: The application, whose lifespan has begun.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._known = list_operations(app)

    async def ask(self, message: object, caller: Caller, request_id: str) -> Answer:
        """
        Do what a message asks for.

        Parameters:
            message: Any JSON value.
            caller: Who asks, as its door has found out.
            request_id: What the request is found by in every log, where the message gives it no id.

        Returns:
            The answer; a refusal is one too.
        """
        request_id = read_named(message, "requestId") or request_id
        try:
            asked = read_message(message, self._known)
            content = write_json(asked.body) if asked.body is not None else None
        except InvalidBody as refused:
            return _refuse(refused, message, caller, request_id)
        headers = {REQUEST_ID_HEADER: request_id}
        if asked.operation == CHECK_DRIFT:
            return await self._check_drift(asked, caller, request_id)
        if "idempotencyKey" in asked.envelope:
            headers["Idempotency-Key"] = asked.envelope["idempotencyKey"]
        if content is not None:
            headers[CONTENT_TYPE] = JSON
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self._with(caller)), base_url=_BASE_URL) as client:
            url = httpx.URL(asked.path, query=asked.query.encode())
            answer = await client.request(asked.method, url, content=content, headers=headers)
        shown = {name: answer.headers[name] for name in SHOWN_HEADERS if name in answer.headers}
        return Answer(answer.status_code, answer.json() if answer.content else None, shown, asked)

    async def _check_drift(self, asked: Asked, caller: Caller, request_id: str) -> Answer:
        try:
            principal = find_principal(caller)
            check_role(principal, Role.OPERATOR)
            requester = Requester(principal.name, caller.door, "requested", request_id)
            checks: DriftChecks = self._app.state.services.drift_checks
            sent = await checks.ask(read_check(asked.body or {}), requester)
        except (InvalidBody, RequestRefused, PrelaunchError) as error:
            return _refuse(error, {"operation": CHECK_DRIFT}, caller, request_id, asked)
        shown = {REQUEST_ID_HEADER: request_id, CONTENT_TYPE: JSON}
        return Answer(HTTPStatus.ACCEPTED, {"sentMessages": sent}, shown, asked)

    def _with(self, caller: Caller) -> Any:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self._app({**scope, CALLER: caller}, receive, send)

        return app


def _refuse(error: Exception, message: object, caller: Caller, request_id: str, asked: Asked | None = None) -> Answer:
    """Answer what no route was asked about, and log who asked for what, as the routes do."""
    status, document = render_error(error)
    headers = {REQUEST_ID_HEADER: request_id, CONTENT_TYPE: PROBLEM}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    log.warning(
        "request.refused",
        request_id=request_id,
        door=caller.door,
        operation=show(message.get("operation")) if isinstance(message, dict) else None,
        principal=caller.name,
        code=document["code"],
        reason=str(error),
    )
    return Answer(status, {**document, "requestId": request_id}, headers, asked)
