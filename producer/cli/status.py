"""`prelaunch status`: where a group stands, and which of its source servers need somebody. Reads alone."""

from dataclasses import replace
from typing import Annotated

import typer

from producer.cli.answer import ExitStatus, answering, complain, print_json
from producer.cli.ask import STILL_PENDING, ask, find_settled_status, read_whole_status, wait_until_settled
from producer.cli.options import AsJson, AwsChoice, GroupArgument, Profile, RegionName
from producer.cli.text import Document, print_status
from producer.render import render_group, render_status
from producer.services import Services
from workers.core.queries import ServerFilter

Servers = Annotated[
    ServerFilter | None,
    typer.Option(help="Which source servers to show. Default: those that failed; with --json all."),
]


def status(
    *,
    group: GroupArgument,
    servers: Servers = None,
    live: Annotated[
        bool, typer.Option("--live", help="Read DRS and EC2 now, and show what is not as it is wanted.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the group is ready or has failed.")] = False,
    json: AsJson = False,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """
    Show where a protection group stands.

    It counts the source servers, and says of each one that failed why. Ends with 0 where the group is ready, has no
    launch config, or is still pending; with 1 where it has failed. With --wait pending is no end, unless the run is
    past its deadline: that is 1 too. With --live every source server is compared with what DRS and EC2 hold now;
    what is not as it is wanted is shown field by field, and ends with 1. Nothing is changed: the workers' watch does
    that, or an apply.
    """
    shown = servers or (ServerFilter.ALL if json or live else ServerFilter.FAILED)
    with answering(as_json=json):
        whole, found = ask(
            lambda services: _read(services, group, shown, wait=wait, live=live), AwsChoice(profile, region)
        )
    if json:
        print_json(found)
    else:
        print_status(whole, found)
    if any(each["live"]["drift"] or each["live"]["errors"] for each in found["serverConfigs"].values() if live):
        raise typer.Exit(ExitStatus.FAILED)
    raise typer.Exit(find_settled_status(found, waited=wait))


async def _read(
    services: Services, group: str, servers: ServerFilter, *, wait: bool, live: bool
) -> tuple[Document, Document]:
    group_id = await services.queries.find(group)
    view = await services.queries.group(group_id)
    if wait and not await wait_until_settled(services, group_id, view.head.name):
        complain(STILL_PENDING)
    status = await read_whole_status(services, group_id, servers)
    compared = await services.preview.compare(group_id, status.servers) if live else []
    if live:
        status = replace(status, unlisted=await services.find_unlisted(group_id))
    return render_group(view), render_status(status, compared)
