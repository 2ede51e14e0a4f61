"""Groups: their definition, in immutable versions, and their status."""

import json
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from async_lru import alru_cache
from boto3.dynamodb.conditions import Attr, ConditionBase

from workers.core.errors import GroupDeleted
from workers.core.model.group import GroupDefinition
from workers.core.model.types import MAX_GROUP_NAME_LENGTH
from workers.core.store.records import GroupHead, GroupStatus, expiry, from_item, to_item
from workers.core.store.tables import Tables
from workers.core.store.writes import Item, Write

DEFINITIONS_CACHED = 32
CHUNK_BYTES = 350_000
"""DynamoDB refuses items over 400 KB."""


class GroupStore:
    """Reads groups; the writes that open a generation are in `opening`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        # Runs, waves and requests that begin together read it once; what fails is not kept.
        self._read_once = alru_cache(maxsize=DEFINITIONS_CACHED)(self._read_chunks)

    async def read_head(self, group_id: str) -> GroupHead | None:
        """Read what the group is; None where there is no such group."""
        item = await self._tables.get("groups", group_id, "group")
        return from_item(GroupHead, item) if item else None

    async def find_named(self, name: str) -> str | None:
        """Find the id of the group of this name; None where no group has it."""
        item = await self._tables.get("keys", _name_key(name))
        return str(item["groupId"]) if item else None

    async def find_many(self, names: Collection[str]) -> dict[str, str]:
        """
        Find many groups by their ids or names, 100 a call.

        Parameters:
            names: What the groups are called, each once.

        Returns:
            Name to the id of the group; an id before a name, and without those that no group has.
        """
        found = {
            item["groupId"]: str(item["groupId"])
            for item in await self._tables.get_many("groups", [(name, "group") for name in names])
        }
        left = {_name_key(name): name for name in names if name not in found}
        items = await self._tables.get_many("keys", [(key,) for key in left])
        return found | {left[item["key"]]: str(item["groupId"]) for item in items}

    async def read_status(self, group_id: str) -> GroupStatus | None:
        """Read the combined status; None where nothing was ever to be applied."""
        item = await self._tables.get("groups", group_id, "status")
        return from_item(GroupStatus, item) if item else None

    async def read_definition(self, group_id: str, version: int) -> GroupDefinition:
        """
        Read members, defaults and overrides as they were at this version, which never changes.

        Parameters:
            group_id: The group.
            version: The definition's.

        Returns:
            The definition.

        Raises:
            GroupDeleted: The group is gone.
        """
        definition, _ = await self._read_once(group_id, version)
        return definition

    async def _read_chunks(self, group_id: str, version: int) -> tuple[GroupDefinition, int]:
        """Read a definition, and in how many chunks it is stored."""
        chunks = [item async for item in self._tables.query("groups", group_id, _config_prefix(version))]
        definition = _join(chunks)
        if definition is None:
            raise GroupDeleted(f"Protection group {group_id} was deleted.")
        return definition, len(chunks)

    async def read_many_definitions(self, versions: Mapping[str, int]) -> dict[str, GroupDefinition]:
        """
        Read one version of the definition of each of many groups, 100 chunks a call; most groups have one.

        Parameters:
            versions: Group to the definition's version.

        Returns:
            Group to its definition; one that is gone is left out.
        """
        found = await self._tables.get_many("groups", [(each, _chunk(of, 0)) for each, of in versions.items()])
        more = [
            (item["groupId"], _chunk(versions[item["groupId"]], number))
            for item in found
            for number in range(1, int(item["chunks"]))
        ]
        found += await self._tables.get_many("groups", more)
        chunks: dict[str, list[Item]] = {}
        for item in sorted(found, key=lambda item: item["item"]):
            chunks.setdefault(item["groupId"], []).append(item)
        joined = {group_id: _join(parts) for group_id, parts in chunks.items()}
        return {group_id: definition for group_id, definition in joined.items() if definition is not None}

    async def expire_definitions(self, group_id: str, versions: Collection[int], at: datetime) -> list[Write]:
        """
        Write the end of definitions that neither a group nor its current run has any more.

        Parameters:
            group_id: The group.
            versions: The definitions'.
            at: When they became history.

        Returns:
            One write a chunk.
        """
        writes = []
        for version in versions:
            _, chunks = await self._read_once(group_id, version)
            keys = [(group_id, _chunk(version, number)) for number in range(chunks)]
            writes += [Write("Update", "groups", key, expiry(at), condition=Attr("data").exists()) for key in keys]
        return writes

    async def read_many(self, group_ids: Sequence[str]) -> dict[str, tuple[GroupHead, GroupStatus | None]]:
        """Read what many groups are and where they stand; one that is gone is left out."""
        keys = [(group_id, item) for group_id in group_ids for item in ("group", "status")]
        items = {(item["groupId"], item["item"]): item for item in await self._tables.get_many("groups", keys)}
        heads = {each: items[each, "group"] for each in group_ids if (each, "group") in items}
        statuses = {each: items[each, "status"] for each in heads if (each, "status") in items}
        return {
            each: (from_item(GroupHead, head), from_item(GroupStatus, statuses[each]) if each in statuses else None)
            for each, head in heads.items()
        }

    async def read_named(self, limit: int, after: tuple[str, str] | None) -> list[tuple[str, str]]:
        """
        List groups by name, then id; one that was made a moment ago may not be there yet.

        Parameters:
            limit: The most that are answered.
            after: Name and id of the group that the page before ended with.

        Returns:
            Name and id of each.
        """
        start = {"name": after[0], "groupId": after[1], "item": "group"} if after else None
        items = await self._tables.read_index("named", limit=limit, after=start)
        return [(item["name"], item["groupId"]) for item in items]

    async def delete_definitions(self, group_id: str) -> None:
        """Delete every version of a deleted group's definition."""
        await self._tables.delete_all("groups", group_id, "config#")


