"""Protection groups over HTTP."""

from functools import partial
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from producer.access import Role
from producer.http import examples
from producer.http.asking import (
    Asker,
    GroupId,
    IdempotencyKey,
    Limit,
    NextToken,
    Operations,
    Wait,
    name_request,
)
from producer.http.body import read_body
from producer.http.openapi import Answer, Body, operation
from producer.http.schemas import ProtectionGroup, ProtectionGroupList, UpdatedGroup
from producer.render import render_group, render_group_list, render_update
from workers.core.model.group import GroupBody, GroupUpdateBody
from workers.core.model.group_parse import InvalidGroup, parse_group, parse_group_update

GROUPS = "/protection-groups"
LINKS = dict.fromkeys(
    ("get_group", "delete_group", "apply_launch_configs", "get_launch_config_status", "list_apply_runs"), "groupId"
)
CREATED = Answer(
    HTTPStatus.CREATED,
    "The group as it was stored.",
    ProtectionGroup,
    examples.GROUP,
    headers=("Location",),
    links=LINKS,
)
FOUND = Answer(HTTPStatus.OK, "The group.", ProtectionGroup, examples.GROUP)
LISTED = Answer(
    HTTPStatus.OK, "A page of the groups, by name, without their members.", ProtectionGroupList, examples.GROUPS
)
UPDATED = Answer(HTTPStatus.OK, "The group as it was stored, and the run that follows.", UpdatedGroup, examples.UPDATED)
DELETED = Answer(HTTPStatus.NO_CONTENT, "It is gone; its source servers and their settings stay as they are.")
UPDATE = Body(GroupUpdateBody, {"another description": examples.UPDATE_BODY})
NOT_FOUND = ("GROUP_NOT_FOUND", "NOT_FOUND")
BODY = Body(GroupBody, {"a group with one exception": examples.GROUP_BODY})
REFUSALS = (
    "INVALID_LAUNCH_CONFIG",
    "GROUP_NAME_EXISTS",
    "SERVER_CONFLICT",
    "ACCOUNT_NOT_INITIALIZED",
    "ACCESS_DENIED",
    "GROUP_TOO_LARGE",
    "IDEMPOTENCY_KEY_REUSED",
)


def add_groups(app: FastAPI) -> None:
    """Add the routes of protection groups."""
    _add_reads(app)
    _add_changes(app)


def _add_reads(app: FastAPI) -> None:
    @app.get(GROUPS + "/{groupId}", **operation(Role.READER, FOUND, refusals=NOT_FOUND))
    async def get_group(groupId: GroupId, services: Operations) -> JSONResponse:  # noqa: N803
        """Show a group."""
        return JSONResponse(render_group(await services.queries.group(groupId)))

    @app.get(GROUPS, **operation(Role.READER, LISTED))
    async def list_groups(
        services: Operations,
        limit: Limit = 100,
        nextToken: NextToken = None,  # noqa: N803
    ) -> JSONResponse:
        """List the groups by name."""
        return JSONResponse(render_group_list(await services.queries.groups(limit, nextToken)))


def _add_changes(app: FastAPI) -> None:
    @app.post(GROUPS, **operation(Role.ADMIN, CREATED, refusals=REFUSALS, body=BODY))
    async def create_group(
        request: Request, services: Operations, requester: Asker, patience: Wait, key: IdempotencyKey = None
    ) -> JSONResponse:
        """Create a group and apply its launch config."""
        try:
            raw, definition = await read_body(request, partial(parse_group, regions=services.regions))
        except InvalidGroup as wrong:
            raise await services.completion.complete(wrong) from wrong
        head = await services.submission.create_group(definition, name_request(requester, key, request, raw))
        await services.wait_for_group(head.group_id, patience.left())
        view = await services.queries.group(head.group_id)
        location = {"Location": f"{GROUPS}/{head.group_id}"}
        return JSONResponse(render_group(view), HTTPStatus.CREATED, headers=location)

    @app.put(
        GROUPS + "/{groupId}",
        **operation(Role.ADMIN, UPDATED, refusals=(*NOT_FOUND, *REFUSALS, "VERSION_CONFLICT"), body=UPDATE),
    )
    async def update_group(
        groupId: GroupId,  # noqa: N803
        request: Request,
        services: Operations,
        requester: Asker,
        patience: Wait,
        *,
        key: IdempotencyKey = None,
    ) -> JSONResponse:
        """Replace a group's whole definition, and apply what that changes."""
        try:
            raw, update = await read_body(request, parse_group_update)
        except InvalidGroup as wrong:
            raise await services.completion.complete(wrong, groupId) from wrong
        updated = await services.changes.update_group(groupId, update, name_request(requester, key, request, raw))
        await services.wait_for_group(groupId, patience.left())
        view = await services.queries.group(groupId)
        return JSONResponse(render_update(updated, view.status))

    @app.delete(GROUPS + "/{groupId}", **operation(Role.ADMIN, DELETED, refusals=(*NOT_FOUND, "NOT_READY")))
    async def delete_group(
        groupId: GroupId,  # noqa: N803
        request: Request,
        services: Operations,
        requester: Asker,
    ) -> Response:
        """Delete a group; its source servers and their settings stay as they are."""
        # Over HTTP no key is taken: a message has its own, and comes more than once.
        await services.removal.delete_group(groupId, name_request(requester, None, request, None))
        return Response(status_code=HTTPStatus.NO_CONTENT)
