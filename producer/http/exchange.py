"""
What surrounds every request: its id, its one log line and count, the last resort for an error that nobody caught.

Its answer, its log lines and its jobs carry the id, so that one search finds all that came of it.

Nothing of a request's body, query or headers is ever logged but its id: secrets may stand there.
"""

import re
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from producer.http.meter import NONE, Meter
from producer.problems import RETRY_AFTER_SECONDS, problem
from producer.services import new_request_id

log = structlog.get_logger()

PROBLEM = "application/problem+json"
REQUEST_ID_HEADER = "X-Request-Id"
REQUEST_ID = re.compile(r"[!-~]{1,128}")
"""What a request may be named by; another name is not taken on."""
BUG_DETAIL = "prelaunch met an error of its own, which is in its log. Nothing says that the request had no effect."


@dataclass(slots=True)
class Exchange:
    """A request and its answer, as far as they have come."""

    request_id: str
    arrived_at: float = field(default_factory=time.monotonic)
    """On the monotonic clock."""
    principal: str | None = None
    """Who asks; None until that is known."""
    status: int | None = None
    """None until the answer begins."""
    refusal: dict[str, Any] = field(default_factory=dict)
    """Why it was refused, for the log."""


def exchange_of(request: Request) -> Exchange:
    """Answer the exchange that a request is part of."""
    exchange = request.scope["state"]["exchange"]
    assert isinstance(exchange, Exchange)  # noqa: S101  # nosec B101  # the middleware put it there
    return exchange


def answer_problem(exchange: Exchange, document: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    """
    Make the answer to a request that is refused or that failed.

    Parameters:
        exchange: The request's; what it is refused for goes into its log line.
        document: The problem's members.
        headers: What the answer carries beside its type.

    Returns:
        The answer; a 503 always says when to try again.
    """
    status = document["status"]
    more = dict(headers or {})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        more["Retry-After"] = str(RETRY_AFTER_SECONDS)
    exchange.refusal = {"code": document["code"], "detail": document["detail"]}
    return JSONResponse({**document, "requestId": exchange.request_id}, status, headers=more, media_type=PROBLEM)


class Exchanges:
    """
    The middleware that opens and closes exchanges.

    Parameters:
        app: What is surrounded.
        meter: Counts them; None: nobody does.
    """

    def __init__(self, app: ASGIApp, meter: Meter | None = None) -> None:
        self._app = app
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        exchange = Exchange(given if REQUEST_ID.fullmatch(given) else new_request_id())
        is_head = scope["method"] == "HEAD"
        # A HEAD is a GET whose content is not sent (RFC 9110): no route has to say so.
        inner = {**scope, "method": "GET" if is_head else scope["method"]}
        inner["state"] = {**scope.get("state", {}), "exchange": exchange}
        with structlog.contextvars.bound_contextvars(request_id=exchange.request_id):
            try:
                await self._serve(inner, receive, _Answering(send, exchange, has_content=not is_head))
            finally:
                self._close(exchange, scope["method"], inner)

    def _close(self, exchange: Exchange, method: str, scope: Scope) -> None:
        route = getattr(scope.get("route"), "path", None)
        seconds = time.monotonic() - exchange.arrived_at
        if self._meter is not None:
            self._meter.count(method, route, exchange.status, seconds)
        log.info(
            "request.answered",
            method=method,
            route=route or NONE,
            status=exchange.status,
            seconds=round(seconds, 3),
            principal=exchange.principal,
            **exchange.refusal,
        )

    async def _serve(self, scope: Scope, receive: Receive, answering: "_Answering") -> None:
        exchange = answering.exchange
        try:
            await self._app(scope, receive, answering)
        except ClientDisconnect:
            exchange.refusal = {"code": "CLIENT_DISCONNECTED"}
        except Exception:
            log.exception("request.failed")
            if exchange.status is not None:
                # Half an answer is sent: the connection must break, or it would be taken for a whole one.
                raise
            _, document = problem(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", BUG_DETAIL)
            await answer_problem(exchange, document)(scope, receive, answering)


class _Answering:
    """Sends an answer with the exchange's id on it."""

    def __init__(self, send: Send, exchange: Exchange, *, has_content: bool) -> None:
        self._send = send
        self._has_content = has_content
        self.exchange = exchange

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.exchange.status = int(message["status"])
            MutableHeaders(scope=message)[REQUEST_ID_HEADER] = self.exchange.request_id
        elif message["type"] == "http.response.body" and not self._has_content:
            message = {**message, "body": b""}
        await self._send(message)
