"""Groups: their definition, in immutable versions, and their status."""

import json
import zlib
from collections import OrderedDict
from collections.abc import Iterator

from boto3.dynamodb.conditions import Attr

from workers.core.model.group import GroupDefinition
from workers.core.store.records import GroupHead, GroupStatus, from_item, to_item
from workers.core.store.tables import Tables
from workers.core.store.writes import Write

DEFINITIONS_CACHED = 32
CHUNK_BYTES = 350_000
"""DynamoDB refuses items over 400 KB."""


class GroupStore:
    """Reads groups; the writes that open a generation are in `opening`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._definitions: OrderedDict[tuple[str, int], GroupDefinition] = OrderedDict()

    async def read_head(self, group_id: str) -> GroupHead | None:
        """Read what the group is; None where there is no such group."""
        item = await self._tables.get("groups", group_id, "group")
        return from_item(GroupHead, item) if item else None

    async def read_status(self, group_id: str) -> GroupStatus | None:
        """Read the combined status; None where nothing was ever to be applied."""
        item = await self._tables.get("groups", group_id, "status")
        return from_item(GroupStatus, item) if item else None

    async def read_definition(self, group_id: str, version: int) -> GroupDefinition:
        """Read members, defaults and overrides as they were at this version, which never changes."""
        key = (group_id, version)
        if key not in self._definitions:
            parts = [item["data"] async for item in self._tables.query("groups", group_id, _config_prefix(version))]
            self._definitions[key] = GroupDefinition.from_json(json.loads(zlib.decompress(b"".join(parts))))
        while len(self._definitions) > DEFINITIONS_CACHED:
            self._definitions.popitem(last=False)
        return self._definitions[key]


def put_head(head: GroupHead) -> Write:
    """Put a group that is not there yet."""
    return Write("Put", "groups", (head.group_id, "group"), to_item(head), condition=Attr("groupId").not_exists())


def put_definition(group_id: str, version: int, definition: GroupDefinition) -> Iterator[Write]:
    """Put the definition as immutable, compressed chunks."""
    packed = zlib.compress(json.dumps(definition.to_json(), separators=(",", ":")).encode())
    for position in range(0, len(packed), CHUNK_BYTES):
        item = f"{_config_prefix(version)}{position // CHUNK_BYTES:04d}"
        yield Write("Put", "groups", (group_id, item), {"data": packed[position : position + CHUNK_BYTES]})


def _config_prefix(version: int) -> str:
    return f"config#{version:010d}#"
