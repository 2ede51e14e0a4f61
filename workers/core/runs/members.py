"""Who joins and leaves a group, and what it is named: the writes of it, and the conflicts with other groups."""

from collections.abc import Collection, Mapping

from boto3.dynamodb.conditions import Attr

from workers.core.clock import say_time
from workers.core.errors import GroupDeleted
from workers.core.model.errors import FieldError, InvalidBody
from workers.core.model.group import GroupDefinition
from workers.core.model.selection import find_places
from workers.core.requests import Conflict
from workers.core.store.groups import GroupStore
from workers.core.store.membership import change_members, find_owners, read_all_shards, read_shards
from workers.core.store.records import GroupHead, GroupStatus
from workers.core.store.tables import Tables
from workers.core.store.writes import Write


async def plan_membership(
    tables: Tables,
    groups: GroupStore,
    head: GroupHead,
    definition: GroupDefinition,
    *,
    joining: Collection[str],
    leaving: Collection[str] = frozenset(),
) -> list[Write]:
    """
    Plan the writes by which source servers join and leave a group.

    Parameters:
        tables: The stack's.
        groups: The stack's.
        head: The group.
        definition: What it is to be: conflicts point into its body.
        joining: Source servers that are no members yet.
        leaving: Source servers that are.

    Returns:
        Writes that hold only while nobody else changes the same part of the index.

    Raises:
        Conflict: `GROUP_NAME_EXISTS` or `SERVER_CONFLICT`, with everything that is another group's.
    """
    moving = [*joining, *leaving]
    shards = await read_shards(tables, head.account_id, head.region, moving)
    named = await tables.get("keys", _name_key(definition.name))
    taken = named if named is not None and named["groupId"] != head.group_id else None
    owners = {s: g for s, g in find_owners(shards, joining).items() if g != head.group_id}
    if owners or taken is not None:
        _refuse_conflicts(definition, taken, owners, await _find_launched(groups, owners))
    return [*change_members(shards, head.group_id, joining=joining, leaving=leaving)]


async def plan_freeing(tables: Tables, head: GroupHead, members: Collection[str] = ()) -> list[Write]:
    """
    Plan the writes by which other groups can have all that stands in the index for a group.

    Parameters:
        tables: The stack's.
        head: The group.
        members: Who stays in it: its members.

    Returns:
        Writes that hold only while nobody else changes the same part of the index.
    """
    kept = frozenset(members)
    found = [
        (shard, {server for server, owner in shard.owners.items() if owner == head.group_id} - kept)
        for shard in await read_all_shards(tables, head.account_id, head.region)
    ]
    shards, gone = [shard for shard, leaving in found if leaving], [each for _, leaving in found for each in leaving]
    return [*change_members(shards, head.group_id, joining=(), leaving=gone)]


def take_name(head: GroupHead, *, instead_of: str | None = None) -> list[Write]:
    """Take a group's name, and give back the one that it had."""
    if head.name == instead_of:
        return []
    free = Attr("key").not_exists()
    taken = Write("Put", "keys", (_name_key(head.name),), {"groupId": head.group_id}, condition=free)
    return [taken] if instead_of is None else [taken, give_name_back(head.group_id, instead_of)]


def give_name_back(group_id: str, name: str) -> Write:
    """Let other groups have a name that this one had."""
    return Write("Delete", "keys", (_name_key(name),), condition=Attr("groupId").eq(group_id))


def check_access(definition: GroupDefinition, account_id: str, own_account_id: str) -> None:
    """
    Refuse a group in another account without a role to assume there.

    Parameters:
        definition: What the group is to be.
        account_id: The account that it is in.
        own_account_id: The account that we run in.

    Raises:
        InvalidBody: The role is missing.
    """
    if account_id == own_account_id or definition.target.assume_role_name:
        return
    missing = FieldError(
        "/accountId",
        "INVALID_BODY",
        f"Account {account_id} is not the one that prelaunch runs in ({own_account_id}): name the role to assume"
        " there in assumeRoleName.",
        None,
    )
    raise InvalidBody((missing,))


def _name_key(name: str) -> str:
    return f"name#{name}"


async def _find_launched(groups: GroupStore, owners: Mapping[str, str]) -> dict[str, GroupStatus]:
    """Find which source servers have left their group, and are its only while a wave launches it: its status."""
    launched: dict[str, GroupStatus] = {}
    for group_id, (head, status) in (await groups.read_many(sorted(set(owners.values())))).items():
        if status is None or not status.has_leavers:
            continue
        try:
            members = frozenset((await groups.read_definition(group_id, head.version)).source_server_ids)
        except GroupDeleted:
            continue
        launched |= {server: status for server, owner in owners.items() if owner == group_id and server not in members}
    return launched


def _explain_conflict(server: str, owner: str, launched: GroupStatus | None) -> str:
    if launched is None or launched.held_until is None:
        return f"{server} belongs to protection group {owner} already; a source server is in one at most."
    return (
        f"{server} has left protection group {owner}, which {launched.held_by} is launching: until every launch is"
        f" final, by {say_time(launched.held_until)} at the latest, DRS may read its launch template, and no other"
        f" group can have it. See how far {launched.held_by} is, and try again when it is over."
    )


def _refuse_conflicts(
    definition: GroupDefinition,
    taken: Mapping[str, object] | None,
    owners: Mapping[str, str],
    launched: Mapping[str, GroupStatus],
) -> None:
    places = find_places(definition)
    errors = [
        FieldError(
            pointer=places[server],
            code="SERVER_CONFLICT",
            message=_explain_conflict(server, owner, launched.get(server)),
            source_server_id=server,
        )
        for server, owner in owners.items()
    ]
    if taken is not None:
        message = f"Protection group {taken['groupId']} is named {definition.name!r} already. Choose another name."
        errors.insert(0, FieldError("/groupName", "GROUP_NAME_EXISTS", message, None))
    raise Conflict(errors[0].message, tuple(errors), code=errors[0].code)
