"""
The HTTP door: authenticates, parses, calls one operation, renders. It decides nothing about a source server.

Every refusal and every failure is an RFC 9457 problem; nothing is stored or sent for a request that is refused.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from producer.body import read_json
from producer.problems import RETRY_AFTER_SECONDS, problem, render_error
from producer.render import render_apply, render_group, render_status, render_wave
from producer.services import MAX_WAIT, Services
from workers.core.errors import PrelaunchError
from workers.core.model.bodies import parse_apply, parse_wave
from workers.core.model.errors import FieldError, GroupTooLarge, InvalidBody
from workers.core.model.group import parse_group
from workers.core.queries import Page, ServerFilter
from workers.core.requests import Requester, RequestRefused
from workers.core.runs.selection import ApplyRequest
from workers.core.store.waves import WaveStatus
from workers.core.waves import WaveRequest

log = structlog.get_logger()

ServicesFactory = Callable[[], AbstractAsyncContextManager[Services]]
Wait = Annotated[
    float,
    Query(ge=0, le=MAX_WAIT.total_seconds(), description="Seconds to wait until the run settles; what there is then."),
]
GroupId = Annotated[str, Path(max_length=64)]
WaveId = Annotated[str, Path(max_length=64)]
PROBLEM = "application/problem+json"
HTTP_DETAILS: Mapping[HTTPStatus, str] = {
    HTTPStatus.NOT_FOUND: "There is no such route here; /openapi.json lists them.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This route does not take that method; Allow and /openapi.json say which it takes.",
}
"""What is said of a request that never reached an operation."""


def create_app(open_services: ServicesFactory) -> FastAPI:
    """
    Create the application.

    Parameters:
        open_services: Opens the operations when the server starts, on its loop, and closes them when it stops.

    Returns:
        The ASGI application.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services() as services:
            app.state.services = services
            yield

    app = FastAPI(title="prelaunch", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False)
    for kind in (InvalidBody, GroupTooLarge, RequestRefused, PrelaunchError):
        app.add_exception_handler(kind, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_bad_parameters)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_bug)
    _add_health(app)
    _add_groups(app)
    _add_waves(app)
    return app


def _services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)  # noqa: S101  # nosec B101  # the lifespan put it there
    return services


def _requester(request: Request) -> Requester:
    # Nobody is authenticated at this door yet, and it listens on loopback only: the address is all that is known.
    client = request.client.host if request.client else "unknown"
    return Requester(principal=f"unauthenticated@{client}", door="http", reason="requested")


Operations = Annotated[Services, Depends(_services)]
Asker = Annotated[Requester, Depends(_requester)]


def _add_health(app: FastAPI) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Tell that the process is alive."""
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz(services: Operations) -> dict[str, str]:
        """Tell that the stack's tables answer."""
        await services.tables.get("keys", "readyz")
        return {"status": "ready"}


def _add_groups(app: FastAPI) -> None:
    @app.post("/protection-groups", status_code=201)
    async def create_group(request: Request, services: Operations, requester: Asker, wait: Wait = 0) -> JSONResponse:
        """Create a group and apply its launch config."""
        definition = parse_group(await read_json(request))
        head = await services.submission.create_group(definition, requester)
        await services.wait_for_group(head.group_id, timedelta(seconds=wait))
        view = await services.queries.group(head.group_id)
        location = {"Location": f"/protection-groups/{head.group_id}"}
        return JSONResponse(render_group(view), HTTPStatus.CREATED, headers=location)

    @app.get("/protection-groups/{groupId}")
    async def get_group(groupId: GroupId, services: Operations) -> dict[str, Any]:  # noqa: N803
        """Show a group."""
        return render_group(await services.queries.group(groupId))

    @app.post("/protection-groups/{groupId}/apply-launch-configs", status_code=202)
    async def apply_launch_configs(
        groupId: GroupId,  # noqa: N803
        request: Request,
        services: Operations,
        requester: Asker,
        wait: Wait = 0,
    ) -> JSONResponse:
        """Apply a group's launch config to what is not ready, or to what is asked."""
        body = parse_apply(await read_json(request, empty={}))
        asked = ApplyRequest(body.force, body.only_failed, body.source_server_ids)
        submitted = await services.submission.apply(groupId, asked, requester)
        await services.wait_for_group(groupId, timedelta(seconds=wait))
        view = await services.queries.status(groupId, Page(limit=0))
        return JSONResponse(
            render_apply(groupId, view.status), HTTPStatus.ACCEPTED if submitted.accepted else HTTPStatus.OK
        )

    @app.get("/protection-groups/{groupId}/launch-config-status")
    async def get_launch_config_status(
        groupId: GroupId,  # noqa: N803
        services: Operations,
        *,
        servers: ServerFilter = ServerFilter.ALL,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        nextToken: Annotated[str | None, Query(max_length=128)] = None,  # noqa: N803
        wait: Wait = 0,
    ) -> dict[str, Any]:
        """Show where a group and its source servers stand."""
        await services.wait_for_group(groupId, timedelta(seconds=wait))
        return render_status(await services.queries.status(groupId, Page(servers, limit, nextToken)))


def _add_waves(app: FastAPI) -> None:
    @app.post("/waves", status_code=202)
    async def start_wave(request: Request, services: Operations, requester: Asker, wait: Wait = 0) -> JSONResponse:
        """Start the recovery of groups that are ready."""
        body = parse_wave(await read_json(request))
        wave, _ = await services.waves.accept(WaveRequest(body.group_ids, body.is_drill), requester)
        await services.wait_for_wave(wave.wave_id, timedelta(seconds=wait))
        wave, parts = await services.waves.get(wave.wave_id)
        status = HTTPStatus.ACCEPTED if wave.status is WaveStatus.STARTING else HTTPStatus.OK
        location = {"Location": f"/waves/{wave.wave_id}"}
        return JSONResponse(render_wave(wave, parts), status, headers=location)

    @app.get("/waves/{waveId}")
    async def get_wave(waveId: WaveId, services: Operations) -> dict[str, Any]:  # noqa: N803
        """Show a wave."""
        return render_wave(*await services.waves.get(waveId))


def _respond(status: int, document: dict[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return JSONResponse(document, status, headers=headers, media_type=PROBLEM)


async def _answer_error(_request: Request, error: Exception) -> JSONResponse:
    status, document = render_error(error)
    log.info("request.refused", code=document["code"], status=status, detail=document["detail"])
    return _respond(status, document)


async def _answer_bad_parameters(_request: Request, error: Exception) -> JSONResponse:
    details = error.errors() if isinstance(error, RequestValidationError) else []
    errors = [
        FieldError("", "INVALID_BODY", f"{'.'.join(map(str, found['loc']))}: {found['msg']}.", None)
        for found in details
    ]
    detail = "Parameters of the request's path or query are wrong; see errors."
    return _respond(*problem(HTTPStatus.BAD_REQUEST, "INVALID_BODY", detail, errors))


async def _answer_http_error(_request: Request, error: Exception) -> JSONResponse:
    status = HTTPStatus(error.status_code if isinstance(error, HTTPException) else 500)
    # Allow among them, without which a 405 does not say what would have been right.
    headers = error.headers if isinstance(error, HTTPException) else None
    detail = HTTP_DETAILS.get(status, f"{status.description}.")
    return _respond(*problem(status, status.name, detail), headers)


async def _answer_bug(_request: Request, error: Exception) -> JSONResponse:
    log.error("request.failed", exc_info=error)
    detail = "prelaunch met an error of its own, which is in its log. Nothing says that the request had no effect."
    return _respond(*problem(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", detail))
