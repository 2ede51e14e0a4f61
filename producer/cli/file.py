"""The file that a command is given: one JSON document, read whole or refused."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from producer.strict_json import parse_json
from workers.core.model.bodies import read_task_token
from workers.core.model.errors import FieldError, InvalidBody
from workers.core.model.group_parse import GroupUpdate, parse_group_update
from workers.core.requests import RequestRefused

STANDARD_INPUT = "-"
MAX_FILE_BYTES = 16 * 1024 * 1024
"""A group of the greatest size fits many times over, however it is indented; a device without an end does not."""
ONLY_SHOWN = frozenset({"groupId", "createdAt", "updatedAt", "launchConfigStatus"})
"""What `group get --json` prints and nobody can set."""


def name_source(name: str) -> str:
    """Say where a document came from."""
    return "standard input" if name == STANDARD_INPUT else name


def read_document(name: str) -> object:
    """
    Read a file, or standard input.

    Parameters:
        name: The file's name; - stands for standard input.

    Returns:
        Any JSON value.

    Raises:
        RequestRefused: It cannot be read, or is too large.
        InvalidBody: It holds no JSON.
    """
    return parse_json(read_bytes(name))


def read_bytes(name: str, limit: int = MAX_FILE_BYTES) -> bytes:
    """
    Read all of a file, or of standard input.

    Parameters:
        name: The file's name; - stands for standard input.
        limit: The most bytes that it may have.

    Returns:
        What it holds.

    Raises:
        RequestRefused: It cannot be read, or is too large.
    """
    try:
        if name == STANDARD_INPUT:
            text = sys.stdin.buffer.read(limit + 1)
        else:
            with Path(name).open("rb") as file:
                text = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RequestRefused(f"The file cannot be read: {reason}.", code="INVALID_BODY") from error
    if len(text) > limit:
        raise RequestRefused(f"The file is over {limit // 1024**2} MiB.", code="BODY_TOO_LARGE")
    return text


@dataclass(frozen=True, slots=True)
class Asked:
    """An update that a file asks for."""

    update: GroupUpdate
    shown: str | None
    """The id of the group that the file was made from, if it says so."""
    task_token: str | None = field(repr=False)
    """What a task of Step Functions waits with, if the file says so."""


def find_shown(document: object) -> str | None:
    """Find the id of the group that a file was made from, if it says so."""
    group_id = document.get("groupId") if isinstance(document, dict) else None
    return group_id if isinstance(group_id, str) else None


def read_update(document: object) -> Asked:
    """
    Read a group as `group get --json` printed it, changed by a person, or the body of an update.

    Parameters:
        document: What the file holds.

    Returns:
        The update, checked in full.

    Raises:
        InvalidBody: Something is wrong in it; it carries every error.
    """
    if not isinstance(document, dict):
        return Asked(parse_group_update(document), None, None)
    # What tags selected is shown beside them; a file that is made from nothing has to say one of the two.
    selected = (
        {"sourceServerIds"}
        if "serverSelectionTags" in document and document.get("groupId") is not None
        else frozenset()
    )
    body = {name: value for name, value in document.items() if name not in ONLY_SHOWN | selected}
    return Asked(parse_group_update(body), find_shown(document), read_task_token(body))


def check_same_group(shown: str | None, group_id: str) -> None:
    """
    Refuse a file that was made from another group.

    Parameters:
        shown: The id of the group that was shown, if the file has it.
        group_id: The group that is to be updated.

    Raises:
        InvalidBody: They are not the same.
    """
    if shown is not None and shown != group_id:
        message = (
            f"This is the definition of {shown}, and {group_id} is to be updated. Name {shown}, or take groupId out."
        )
        raise InvalidBody((FieldError("/groupId", "INVALID_BODY", message, None),))
