"""`prelaunch status`: where a group stands, and which of its source servers need somebody. Reads alone."""

from typing import Annotated

import typer

from producer.cli.answer import answering, complain, print_json
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
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the group is ready or has failed.")] = False,
    json: AsJson = False,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """
    Show where a protection group stands.

    It counts the source servers, and says of each one that failed why. Ends with 0 where the group is ready, has no
    launch config, or is still pending; with 1 where it has failed. With --wait pending is no end, unless the run is
    past its deadline: that is 1 too.
    """
    shown = servers or (ServerFilter.ALL if json else ServerFilter.FAILED)
    with answering(as_json=json):
        whole, found = ask(lambda services: _read(services, group, shown, wait=wait), AwsChoice(profile, region))
    if json:
        print_json(found)
    else:
        print_status(whole, found)
    raise typer.Exit(find_settled_status(found, waited=wait))


async def _read(services: Services, group: str, servers: ServerFilter, *, wait: bool) -> tuple[Document, Document]:
    group_id = await services.queries.find(group)
    view = await services.queries.group(group_id)
    if wait and not await wait_until_settled(services, group_id, view.head.name):
        complain(STILL_PENDING)
    return render_group(view), render_status(await read_whole_status(services, group_id, servers))
