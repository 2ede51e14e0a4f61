"""The HTTP door over the twin."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from functools import cache
from typing import cast

import httpx
from fastapi import FastAPI

from producer.http import create_app
from producer.services import Services
from tests.fakes.twin.fleet import Fleet


@asynccontextmanager
async def open_door(fleet: Fleet) -> AsyncIterator[httpx.AsyncClient]:
    """Open the HTTP door of a producer that nothing happens to."""
    _, services = await fleet.start_producer()
    app = _app()
    app.state.services = services
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@cache
def _app() -> FastAPI:
    """Make the application once, for that takes longer than a story."""
    # Its services are put in place for each story.
    return create_app(lambda: nullcontext(cast("Services", None)))
