"""
Our tables: names, items in Python's types, conditional writes, and the errors that DynamoDB answers.

A failed condition is a decision of the caller's and raises ConditionFailed; contention is retried here with
jitter; a missing table or endpoint is one clear SetupError. No item is ever written without its caller saying so.

Longer than others: each call of DynamoDB is one method here, and a second module would be a second way to the tables.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Literal

from boto3.dynamodb.conditions import ConditionBase, Key
from botocore.exceptions import BotoCoreError, ClientError

from workers.core.errors import ServiceUnavailable
from workers.core.retry import back_off
from workers.core.store.refusals import ConditionFailed, is_contention, raise_failed_conditions, translate
from workers.core.store.writes import (
    INDEXES,
    KEYS,
    Index,
    Item,
    TableName,
    Write,
    can_be,
    decode,
    encode,
    key_of,
    render_query,
    render_write,
)

CONTENTION_TRIES = 12
FIRST_WAIT = timedelta(milliseconds=40)
LONGEST_WAIT = timedelta(seconds=1)
Returning = Literal["ALL_NEW", "ALL_OLD"]
BATCH_READ = 100
BATCH_WRITE = 25


class Tables:
    """The tables of one stack, over an aiobotocore DynamoDB client of the running loop."""

    def __init__(self, client: Any, stack: str) -> None:
        self._client = client
        self._stack = stack

    @property
    def region(self) -> str:
        """Answer the Region that the tables are in."""
        return str(self._client.meta.region_name)

    def name(self, table: TableName) -> str:
        """Tell the full name of a table."""
        return f"{self._stack}-{table}"

    async def check(self) -> None:
        """Look for every table; SetupError names what is missing."""
        for table in KEYS:
            await self.look_for(table)

    async def look_for(self, table: TableName) -> None:
        """Look for one table; TableMissing says that it is not there."""
        await self.get(table, *(name for name in KEYS[table] if name is not None))

    async def get(self, table: TableName, *key: str) -> Item | None:
        """Read one item, consistently; None where there is none."""
        if not can_be(key):
            return None
        async with self._translated(self.name(table)):
            answer = await self._client.get_item(
                TableName=self.name(table), Key=encode(key_of(table, key)), ConsistentRead=True
            )
        return decode(answer["Item"]) if "Item" in answer else None

    async def get_many(self, table: TableName, keys: Sequence[tuple[str, ...]]) -> list[Item]:
        """
        Read many items, consistently, 100 a call.

        Parameters:
            table: Their table.
            keys: Their keys, each once.

        Returns:
            The items that there are, in no order.
        """
        found: list[Item] = []
        possible = [encode(key_of(table, key)) for key in keys if can_be(key)]
        for start in range(0, len(possible), BATCH_READ):
            wanted = possible[start : start + BATCH_READ]
            found += await self._get_batch(self.name(table), wanted)
        return found

    async def query(self, table: TableName, hash_key: str, prefix: str) -> AsyncIterator[Item]:
        """Read the items of a partition whose sort key begins with the prefix ("" for all), consistently, in order."""
        request = self._ask(table, hash_key, prefix)
        while can_be((hash_key,)):
            answer = await self._query(request)
            for item in answer["Items"]:
                yield decode(item)
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    async def read_back(
        self, table: TableName, hash_key: str, prefix: str, *, limit: int, before: str | None
    ) -> list[Item]:
        """
        Read a page of a partition, consistently, from the greatest sort key down.

        Parameters:
            table: The table.
            hash_key: The partition.
            prefix: What the sort keys begin with.
            limit: The most items that are answered.
            before: The sort key that the page before ended with.

        Returns:
            The items; fewer than the limit only where there are no more.
        """
        request = {**self._ask(table, hash_key, prefix), "ScanIndexForward": False}
        if not can_be((hash_key,)):
            return []
        if before is not None:
            request["ExclusiveStartKey"] = encode(key_of(table, (hash_key, before)))
        return await self._read_page(request, limit)

    async def read_index(
        self,
        index: Index,
        *,
        limit: int,
        after: Item | None = None,
        until: str | None = None,
        partition: str | None = None,
        backward: bool = False,
    ) -> list[Item]:
        """
        Read a page of a sparse index, in order; what was written a moment ago may not be in it yet.

        Parameters:
            index: The index.
            limit: The most items that are answered.
            after: The item that the page before ended with, as far as keys go.
            until: The greatest sort key that is wanted; None for all.
            partition: One of its partitions; None for the one of its own name.
            backward: Whether the greatest comes first.

        Returns:
            The items; fewer than the limit only where there are no more.
        """
        table, sort_name = INDEXES[index]
        wanted: ConditionBase = Key(index).eq(partition or index)
        if until is not None:
            wanted &= Key(sort_name).lte(until)
        request = {"TableName": self.name(table), "IndexName": index, **render_query(wanted)}
        if backward:
            request["ScanIndexForward"] = False
        if after is not None:
            names = [*filter(None, KEYS[table]), sort_name]
            request["ExclusiveStartKey"] = encode({index: partition or index, **{name: after[name] for name in names}})
        return await self._read_page(request, limit)

    async def delete_all(self, table: TableName, hash_key: str, prefix: str) -> None:
        """Delete the items of a partition whose sort key begins with the prefix, 25 a call."""
        hash_name, sort_name = KEYS[table]
        keys = [(item[hash_name], item[str(sort_name)]) async for item in self.query(table, hash_key, prefix)]
        for start in range(0, len(keys), BATCH_WRITE):
            await self._delete_batch(table, keys[start : start + BATCH_WRITE])

    async def _delete_batch(self, table: TableName, keys: list[tuple[str, str]]) -> None:
        name = self.name(table)
        left: dict[str, Any] = {name: [{"DeleteRequest": {"Key": encode(key_of(table, key))}} for key in keys]}
        for attempt in _tries():
            async with self._translated(name):
                answer = await self._retry_contention("batch_write_item", {"RequestItems": left})
            left = answer.get("UnprocessedItems") or {}
            if not left:
                return
            await _rest(attempt)
        raise ServiceUnavailable(f"DynamoDB leaves items of {name} undeleted. Try again.")

    async def commit(self, writes: Sequence[Write], is_stored: Callable[[], Awaitable[bool]]) -> bool:
        """
        Do all writes or none, and find out which where no answer says it.

        Parameters:
            writes: At most 100.
            is_stored: Reads whether they are done.

        Returns:
            Whether they are; False where a condition did not hold.

        Raises:
            ServiceUnavailable: They are not done as far as can be read, and DynamoDB does not say why.
        """
        try:
            await self.transact(writes)
        except ConditionFailed:
            # A try before, whose answer was lost, may be what the condition met.
            return await is_stored()
        except ServiceUnavailable:
            if not await is_stored():
                raise
        return True

    async def _get_batch(self, name: str, wanted: list[dict[str, Any]]) -> list[Item]:
        found: list[Item] = []
        for attempt in _tries():
            request = {name: {"Keys": wanted, "ConsistentRead": True}}
            async with self._translated(name):
                answer = await self._retry_contention("batch_get_item", {"RequestItems": request})
            found += [decode(item) for item in answer["Responses"].get(name, [])]
            # A full answer leaves keys over, and so does a busy partition.
            wanted = (answer.get("UnprocessedKeys") or {}).get(name, {}).get("Keys", [])
            if not wanted:
                return found
            await _rest(attempt)
        raise ServiceUnavailable(f"DynamoDB leaves items of {name} unread. Try again.")

    def _ask(self, table: TableName, hash_key: str, prefix: str) -> dict[str, Any]:
        hash_name, sort_name = KEYS[table]
        wanted: ConditionBase = Key(hash_name).eq(hash_key)
        if prefix:
            wanted &= Key(str(sort_name)).begins_with(prefix)
        return {"TableName": self.name(table), "ConsistentRead": True, **render_query(wanted)}

    async def _read_page(self, request: dict[str, Any], limit: int) -> list[Item]:
        items: list[Item] = []
        while len(items) < limit:
            answer = await self._query({**request, "Limit": limit - len(items)})
            items += [decode(item) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                break
            # DynamoDB ends a page at 1 MB too.
            request = {**request, "ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return items

    async def _query(self, request: dict[str, Any]) -> Any:
        async with self._translated(request["TableName"]):
            return await self._client.query(**request)

    async def write(self, write: Write, *, returning: Returning = "ALL_NEW", shows_refused: bool = False) -> Item:
        """
        Do one conditional write and answer the item that an update leaves or finds; {} where there is none.

        Parameters:
            write: The write.
            returning: Whether an update answers the item as it leaves or as it found it.
            shows_refused: Whether ConditionFailed holds the item that it did not hold for.

        Returns:
            The item, or {}.

        Raises:
            ConditionFailed: Its condition did not hold.
        """
        operation = {"Put": "put_item", "Update": "update_item", "Delete": "delete_item"}[write.kind]
        request = render_write(write, self.name(write.table))
        if write.kind == "Update":
            request["ReturnValues"] = returning
        if shows_refused:
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        async with self._translated(request["TableName"]):
            answer = await self._retry_contention(operation, request)
        return decode(answer.get("Attributes") or {})

    async def transact(self, writes: Sequence[Write]) -> None:
        """
        Do all writes or none.

        Parameters:
            writes: At most 100.

        Raises:
            ConditionFailed: With the positions of the writes whose condition did not hold.
        """
        request: dict[str, Any] = {
            "TransactItems": [{w.kind: render_write(w, self.name(w.table))} for w in writes],
            # One for all tries, the SDK's and ours: repeated after a lost answer, it has its effect once.
            "ClientRequestToken": str(uuid.uuid4()),
        }
        async with self._translated(*dict.fromkeys(self.name(write.table) for write in writes)):
            await self._retry_contention("transact_write_items", request)

    async def _retry_contention(self, operation: str, request: dict[str, Any]) -> Any:
        for attempt in _tries():
            try:
                return await getattr(self._client, operation)(**request)
            except ClientError as error:
                raise_failed_conditions(error)
                # The SDK does not retry a cancelled transaction, though nothing is wrong with it.
                if attempt == CONTENTION_TRIES or not is_contention(error):
                    raise
            await _rest(attempt)
        raise AssertionError("unreachable: the last try returns or raises")

    @asynccontextmanager
    async def _translated(self, *tables: str) -> AsyncIterator[None]:
        try:
            yield
        except ClientError as error:
            raise translate(error, self._stack, tables) from error
        except BotoCoreError as error:
            raise ServiceUnavailable(f"DynamoDB does not answer: {error}") from error


def _tries() -> range:
    return range(1, CONTENTION_TRIES + 1)


async def _rest(attempt: int) -> None:
    await asyncio.sleep(back_off(attempt, first=FIRST_WAIT, longest=LONGEST_WAIT).total_seconds())
