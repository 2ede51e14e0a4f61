"""
The stand-in as a process of its own, for the tests and the demo.

It must end in every case: when the block is left, and when the one who started it is killed.
"""

import json
import subprocess  # nosec B404
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from infra.local.buckets import Rates

_STOP_SECONDS = 5
# No proxy of the environment's knows the way to this machine's own address.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class StandInFailed(Exception):
    """The stand-in did not start; its standard error says why."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """A running stand-in."""

    environment: dict[str, str]
    """What to export so that SDKs and prelaunch speak to it."""
    process_id: int
    poll: Callable[[], int | None] = lambda: None
    """Answers the status that it ended with; None while it runs, and of one that another process started."""

    @property
    def url(self) -> str:
        """Give the one address of all its services."""
        return self.environment["AWS_ENDPOINT_URL"]

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """
        Call the control.

        Parameters:
            method: The HTTP method.
            path: What follows `/_local/`.
            body: What is sent, as JSON.

        Returns:
            The answer's JSON.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_local/{path}", data=data, method=method)  # noqa: S310
        with _opener.open(request, timeout=60) as answer:
            return json.load(answer)


@contextmanager
def stand_in(
    *,
    port: int = 0,
    servers: int = 0,
    latency_seconds: float = 0.0,
    rates: Rates = "off",
    stack: str = "prelaunch",
) -> Iterator[StandIn]:
    """
    Run a stand-in while the block runs.

    Parameters:
        port: Its port on 127.0.0.1; 0 takes a free one.
        servers: How many source servers there are from the start.
        latency_seconds: How long a call of DRS or EC2 takes.
        rates: AWS's bucket numbers, none, or a factor.
        stack: Prefix of tables and queues.

    Yields:
        The stand-in, once it accepts connections. StandInFailed is raised if it does not start.
    """
    command = [sys.executable, "-m", "infra.local", "--until-stdin-closes", "--port", str(port)]
    command += [
        "--servers",
        str(servers),
        "--latency",
        str(latency_seconds),
        "--rates",
        str(rates),
        "--stack",
        stack,
    ]
    # The pipe is the life line: whoever holds its other end lives, or it closes.
    # A session of its own: Ctrl-C reaches its starter alone, which may still need it to end in order.
    process = subprocess.Popen(  # noqa: S603 # nosec B603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        environment = read_environment(process.stdout or ())
        if environment is None:
            raise StandInFailed(f"The stand-in ended with status {process.wait()} before it was ready.")
        yield StandIn(environment, process.pid, process.poll)
    finally:
        _stop(process)


def read_environment(lines: Iterable[str]) -> dict[str, str] | None:
    """
    Read what a stand-in prints when it is ready.

    Parameters:
        lines: Its standard output.

    Returns:
        What to export; None if it ended before.
    """
    variables: dict[str, str] = {}
    for line in lines:
        name, _, value = line.removeprefix("export ").strip().partition("=")
        variables[name] = value
        if name == "PRELAUNCH_STACK":
            return variables
    return None


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
