"""
What of the processes' logs a person sees at once: warnings, errors, and what is no log line at all.

The processes write into files themselves: one that is slow to read them keeps nobody waiting.
"""

import json
from pathlib import Path
from typing import Any

from producer.cli.answer import clean

QUIET = {"debug", "info"}
NOT_SHOWN = {"event", "level", "timestamp", "exception"}


class LogFile:
    """
    A log that is read while it is written.

    Parameters:
        name: Whose it is.
        path: Where it is.
    """

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path
        self._read = 0

    def read_news(self) -> list[str]:
        """Read the whole lines that came since the last time; answer those that a person has to see."""
        with self._path.open("rb") as log:
            log.seek(self._read)
            whole, end, _ = log.read().rpartition(b"\n")
        self._read += len(whole) + len(end)
        lines = whole.decode(errors="replace").splitlines()
        return [f"{self._name}: {told}" for told in map(render, lines) if told]


def render(line: str) -> str | None:
    """
    Render a line of a log for a person.

    Parameters:
        line: The line, JSON if prelaunch wrote it.

    Returns:
        Level, event and values, in one line that does nothing to a terminal; None where it is neither a warning nor
        an error.
    """
    try:
        values: Any = json.loads(line)
    except ValueError:
        return clean(line).strip() or None
    if not isinstance(values, dict):
        return clean(line)
    if values.get("level") in QUIET:
        return None
    shown = "".join(f" {name}={value}" for name, value in values.items() if name not in NOT_SHOWN)
    return clean(f"{values.get('level')} {values.get('event')}{shown}")
