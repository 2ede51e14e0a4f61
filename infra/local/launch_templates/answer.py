"""
Write EC2's XML answers by botocore's own model, so that a client reads back every member it knows.

What the model does not know is not written: an answer never holds a member that the real service lacks.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from typing import Any

from botocore.model import Shape

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"

_PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>\n'

Writer = Callable[[list[str], Any], None]


def compile_writer(shape: Shape) -> Writer:
    """
    Make the function that writes a value of a shape.

    Parameters:
        shape: An output shape of botocore's EC2 model; it must not contain itself.

    Returns:
        A function that appends the text of a value to a list of parts.
    """
    match shape.type_name:
        case "structure":
            return _structure_writer(shape)
        case "list":
            return _list_writer(shape)
        case "boolean":
            return _write_boolean
        case "timestamp":
            return _write_timestamp
        case "string":
            return _write_text
        case _:
            return _write_number


def render_result(operation: str, write: Writer, result: dict[str, Any], request_id: str) -> str:
    """Write the answer of an operation."""
    parts = [f'{_PROLOGUE}<{operation}Response xmlns="{NAMESPACE}"><requestId>{request_id}</requestId>']
    write(parts, result)
    parts.append(f"</{operation}Response>")
    return "".join(parts)


def render_error(code: str, message: str, request_id: str) -> str:
    """Write an error answer."""
    return (
        f"{_PROLOGUE}<Response><Errors><Error>"
        f"<Code>{escape(code, quote=False)}</Code><Message>{escape(message, quote=False)}</Message>"
        f"</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    )


def _structure_writer(shape: Any) -> Writer:
    members = {}
    for name, member in shape.members.items():
        tag = member.serialization.get("name", name)
        members[name] = (f"<{tag}>", f"</{tag}>", compile_writer(member))

    def write(parts: list[str], value: Any) -> None:
        for name, child in value.items():
            known = members.get(name)
            if known is not None and child is not None:
                parts.append(known[0])
                known[2](parts, child)
                parts.append(known[1])

    return write


def _list_writer(shape: Any) -> Writer:
    tag = shape.member.serialization.get("name", "item")
    write_item = compile_writer(shape.member)

    def write(parts: list[str], value: Any) -> None:
        for item in value:
            parts.append(f"<{tag}>")
            write_item(parts, item)
            parts.append(f"</{tag}>")

    return write


def _write_text(parts: list[str], value: Any) -> None:
    # A bare carriage return is read back as a line feed by every XML parser.
    parts.append(escape(str(value), quote=False).replace("\r", "&#xD;"))


def _write_number(parts: list[str], value: Any) -> None:
    parts.append(str(value))


def _write_boolean(parts: list[str], value: Any) -> None:
    parts.append("true" if value else "false")


def _write_timestamp(parts: list[str], value: datetime) -> None:
    parts.append(value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"))
