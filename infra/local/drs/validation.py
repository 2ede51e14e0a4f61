"""
Check a request against botocore's model of DRS, as the service does and botocore's client does not.

The client sends enums, patterns and maximum lengths unchecked: without this, a wrong value would be accepted
here and refused in production. Every violation is reported, not the first one only. Unknown members are
ignored, as the protocol asks.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from botocore.model import Shape

from infra.local.drs.exceptions import ValidationException

Violation = tuple[str, str]

_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
}


def check_request(shape: Shape | None, parameters: Any) -> None:
    """
    Refuse parameters that the service model does not allow.

    Parameters:
        shape: The operation's input shape.
        parameters: What the client sent, read from JSON.

    Raises:
        ValidationException: With every violation in its field list.
    """
    violations = list(_check(shape, parameters, "")) if shape is not None else []
    if violations:
        noun = "error" if len(violations) == 1 else "errors"
        listed = "; ".join(f"Value at '{path}' failed to satisfy constraint: {text}" for path, text in violations)
        message = f"{len(violations)} validation {noun} detected: {listed}"
        raise ValidationException(message, violations)


def _check(shape: Any, value: Any, path: str) -> Iterator[Violation]:
    kind = shape.type_name
    if not _is_of(kind, value):
        yield path, f"Member must be of type {kind}"
        return
    yield from _SIZES[kind](shape.metadata, value, path)
    match kind:
        case "structure":
            yield from _check_members(shape, value, path)
        case "list":
            for index, item in enumerate(value):
                yield from _check(shape.member, item, f"{path}[{index}]")
        case "map":
            for key, item in value.items():
                yield from _check(shape.key, key, f"{path}.{key}")
                yield from _check(shape.value, item, f"{path}.{key}")


def _is_of(kind: str, value: Any) -> bool:
    # To Python True is a number too; to the service it is not.
    return isinstance(value, _TYPES[kind]) and isinstance(value, bool) == (kind == "boolean")


def _check_members(shape: Any, value: dict[str, Any], path: str) -> Iterator[Violation]:
    for name, member in shape.members.items():
        member_path = f"{path}.{name}" if path else name
        if value.get(name) is not None:
            yield from _check(member, value[name], member_path)
        elif name in shape.required_members:
            yield member_path, "Member must not be null"


def _check_text(metadata: dict[str, Any], value: str, path: str) -> Iterator[Violation]:
    yield from _check_length(metadata, value, path)
    if "pattern" in metadata and not _compile(metadata["pattern"]).search(value):
        yield path, f"Member must satisfy regular expression pattern: {metadata['pattern']}"
    if "enum" in metadata and value not in metadata["enum"]:
        yield path, f"Member must satisfy enum value set: [{', '.join(metadata['enum'])}]"


def _check_length(metadata: dict[str, Any], value: Any, path: str) -> Iterator[Violation]:
    if len(value) < metadata.get("min", 0):
        yield path, f"Member must have length greater than or equal to {metadata['min']}"
    if len(value) > metadata.get("max", len(value)):
        yield path, f"Member must have length less than or equal to {metadata['max']}"


def _check_range(metadata: dict[str, Any], value: int, path: str) -> Iterator[Violation]:
    if value < metadata.get("min", value):
        yield path, f"Member must have value greater than or equal to {metadata['min']}"
    if value > metadata.get("max", value):
        yield path, f"Member must have value less than or equal to {metadata['max']}"


def _check_nothing(_metadata: dict[str, Any], _value: Any, _path: str) -> Iterator[Violation]:
    return iter(())


@cache
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_SIZES: dict[str, Callable[[dict[str, Any], Any, str], Iterator[Violation]]] = {
    "structure": _check_nothing,
    "boolean": _check_nothing,
    "string": _check_text,
    "list": _check_length,
    "map": _check_length,
    "integer": _check_range,
    "long": _check_range,
}
