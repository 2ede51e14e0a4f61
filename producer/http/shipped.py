"""What the package ships for others to read: nobody is asked who they are for it."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from producer.fleet_schema import make_fleet_schema

FLEET_SCHEMA = "/schemas/fleet.json"
SCHEMA_TYPE = "application/schema+json"


def add_shipped(app: FastAPI) -> None:
    """Add the route of the fleet file's JSON Schema: it is a document of its own, beside the OpenAPI document."""

    @app.get(FLEET_SCHEMA, include_in_schema=False)
    async def get_fleet_schema() -> JSONResponse:
        """Show the JSON Schema of fleet files, as `prelaunch schema` prints it."""
        document: dict[str, Any] = make_fleet_schema()
        return JSONResponse(document, HTTPStatus.OK, media_type=SCHEMA_TYPE)
