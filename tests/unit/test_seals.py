"""One key a stack, made once."""

import asyncio
from typing import Any, cast

from workers.core.store.seals import KEY_BYTES, SealStore
from workers.core.store.tables import Tables
from workers.core.store.writes import Write


class OneItem:
    """A table with one item; a reader may come before what another one writes."""

    def __init__(self) -> None:
        self.item: dict[str, Any] | None = None
        self.reads = 0
        self.writes = 0

    async def get(self, _table: str, *_key: str) -> dict[str, Any] | None:
        self.reads += 1
        seen = self.item
        await asyncio.sleep(0)
        return seen

    async def write(self, write: Write) -> dict[str, Any]:
        self.writes += 1
        self.item = {**write.first, **(self.item or {})}
        return self.item


async def test_two_that_make_the_key_at_once_have_the_same() -> None:
    """Else the letters of one of them would never be believed."""
    table = OneItem()
    stores = [SealStore(cast("Tables", table)) for _ in range(2)]
    one, other = await asyncio.gather(*(store.find_or_make() for store in stores))
    assert (one == other, len(one), table.writes) == (True, KEY_BYTES, 2)
    assert await stores[0].find_or_make() == one
    assert (await stores[1].find(), table.writes) == (one, 2)


async def test_who_only_looks_makes_no_key() -> None:
    """A list of letters writes nothing."""
    table = OneItem()
    assert await SealStore(cast("Tables", table)).find() is None
    assert table.writes == 0
