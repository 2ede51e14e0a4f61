"""The command's entry point in the test's own process: for tests that need no process of the command's own."""

import os
from collections.abc import Mapping

import pytest

from producer.cli import main


class Command:
    """The command's entry point in this process: what most of a new process's time would go into is imported once."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], environment: Mapping[str, str]
    ) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.enter(environment)

    def enter(self, environment: Mapping[str, str]) -> None:
        """Take over an environment, as far as it is AWS's or ours."""
        for name in {*os.environ, *environment}:
            if name.startswith(("AWS_", "PRELAUNCH_")):
                self.set(name, environment.get(name))

    def set(self, name: str, value: str | None) -> None:
        if value is None:
            self._monkeypatch.delenv(name, raising=False)
        else:
            self._monkeypatch.setenv(name, value)

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Answer exit status, standard output and standard error."""
        self._monkeypatch.setattr("sys.argv", ["prelaunch", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return (ended.value.code, *self._capsys.readouterr())
