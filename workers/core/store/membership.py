"""
Which group a source server belongs to: at most one, across all groups of an account and Region.

The index is cut into shards; each is written whole, under the version that was read, so that two groups can
never take the same source server. Whoever loses reads again.
"""

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from boto3.dynamodb.conditions import Attr

from workers.core.store.tables import Tables
from workers.core.store.writes import Write

SHARDS = 16


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of the index, as it was read."""

    key: str
    version: int
    """0 where the shard does not exist yet."""
    owners: Mapping[str, str]
    """Source server id to group id."""


async def read_shards(tables: Tables, account_id: str, region: str, source_server_ids: Iterable[str]) -> list[Shard]:
    """Read the shards that these source servers stand in."""
    return [
        await _read_shard(tables, _key_of(account_id, region, number))
        for number in sorted({_shard_of(source_server_id) for source_server_id in source_server_ids})
    ]


async def read_all_shards(tables: Tables, account_id: str, region: str) -> list[Shard]:
    """Read every shard of an account and Region that exists."""
    keys = [(_key_of(account_id, region, number),) for number in range(SHARDS)]
    return [Shard(item["key"], item["version"], item["owners"]) for item in await tables.get_many("keys", keys)]


def find_owners(shards: Iterable[Shard], source_server_ids: Iterable[str]) -> dict[str, str]:
    """Tell which of the source servers belong to a group already, and to which."""
    owners = {server: group for shard in shards for server, group in shard.owners.items()}
    return {server: owners[server] for server in source_server_ids if server in owners}


def change_members(
    shards: Iterable[Shard], group_id: str, *, joining: Collection[str], leaving: Collection[str] = frozenset()
) -> Iterator[Write]:
    """
    Write source servers into their shards as members of the group, and others out of them.

    Parameters:
        shards: Every shard that one of them stands in, as it was read.
        group_id: The group.
        joining: Source servers that no group has.
        leaving: Members of this group.

    Yields:
        One write a shard.
    """
    left = frozenset(leaving)
    for shard in shards:
        number = int(shard.key.rpartition("#")[2])
        kept = {server: owner for server, owner in shard.owners.items() if server not in left or owner != group_id}
        added = {server: group_id for server in joining if _shard_of(server) == number}
        yield Write(
            "Put",
            "keys",
            (shard.key,),
            {"version": shard.version + 1, "owners": {**kept, **added}},
            condition=Attr("version").eq(shard.version) if shard.version else Attr("key").not_exists(),
        )


async def _read_shard(tables: Tables, key: str) -> Shard:
    item = await tables.get("keys", key) or {"version": 0, "owners": {}}
    return Shard(key, item["version"], item["owners"])


def _key_of(account_id: str, region: str, number: int) -> str:
    return f"servers#{account_id}#{region}#{number}"


def _shard_of(source_server_id: str) -> int:
    # Not hash(): that differs from one process to the next.
    return zlib.crc32(source_server_id.encode()) % SHARDS
