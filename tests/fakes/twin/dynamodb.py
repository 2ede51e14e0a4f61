"""The tables of a stack in memory: what DynamoDB guarantees, and nothing that it does not."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tests.fakes.twin.expressions import Attribute, Holds, read_condition, update

Item = dict[str, Attribute]
KEY_SCHEMAS: Mapping[str, tuple[str, str | None]] = {
    "groups": ("groupId", "item"),
    "runs": ("groupId", "item"),
    "keys": ("key", None),
    "waves": ("waveId", "item"),
    "rate-buckets": ("bucket", None),
}
INDEX_SCHEMAS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "groups": {"named": ("named", "name")},
    "runs": {"unsettled": ("unsettled", "resendAfter")},
    "waves": {"unfinished": ("unfinished", "lookAt"), "accepted": ("accepted", "acceptedAt")},
}
PROJECTED: Mapping[str, tuple[str, ...]] = {
    "named": (),
    "unsettled": ("accountId", "region", "listed"),
    "unfinished": (),
    "accepted": (),
}
"""What an index holds of an item besides the keys."""
WRITES = frozenset({"Put", "Update", "Delete", "ConditionCheck"})
MOST_IN_A_TRANSACTION = 100
MOST_BYTES_IN_AN_ITEM = 400_000
PAGE = 50
"""Items of a page; DynamoDB's own ends at 1 MB, which no test would ever reach."""


def refuse(code: str, operation: str, **more: Any) -> ClientError:
    """Make the error that the SDK raises of a refusal."""
    response: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": 400}, **more}
    return ClientError(response, operation)


Key = tuple[str, str]


@dataclass(slots=True)
class _Table:
    hash_name: str
    sort_name: str | None
    items: dict[str, dict[str, Item]] = field(default_factory=lambda: defaultdict(dict))

    def key(self, item: Mapping[str, Attribute]) -> Key:
        return item[self.hash_name]["S"], item[self.sort_name]["S"] if self.sort_name else ""

    def get(self, key: Key) -> Item | None:
        return self.items[key[0]].get(key[1])

    def put(self, key: Key, item: Item | None) -> None:
        if item is None:
            self.items[key[0]].pop(key[1], None)
        else:
            self.items[key[0]][key[1]] = item


@dataclass(slots=True)
class _Planned:
    """One write of a request: what it leaves of an item, if its condition holds."""

    table: str
    key: Key
    holds: bool
    after: Item | None


