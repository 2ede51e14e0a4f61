"""The key that reasons of refused requests are sealed with: one a stack, made once, never shown."""

import secrets

from workers.core.store.tables import Tables
from workers.core.store.writes import Write

KEY = ("seal#requests",)
KEY_BYTES = 32


class SealStore:
    """Holds the stack's key."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def find(self) -> bytes | None:
        """Find the key; None where nothing was sealed yet."""
        item = await self._tables.get("keys", *KEY)
        return None if item is None else bytes(item["secret"])

    async def find_or_make(self) -> bytes:
        """Find the key, or make it; of two that make it at the same time both have the first one's."""
        found = await self.find()
        if found is not None:
            return found
        made = Write("Update", "keys", KEY, first={"secret": secrets.token_bytes(KEY_BYTES)})
        return bytes((await self._tables.write(made))["secret"])
