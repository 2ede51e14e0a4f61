"""What a command that changed a group ends with: the wait, the group as it is then, and what failed of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import typer

from producer.cli.answer import complain, print_json
from producer.cli.ask import STILL_PENDING, find_settled_status, read_whole_status, wait_until_settled
from producer.cli.text import Document, find_reasons, print_group
from producer.render import render_status
from producer.services import Services
from workers.core.queries import GroupView, ServerFilter
from workers.core.status import Status


@dataclass(frozen=True, slots=True)
class Changed:
    """A group after a command changed it, and why source servers of it failed."""

    group: Document
    failures: Sequence[Sequence[str]]
    answer: Document | None = None
    """What --json prints, where that is not the group."""


async def settle(services: Services, group_id: str, name: str, *, wait: bool) -> GroupView:
    """
    Wait for the group, if that is asked for.

    Parameters:
        services: The operations.
        group_id: The group.
        name: What it is called.
        wait: Whether to wait until no run of it is under way.

    Returns:
        The group as it is then.
    """
    if wait and not await wait_until_settled(services, group_id, name):
        complain(STILL_PENDING)
    return await services.queries.group(group_id)


async def find_failures(services: Services, view: GroupView) -> list[tuple[str, ...]]:
    """Find what failed of a group, and why: one row each."""
    if view.status is None or view.status.status is not Status.FAILED:
        return []
    status = render_status(await read_whole_status(services, view.head.group_id, ServerFilter.FAILED))
    return [row for member, server in status["serverConfigs"].items() for row in find_reasons(member, server)]


def end(changed: Changed, *, as_json: bool, waited: bool) -> None:
    """Print the group, name what failed, and end with the status that says whether anything did."""
    if as_json:
        print_json(changed.group if changed.answer is None else changed.answer)
    else:
        print_group(changed.group)
    for member, _, code, why in changed.failures:
        complain(f"{member} failed: {code}: {why}")
    raise typer.Exit(find_settled_status(changed.group["launchConfigStatus"], waited=waited))