class Tables:
    """
    The tables of one stack.

    Parameters:
        stack: Prefix of their names.
        now: Seconds of the world's time.
        choose_lag: Chooses by how many seconds an index is behind a write.
    """

    def __init__(self, stack: str, now: Callable[[], float], choose_lag: Callable[[], float] = lambda: 0.0) -> None:
        self._stack = stack
        self._now = now
        self._choose_lag = choose_lag
        self._tables = {name: _Table(*schema) for name, schema in KEY_SCHEMAS.items()}
        self._indexed: dict[str, dict[Key, Item | None]] = defaultdict(dict)
        self._to_index: list[tuple[float, str, Key, Item | None]] = []
        self._tokens: dict[str, object] = {}
        self.on_store: Callable[[str, Key, Item | None, Item | None], None] = lambda *_: None
        """Told of every change of an item: table, key, before, after."""

    def peek(self, table: str, hash_key: str, sort_key: str = "") -> Item | None:
        """Look at an item without a call."""
        return self._tables[table].get((hash_key, sort_key))

    def expire(self, table: str, hash_key: str, sort_key: str) -> None:
        """Let the time of an item be over, which has to have one."""
        item = self.peek(table, hash_key, sort_key)
        assert item is not None and "expiresAt" in item, f"{sort_key} has no end"  # noqa: PT018
        self._tables[table].put((hash_key, sort_key), None)

    def every(self, table: str) -> Iterator[Item]:
        """Look at every item of a table without a call."""
        return (item for partition in self._tables[table].items.values() for item in partition.values())

    # --- operations, each in one instant

    def get_item(self, **request: Any) -> dict[str, Any]:
        """Read one item, as every read of ours: consistently."""
        table = self._table(request, "GetItem")
        assert request["ConsistentRead"] is True
        item = table.get(table.key(request["Key"]))
        return {"Item": item} if item is not None else {}

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        """Read up to 100 items."""
        ((name, wanted),) = request["RequestItems"].items()
        table = self._table({"TableName": name}, "BatchGetItem")
        assert 1 <= len(wanted["Keys"]) <= 100
        assert wanted["ConsistentRead"] is True
        found = [table.get(table.key(key)) for key in wanted["Keys"]]
        return {"Responses": {name: [item for item in found if item is not None]}, "UnprocessedKeys": {}}

    def query(self, **request: Any) -> dict[str, Any]:
        """Read a page of a partition, of a table or of an index."""
        table = self._table(request, "Query")
        holds: Holds = read_condition(request["KeyConditionExpression"])
        names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
        index = request.get("IndexName")
        source, order = self._source(table, self._name(request), index, request)
        found = sorted((item for item in source if holds(item, names, values)), key=order)
        if not request.get("ScanIndexForward", True):
            found.reverse()
        if start := request.get("ExclusiveStartKey"):
            forward = request.get("ScanIndexForward", True)
            found = [item for item in found if (order(item) > order(start)) == forward and order(item) != order(start)]
        limit = min(request.get("Limit", PAGE), PAGE)
        page, more = found[:limit], len(found) > limit
        indexed = INDEX_SCHEMAS[self._name(request)][index] if index else ()
        keys = {name for name in (table.hash_name, table.sort_name, *indexed) if name is not None}
        if index:
            held = {*keys, *PROJECTED[index]}
            page = [{name: value for name, value in item.items() if name in held} for item in page]
        answer: dict[str, Any] = {"Items": page, "Count": len(page)}
        if more or (page and len(page) == request.get("Limit")):
            last = page[-1]
            answer["LastEvaluatedKey"] = {name: last[name] for name in keys}
        return answer

    def put_item(self, **request: Any) -> dict[str, Any]:
        """Put an item, if its condition holds."""
        self._write_alone("Put", "PutItem", request)
        return {}

    def delete_item(self, **request: Any) -> dict[str, Any]:
        """Delete an item, if its condition holds."""
        self._write_alone("Delete", "DeleteItem", request)
        return {}

    def update_item(self, **request: Any) -> dict[str, Any]:
        """Update an item, if its condition holds."""
        table = self._table(request, "UpdateItem")
        before = table.get(table.key(request["Key"]))
        planned = self._write_alone("Update", "UpdateItem", request)
        shown = {"ALL_NEW": planned.after, "ALL_OLD": before}.get(request.get("ReturnValues", "NONE"))
        return {"Attributes": shown} if shown else {}

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        """Do all writes or none; the same token again is a success that does nothing."""
        token, items = request["ClientRequestToken"], request["TransactItems"]
        if token in self._tokens:
            assert self._tokens[token] == items, "a token that is used for two requests"
            return {}
        assert 1 <= len(items) <= MOST_IN_A_TRANSACTION
        planned = [self._plan(kind, said, "TransactWriteItems") for each in items for kind, said in each.items()]
        if len({(each.table, each.key) for each in planned}) < len(planned):
            raise refuse("ValidationException", "TransactWriteItems")
        if not all(each.holds for each in planned):
            reasons = [{"Code": "None" if each.holds else "ConditionalCheckFailed"} for each in planned]
            raise refuse("TransactionCanceledException", "TransactWriteItems", CancellationReasons=reasons)
        for each, said in zip(planned, items, strict=True):
            if "ConditionCheck" not in said:
                self._store(each)
        self._tokens[token] = items
        return {}

    def batch_write_item(self, **request: Any) -> dict[str, Any]:
        """Delete up to 25 items."""
        ((name, wanted),) = request["RequestItems"].items()
        table = self._table({"TableName": name}, "BatchWriteItem")
        assert 1 <= len(wanted) <= 25
        for each in wanted:
            self._store(_Planned(self._short(name), table.key(each["DeleteRequest"]["Key"]), holds=True, after=None))
        return {"UnprocessedItems": {}}

    # --- how

    def _short(self, full: str) -> str:
        return full.removeprefix(f"{self._stack}-")

    def _name(self, request: Mapping[str, Any]) -> str:
        return self._short(request["TableName"])

    def _table(self, request: Mapping[str, Any], operation: str) -> _Table:
        table = self._tables.get(self._name(request))
        if table is None:
            raise refuse("ResourceNotFoundException", operation)
        return table

    def _write_alone(self, kind: str, operation: str, request: Mapping[str, Any]) -> _Planned:
        planned = self._plan(kind, request, operation)
        if not planned.holds:
            held = self.peek(planned.table, *planned.key)
            shown = held is not None and request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            raise refuse("ConditionalCheckFailedException", operation, **({"Item": held} if shown else {}))
        self._store(planned)
        return planned

    def _plan(self, kind: str, request: Mapping[str, Any], operation: str) -> _Planned:
        assert kind in WRITES, kind
        table = self._table(request, operation)
        key = table.key(request["Item"] if kind == "Put" else request["Key"])
        before = table.get(key) or {}
        names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
        condition = request.get("ConditionExpression")
        holds = condition is None or read_condition(condition)(before, names, values)
        after: Item | None = None
        if kind == "Put":
            after = dict(request["Item"])
        elif kind == "Update":
            after = update(request["UpdateExpression"], before or dict(request["Key"]), names, values)
        if after is not None and len(repr(after)) > MOST_BYTES_IN_AN_ITEM:
            raise refuse("ValidationException", operation)
        return _Planned(self._name(request), key, holds, after)

    def _store(self, planned: _Planned) -> None:
        self.on_store(planned.table, planned.key, self._tables[planned.table].get(planned.key), planned.after)
        self._tables[planned.table].put(planned.key, planned.after)
        for index in INDEX_SCHEMAS.get(planned.table, {}):
            # In order, however far behind: an index never goes back.
            behind = self._to_index[-1][0] if self._to_index else 0.0
            self._to_index.append((max(self._now() + self._choose_lag(), behind), index, planned.key, planned.after))

    def _source(
        self, table: _Table, name: str, index: str | None, request: Mapping[str, Any]
    ) -> tuple[Iterator[Item], Callable[[Mapping[str, Attribute]], Any]]:
        if index is None:
            assert request["ConsistentRead"] is True
            assert request["ExpressionAttributeNames"]["#n0"] == table.hash_name
            # The partition key is what the first value of every one of our queries compares with.
            partition = request["ExpressionAttributeValues"][":v0"]["S"]
            return iter(list(table.items[partition].values())), table.key
        hash_name, sort_name = INDEX_SCHEMAS[name][index]
        assert request["ExpressionAttributeNames"]["#n0"] == hash_name
        self._catch_up()
        indexed = (item for item in self._indexed[index].values() if item and {hash_name, sort_name} <= item.keys())
        return indexed, lambda item: (item[sort_name]["S"].encode(), table.key(item))

    def _catch_up(self) -> None:
        while self._to_index and self._to_index[0][0] <= self._now():
            _, index, key, item = self._to_index.pop(0)
            self._indexed[index][key] = item
