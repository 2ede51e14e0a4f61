"""Waves over HTTP."""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from producer.access import Role
from producer.http import examples
from producer.http.asking import Asker, IdempotencyKey, Limit, NextToken, Operations, Wait, WaveId, name_request
from producer.http.body import read_body
from producer.http.openapi import Answer, Body, operation
from producer.http.wave_schemas import Wave, WaveList
from producer.render_waves import render_wave, render_waves
from workers.core.model.bodies import WaveRequestBody, parse_wave
from workers.core.wave_plan import WaveRequest

WAVES = "/waves"
LINKS = {"get_wave": "waveId"}
ACCEPTED = Answer(
    HTTPStatus.ACCEPTED,
    "The wave; a worker goes on with it.",
    Wave,
    examples.STARTING,
    headers=("Location",),
    links=LINKS,
)
STARTED = Answer(
    HTTPStatus.OK,
    "The wave, of which everything is started that can be.",
    Wave,
    examples.WAVE,
    headers=("Location",),
    links=LINKS,
)
FOUND = Answer(HTTPStatus.OK, "The wave.", Wave, examples.WAVE)
LISTED = Answer(HTTPStatus.OK, "A page of the waves, newest first.", WaveList, examples.WAVES)
BODY = Body(
    WaveRequestBody,
    {
        "a drill": {"groupIds": [examples.GROUP_ID]},
        "a recovery": {"groupIds": [examples.GROUP_ID], "isDrill": False},
        "a recovery to before the damage": {
            "groupIds": [examples.GROUP_ID],
            "isDrill": False,
            "verify": "live",
            "recoverySnapshotIds": {examples.SERVERS[0]: examples.SNAPSHOT_ID},
        },
    },
)
REFUSALS = ("GROUP_NOT_FOUND", "NOT_READY", "IDEMPOTENCY_KEY_REUSED")


def add_waves(app: FastAPI) -> None:
    """Add the routes of waves."""

    @app.post(WAVES, **operation(Role.OPERATOR, ACCEPTED, STARTED, refusals=REFUSALS, body=BODY))
    async def start_wave(
        request: Request, services: Operations, requester: Asker, patience: Wait, key: IdempotencyKey = None
    ) -> JSONResponse:
        """Start the recovery of groups; what is not ready is applied first, unless that is not wanted."""
        raw, body = await read_body(request, parse_wave)
        named = name_request(requester, key, request, raw)
        asked = WaveRequest(body.group_ids, body.is_drill, body.on_not_ready, body.verify, body.snapshots)
        wave_id = (await services.waves.accept(asked, named)).wave.wave_id
        await services.wait_for_wave(wave_id, patience.left())
        view = await services.waves.get(wave_id)
        status = HTTPStatus.OK if view.wave.status.is_begun else HTTPStatus.ACCEPTED
        return JSONResponse(render_wave(view), status, headers={"Location": f"{WAVES}/{wave_id}"})

    @app.get(WAVES, **operation(Role.READER, LISTED))
    async def list_waves(services: Operations, limit: Limit = 100, nextToken: NextToken = None) -> JSONResponse:  # noqa: N803
        """List the waves, newest first."""
        return JSONResponse(render_waves(*await services.waves.list_accepted(limit, nextToken)))

    @app.get(WAVES + "/{waveId}", **operation(Role.READER, FOUND, refusals=("WAVE_NOT_FOUND", "NOT_FOUND")))
    async def get_wave(waveId: WaveId, services: Operations) -> JSONResponse:  # noqa: N803
        """Show a wave."""
        return JSONResponse(render_wave(await services.waves.get(waveId)))
