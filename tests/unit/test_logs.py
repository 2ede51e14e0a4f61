"""What a log line may hold, and what it must."""

import json
import subprocess
import sys
from typing import Any

import pytest

SECRET = "wJalrXUtnFEMI-not-to-be-seen"


def log_lines(program: str) -> list[dict[str, Any]]:
    """Run a program after the logs are configured, in a process of its own; answer its lines."""
    start = "import logging, structlog\nfrom workers.core.logs import configure_logs\nconfigure_logs()\n"
    ran = subprocess.run([sys.executable, "-c", start + program], capture_output=True, text=True, check=True)
    assert ran.stdout == ""
    return [json.loads(line) for line in ran.stderr.splitlines()]


FAILING = f"""
def assume():
    key = "{SECRET}"
    return 1 / 0
try:
    assume()
except ZeroDivisionError as error:
    """


@pytest.mark.parametrize(
    "log",
    [
        'structlog.get_logger().exception("bug")',
        'structlog.get_logger().error("bug", exc_info=error)',
        'logging.getLogger("library").exception("bug")',
        'logging.getLogger("library").error("bug", exc_info=error)',
    ],
)
def test_a_traceback_names_frames_and_no_values(log: str) -> None:
    """A bug is one JSON line with its frames, from us and from libraries; variables, so secrets, stay out."""
    (line,) = log_lines(FAILING + log)
    assert (line["event"], line["level"]) == ("bug", "error")
    (trace,) = line["exception"]
    assert trace["exc_type"] == "ZeroDivisionError"
    assert [frame["name"] for frame in trace["frames"]] == ["<module>", "assume"]
    assert SECRET not in json.dumps(line)


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
