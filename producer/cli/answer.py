"""
How a command answers: the answer on standard output, everything else on standard error, and one exit status.

With `--json` standard output holds exactly one document, also for a request that is refused: then a problem.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from http import HTTPStatus
from typing import Any, TextIO

import typer

from producer.problems import render_error
from workers.core.errors import PrelaunchError
from workers.core.model.errors import GroupTooLarge, InvalidBody
from workers.core.requests import RequestRefused


class ExitStatus(IntEnum):
    """What a script reads from a command that has ended."""

    WELL = 0
    FAILED = 1
    WRONG_USE = 2
    NOT_REACHABLE = 3
    INTERRUPTED = 130
    """128 and SIGINT."""
    PIPE_CLOSED = 141
    """128 and SIGPIPE, as a shell says it of other programs."""
    TERMINATED = 143
    """128 and SIGTERM."""


ABOUT_THINGS = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT})
"""The request is right in itself, and the stack's state is another."""
ADVICE: Mapping[str, str] = {
    "VERSION_CONFLICT": "Read it again with 'prelaunch group get GROUP --json', make your change in that, and update.",
}
"""What to do next at the command line, where the error itself does not say it."""


@contextmanager
def answering(*, as_json: bool, source: str | None = None) -> Iterator[None]:
    """
    Tell what is refused or fails in the block, and end with the status that says so.

    Parameters:
        as_json: Whether standard output gets a problem document then.
        source: The file that the request came from.

    Yields:
        Nothing; typer.Exit is raised where the block was refused.
    """
    try:
        yield
    except (InvalidBody, GroupTooLarge, RequestRefused, PrelaunchError) as error:
        _, document = render_error(error)
        _complain_of(document, source)
        if as_json:
            print_json(document)
        raise typer.Exit(find_exit_status(document["status"])) from error


def find_exit_status(status: int) -> ExitStatus:
    """Tell with which exit status a problem of an HTTP status ends."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ExitStatus.NOT_REACHABLE
    return ExitStatus.FAILED if status in ABOUT_THINGS else ExitStatus.WRONG_USE


def print_json(document: Mapping[str, Any]) -> None:
    """Print the one document."""
    # Escaped where the terminal's encoding is another: JSON in a file is UTF-8, whoever reads it.
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print_text(json.dumps(document, indent=2, ensure_ascii=not is_utf8))


def print_text(text: str) -> None:
    """Print a part of the answer; a reader that has gone away ends the command quietly, a full disk with one line."""
    try:
        _write(text)
    except OSError as error:
        _silence(sys.stdout)
        if isinstance(error, BrokenPipeError):
            raise typer.Exit(ExitStatus.PIPE_CLOSED) from None
        complain(f"the answer cannot be written to standard output: {error.strerror}.")
        raise typer.Exit(ExitStatus.FAILED) from None


def tell(text: str) -> None:
    """Print what nobody has to read: what runs goes on, whoever reads standard output or not."""
    with read_or_not(sys.stdout):
        _write(text)


def _write(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    # A name that the terminal's encoding lacks must not cost the rest of the answer.
    sys.stdout.write(f"{text}\n".encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def complain(text: str) -> None:
    """Say what is wrong, to whoever reads it."""
    with read_or_not():
        typer.echo(f"prelaunch: {text}", err=True)


@contextmanager
def read_or_not(stream: TextIO | None = None) -> Iterator[None]:
    """
    Write to a stream; where nobody can read that any more, what is under way goes on as without it.

    Parameters:
        stream: Which one; standard error where none is named.

    Yields:
        Nothing.
    """
    try:
        yield
    except OSError:
        _silence(stream or sys.stderr)


def _silence(stream: TextIO) -> None:
    """Let a stream whose reader is gone, or whose disk is full, take everything from now on."""
    # Python flushes once more when it ends, and would complain of the same.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def clean(text: str) -> str:
    """Make text of others' one line that does nothing to a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _complain_of(document: Mapping[str, Any], source: str | None) -> None:
    elsewhere = {HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE}
    place = f"{clean(source)}: " if source and document["status"] not in elsewhere else ""
    advice = ADVICE.get(document["code"])
    complain(f"{place}{clean(document['detail'])}" + (f" {advice}" if advice else ""))
    errors = document["errors"]
    if [error["message"] for error in errors] == [document["detail"]]:
        return
    for error in errors:
        server = f" ({error['sourceServerId']})" if error["sourceServerId"] else ""
        line = f"line {error['line']}, " if "line" in error else ""
        typer.echo(clean(f"  {line}{error['pointer'] or '/'}{server}: {error['message']}"), err=True)
