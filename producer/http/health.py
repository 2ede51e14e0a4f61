"""Whether the door works: for load balancers, so without a token and without a word on anything else."""

from http import HTTPStatus

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from producer.http.asking import Operations
from producer.http.openapi import Answer, operation
from producer.http.schemas import Health


def _healthy(status: str, description: str) -> Answer:
    return Answer(HTTPStatus.OK, description, Health, {"status": status})


def add_health(app: FastAPI) -> None:
    """Add the routes of the door's own health."""

    @app.get("/healthz", **operation(None, _healthy("alive", "The process answers.")))
    async def healthz() -> JSONResponse:
        """Tell that the process is alive."""
        return JSONResponse({"status": "alive"})

    @app.get("/readyz", **operation(None, _healthy("ready", "The stack's tables answer.")))
    async def readyz(services: Operations) -> JSONResponse:
        """Tell that the stack's tables answer."""
        await services.tables.get("keys", "readyz")
        return JSONResponse({"status": "ready"})
