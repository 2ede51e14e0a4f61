"""
Our tables: names, items in Python's types, conditional writes, and the errors that DynamoDB answers.

A failed condition is a decision of the caller's and raises ConditionFailed; contention is retried here with
jitter; a missing table or endpoint is one clear SetupError. No item is ever written without its caller saying so.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

from boto3.dynamodb.conditions import ConditionBase, ConditionExpressionBuilder, Key
from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError

from workers.core.errors import ServiceUnavailable, SetupError
from workers.core.retry import back_off

Item = dict[str, Any]
TableName = Literal["groups", "runs", "keys", "waves"]
KEYS: Mapping[TableName, tuple[str, str | None]] = {
    "groups": ("groupId", "item"),
    "runs": ("groupId", "item"),
    "keys": ("key", None),
    "waves": ("waveId", "item"),
}
CONTENTION = frozenset(
    {
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
        "ThrottlingError",
        "ThrottlingException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
    }
)
DENIED = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)
SERVER_ERROR = 500
CONTENTION_TRIES = 12
FIRST_WAIT = timedelta(milliseconds=40)
LONGEST_WAIT = timedelta(seconds=1)
_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


class ConditionFailed(Exception):
    """The condition of a write did not hold; nothing was written."""

    def __init__(self, failed: Sequence[int] = (0,)) -> None:
        super().__init__(f"The condition of write {', '.join(map(str, failed))} did not hold.")
        self.failed = tuple(failed)
        """Positions, in the transaction, of the writes whose condition did not hold."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a transaction, or one alone."""

    kind: Literal["Put", "Update", "Delete", "ConditionCheck"]
    table: TableName
    key: tuple[str, ...]
    values: Item = field(default_factory=dict)
    """The attributes to put or to set; one whose value is REMOVE goes."""
    condition: ConditionBase | None = None
    add: Mapping[str, int] = field(default_factory=dict)
    """Numbers to add to, in an update."""


REMOVE: Any = object()
"""Says of an attribute in an update that it goes."""


class Tables:
    """The tables of one stack, over an aiobotocore DynamoDB client of the running loop."""

    def __init__(self, client: Any, stack: str) -> None:
        self._client = client
        self._stack = stack

    def name(self, table: TableName) -> str:
        """Tell the full name of a table."""
        return f"{self._stack}-{table}"

    async def check(self) -> None:
        """Look for every table; SetupError names what is missing."""
        for table, (hash_name, sort_name) in KEYS.items():
            await self.get(table, *(name for name in (hash_name, sort_name) if name is not None))

    async def get(self, table: TableName, *key: str) -> Item | None:
        """Read one item, consistently; None where there is none."""
        async with self._translated():
            answer = await self._client.get_item(
                TableName=self.name(table), Key=_encode(_key(table, key)), ConsistentRead=True
            )
        return _decode(answer["Item"]) if "Item" in answer else None

    async def query(self, table: TableName, hash_key: str, prefix: str) -> AsyncIterator[Item]:
        """Read the items of a partition whose sort key begins with the prefix ("" for all), consistently, in order."""
        hash_name, sort_name = KEYS[table]
        wanted: Any = Key(hash_name).eq(hash_key)
        if prefix:
            wanted &= Key(str(sort_name)).begins_with(prefix)
        built = ConditionExpressionBuilder().build_expression(wanted, is_key_condition=True)
        request: dict[str, Any] = {
            "TableName": self.name(table),
            "KeyConditionExpression": built.condition_expression,
            "ExpressionAttributeNames": built.attribute_name_placeholders,
            "ExpressionAttributeValues": _encode(built.attribute_value_placeholders),
            "ConsistentRead": True,
        }
        while True:
            async with self._translated():
                answer = await self._client.query(**request)
            for item in answer["Items"]:
                yield _decode(item)
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    async def write(self, write: Write, *, returning: Literal["ALL_NEW", "ALL_OLD"] = "ALL_NEW") -> Item:
        """
        Do one conditional write and answer the item that an update leaves or finds; {} where there is none.

        Parameters:
            write: The write.
            returning: Whether an update answers the item as it leaves or as it found it.

        Returns:
            The item, or {}.

        Raises:
            ConditionFailed: Its condition did not hold.
        """
        operation = {"Put": "put_item", "Update": "update_item", "Delete": "delete_item"}[write.kind]
        request = self._render(write)
        if write.kind == "Update":
            request["ReturnValues"] = returning
        async with self._translated():
            answer = await self._retry_contention(operation, request)
        return _decode(answer.get("Attributes") or {})

    async def transact(self, writes: Sequence[Write], *, token: str | None = None) -> None:
        """
        Do all writes or none.

        Parameters:
            writes: At most 100.
            token: The same for the same request, so that a repeated one has its effect once (36 characters).

        Raises:
            ConditionFailed: With the positions of the writes whose condition did not hold.
        """
        request: dict[str, Any] = {"TransactItems": [{w.kind: self._render(w)} for w in writes]}
        if token is not None:
            request["ClientRequestToken"] = token
        async with self._translated():
            await self._retry_contention("transact_write_items", request)

    def _render(self, write: Write) -> dict[str, Any]:
        key = _key(write.table, write.key)
        rendered: dict[str, Any] = {"TableName": self.name(write.table)}
        names: dict[str, str] = {}
        values: dict[str, Any] = {}
        if write.kind == "Put":
            rendered["Item"] = _encode({**key, **write.values})
        else:
            rendered["Key"] = _encode(key)
        if write.kind == "Update":
            rendered["UpdateExpression"] = _update_expression(write, names, values)
        if write.condition is not None:
            built = ConditionExpressionBuilder().build_expression(write.condition)
            rendered["ConditionExpression"] = built.condition_expression
            names.update(built.attribute_name_placeholders)
            values.update(built.attribute_value_placeholders)
        if names:
            rendered["ExpressionAttributeNames"] = names
        if values:
            rendered["ExpressionAttributeValues"] = _encode(values)
        return rendered

    async def _retry_contention(self, operation: str, request: dict[str, Any]) -> Any:
        for attempt in range(1, CONTENTION_TRIES + 1):
            try:
                return await getattr(self._client, operation)(**request)
            except ClientError as error:
                _raise_failed_conditions(error)
                # The SDK does not retry a cancelled transaction, though nothing is wrong with it.
                if attempt == CONTENTION_TRIES or not _is_contention(error):
                    raise
            await asyncio.sleep(back_off(attempt, first=FIRST_WAIT, longest=LONGEST_WAIT).total_seconds())
        raise AssertionError("unreachable: the last try returns or raises")

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._translate(error) from error
        except BotoCoreError as error:
            raise ServiceUnavailable(f"DynamoDB does not answer: {error}") from error

    def _translate(self, error: Exception) -> Exception:
        """Answer what a refusal of DynamoDB's means; one that is none of AWS's own troubles is a bug."""
        response: Any = getattr(error, "response", {})
        code = response.get("Error", {}).get("Code", "")
        if code == "ResourceNotFoundException":
            return SetupError(
                f"A table of stack {self._stack!r} is missing (looked for {self._stack}-groups and its"
                " siblings). Deploy the stack, or set PRELAUNCH_STACK to the right one.",
                code="TABLE_MISSING",
            )
        if code in DENIED:
            return SetupError(f"The tables of stack {self._stack!r} may not be used: {error}.", code=code)
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in CONTENTION or code == "TransactionCanceledException" or status >= SERVER_ERROR:
            return ServiceUnavailable(f"DynamoDB refused a request: {error}", code=code)
        return error