def _join(chunks: Sequence[Item]) -> GroupDefinition | None:
    """Join a definition's chunks, in their order; None where it is gone: some may be cleared before others."""
    if not chunks or len(chunks) != chunks[0]["chunks"]:
        return None
    return GroupDefinition.from_json(json.loads(zlib.decompress(b"".join(chunk["data"] for chunk in chunks))))


def can_be_name(name: str) -> bool:
    """Tell whether it can be asked for: DynamoDB refuses an empty key, and text that is no UTF-8 cannot be sent."""
    return name.isprintable() and 0 < len(name) <= MAX_GROUP_NAME_LENGTH


def put_head(head: GroupHead, *, over: int | None = None) -> Write:
    """Put a group over the version that was read; None: over none, for the group is new."""
    unchanged = Attr("groupId").not_exists() if over is None else Attr("version").eq(over)
    return Write("Put", "groups", (head.group_id, "group"), {**to_item(head), "named": "named"}, condition=unchanged)


def check_head(head: GroupHead) -> Write:
    """Check that a group is still as it was read."""
    unchanged = Attr("version").eq(head.version)
    return Write("ConditionCheck", "groups", (head.group_id, "group"), condition=unchanged)


def delete_head(head: GroupHead) -> Write:
    """Delete a group that is still as it was read."""
    return Write("Delete", "groups", (head.group_id, "group"), condition=Attr("version").eq(head.version))


def check_status(group_id: str, status: GroupStatus | None) -> Write:
    """Check that a group's status is the one that was read."""
    return Write("ConditionCheck", "groups", (group_id, "status"), condition=is_status(status))


def is_status(status: GroupStatus | None) -> ConditionBase:
    """Write the condition that a group's status is still the one that was read."""
    if status is None:
        return Attr("groupId").not_exists()
    return Attr("generation").eq(status.generation) & Attr("status").eq(status.status.value)


def put_definition(group_id: str, version: int, definition: GroupDefinition) -> Iterator[Write]:
    """Put the definition as immutable, compressed chunks."""
    packed = zlib.compress(json.dumps(definition.to_json(), separators=(",", ":")).encode())
    starts = range(0, len(packed), CHUNK_BYTES)
    for position in starts:
        key = (group_id, _chunk(version, position // CHUNK_BYTES))
        yield Write("Put", "groups", key, {"data": packed[position : position + CHUNK_BYTES], "chunks": len(starts)})


def _name_key(name: str) -> str:
    return f"name#{name}"


def _chunk(version: int, number: int) -> str:
    return f"{_config_prefix(version)}{number:04d}"


def _config_prefix(version: int) -> str:
    return f"config#{version:010d}#"
