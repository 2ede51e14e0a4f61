"""
moto's DynamoDB made a database: one lock, transactions undone item by item, tokens that are remembered.

As it comes, moto undoes a cancelled transaction by putting back a copy of the whole table: what others wrote
meanwhile is gone. And it checks a condition first and writes later, with other threads in between. No
path to a table may leave the lock that stands here.
"""

import copy
import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.core.responses import ActionResult
from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import (
    ConditionalCheckFailed,
    DynamodbException,
    ItemSizeToUpdateTooLarge,
    MockValidationException,
    MultipleTransactionsException,
    TooManyTransactionsException,
    TransactionCanceledException,
    TransactWriteSingleOpException,
)
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from infra.local.mend import replace

_TOKEN_LIFE_SECONDS = 600.0
_ITEMS_LIMIT = 100
_OPERATIONS = {"ConditionCheck", "Put", "Delete", "Update"}

_lock = threading.RLock()
_tokens: dict[tuple[str, str, str], tuple[str, float]] = {}


def install() -> None:
    """Mend moto's DynamoDB."""
    replace(DynamoHandler, "call_action", _locked)
    replace(DynamoHandler, "transact_write_items", _idempotent)
    replace(DynamoDBBackend, "transact_write_items", lambda _: _transact)
    replace(DynamoDBBackend, "update_item", _undone_on_failure)


def _locked(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def call_action(self: Any) -> Any:
        with _lock:
            return original(self)

    return call_action


def _idempotent(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """
    Remember the tokens of transactions that took effect, for ten minutes.

    docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html: the same token with
    the same parameters succeeds without effect, with others it is an IdempotentParameterMismatchException.
    """

    def transact_write_items(self: Any) -> Any:
        token = self.body.get("ClientRequestToken")
        if not token:
            return original(self)
        key, now = (self.current_account, self.region, token), time.monotonic()
        # moto has made bytes of binary attributes by now.
        items = json.dumps(self.body["TransactItems"], sort_keys=True, default=repr)
        asked = hashlib.sha256(items.encode()).hexdigest()
        done, done_at = _tokens.get(key, ("", float("-inf")))
        if now - done_at >= _TOKEN_LIFE_SECONDS:
            answer = original(self)
            _remember(key, asked, now)
            return answer
        if done != asked:
            raise _mismatch()
        return ActionResult({})

    return transact_write_items


def _remember(key: tuple[str, str, str], asked: str, now: float) -> None:
    # Insertion order is order of age: the oldest are dropped from the front.
    _tokens.pop(key, None)
    _tokens[key] = asked, now
    while now - next(iter(_tokens.values()))[1] >= _TOKEN_LIFE_SECONDS:
        del _tokens[next(iter(_tokens))]


def _mismatch() -> DynamodbException:
    return DynamodbException(
        "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException",
        "The request was rejected because one or more items in the request do not match a previous payload "
        "for the specified client token",
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """One item of a transaction, and what was there before it."""

    operation: str
    parameters: dict[str, Any]
    table: Table
    hash_key: DynamoType
    range_key: DynamoType | None
    before: Item | None

    @property
    def target(self) -> tuple[str, DynamoType, DynamoType | None]:
        return self.table.name, self.hash_key, self.range_key

    def undo(self) -> None:
        if self.before is None:
            self.table.delete_item(self.hash_key, self.range_key)
        elif self.range_key is None:
            self.table.items[self.hash_key] = self.before  # type: ignore[assignment]  # without range keys
        else:
            self.table.items[self.hash_key][self.range_key] = self.before


def _undone_on_failure(original: Callable[..., Item]) -> Callable[..., Item]:
    """Undo what a failed update did: moto changes the stored item while it still evaluates the expression."""

    def update_item(self: DynamoDBBackend, table_name: str, key: dict[str, Any], *args: Any, **more: Any) -> Item:
        step = _step(self, "Update", {"TableName": table_name, "Key": key})
        try:
            return original(self, table_name, key, *args, **more)
        except Exception:
            step.undo()
            raise

    return update_item


def _transact(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    if len(transact_items) > _ITEMS_LIMIT:
        raise TooManyTransactionsException
    if any(len(item) != 1 or not _OPERATIONS.issuperset(item) for item in transact_items):
        raise TransactWriteSingleOpException
    steps = [_step(self, *next(iter(item.items()))) for item in transact_items]
    if len({step.target for step in steps}) < len(steps):
        raise MultipleTransactionsException
    reasons: list[tuple[str | None, str | None, dict[str, Any] | None]] = []
    try:
        reasons = [_take(self, step) for step in steps]
    except BaseException:
        _undo(steps)
        raise
    if any(code for code, _, _ in reasons):
        _undo(steps)
        raise TransactionCanceledException(reasons)


def _undo(steps: list[_Step]) -> None:
    # Under the lock nobody else has touched these items: a step that was not taken is undone without effect.
    for step in steps:
        step.undo()


def _step(backend: DynamoDBBackend, operation: str, parameters: dict[str, Any]) -> _Step:
    table = backend.get_table(parameters["TableName"])
    key = parameters["Item"] if operation == "Put" else parameters["Key"]
    hash_key, range_key = backend.get_keys_value(table, key)
    before = table.get_item(hash_key, range_key)
    # Only an update changes the stored object itself; a put or delete leaves it whole.
    kept = copy.deepcopy(before) if operation == "Update" else before
    return _Step(operation, parameters, table, hash_key, range_key, kept)


def _take(backend: DynamoDBBackend, step: _Step) -> tuple[str | None, str | None, dict[str, Any] | None]:
    """Do one step; tell why it cancels the transaction, with the item if the caller wants to see it."""
    try:
        _write(backend, step)
    except ConditionalCheckFailed:
        wanted = step.parameters.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        seen = step.before.to_json()["Attributes"] if wanted and step.before else None
        return "ConditionalCheckFailed", "The conditional request failed", seen
    except (MockValidationException, ItemSizeToUpdateTooLarge) as error:
        return "ValidationError", str(error.message), None
    return None, None, None


def _write(backend: DynamoDBBackend, step: _Step) -> None:
    parameters = step.parameters
    condition: dict[str, Any] = {
        "condition_expression": parameters.get("ConditionExpression"),
        "expression_attribute_names": parameters.get("ExpressionAttributeNames"),
        "expression_attribute_values": parameters.get("ExpressionAttributeValues"),
    }
    match step.operation:
        case "Put":
            backend.put_item(parameters["TableName"], parameters["Item"], **condition)
        case "Delete":
            backend.delete_item(parameters["TableName"], parameters["Key"], **condition)
        case "Update":
            backend.update_item(
                parameters["TableName"],
                parameters["Key"],
                update_expression=parameters["UpdateExpression"],
                **condition,
            )
        case _:
            holds = get_filter_expression(*condition.values())
            if not holds.expr(step.table.get_item(step.hash_key, step.range_key)):
                raise ConditionalCheckFailed
