"""Going back to what an earlier run of a group was for, over HTTP."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from producer.access import Role
from producer.http import examples
from producer.http.asking import Asker, GroupId, IdempotencyKey, Operations, Wait, name_request
from producer.http.body import read_body
from producer.http.groups import GROUPS
from producer.http.openapi import Answer, Body, operation
from producer.http.schemas import RolledBackConfigs
from producer.render import render_rollback
from workers.core.model.bodies import RollbackRequestBody, parse_rollback
from workers.core.queries import Page

_MORE: dict[str, Any] = {"toRunId": "run-6c2e8f1a0b7d94533", "version": 4, "keptSourceServerIds": []}
IN_HAND = Answer(HTTPStatus.ACCEPTED, "The run that does it.", RolledBackConfigs, {**examples.APPLY, **_MORE})
NOTHING_TO_DO = Answer(
    HTTPStatus.OK,
    "Every member is ready with the launch config that it had in that run; nothing is sent.",
    RolledBackConfigs,
    {**examples.APPLIED, **_MORE},
)
BODY = Body(RollbackRequestBody, {"by its generation": {"toRun": 2}, "by its id": {"toRun": _MORE["toRunId"]}})
REFUSALS = (
    "GROUP_NOT_FOUND",
    "NOT_FOUND",
    "RUN_NOT_FOUND",
    "INVALID_LAUNCH_CONFIG",
    "ACCOUNT_NOT_INITIALIZED",
    "ACCESS_DENIED",
    "GROUP_TOO_LARGE",
    "IDEMPOTENCY_KEY_REUSED",
)


def add_rollback(app: FastAPI) -> None:
    """Add the route of rollbacks."""

    @app.post(
        GROUPS + "/{groupId}/rollback",
        **operation(Role.ADMIN, IN_HAND, NOTHING_TO_DO, refusals=REFUSALS, body=BODY),
    )
    async def rollback(
        groupId: GroupId,  # noqa: N803
        request: Request,
        services: Operations,
        requester: Asker,
        patience: Wait,
        *,
        key: IdempotencyKey = None,
    ) -> JSONResponse:
        """Give each member the launch config that it had in an earlier run of the group."""
        raw, to_run = await read_body(request, parse_rollback)
        named = name_request(requester, key, request, raw)
        rolled_back = await services.rollback.roll_back(groupId, to_run, named)
        await services.wait_for_group(groupId, patience.left())
        view = await services.queries.status(groupId, Page(limit=0))
        status = HTTPStatus.ACCEPTED if rolled_back.updated.reapply else HTTPStatus.OK
        return JSONResponse(render_rollback(rolled_back, view.status), status)
