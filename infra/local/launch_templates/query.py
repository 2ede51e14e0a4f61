"""
Read EC2's query protocol by botocore's own model, so that no parameter is dropped in silence.

A parameter that the model does not know is refused, as EC2 refuses it. A reader is compiled once an
operation: walking botocore's shapes for each request costs more than the request itself.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from botocore.model import Shape

from infra.local.launch_templates.exceptions import InvalidParameterValue, UnknownParameter

Reader = Callable[[Any, str], Any]

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_COMMON = frozenset({"Action", "Version", "AWSAccessKeyId", "SignatureMethod", "SignatureVersion", "Timestamp"})


def nest(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """
    Turn dotted parameter names into a tree.

    Parameters:
        pairs: Names such as `LaunchTemplateData.NetworkInterface.1.SubnetId`, with their values.

    Raises:
        UnknownParameter: A name goes on below a plain value.

    Returns:
        Dictionaries by part of a name, with the values as leaves.
    """
    tree: dict[str, Any] = {}
    for name, value in pairs:
        if name in _COMMON or name.startswith("X-Amz-"):
            continue
        *parents, leaf = name.split(".")
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise UnknownParameter(name)
        node[leaf] = value
    return tree


def compile_reader(shape: Shape) -> Reader:
    """
    Make the function that reads a tree of parameters into the values of a shape.

    Parameters:
        shape: An input shape of botocore's EC2 model; it must not contain itself.

    Returns:
        A function of a tree and of the name that stands in its error messages.
    """
    if shape.type_name == "structure":
        return _structure_reader(shape)
    if shape.type_name == "list":
        return _list_reader(shape)
    return _PLAIN_READERS[shape.type_name]


def _structure_reader(shape: Any) -> Reader:
    members = {_wire_name(name, member): (name, compile_reader(member)) for name, member in shape.members.items()}

    def read(node: Any, path: str) -> dict[str, Any]:
        if node == "":
            return {}
        if not isinstance(node, dict):
            raise UnknownParameter(path)
        values = {}
        for wire_name, child in node.items():
            known = members.get(wire_name)
            if known is None:
                raise UnknownParameter(f"{path}.{wire_name}" if path else wire_name)
            values[known[0]] = known[1](child, f"{path}.{wire_name}" if path else wire_name)
        return values

    return read


def _list_reader(shape: Any) -> Reader:
    read_item = compile_reader(shape.member)

    def read(node: Any, path: str) -> list[Any]:
        if node == "":
            return []
        if not isinstance(node, dict) or not all(key.isascii() and key.isdigit() for key in node):
            raise UnknownParameter(path)
        return [read_item(node[key], f"{path}.{key}") for key in sorted(node, key=int)]

    return read


def _read_text(node: Any, path: str) -> str:
    if not isinstance(node, str):
        raise UnknownParameter(path)
    if _NOT_XML.search(node):
        # The answer could not be written as XML, and the client would see a broken document.
        raise InvalidParameterValue(f"Value for parameter {path} is invalid: it holds a control character.")
    return node


def _read_boolean(node: Any, path: str) -> bool:
    if node not in ("true", "false"):
        raise InvalidParameterValue(f"Value ({node}) for parameter {path} is invalid: it is not a boolean.")
    return bool(node == "true")


def _read_integer(node: Any, path: str) -> int:
    try:
        return int(node)
    except (TypeError, ValueError) as error:
        raise InvalidParameterValue(f"Value ({node}) for parameter {path} is invalid: it is not a number.") from error


def _read_float(node: Any, path: str) -> float:
    try:
        return float(node)
    except (TypeError, ValueError) as error:
        raise InvalidParameterValue(f"Value ({node}) for parameter {path} is invalid: it is not a number.") from error


def _read_timestamp(node: Any, path: str) -> datetime:
    try:
        moment = datetime.fromisoformat(node)
    except (TypeError, ValueError) as error:
        raise InvalidParameterValue(f"Value ({node}) for parameter {path} is invalid: it is not a date.") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _wire_name(name: str, member: Shape) -> str:
    if "queryName" in member.serialization:
        return str(member.serialization["queryName"])
    wire_name = str(member.serialization.get("name", name))
    return wire_name[0].upper() + wire_name[1:]


_PLAIN_READERS: dict[str, Reader] = {
    "string": _read_text,
    "boolean": _read_boolean,
    "integer": _read_integer,
    "long": _read_integer,
    "float": _read_float,
    "double": _read_float,
    "timestamp": _read_timestamp,
}
