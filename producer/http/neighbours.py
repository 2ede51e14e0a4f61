"""
Who may ask a door that asks nobody for a token: programs on this machine, and never a web page.

A page of any site can make the browser of somebody here send requests to loopback, and under a name of its own that
leads to 127.0.0.1 it can read the answers too. What it cannot do is lie about Host and Origin.
"""

import re
from http import HTTPStatus

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from producer.access import CALLER, Forbidden
from producer.http.exchange import answer_problem, exchange_of
from producer.problems import problem

log = structlog.get_logger()

LOOPBACK = "127.0.0.1"
LONGEST_TOLD = 200
"""Characters of a path that the log repeats: none of a route of ours is as long."""
OPEN_TO_NEIGHBOURS = "Without authentication this door answers programs on its own machine"
_NAMES = frozenset({LOOPBACK, "localhost", "[::1]"})
_HOST = re.compile(r"(?P<name>\[[0-9a-f:]+\]|[^:\[\]]+)(:[0-9]*)?", re.IGNORECASE)


class NeighboursOnly:
    """The middleware that refuses what a web page can send."""

    def __init__(self, app: ASGIApp, *, host: str) -> None:
        self._app = app
        self._names = _NAMES | {host}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request of this machine's programs, and no other."""
        is_foreign = scope["type"] == "http" and CALLER not in scope
        detail = self._find_fault(Request(scope)) if is_foreign else None
        if detail is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        _tell(request, detail)
        _, document = problem(HTTPStatus.FORBIDDEN, Forbidden.code, detail)
        await answer_problem(exchange_of(request), document)(scope, receive, send)

    def _find_fault(self, request: Request) -> str | None:
        hosts = request.headers.getlist("Host")
        found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if found is None or found["name"].lower() not in self._names:
            return f"{OPEN_TO_NEIGHBOURS}; the header Host has to be one of {', '.join(sorted(self._names))}."
        own = f"{request.scope['scheme']}://{hosts[0]}".lower()
        if any(origin.lower() != own for origin in request.headers.getlist("Origin")):
            return f"{OPEN_TO_NEIGHBOURS}, no web page; the header Origin names one."
        return None


def _tell(request: Request, reason: str) -> None:
    """Log who asked for what: no route has looked at it, and Host and Origin may hold anything."""
    client = request.client.host if request.client else "unknown"
    exchange_of(request).principal = f"unauthenticated@{client}"
    log.warning(
        "access.refused",
        principal=f"unauthenticated@{client}",
        client=client,
        method=request.method,
        path=request.scope["path"][:LONGEST_TOLD],
        code=Forbidden.code,
        reason=reason,
    )
