"""Where the stored groups are, and how we get there: each account, Region and role once."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace

from workers.core.doctor.accounts import Place
from workers.core.errors import GroupDeleted
from workers.core.model.group import GroupDefinition, Target
from workers.core.store.groups import GroupStore
from workers.core.store.records import GroupHead

GROUPS_A_PAGE = 1000
READS = 16
SAMPLES = 5
"""So many members of a place calls are tried on, one after the other, until one is there."""


async def find_places(groups: GroupStore, here: Place) -> list[Place]:
    """
    List the accounts and Regions of every group.

    Parameters:
        groups: The stored groups.
        here: Our own account and Region, which is the first of them.

    Returns:
        The places; those that differ in the role or in the external id alone are places of their own.

    Raises:
        PrelaunchError: The groups cannot be read.
    """
    gate = asyncio.Semaphore(READS)
    places: dict[Target, list[GroupDefinition]] = {here.target: []}

    async def read(head: GroupHead) -> GroupDefinition | None:
        async with gate:
            try:
                return await groups.read_definition(head.group_id, head.version)
            except GroupDeleted:
                return None

    heads = [head async for head in _list(groups)]
    for head, found in zip(heads, await asyncio.gather(*map(read, heads)), strict=True):
        if found is not None:
            places.setdefault(replace(found.target, account_id=head.account_id), []).append(found)
    return [_place(target, found) for target, found in places.items()]


def _place(target: Target, found: list[GroupDefinition]) -> Place:
    # The first of each group, then the second of each: the servers of one group may all be gone.
    rows = itertools.zip_longest(*(group.source_server_ids[:SAMPLES] for group in found))
    members = [member for row in rows for member in row if member is not None]
    return Place(target, tuple(group.name for group in found), tuple(members[:SAMPLES]))


async def _list(groups: GroupStore) -> AsyncIterator[GroupHead]:
    after: tuple[str, str] | None = None
    while True:
        named = await groups.read_named(GROUPS_A_PAGE, after)
        for head, _ in (await groups.read_many([group_id for _, group_id in named])).values():
            yield head
        if len(named) < GROUPS_A_PAGE:
            return
        after = named[-1]
