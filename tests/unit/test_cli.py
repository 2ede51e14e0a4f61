"""The command line's own laws: what it takes, what it refuses, and with which status."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from producer.cli import main
from producer.cli.app import app

WRONG_USE = 2
NOT_REACHABLE = 3
INTERRUPTED = 130
PIPE_CLOSED = 141


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith("PRELAUNCH_"):
            monkeypatch.delenv(name)


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """Run the command's entry point in this process; answer its exit status."""
    monkeypatch.setattr(sys, "argv", ["prelaunch", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.fixture
def _no_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "another")


@pytest.mark.usefixtures("_no_profiles")
@pytest.mark.parametrize(
    "command",
    ["api --port 0", "worker", "status web", "group list", "plan web", "history web", "rollback web --to-run 1"],
)
def test_a_profile_is_looked_for_by_whoever_is_given_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """An unknown profile is not passed over for another identity: status 3 and one line with its name and giver."""
    for given, giver, name in (("--profile nobody", "--profile", "nobody"), ("", "AWS_PROFILE", "another")):
        assert run_main(monkeypatch, *command.split(), *given.split()) == NOT_REACHABLE
        # The worker's choice stands in its environment from now on.
        monkeypatch.setenv("AWS_PROFILE", "another")
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        assert name in printed.err
        assert [each for each in ("--profile", "AWS_PROFILE") if each in printed.err] == [giver]


class InterruptedImport:
    """Somebody presses Ctrl-C while the commands are imported."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> None:
        if name == "producer.cli.app":
            raise KeyboardInterrupt


def test_ctrl_c_is_quiet_from_the_start(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Also while Python still imports: 130 and not a word."""
    monkeypatch.delitem(sys.modules, "producer.cli.app")
    monkeypatch.setattr("sys.meta_path", [InterruptedImport(), *sys.meta_path])
    assert run_main(monkeypatch, "status", "web") == INTERRUPTED
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("arguments", ["--version", "--help", "status --help"])
def test_a_reader_that_goes_away_ends_every_command_alike(monkeypatch: pytest.MonkeyPatch, arguments: str) -> None:
    """Help and the version, which typer prints by itself, end with 141 too, as other programs do at SIGPIPE."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert run_main(monkeypatch, *arguments.split()) == PIPE_CLOSED
        # What is left in the buffer is written once more when it is closed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)


STREAMS = ("stdin", "stdout", "stderr")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("--version", 0),
        ("group create -f -", WRONG_USE),
        ("group delete web", WRONG_USE),
        ("status web --profile nobody", NOT_REACHABLE),
    ],
)
@pytest.mark.parametrize("closed", [*((name,) for name in STREAMS), STREAMS])
def test_a_command_without_a_standard_stream_ends_as_with_it(
    monkeypatch: pytest.MonkeyPatch, closed: Sequence[str], arguments: str, status: int
) -> None:
    """What is closed reads as nothing and takes everything; the status is that of the command."""
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        for name in closed:
            monkeypatch.setattr(sys, name, None)
        try:
            assert run_main(monkeypatch, *arguments.split()) == status
        finally:
            for stream in filter(None, (getattr(sys, name) for name in closed)):
                stream.close()


def test_help_holds_every_exit_status() -> None:
    """A script's author finds what each status means without another page."""
    table = CliRunner().invoke(app, ["--help"]).output.partition("Exit status:\n")[2].partition("\n\n")[0]
    assert [int(line.split()[0]) for line in table.splitlines()] == [0, 1, 2, 3, 130, 141, 143]


def test_version_is_printed_alone() -> None:
    """`--version` prints the name and the version and exits 0."""
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output == "prelaunch 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["api", "--prot", "3"], "--prot"),
        (["api", "--port", "65536"], "--port"),
        (["api", "--host", "0.0.0.0"], "--host"),
        (["local", "--rates", "fast"], "'fast' is neither real nor off nor a factor above 0"),
        (["local", "--rates", "-1"], "--rates"),
        (["local", "--servers", "4001"], "--servers"),
        (["local", "--latency", "-1"], "--latency"),
        (["serve", "--port", "65536"], "--port"),
        (["serve", "--servers", "4001"], "--servers"),
        (["serve", "--latency", "inf"], "inf is no number of seconds"),
        (["worker", "--processes", "0"], "--processes"),
        (["worker", "--threads", "513"], "--threads"),
        (["demo", "extra"], "extra"),
        (["api", "--region", "Frankfurt"], "'Frankfurt' is no AWS Region"),
        (["worker", "--region", ""], "--region"),
        (["status", "web", "--profile", ""], "--profile"),
        (["status"], "GROUP"),
        (["status", "web", "--servers", "some"], "--servers"),
        (["group", "create"], "--file"),
        (["group", "create", "-f"], "-f"),
        (["group", "update", "-f", "web.json"], "GROUP"),
        (["group", "delete", "web"], "--yes"),
        (["group", "drop", "web"], "drop"),
        (["reapply"], "--group or --all"),
        (["reapply", "--all", "--group", "web"], "--group or --all, and not both"),
        (["reapply", "--all", "--dry-run", "--no-wait"], "--dry-run starts nothing that could be waited for"),
        (["reapply", "--all", "--report", "report.txt"], "neither with .csv nor with .json"),
        (["reapply", "--all", "--report", "/nowhere/report.csv"], "cannot be written"),
        (["plan"], "GROUP"),
        (["history"], "GROUP"),
        (["history", "web", "--limit", "0"], "--limit"),
        (["rollback", "web"], "--to-run"),
        (["rollback", "--to-run", "1"], "GROUP"),
        (["rollback", "web", "--to-run", " "], "--to-run"),
        (["dlq", "list", "--limit", "1001"], "--limit"),
        (["dlq", "redrive"], "--message, --group or --all"),
        (["dlq", "redrive", "--all", "--group", "web"], "--message, --group or --all"),
        (["dlq", "purge", "--yes"], "--message, --group or --all"),
        (["dlq", "purge", "--all"], "--yes"),
        (["dlq", "purge", "--message", "m"], "--yes"),
    ],
)
def test_wrong_use_ends_with_one_sentence_that_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    """A wrong option or command: status 2, and the last line says whole what is wrong."""
    assert run_main(monkeypatch, *arguments) == WRONG_USE
    printed = capsys.readouterr()
    assert printed.out == ""
    last = printed.err.splitlines()[-1]
    assert last.startswith("Error: ")
    assert told in last


