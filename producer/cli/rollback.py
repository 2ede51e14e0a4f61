"""`prelaunch rollback`: a group gets back what an earlier run of it was for. Nothing is decided here."""

from typing import Annotated

import typer

from producer.cli.answer import answering, clean, complain
from producer.cli.ask import ask, make_requester
from producer.cli.changed import Changed, end, find_failures, settle
from producer.cli.options import AsJson, AwsChoice, GroupArgument, Profile, RegionName, Wait
from producer.render import render_group, render_rollback
from producer.services import Services
from workers.core.model.types import LONGEST_RUN_NAME
from workers.core.runs.rollback import RolledBack


def rollback(
    *,
    group: GroupArgument,
    to_run: Annotated[
        str,
        typer.Option("--to-run", metavar="N", help="The run to go back to: its generation or id, as history shows."),
    ],
    wait: Wait = True,
    json: AsJson = False,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """
    Go back to what an earlier run of a group was for.

    Every member gets the effective launch config that it had in that run, by a new version of the group and a new run.
    Members stay who they are: those that joined later keep what they have, and are named; those that left stay out.
    """
    named = to_run.strip()
    if not 0 < len(named) <= LONGEST_RUN_NAME:
        raise typer.BadParameter("name a run by its generation or its id, as history shows them", param_hint="--to-run")
    with answering(as_json=json):
        changed = ask(lambda services: _roll_back(services, group, named, wait=wait), AwsChoice(profile, region))
    end(changed, as_json=json, waited=wait)


async def _roll_back(services: Services, group: str, to_run: str, *, wait: bool) -> Changed:
    group_id = await services.queries.find(group)
    requester = make_requester(services)
    rolled_back = await services.rollback.roll_back(group_id, to_run, requester)
    complain(f"{_tell(rolled_back)} Request: {requester.request_id}.")
    view = await settle(services, group_id, rolled_back.updated.head.name, wait=wait)
    answer = render_rollback(rolled_back, view.status)
    return Changed(render_group(view), await find_failures(services, view), answer)


def _tell(rolled_back: RolledBack) -> str:
    head, to, reapply = rolled_back.updated.head, rolled_back.to_run, rolled_back.updated.reapply
    named = f"{clean(head.name)} ({head.group_id})"
    run = f"run {to.run_id} (generation {to.generation})"
    kept = "".join(f" {each} joined later and keeps what it has." for each in rolled_back.kept)
    if reapply is None:
        return f"{named} has what {run} was for, and is ready: nothing to apply.{kept}"
    count = len(reapply.source_server_ids)
    return f"{named} goes back to {run}, as version {head.version}; source servers to apply: {count}.{kept}"
