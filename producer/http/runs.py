"""Applying launch configs over HTTP, and what came of it."""

from dataclasses import replace
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from producer.access import Role
from producer.http import examples
from producer.http.asking import (
    Asker,
    GroupId,
    IdempotencyKey,
    Limit,
    Live,
    NextToken,
    Operations,
    RunId,
    Wait,
    name_request,
)
from producer.http.body import read_body
from producer.http.groups import GROUPS
from producer.http.openapi import Answer, Body, operation
from producer.http.plan_examples import PLAN
from producer.http.plan_schemas import LaunchConfigPlan
from producer.http.run_schemas import ApplyRun, ApplyRunList
from producer.http.schemas import AppliedConfigs, GroupLaunchConfigStatus
from producer.render import render_apply, render_run, render_runs, render_status
from producer.render_plans import render_plan
from workers.core.model.bodies import ApplyRequestBody, parse_apply
from workers.core.queries import Page, ServerFilter
from workers.core.runs.selection import ApplyRequest

IN_HAND = Answer(HTTPStatus.ACCEPTED, "The run that does it.", AppliedConfigs, examples.APPLY)
NOTHING_TO_DO = Answer(
    HTTPStatus.OK, "All that was asked for is applied already; nothing is sent.", AppliedConfigs, examples.APPLIED
)
BODY = Body(
    ApplyRequestBody,
    {
        "what is not ready": {},
        "all, verified anew": {"force": True},
        "what failed": {"onlyFailed": True},
        "chosen source servers": {"sourceServerIds": examples.SERVERS[:1]},
    },
    required=False,
)
STANDS = Answer(
    HTTPStatus.OK, "Where the group and a page of its members stand.", GroupLaunchConfigStatus, examples.STATUS
)
PLANNED = Answer(HTTPStatus.OK, "What would be done with a page of the group's members.", LaunchConfigPlan, PLAN)
LISTED = Answer(HTTPStatus.OK, "A page of the group's runs, newest first.", ApplyRunList, examples.RUNS)
FOUND = Answer(HTTPStatus.OK, "The run, with the source servers that it lists.", ApplyRun, examples.RUN)
NOT_FOUND = ("GROUP_NOT_FOUND", "NOT_FOUND")


def add_runs(app: FastAPI) -> None:
    """Add the routes of apply runs."""
    _add_apply(app)
    _add_status(app)
    _add_plan(app)
    _add_history(app)


def _add_apply(app: FastAPI) -> None:
    @app.post(
        GROUPS + "/{groupId}/apply-launch-configs",
        **operation(
            Role.OPERATOR,
            IN_HAND,
            NOTHING_TO_DO,
            refusals=(*NOT_FOUND, "IDEMPOTENCY_KEY_REUSED"),
            body=BODY,
        ),
    )
    async def apply_launch_configs(
        groupId: GroupId,  # noqa: N803
        request: Request,
        services: Operations,
        requester: Asker,
        patience: Wait,
        *,
        key: IdempotencyKey = None,
    ) -> JSONResponse:
        """Apply a group's launch config to what is not ready, or to what is asked."""
        raw, body = await read_body(request, parse_apply, empty={})
        asked = ApplyRequest(body.force, body.only_failed, body.source_server_ids)
        named = name_request(requester, key, request, raw)
        submitted = await services.submission.apply(groupId, asked, named)
        await services.wait_for_group(groupId, patience.left())
        view = await services.queries.status(groupId, Page(limit=0))
        status = HTTPStatus.ACCEPTED if submitted.accepted else HTTPStatus.OK
        # Another run may have taken its place while the caller waited: the id is that of the one that was accepted.
        run_id = submitted.run_id
        return JSONResponse({**render_apply(groupId, view.status), "runId": run_id}, status)


def _add_status(app: FastAPI) -> None:
    @app.get(
        GROUPS + "/{groupId}/launch-config-status",
        **operation(
            Role.READER,
            STANDS,
            refusals=(*NOT_FOUND, "STATUS_CHANGED", "ACCESS_DENIED", "ACCOUNT_NOT_INITIALIZED"),
        ),
    )
    async def get_launch_config_status(
        groupId: GroupId,  # noqa: N803
        services: Operations,
        patience: Wait,
        *,
        servers: ServerFilter = ServerFilter.ALL,
        limit: Limit = 100,
        nextToken: NextToken = None,  # noqa: N803
        live: Live = False,
    ) -> JSONResponse:
        """Show where a group and its source servers stand."""
        await services.wait_for_group(groupId, patience.left())
        view = await services.queries.status(groupId, Page(servers, limit, nextToken))
        compared = await services.preview.compare(groupId, view.servers) if live else []
        if live:
            view = replace(view, unlisted=await services.find_unlisted(groupId))
        return JSONResponse(render_status(view, compared))


def _add_plan(app: FastAPI) -> None:
    @app.get(
        GROUPS + "/{groupId}/launch-config-plan",
        **operation(
            Role.READER,
            PLANNED,
            refusals=(*NOT_FOUND, "STATUS_CHANGED", "ACCESS_DENIED", "ACCOUNT_NOT_INITIALIZED"),
        ),
    )
    async def get_launch_config_plan(
        groupId: GroupId,  # noqa: N803
        services: Operations,
        limit: Limit = 100,
        nextToken: NextToken = None,  # noqa: N803
    ) -> JSONResponse:
        """Show what an apply of all members would change, by reading DRS and EC2 now; nothing is written."""
        return JSONResponse(render_plan(await services.preview.plan(groupId, limit, nextToken)))


def _add_history(app: FastAPI) -> None:
    @app.get(GROUPS + "/{groupId}/apply-runs", **operation(Role.READER, LISTED, refusals=NOT_FOUND))
    async def list_apply_runs(
        groupId: GroupId,  # noqa: N803
        services: Operations,
        limit: Limit = 100,
        nextToken: NextToken = None,  # noqa: N803
    ) -> JSONResponse:
        """List what was done to a group, newest first."""
        return JSONResponse(render_runs(await services.history.runs(groupId, limit, nextToken)))

    @app.get(
        GROUPS + "/{groupId}/apply-runs/{runId}",
        **operation(Role.READER, FOUND, refusals=(*NOT_FOUND, "RUN_NOT_FOUND")),
    )
    async def get_apply_run(groupId: GroupId, runId: RunId, services: Operations) -> JSONResponse:  # noqa: N803
        """Show one run of a group."""
        return JSONResponse(render_run(await services.history.run(groupId, runId)))
