"""
What a changed source server costs of our own tables, counted over the twin: DynamoDB's units, and jobs that were sent.

An item's size is that of its names and values as DynamoDB counts them, near enough: a number by its digits.
Source of the units: DynamoDB developer guide, read and write request units; a consistent read has one for each 4 KB, a
write one for each KB, and a transaction twice as many.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, cast

from botocore.exceptions import ClientError

from tests.fakes.twin.dynamodb import INDEX_SCHEMAS, Key, Tables
from tests.fakes.twin.dynamodb import Item as RawItem
from tests.fakes.twin.fleet import Fleet
from tests.fakes.twin.world import STACK, World
from tests.fakes.virtual_time import run_virtually
from tests.faults.scenarios import Story

READ_BYTES, WRITE_BYTES = 4096, 1024
MEMBERS = 100
READS = frozenset({"get_item", "batch_get_item", "query"})
TRANSACTION, TRANSACTION_FACTOR = "transact_write_items", 2
WRITES = frozenset({"put_item", "update_item", "delete_item", "batch_write_item", TRANSACTION})
PACED = "rate-buckets"
"""Counted where many processes draw on it: tests.scale.fleet."""


class Units:
    """Stands where the twin's tables do, and counts what a call costs, by table."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.read: Counter[str] = Counter()
        self.written: Counter[str] = Counter()
        self._stored: list[tuple[str, int]] = []

    def __getattr__(self, name: str) -> Any:
        effect = getattr(self._tables, name)
        if name in READS:
            return self._reading(name, effect)
        return self._writing(name, effect) if name in WRITES else effect

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "on_store":
            self._tables.on_store = self._note_before(value)
        else:
            object.__setattr__(self, name, value)

    def _note_before(self, told: Callable[[str, Key, RawItem | None, RawItem | None], None]) -> Any:
        def note(table: str, key: Key, before: RawItem | None, after: RawItem | None) -> None:
            units = math.ceil(max(_measure(before), _measure(after), 1) / WRITE_BYTES)
            self._stored.append((table, units))
            self._stored.extend((table, each) for each in _index_writes(table, before, after))
            told(table, key, before, after)

        return note

    def _reading(self, name: str, effect: Callable[..., Any]) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            answer = effect(**request)
            if name == "batch_get_item":
                ((table, items),) = answer["Responses"].items()
                units = sum(math.ceil(max(_measure(item), 1) / READ_BYTES) for item in items)
            else:
                table = request["TableName"]
                items = answer.get("Items", [answer.get("Item")])
                units = math.ceil(max(sum(map(_measure, items)), 1) / READ_BYTES)
            self.read[_short(table)] += units
            return answer

        return call

    def _writing(self, name: str, effect: Callable[..., Any]) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            self._stored.clear()
            try:
                return effect(**request)
            except ClientError:
                # A condition that does not hold is looked at all the same.
                if "TableName" in request:
                    self.written[_short(request["TableName"])] += 1
                raise
            finally:
                for table, units in self._stored:
                    self.written[table] += units * (TRANSACTION_FACTOR if name == TRANSACTION else 1)

        return call


def _short(name: str) -> str:
    return name.removeprefix(f"{STACK}-")


def _measure(item: Mapping[str, Mapping[str, Any]] | None) -> int:
    return sum(len(name) + len(str(value)) for name, typed in (item or {}).items() for value in typed.values())


def _index_writes(table: str, before: RawItem | None, after: RawItem | None) -> list[int]:
    """A sparse index is written where what it sorts by changes: once for what leaves it, once for what enters."""
    writes: list[int] = []
    for hash_name, sort_name in INDEX_SCHEMAS.get(table, {}).values():
        was, now = ((item or {}).get(hash_name) and (item or {}).get(sort_name) for item in (before, after))
        if was != now:
            writes.extend(1 for each in (was, now) if each)
    return writes


def count_units() -> tuple[Counter[str], Counter[str]]:
    """
    Create a group of a hundred source servers, all of which are changed, and bring it to its end.

    Returns:
        Read and written units for the whole group, by table; those of the buckets left out.
    """

    async def tell() -> Units:
        world = World(seed=5)
        units = Units(world.tables)
        world.tables = cast("Tables", units)
        story = Story(Fleet(world))
        members = [f"s-{number:017d}" for number in range(MEMBERS)]
        world.servers.add(*members)
        await story.create("web", *members)
        await story.settle()
        story.watch.check_end(story.wanted)
        return units

    units = run_virtually(tell)
    for counts in (units.read, units.written):
        counts.pop(PACED, None)
    return units.read, units.written
