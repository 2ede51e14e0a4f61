"""The command line's own laws: what it takes, what it refuses, and with which status."""

import os
import sys

import pytest
from typer.testing import CliRunner

from producer.cli import app, main

WRONG_USE = 2


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
        (["worker", "--processes", "0"], "--processes"),
        (["worker", "--threads", "513"], "--threads"),
        (["demo", "extra"], "extra"),
        (["group", "list"], "group"),
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


@pytest.mark.parametrize("command", ["api", "worker", "local"])
@pytest.mark.parametrize(
    ("name", "value"), [("PRELAUNCH_STACK", "not a stack"), ("PRELAUNCH_TIME_SCALE", "0"), ("PRELAUNCH_THREDS", "9")]
)
def test_a_wrong_setting_is_wrong_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, name: str, value: str
) -> None:
    """A bad value or a misspelt name: status 2 and one line with the variable, before anything is tried."""
    monkeypatch.setenv(name, value)
    assert run_main(monkeypatch, command) == WRONG_USE
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
