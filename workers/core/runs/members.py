"""Who joins and leaves a group, and what it is named: the writes of it, and the conflicts with other groups."""

from collections.abc import Collection, Mapping

from boto3.dynamodb.conditions import Attr

from workers.core.model.errors import FieldError, InvalidBody
from workers.core.model.group import GroupDefinition
from workers.core.model.selection import find_places
from workers.core.requests import Conflict
from workers.core.store.membership import change_members, find_owners, read_shards
from workers.core.store.records import GroupHead
from workers.core.store.tables import Tables
from workers.core.store.writes import Write


async def plan_membership(
    tables: Tables,
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
    _check_conflicts(definition, taken, owners)
    return [*change_members(shards, head.group_id, joining=joining, leaving=leaving)]


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


def _check_conflicts(
    definition: GroupDefinition, taken: Mapping[str, object] | None, owners: Mapping[str, str]
) -> None:
    places = find_places(definition)
    errors = [
        FieldError(
            pointer=places[server],
            code="SERVER_CONFLICT",
            message=f"{server} belongs to protection group {owner} already; a source server is in one at most.",
            source_server_id=server,
        )
        for server, owner in owners.items()
    ]
    if taken is not None:
        message = f"Protection group {taken['groupId']} is named {definition.name!r} already. Choose another name."
        errors.insert(0, FieldError("/groupName", "GROUP_NAME_EXISTS", message, None))
    if errors:
        raise Conflict(errors[0].message, tuple(errors), code=errors[0].code)
