"""The dry run: what this re-apply would change, by the planner of `prelaunch plan`. Nothing is written."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from producer.cli.ask import read_whole_status
from producer.cli.reapply.board import Board
from producer.cli.reapply.bounded import Room, do_all
from producer.cli.reapply.outcome import NOT_CONFIGURED, Asked, Chosen, GroupOutcome, Row, describe_errors, fail_by
from producer.cli.text import NOTHING_TO_DO, say_value
from producer.render_plans import render_plan
from producer.services import Services
from workers.core.contract import Queue
from workers.core.errors import PrelaunchError, SetupError
from workers.core.preview import AT_ONCE, GroupPlan, ServerPlan
from workers.core.priority import set_priority
from workers.core.queries import ServerFilter
from workers.core.requests import RequestRefused
from workers.core.runs.selection import ApplyRequest, is_in_hand, select_listed
from workers.core.status import Status

SERVERS_AT_ONCE = 4 * AT_ONCE
"""Source servers that are compared at once: of four large groups, or of many small ones."""
COMPARING = "comparing with DRS and EC2"
TO_CHANGE = "to change"
PLANNED = "planned"


async def plan_all(services: Services, groups: Sequence[Chosen], asked: Asked, board: Board) -> list[GroupOutcome]:
    """
    Plan all groups; one that cannot be read fails alone.

    Parameters:
        services: The operations.
        groups: What is meant of each.
        asked: What is asked of each.
        board: Where it is shown how far that is.

    Returns:
        The plan of each group, in their order.

    Raises:
        SetupError: Our own tables are missing.
    """
    if len(groups) > 1:
        # It takes turns like the bulk work that it shows.
        set_priority(Queue.BULK)

    room = Room(SERVERS_AT_ONCE)

    async def plan(group: Chosen) -> GroupOutcome:
        try:
            return await _plan(services, group, asked, room)
        except SetupError:
            raise
        except (RequestRefused, PrelaunchError) as refused:
            return fail_by(group, refused)

    return await do_all(groups, plan, tell=partial(board.show_step, COMPARING))


async def _plan(services: Services, group: Chosen, asked: Asked, room: Room) -> GroupOutcome:
    if not group.is_configured:
        return GroupOutcome(group, NOT_CONFIGURED)
    status = await read_whole_status(services, group.group_id, ServerFilter.ALL)
    statuses = {server: each for server, (each, _, _) in status.servers.items()}
    view = await services.queries.group(group.group_id)
    listed = find_listed(statuses, asked.of(group.servers))
    async with room.take(min(len(listed), AT_ONCE)):
        plans = await services.preview.compare_members(view, listed) if listed else []
    document = render_plan(GroupPlan(view, plans, None))
    return GroupOutcome(group, PLANNED, [_read_row(each) for each in plans], plan=document)


def find_listed(statuses: Mapping[str, Status], request: ApplyRequest) -> frozenset[str]:
    """
    Tell which source servers of a group a run would bring to their launch config, the one in hand or a new one.

    Parameters:
        statuses: Every member's status.
        request: What is asked.

    Returns:
        Those that are asked for, and with them all that are not ready; none where all that are asked for are ready.
    """
    # A run that is in hand does the same source servers as the one that would be opened without it.
    known = [server for server in request.source_server_ids or () if server in statuses]
    narrowed = ApplyRequest(
        request.force, request.only_failed, None if request.source_server_ids is None else (*known,)
    )
    if is_in_hand(Status.READY, frozenset(), statuses, narrowed):
        return frozenset()
    return select_listed(statuses, narrowed)


def _read_row(plan: ServerPlan) -> Row:
    if plan.error is not None:
        return describe_errors(plan.source_server_id, [plan.error], None)
    fields: list[Any] = [each for step in plan.steps for each in step.drift]
    told = "; ".join(f"{each.field}: {say_value(each.observed)} → {say_value(each.desired)}" for each in fields)
    return Row(plan.source_server_id, TO_CHANGE if plan.steps else NOTHING_TO_DO, message=told)