def _update_expression(write: Write, names: dict[str, str], values: dict[str, Any]) -> str:
    clauses: dict[str, list[str]] = {"SET": [], "REMOVE": [], "ADD": []}
    # A record holds its own key, which DynamoDB refuses to be told again.
    values_to_set = {name: value for name, value in write.values.items() if name not in KEYS[write.table]}
    for position, (attribute, value) in enumerate([*values_to_set.items(), *write.add.items()]):
        name, placeholder = f"#u{position}", f":u{position}"
        names[name] = attribute
        if value is REMOVE:
            clauses["REMOVE"].append(name)
            continue
        values[placeholder] = value
        if position < len(values_to_set):
            clauses["SET"].append(f"{name} = {placeholder}")
        else:
            clauses["ADD"].append(f"{name} {placeholder}")
    return " ".join(f"{clause} {', '.join(parts)}" for clause, parts in clauses.items() if parts)


def _raise_failed_conditions(error: ClientError) -> None:
    if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
        raise ConditionFailed from error
    reasons = error.response.get("CancellationReasons") or []
    failed = [n for n, reason in enumerate(reasons) if reason.get("Code") == "ConditionalCheckFailed"]
    if failed:
        raise ConditionFailed(failed) from error


def _is_contention(error: ClientError) -> bool:
    codes = {error.response["Error"]["Code"]}
    codes.update(reason.get("Code", "") for reason in error.response.get("CancellationReasons") or [])
    return bool(codes & CONTENTION)


def _key(table: TableName, key: tuple[str, ...]) -> Item:
    names = [name for name in KEYS[table] if name is not None]
    return dict(zip(names, key, strict=True))


def _encode(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _serializer.serialize(value) for name, value in item.items()}


def _decode(item: Mapping[str, Any]) -> Item:
    return {name: _plain(_deserializer.deserialize(value)) for name, value in item.items()}


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            # Every number of ours is a whole one; boto answers Decimals, which JSON cannot hold.
            return int(value)
        case Binary():
            return bytes(value)
        case list():
            return [_plain(member) for member in value]
        case dict():
            return {name: _plain(member) for name, member in value.items()}
        case _:
            return value