def test_a_region_where_nothing_is_is_refused_unless_the_installation_knows_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Before anything is asked of AWS; what PRELAUNCH_EXTRA_REGIONS names is taken."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    file = tmp_path / "web.json"
    file.write_text(json.dumps({"groupName": "web", "region": "us-east-99", "sourceServerIds": ["s-" + "1" * 17]}))
    create = ("group", "create", "-f", str(file), "--profile", "nobody")
    assert run_main(monkeypatch, *create) == WRONG_USE
    assert "/region" in capsys.readouterr().err
    monkeypatch.setenv("PRELAUNCH_EXTRA_REGIONS", "us-east-99")
    assert run_main(monkeypatch, *create) == NOT_REACHABLE


@pytest.mark.parametrize("command", ["api", "worker", "local", "status web", "group list", "dlq list"])
@pytest.mark.parametrize(
    ("name", "value"), [("PRELAUNCH_STACK", "not a stack"), ("PRELAUNCH_TIME_SCALE", "0"), ("PRELAUNCH_THREDS", "9")]
)
def test_a_wrong_setting_is_wrong_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, name: str, value: str
) -> None:
    """A bad value or a misspelt name: status 2 and one line with the variable, before anything is tried."""
    monkeypatch.setenv(name, value)
    assert run_main(monkeypatch, *command.split()) == WRONG_USE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith(f"prelaunch: the settings are wrong: {name}: ")


def test_the_values_of_wrong_settings_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A secret that was put into the wrong variable does not end in a log."""
    monkeypatch.setenv("PRELAUNCH_EXTERNAL_ID", "not-to-be-seen")
    monkeypatch.setenv("PRELAUNCH_THREADS", "not-to-be-seen-either")
    assert run_main(monkeypatch, "worker") == WRONG_USE
    printed = capsys.readouterr().err
    assert "PRELAUNCH_EXTERNAL_ID" in printed
    assert "PRELAUNCH_THREADS" in printed
    assert "not-to-be-seen" not in printed
