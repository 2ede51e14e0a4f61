"""
Items in Python's types and the writes that DynamoDB is asked for: their form, no I/O.

No write is made without its caller saying what it sets and under which condition.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from boto3.dynamodb.conditions import ConditionBase, ConditionExpressionBuilder
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

Item = dict[str, Any]
TableName = Literal["groups", "runs", "keys", "waves", "rate-buckets"]
KEYS: Mapping[TableName, tuple[str, str | None]] = {
    "groups": ("groupId", "item"),
    "runs": ("groupId", "item"),
    "keys": ("key", None),
    "waves": ("waveId", "item"),
    "rate-buckets": ("bucket", None),
}
Index = Literal["named", "unsettled", "unfinished", "accepted"]
INDEXES: Mapping[Index, tuple[TableName, str]] = {
    "named": ("groups", "name"),
    "unsettled": ("runs", "resendAfter"),
    "unfinished": ("waves", "lookAt"),
    "accepted": ("waves", "acceptedAt"),
}
"""A sparse index's table and sort key. Its partition key is an attribute of its own name, with its name as value."""
LONGEST_KEYS = (2048, 1024)
"""Bytes of a partition key and of a sort key (DynamoDB Developer Guide, "Constraints")."""
_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


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
    first: Item = field(default_factory=dict)
    """The attributes that an update sets where they are not there yet: the first value of each stays."""


REMOVE: Any = object()
"""Says of an attribute in an update that it goes."""


def render_write(write: Write, table_name: str) -> dict[str, Any]:
    """
    Render a write as the parameters of its operation, which are those of a transaction's member too.

    Parameters:
        write: The write.
        table_name: The table's full name.

    Returns:
        What DynamoDB's API takes.
    """
    key = key_of(write.table, write.key)
    rendered: dict[str, Any] = {"TableName": table_name}
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    if write.kind == "Put":
        rendered["Item"] = encode({**key, **write.values})
    else:
        rendered["Key"] = encode(key)
    if write.kind == "Update":
        rendered["UpdateExpression"] = _update_expression(write, names, values)
    if write.condition is not None:
        rendered["ConditionExpression"] = _build(write.condition, names, values)
    if names:
        rendered["ExpressionAttributeNames"] = names
    if values:
        rendered["ExpressionAttributeValues"] = encode(values)
    return rendered


def render_query(wanted: ConditionBase) -> dict[str, Any]:
    """Render the keys that a query asks for as its parameters."""
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    expression = _build(wanted, names, values, is_key=True)
    return {
        "KeyConditionExpression": expression,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": encode(values),
    }


def _build(wanted: ConditionBase, names: dict[str, str], values: dict[str, Any], *, is_key: bool = False) -> str:
    built = ConditionExpressionBuilder().build_expression(wanted, is_key_condition=is_key)
    names.update(built.attribute_name_placeholders)
    values.update(built.attribute_value_placeholders)
    return str(built.condition_expression)


def _update_expression(write: Write, names: dict[str, str], values: dict[str, Any]) -> str:
    clauses: dict[str, list[str]] = {"SET": [], "REMOVE": [], "ADD": []}
    # A record holds its own key, which DynamoDB refuses to be told again.
    values_to_set = {name: value for name, value in write.values.items() if name not in KEYS[write.table]}
    parts = [
        *((name, value, "REMOVE" if value is REMOVE else "SET", "{0} = {1}") for name, value in values_to_set.items()),
        *((name, value, "SET", "{0} = if_not_exists({0}, {1})") for name, value in write.first.items()),
        *((name, value, "ADD", "{0} {1}") for name, value in write.add.items()),
    ]
    for position, (attribute, value, clause, form) in enumerate(parts):
        name, placeholder = f"#u{position}", f":u{position}"
        names[name] = attribute
        if clause == "REMOVE":
            clauses[clause].append(name)
            continue
        values[placeholder] = value
        clauses[clause].append(form.format(name, placeholder))
    return " ".join(f"{clause} {', '.join(said)}" for clause, said in clauses.items() if said)


def key_of(table: TableName, key: tuple[str, ...]) -> Item:
    """Name the parts of an item's key."""
    names = [name for name in KEYS[table] if name is not None]
    return dict(zip(names, key, strict=True))


def can_be(key: tuple[str, ...]) -> bool:
    """Tell whether an item can have this key; to ask DynamoDB for another one is an error of the request."""
    return all(
        0 < len(part.encode(errors="surrogatepass")) <= longest
        for part, longest in zip(key, LONGEST_KEYS, strict=False)
    )


def encode(item: Mapping[str, Any]) -> dict[str, Any]:
    """Turn attributes in Python's types into DynamoDB's."""
    return {name: _encode(value) for name, value in item.items()}


def _encode(value: Any) -> dict[str, Any]:
    # Nearly all that we store; boto looks through ten types for each of them.
    match value:
        case str():
            return {"S": value}
        case dict():
            return {"M": encode(value)}
        case list():
            return {"L": [_encode(member) for member in value]}
        case _:
            return dict(_serializer.serialize(value))


def decode(item: Mapping[str, Any]) -> Item:
    """Turn attributes in DynamoDB's types into Python's."""
    return {name: _decode(value) for name, value in item.items()}


def _decode(value: Mapping[str, Any]) -> Any:
    ((kind, held),) = value.items()
    match kind:
        case "S" | "BOOL":
            return held
        case "N":
            # Every number of ours is a whole one; boto answers Decimals, which JSON cannot hold.
            return int(Decimal(held))
        case "M":
            return decode(held)
        case "L":
            return [_decode(member) for member in held]
        case "B":
            return bytes(held)
        case _:
            return _deserializer.deserialize(value)
