"""
Short cuts through moto where each call walked a long way: the answers stay the same.

A load test of the product must not be a load test of its stand-in. Nothing here may change what a call does.
"""

import base64
import copy
from collections.abc import Callable
from functools import cache
from typing import Any

from moto.core import responses
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models.table import Table
from moto.moto_server import werkzeug_app

from infra.local.mend import replace

_NO_CORS = "DISABLE_GLOBAL_CORS"


def install() -> None:
    """Take the short cuts."""
    # It lists a class's methods by inspection, on every call.
    replace(responses, "method_names_from_class", cache)
    replace(BaseJSONSerializer, "_serialize_type_structure", _written_as_it_is)
    replace(Table, "query", _within_its_partition)
    # A stand-in on a laptop must not let any web page call it, and need not pay for saying that it may.
    setattr(werkzeug_app, _NO_CORS, True)


def _written_as_it_is(original: Callable[..., None]) -> Callable[..., None]:
    """Write a DynamoDB value as the one member that it has, not as ten that it might have, at each depth."""

    def serialize(self: BaseJSONSerializer, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue" and type(value) is dict:
            serialized[self.get_serialized_name(shape, key)] = _write(value)
        else:
            original(self, serialized, value, shape, key)

    return serialize


def _write(value: dict[str, Any]) -> dict[str, Any]:
    ((kind, held),) = value.items()
    match kind:
        case "M":
            return {kind: {name: _write(member) for name, member in held.items()}}
        case "L":
            return {kind: [_write(member) for member in held]}
        case "B":
            return {kind: _encode(held)}
        case "BS":
            return {kind: [_encode(member) for member in held]}
        case _:
            return {kind: held}


def _encode(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _within_its_partition(original: Callable[..., Any]) -> Callable[..., Any]:
    """Look for a query's items where their partition key says that they are, not among all that the table has."""

    def query(self: Table, hash_key: Any, *others: Any, **more: Any) -> Any:
        if hash_key not in self.items or _names_an_index(*others, **more):
            return original(self, hash_key, *others, **more)
        narrowed = copy.copy(self)
        narrowed.items = {hash_key: self.items[hash_key]}  # type: ignore[assignment]  # moto's own makes absent keys
        return original(narrowed, hash_key, *others, **more)

    return query


def _names_an_index(
    _comparison: object,
    _values: object,
    _limit: object,
    _start: object,
    _forward: object,
    _projection: object,
    index_name: str | None = None,
    *_others: object,
    **_more: object,
) -> bool:
    return index_name is not None
