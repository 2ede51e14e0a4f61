"""Waves over HTTP."""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from producer.access import Role
from producer.http import examples
from producer.http.asking import Asker, IdempotencyKey, Operations, Wait, WaveId, name_request
from producer.http.body import read_body
from producer.http.openapi import Answer, Body, operation
from producer.http.schemas import Wave
from producer.render import render_wave
from workers.core.model.bodies import WaveRequestBody, parse_wave
from workers.core.store.waves import WaveStatus
from workers.core.waves import WaveRequest

WAVES = "/waves"
LINKS = {"get_wave": "waveId"}
STARTING = Answer(
    HTTPStatus.ACCEPTED,
    "The wave; a worker starts it.",
    Wave,
    examples.STARTING,
    headers=("Location",),
    links=LINKS,
)
STARTED = Answer(
    HTTPStatus.OK, "The wave, whose start has ended.", Wave, examples.WAVE, headers=("Location",), links=LINKS
)
FOUND = Answer(HTTPStatus.OK, "The wave.", Wave, examples.WAVE)
BODY = Body(
    WaveRequestBody,
    {
        "a drill": {"groupIds": [examples.GROUP_ID]},
        "a recovery": {"groupIds": [examples.GROUP_ID], "isDrill": False},
    },
)
REFUSALS = ("GROUP_NOT_FOUND", "NOT_READY", "IDEMPOTENCY_KEY_REUSED")


def add_waves(app: FastAPI) -> None:
    """Add the routes of waves."""

    @app.post(WAVES, **operation(Role.OPERATOR, STARTING, STARTED, refusals=REFUSALS, body=BODY))
    async def start_wave(
        request: Request, services: Operations, requester: Asker, patience: Wait, key: IdempotencyKey = None
    ) -> JSONResponse:
        """Start the recovery of groups that are ready."""
        raw, body = await read_body(request, parse_wave)
        named = name_request(requester, key, request, raw)
        wave, _ = await services.waves.accept(WaveRequest(body.group_ids, body.is_drill), named)
        await services.wait_for_wave(wave.wave_id, patience.left())
        wave, parts = await services.waves.get(wave.wave_id)
        status = HTTPStatus.ACCEPTED if wave.status is WaveStatus.STARTING else HTTPStatus.OK
        location = {"Location": f"{WAVES}/{wave.wave_id}"}
        return JSONResponse(render_wave(wave, parts), status, headers=location)

    @app.get(WAVES + "/{waveId}", **operation(Role.READER, FOUND, refusals=("WAVE_NOT_FOUND", "NOT_FOUND")))
    async def get_wave(waveId: WaveId, services: Operations) -> JSONResponse:  # noqa: N803
        """Show a wave."""
        return JSONResponse(render_wave(*await services.waves.get(waveId)))
