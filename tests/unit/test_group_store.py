"""What is read of a group's definition, and how often."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from tests.fakes.runs import MEMBERS, run_over
from tests.fakes.virtual_time import run_virtually
from workers.core.errors import GroupDeleted
from workers.core.store.groups import DEFINITIONS_CACHED, GroupStore, put_definition
from workers.core.store.tables import Tables

DEFINITION = run_over(MEMBERS, frozenset(MEMBERS)).definition
GROUP = "pg-1"


@dataclass
class CountedTables:
    """Holds one definition under every version, answers after a moment, and counts."""

    deleted: bool = False
    read: list[str] = field(default_factory=list)

    async def query(self, _table: str, group_id: str, prefix: str) -> AsyncIterator[dict[str, Any]]:
        self.read.append(prefix)
        await asyncio.sleep(1)
        for write in () if self.deleted else put_definition(group_id, 1, DEFINITION):
            yield dict(write.values)


def _store(tables: CountedTables) -> GroupStore:
    return GroupStore(cast("Tables", tables))


def test_those_who_begin_together_read_a_definition_once() -> None:
    """Sixty-four readers cost one query, and each gets the definition."""
    tables = CountedTables()
    store = _store(tables)

    async def begin() -> list[Any]:
        return await asyncio.gather(*(store.read_definition(GROUP, 1) for _ in range(64)))

    assert run_virtually(begin) == [DEFINITION] * 64
    assert len(tables.read) == 1


def test_a_deleted_group_is_not_remembered() -> None:
    """What is not there now is asked for again: the next one may find it."""
    tables = CountedTables(deleted=True)
    store = _store(tables)

    async def begin() -> Any:
        with pytest.raises(GroupDeleted):
            await store.read_definition(GROUP, 1)
        tables.deleted = False
        return await store.read_definition(GROUP, 1)

    assert run_virtually(begin) == DEFINITION


def test_as_many_definitions_are_kept_as_there_is_room_for() -> None:
    """What is read again and again stays; what nobody asked for the longest goes, so that memory is bounded."""
    tables = CountedTables()
    store = _store(tables)

    async def begin() -> None:
        for version in range(1, 3 * DEFINITIONS_CACHED):
            await store.read_definition(GROUP, version)
            await store.read_definition(GROUP, 1)
        assert len(tables.read) == 3 * DEFINITIONS_CACHED - 1
        await store.read_definition(GROUP, 2)
        assert len(tables.read) == 3 * DEFINITIONS_CACHED

    run_virtually(begin)


@pytest.mark.parametrize("read_before", [False, True])
def test_a_definition_ends_in_each_of_its_chunks(monkeypatch: pytest.MonkeyPatch, read_before: bool) -> None:
    """However many items hold it: none may stay behind, whether or not the definition was read before."""
    monkeypatch.setattr("workers.core.store.groups.CHUNK_BYTES", 100)
    keys = [write.key for write in put_definition(GROUP, 1, DEFINITION)]
    assert len(keys) > 2
    store = _store(CountedTables())

    async def expire() -> list[tuple[str, ...]]:
        if read_before:
            await store.read_definition(GROUP, 1)
        return [write.key for write in await store.expire_definitions(GROUP, [1], datetime(2026, 1, 2, tzinfo=UTC))]

    assert run_virtually(expire) == keys
