"""
A secret that a command is given: by a file, a pipe or a prompt, never as an option's value.

What stands on a command line everybody on the machine reads in the process list, and the shell keeps in its history.
Nothing here may repeat it.
"""

import getpass
import sys

import typer
from pydantic import TypeAdapter, ValidationError

from producer.cli.file import STANDARD_INPUT, read_bytes
from workers.core.model import types
from workers.core.requests import RequestRefused

_external_id = TypeAdapter[str](types.ExternalId)


def read_external_id(name: str, option: str) -> str:
    """
    Read an external id.

    Parameters:
        name: The file that holds it and nothing else; - stands for standard input, on a terminal for a prompt that
            shows nothing of what is typed.
        option: What named the file.

    Returns:
        The external id.

    Raises:
        typer.BadParameter: It cannot be read, or is none.
    """
    try:
        given = _read(name)
    except RequestRefused as error:
        raise typer.BadParameter(error.detail, param_hint=option) from error
    try:
        return _external_id.validate_python(given.strip())
    except ValidationError:
        message = "what it names holds no external id: 2 to 1224 letters, digits and characters of _+=,.@:/-"
        # Not from the original, which repeats what was given.
        raise typer.BadParameter(message, param_hint=option) from None


def _read(name: str) -> str:
    if name == STANDARD_INPUT and sys.stdin.isatty():
        return getpass.getpass("External id: ")
    # What is not ASCII is no external id.
    return read_bytes(name).decode("ascii", errors="replace")
