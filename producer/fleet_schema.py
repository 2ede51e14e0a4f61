"""The JSON Schema of a fleet's file, for editors and for whoever writes such files by program."""

from typing import Any

from pydantic import TypeAdapter

from workers.core.fleet.file import ONLY_OF_REQUESTS, FleetBody

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def make_fleet_schema() -> dict[str, Any]:
    """Make the JSON Schema (2020-12) of a fleet's file, of the same types that read it."""
    schema = TypeAdapter(FleetBody).json_schema()
    del schema["$defs"]["GroupBody"]["properties"][ONLY_OF_REQUESTS]
    return {"$schema": DIALECT, **schema, "title": "Fleet of prelaunch"}
