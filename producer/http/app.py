"""
The HTTP door: authenticates, parses, calls one operation, renders. It decides nothing about a source server.

Every refusal and every failure is an RFC 9457 problem; nothing is stored or sent for a request that is refused.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache, partial
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from producer.access import Access
from producer.http.exchange import Exchanges, answer_problem, exchange_of
from producer.http.groups import add_groups
from producer.http.health import add_health
from producer.http.letters import add_letters
from producer.http.meter import Meter
from producer.http.metrics import add_metrics
from producer.http.neighbours import LOOPBACK, NeighboursOnly
from producer.http.openapi import describe
from producer.http.page import SignIn, add_page
from producer.http.rollback import add_rollback
from producer.http.runs import add_runs
from producer.http.shipped import add_shipped
from producer.http.waves import add_waves
from producer.problems import problem, render_error
from producer.services import Services
from workers.core.errors import PrelaunchError
from workers.core.model.errors import FieldError, GroupTooLarge, InvalidBody
from workers.core.requests import RequestRefused

ServicesFactory = Callable[[], AbstractAsyncContextManager[Services]]
HTTP_DETAILS: Mapping[HTTPStatus, str] = {
    HTTPStatus.NOT_FOUND: "There is no such route here; /openapi.json lists them.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This route does not take that method; Allow and /openapi.json say which it takes.",
}
"""What is said of a request that never reached an operation."""


def create_app(
    open_services: ServicesFactory,
    access: Access | None = None,
    *,
    host: str = LOOPBACK,
    has_callers: bool = False,
    sign_in: SignIn | None = None,
    metrics_open: bool = False,
) -> FastAPI:
    """
    Create the application.

    Parameters:
        open_services: Opens the operations when the server starts, on its loop, and closes them when it stops.
        access: Tells callers apart; None: every program that can connect may do everything, and no web page anything.
        host: The address that the door listens on.
        has_callers: Every request comes through a door that tells callers apart, and says so in the scope.
        sign_in: Where the page's readers get their tokens; None: they bring them.
        metrics_open: Whoever can connect may read the metrics, also where callers are told apart.

    Returns:
        The ASGI application.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services() as services:
            app.state.services = services
            yield
        if access is not None:
            access.close()

    app = FastAPI(
        title="prelaunch",
        summary="Keeps the launch settings of DRS source servers applied before they are needed.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.access = access
    if access is None and not has_callers:
        app.add_middleware(NeighboursOnly, host=host)
    # Behind the doors that have callers there are many instances: what one of them counts says nothing of all.
    meter = None if has_callers else Meter()
    # Added last, it stands round all others.
    app.add_middleware(Exchanges, meter=meter)
    _add_refusals(app)
    for add in (add_health, add_groups, add_runs, add_rollback, add_waves, add_letters, add_shipped):
        add(app)
    tells_apart = access is not None or has_callers
    add_page(app, asks_for_tokens=tells_apart, sign_in=sign_in)
    add_metrics(app, meter, is_open=metrics_open)
    # FastAPI's own way to give it another document. Rendered when it is first asked for: most doors never are.
    app.openapi = cache(partial(describe, app, authenticated=tells_apart))  # type: ignore[method-assign]
    return app


def _add_refusals(app: FastAPI) -> None:
    for kind in (InvalidBody, GroupTooLarge, RequestRefused, PrelaunchError):
        app.add_exception_handler(kind, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_bad_parameters)
    app.add_exception_handler(HTTPException, _answer_http_error)


async def _answer_error(request: Request, error: Exception) -> Response:
    status, document = render_error(error)
    headers = {"WWW-Authenticate": 'Bearer realm="prelaunch"'} if status == HTTPStatus.UNAUTHORIZED else None
    return answer_problem(exchange_of(request), document, headers)


async def _answer_bad_parameters(request: Request, error: Exception) -> Response:
    details = error.errors() if isinstance(error, RequestValidationError) else []
    errors = [
        FieldError("", "INVALID_BODY", f"{'.'.join(map(str, found['loc']))}: {found['msg']}.", None)
        for found in details
    ]
    detail = "Parameters of the request's path, query or headers are wrong; see errors."
    _, document = problem(HTTPStatus.BAD_REQUEST, "INVALID_BODY", detail, errors)
    return answer_problem(exchange_of(request), document)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    status = HTTPStatus(error.status_code if isinstance(error, HTTPException) else 500)
    exchange = exchange_of(request)
    headers = {}
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_find_methods(request))
        if request.method == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
    _, document = problem(status, status.name, HTTP_DETAILS.get(status, f"{status.description}."))
    return answer_problem(exchange, document, headers)


def _find_methods(request: Request) -> list[str]:
    """Answer every method of a path: the router stops at the first of its routes that has another one."""
    methods = {"OPTIONS"}
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)
