"""How the command line answers: exit statuses, one document, and text that does nothing to a terminal."""

import json
import os
import sys
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from producer.cli.answer import ExitStatus, answering, clean, complain, print_json, print_text, tell
from producer.problems import STATUS_BY_CODE, render_error
from workers.core.errors import GroupDeleted, ServiceUnavailable, SetupError
from workers.core.model.errors import FieldError, GroupTooLarge, InvalidBody
from workers.core.requests import Conflict, NotFound, RequestRefused

MEMBER = "s-0123456789abcdefg"
TWO_ERRORS = (
    FieldError("/launchConfig/subnetId", "INVALID_LAUNCH_CONFIG", "subnetId must be a subnet.", None),
    FieldError("/servers/0/launchConfig", "INVALID_LAUNCH_CONFIG", "It conflicts\nwith\x1b[2J another.", MEMBER),
)
FAILED = [HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT]


def end(error: Exception, *, as_json: bool = False, source: str | None = None) -> int:
    """Let a command's block raise; answer the exit status."""
    with pytest.raises(typer.Exit) as ended, answering(as_json=as_json, source=source):
        raise error
    return ended.value.exit_code


@pytest.mark.parametrize("code", STATUS_BY_CODE)
def test_every_refusal_has_its_exit_status(code: str) -> None:
    """What is not there or stands in the way is a failure; every other refusal is wrong use, whatever its code."""
    failed = STATUS_BY_CODE[code] in FAILED
    assert end(RequestRefused("Refused.", code=code)) == (ExitStatus.FAILED if failed else ExitStatus.WRONG_USE)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidBody(TWO_ERRORS), ExitStatus.WRONG_USE),
        (GroupTooLarge(5000, 4000), ExitStatus.WRONG_USE),
        (NotFound("It is not there.", code="GROUP_NOT_FOUND"), ExitStatus.FAILED),
        (Conflict("It is taken.", code="GROUP_NAME_EXISTS"), ExitStatus.FAILED),
        (SetupError("A table is missing.", code="TABLE_MISSING"), ExitStatus.NOT_REACHABLE),
        (ServiceUnavailable("DynamoDB does not answer."), ExitStatus.NOT_REACHABLE),
        (GroupDeleted("It was deleted."), ExitStatus.FAILED),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_a_refusal_is_one_document_or_none(
    capsys: pytest.CaptureFixture[str], error: Exception, status: ExitStatus, as_json: bool
) -> None:
    """With --json the problem of the HTTP door, alone; without it nothing; what a person reads is elsewhere."""
    assert end(error, as_json=as_json) == status
    printed = capsys.readouterr()
    assert ([json.loads(printed.out)] if printed.out else []) == ([render_error(error)[1]] if as_json else [])
    assert printed.err.startswith("prelaunch: ")


@pytest.mark.parametrize(("stream", "write"), [("stderr", complain), ("stdout", tell)])
def test_nobody_to_complain_to_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, stream: str, write: Callable[[str], None]
) -> None:
    """A reader that went away: what is under way goes on, as where the stream is closed."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as unread:
        monkeypatch.setattr(sys, stream, unread)
        write("one")
        write("two")
        # What is written from now on goes nowhere, and is no error when Python flushes at its end either.
        assert Path(f"/proc/self/fd/{unread.fileno()}").readlink() == Path(os.devnull)
    monkeypatch.undo()


def test_an_answer_that_finds_no_room_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk: failed, and no traceback."""
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(typer.Exit) as ended:
            print_text("an answer")
    assert ended.value.exit_code == ExitStatus.FAILED
    told = "the answer cannot be written to standard output: No space left on device."
    assert capsys.readouterr().err == f"prelaunch: {told}\n"


def test_every_error_of_a_file_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The file first, then each error with place, source server and message, on a line of its own."""
    end(InvalidBody(TWO_ERRORS), source="web.json")
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith("prelaunch: web.json: 2 things are wrong")
    assert rest == [
        "  /launchConfig/subnetId: subnetId must be a subnet.",
        f"  /servers/0/launchConfig ({MEMBER}): It conflicts with [2J another.",
    ]


def test_a_file_is_not_blamed_for_what_is_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    """A group that is not there, and AWS that does not answer, are no faults of a file."""
    end(NotFound("It is not there.", code="GROUP_NOT_FOUND"), source="web.json")
    end(SetupError("A table is missing."), source="web.json")
    assert capsys.readouterr().err == "prelaunch: It is not there.\nprelaunch: A table is missing.\n"


def test_a_conflict_of_versions_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """The next command is named."""
    end(Conflict("The group is at version 3.", code="VERSION_CONFLICT"))
    assert "prelaunch group get GROUP --json" in capsys.readouterr().err


def test_a_bug_is_not_told_as_a_refusal() -> None:
    """An error that is none of ours passes, with its traceback."""
    with pytest.raises(ZeroDivisionError), answering(as_json=True):
        _ = 1 / 0


@given(text=st.text())
def test_text_of_others_is_one_harmless_line(text: str) -> None:
    """Whatever AWS or a person wrote: no line break, no control, no escape sequence reaches a terminal."""
    cleaned = clean(text)
    assert cleaned.isprintable()
    assert len(cleaned) == len(text)


class Latin1:
    """A standard output of another encoding."""

    encoding = "iso8859-1"

    def __init__(self) -> None:
        self.written = b""

    def write(self, text: str) -> int:
        self.written += text.encode(self.encoding)
        return len(text)

    def flush(self) -> None:
        pass


def test_a_name_that_the_terminal_lacks_is_shown_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Escaped, with everything round it."""
    output: Any = Latin1()
    monkeypatch.setattr("sys.stdout", output)
    print_text("Zürich → READY")
    assert output.written == b"Z\xfcrich \\u2192 READY\n"


def test_a_document_is_utf8_whatever_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that is written to a file under another encoding can be read back."""
    output: Any = Latin1()
    monkeypatch.setattr("sys.stdout", output)
    print_json({"groupName": "Zürich → 東京"})
    assert json.loads(output.written.decode("utf-8")) == {"groupName": "Zürich → 東京"}
