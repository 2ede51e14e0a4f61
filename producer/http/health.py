"""Whether the door works: for load balancers, so without a token and without a word on anything else."""

from http import HTTPStatus

import structlog
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from producer.http.asking import Operations
from producer.http.openapi import Answer, operation
from producer.http.schemas import Health
from workers.core.errors import PrelaunchError, ServiceUnavailable

log = structlog.get_logger()

UNREADY = "The stack's tables do not answer; the log says why."
"""All that a stranger is told: what AWS refuses names tables, accounts and roles."""


def _healthy(status: str, description: str) -> Answer:
    return Answer(HTTPStatus.OK, description, Health, {"status": status})


def add_health(app: FastAPI) -> None:
    """Add the routes of the door's own health."""

    @app.get("/healthz", **operation(None, _healthy("alive", "The process answers.")))
    async def healthz() -> JSONResponse:
        """Tell that the process is alive."""
        return JSONResponse({"status": "alive"})

    @app.get("/readyz", **operation(None, _healthy("ready", "Every table of the stack answers.")))
    async def readyz(services: Operations) -> JSONResponse:
        """Tell whether every table of the stack answers; each is read, queues are not asked."""
        try:
            await services.tables.check()
        except PrelaunchError as error:
            log.warning("readiness.lacking", code=error.code, reason=error.message)
            raise ServiceUnavailable(UNREADY) from error
        return JSONResponse({"status": "ready"})
