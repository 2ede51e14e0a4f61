"""Dead letters over HTTP."""

from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse

from producer.access import Role
from producer.http import examples
from producer.http.asking import Asker, IdempotencyKey, Operations, name_request
from producer.http.body import read_body
from producer.http.letter_schemas import DeadLetterList, RedrivenLetters
from producer.http.openapi import Answer, Body, operation
from producer.render import render_letters, render_redriven
from workers.core.letters.letter import Selection
from workers.core.model.bodies import RedriveRequestBody, parse_redrive

LETTERS = "/dead-letters"
LISTED = Answer(
    HTTPStatus.OK, "Dead letters of all queues, the latest first. They stay there.", DeadLetterList, examples.LETTERS
)
REDRIVEN = Answer(HTTPStatus.ACCEPTED, "What became of each letter.", RedrivenLetters, examples.REDRIVEN)
NOTHING_REDRIVEN = Answer(HTTPStatus.OK, "No letter was redriven; why not.", RedrivenLetters, examples.NOT_REDRIVEN)
Latest = Annotated[
    int,
    Query(
        ge=1,
        le=1000,
        description="How many are shown at most: the latest of those that were looked through, which are at most 1,000"
        " of each queue.",
    ),
]
BODY = Body(
    RedriveRequestBody,
    {
        "all": {},
        "chosen letters": {"messageIds": [examples.MESSAGE_ID]},
        "those of a group": {"groupId": examples.GROUP_ID},
    },
    required=False,
)


def add_letters(app: FastAPI) -> None:
    """Add the routes of dead letters."""

    @app.get(LETTERS, **operation(Role.READER, LISTED))
    async def list_dead_letters(services: Operations, limit: Latest = 100) -> JSONResponse:
        """List the messages that no worker could do, with the reasons."""
        return JSONResponse(render_letters(await services.dead_letters.list(limit)))

    @app.post(
        LETTERS + "/redrive",
        **operation(Role.OPERATOR, REDRIVEN, NOTHING_REDRIVEN, refusals=("IDEMPOTENCY_KEY_REUSED",), body=BODY),
    )
    async def redrive_dead_letters(
        request: Request, services: Operations, requester: Asker, key: IdempotencyKey = None
    ) -> JSONResponse:
        """Do again what dead letters ask for: one run a group; what cannot be done again is named, and stays."""
        raw, body = await read_body(request, parse_redrive, empty={})
        ids = None if body.message_ids is None else frozenset(body.message_ids)
        named = name_request(requester, key, request, raw)
        outcome = await services.dead_letters.redrive(Selection(ids, body.group_id), named)
        status = HTTPStatus.ACCEPTED if outcome.redriven else HTTPStatus.OK
        return JSONResponse(render_redriven(outcome), status)
