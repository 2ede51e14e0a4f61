"""JSON from outside, read strictly, and handed on, without a crash, whatever it is. Every door reads with this."""

import json
from typing import Any

from workers.core.model.errors import FieldError, InvalidBody, show


class _DoubledMember(Exception):
    """One object says a thing twice."""


def parse_json(text: bytes) -> object:
    """
    Read one JSON document.

    Parameters:
        text: UTF-8.

    Returns:
        Any JSON value.

    Raises:
        InvalidBody: It is no JSON, or it says one thing twice.
    """
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_read_members)
    except _DoubledMember as error:
        raise InvalidBody((FieldError("", "INVALID_BODY", str(error), None),)) from error
    except (ValueError, RecursionError) as error:
        raise _no_json("it is nested too deeply" if isinstance(error, RecursionError) else str(error)) from error


def write_json(document: object) -> bytes:
    """
    Write a document that came in a message as the body of a request, no longer than it has to be.

    Parameters:
        document: Any JSON value.

    Returns:
        UTF-8.

    Raises:
        InvalidBody: It is nested too deeply.
    """
    try:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        # Half a character can only be escaped; whoever reads it refuses it in words.
        return json.dumps(document, separators=(",", ":")).encode()
    except RecursionError as error:
        raise _no_json("it is nested too deeply") from error


def _no_json(reason: str) -> InvalidBody:
    return InvalidBody((FieldError("", "INVALID_BODY", f"The body is no JSON: {reason}.", None),))


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _read_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    # Readers of JSON disagree on which of the two counts, so nobody knows what was meant.
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise _DoubledMember(f"An object of the body has two members named {show(name)}. Leave one of them out.")
        seen.add(name)
    return members
