"""Which groups and source servers are meant. All that is wrong with that is told at once, before anything is done."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

from producer.cli.ask import read_whole_status
from producer.cli.reapply.board import Board
from producer.cli.reapply.bounded import do_all
from producer.cli.reapply.outcome import Asked, Chosen
from producer.services import Services
from workers.core.model.errors import INVALID_BODY, FieldError, InvalidBody
from workers.core.queries import ServerFilter
from workers.core.requests import NotFound
from workers.core.status import Status
from workers.core.store.records import GroupHead, GroupStatus

READING = "reading which groups there are"
NARROWING = "finding out which source servers failed"


async def choose(services: Services, named: Sequence[str], asked: Asked, board: Board) -> list[Chosen]:
    """
    Find the groups that are meant, and what is asked of each.

    Parameters:
        services: The operations.
        named: Groups by their ids or names; none: all that there are.
        asked: What is asked of each.
        board: Where it is shown how far that is.

    Returns:
        The groups of which something is asked, each once, in their order.

    Raises:
        InvalidBody: A group is not there, or a source server is in none of them; it carries every such error.
    """
    board.show_step(READING, 0, 0)
    # One name that is given twice is one group, and so are its id and its name.
    ids = await services.progress.find_many(list(dict.fromkeys(named))) if named else {}
    groups = list(dict.fromkeys(ids.values())) if named else await services.progress.list_groups()
    standings = await services.progress.read_standings(groups)
    unknown = _find_unknown(named, ids, standings)
    failing = {group_id for group_id, (_, status) in standings.items() if _may_have_failed(status)}
    if asked.only_failed and asked.servers is None:
        # Where source servers are named, one of a group that is ready is not unknown for that.
        standings = {group_id: standings[group_id] for group_id in standings if group_id in failing}
    found = await _read_chosen(services, standings)
    members = {server for each in found for server in each.servers}
    # Of groups that are all unknown nobody can say who their members would be.
    missing = sorted((asked.servers or frozenset()) - members) if standings or not unknown else []
    if unknown or missing:
        raise InvalidBody((*unknown, *(_no_member(server, found) for server in missing)))
    if asked.servers is not None:
        found = [replace(each, servers=each.servers & asked.servers) for each in found]
    if asked.only_failed:
        may_fail = [each for each in found if each.group_id in failing and each.servers]
        show = partial(board.show_step, NARROWING)
        found = await do_all(may_fail, lambda each: _narrow_to_failed(services, each), tell=show)
    narrowed = asked.servers is not None or asked.only_failed
    return [each for each in found if each.servers or not narrowed]


def _find_unknown(named: Sequence[str], ids: Mapping[str, str], there: Collection[str]) -> list[FieldError]:
    """Find the names that no group has, or none any more: it may be deleted a moment after its name was found."""
    return [
        FieldError(f"--group {name}", INVALID_BODY, "There is no such protection group in this stack.", None)
        for name in dict.fromkeys(named)
        if ids.get(name) not in there
    ]


def _may_have_failed(status: GroupStatus | None) -> bool:
    """Tell whether a source server may have failed: of a pending group too, while the others go on."""
    return status is not None and status.status in {Status.FAILED, Status.PENDING}


async def _read_chosen(
    services: Services, standings: Mapping[str, tuple[GroupHead, GroupStatus | None]]
) -> list[Chosen]:
    """Choose all of these groups; of one that was deleted a moment after it was found nothing is asked."""
    members = await services.progress.read_members({each: head.version for each, (head, _) in standings.items()})
    return [
        Chosen(each, head.name, head.region, head.account_id, members[each], is_configured=status is not None)
        for each, (head, status) in standings.items()
        if each in members
    ]


async def _narrow_to_failed(services: Services, group: Chosen) -> Chosen:
    try:
        view = await read_whole_status(services, group.group_id, ServerFilter.FAILED)
    except NotFound:
        return replace(group, servers=frozenset())
    failed = {server for server, (status, _, _) in view.servers.items() if status is Status.FAILED}
    return replace(group, servers=group.servers & failed)


def _no_member(server: str, groups: Sequence[Chosen]) -> FieldError:
    of_all = "the protection group" if len(groups) == 1 else f"any of the {len(groups)} protection groups"
    return FieldError(f"--server {server}", INVALID_BODY, f"It is no member of {of_all} that you chose.", server)
