"""What a log line may hold, and what it must."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import Any

import pytest

SECRET = "wJalrXUtnFEMI-not-to-be-seen"


START = "import logging, structlog\nfrom workers.core.logs import configure_logs\nconfigure_logs()\n"


def log_lines(program: str) -> list[dict[str, Any]]:
    """Run a program after the logs are configured, in a process of its own; answer its lines."""
    ran = subprocess.run([sys.executable, "-c", START + program], capture_output=True, text=True, check=True)
    assert ran.stdout == ""
    return [json.loads(line) for line in ran.stderr.splitlines()]


def show(program: str) -> str:
    """Run it with standard error on a terminal; answer all that is shown there."""
    screen, terminal = os.openpty()
    shown = b""
    with subprocess.Popen([sys.executable, "-c", START + program], stderr=terminal) as process:
        os.close(terminal)
        # Linux says so when the last one who had the terminal open has ended.
        with suppress(OSError):
            while read := os.read(screen, 65536):
                shown += read
        os.close(screen)
    assert process.returncode == 0
    return shown.decode()


FAILING = f"""
def assume():
    key = "{SECRET}"
    return 1 / 0
try:
    assume()
except ZeroDivisionError as error:
    """


LOGGED = (
    'structlog.get_logger().exception("bug")',
    'structlog.get_logger().error("bug", exc_info=error)',
    'logging.getLogger("library").exception("bug")',
    'logging.getLogger("library").error("bug", exc_info=error)',
)


@pytest.mark.parametrize("log", LOGGED)
def test_a_traceback_names_frames_and_no_values(log: str) -> None:
    """A bug is one JSON line with its frames, from us and from libraries; variables, so secrets, stay out."""
    (line,) = log_lines(FAILING + log)
    assert (line["event"], line["level"]) == ("bug", "error")
    (trace,) = line["exception"]
    assert trace["exc_type"] == "ZeroDivisionError"
    assert [frame["name"] for frame in trace["frames"]] == ["<module>", "assume"]
    assert SECRET not in json.dumps(line)


@pytest.mark.parametrize("log", LOGGED)
def test_a_traceback_on_a_terminal_names_no_values_either(log: str) -> None:
    """Whoever starts a worker or the API by hand may be sharing his screen."""
    shown = show(FAILING + log)
    assert "ZeroDivisionError" in shown
    assert "assume" in shown
    assert SECRET not in shown


def test_context_is_on_every_line_of_ours_and_of_libraries() -> None:
    """What is bound round a message stands on each line that is written meanwhile, whoever writes it."""
    ours, library = log_lines(
        "with structlog.contextvars.bound_contextvars(group_id='g-1'):\n"
        "    structlog.get_logger().info('server.ready', source_server_id='s-1')\n"
        "    logging.getLogger('library').warning('slow %s', 'answer')\n"
        "logging.getLogger('library').info('chatter')\n"
    )
    assert ours.items() >= {"event": "server.ready", "group_id": "g-1", "source_server_id": "s-1"}.items()
    assert library.items() >= {"event": "slow answer", "group_id": "g-1", "logger": "library"}.items()
