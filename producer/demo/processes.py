"""The demo's own processes: each on a free port, each ended by its id when the block is left."""

import subprocess  # nosec B404  # our own programs, without a shell
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from workers.core.errors import SetupError

STOP_SECONDS = 40
"""Longer than a worker's grace."""


@contextmanager
def prelaunch_process(environment: Mapping[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """
    Run one of prelaunch's own commands while the block runs.

    Parameters:
        environment: The whole environment of the process.
        *arguments: What follows `prelaunch`.

    Yields:
        The process; its log is shown if it ends before it is told to.
    """
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        process = subprocess.Popen(  # noqa: S603  # nosec B603
            [sys.executable, "-m", "producer.cli", *arguments],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield process
            _check_alive(process, log, arguments)
        finally:
            _stop(process)


def read_url(process: subprocess.Popen[str]) -> str:
    """
    Read where the API listens from its first line.

    Parameters:
        process: The API's.

    Returns:
        Its address.

    Raises:
        SetupError: It ended instead.
    """
    line = process.stdout.readline() if process.stdout else ""
    if "http://" not in line:
        raise SetupError("The demo's API did not start; run `prelaunch api` to see why.")
    return line[line.index("http://") :].strip()


def _check_alive(process: subprocess.Popen[str], log: TextIO, arguments: tuple[str, ...]) -> None:
    if process.poll() is None:
        return
    log.seek(0)
    raise SetupError(
        f"prelaunch {' '.join(arguments)} ended with status {process.returncode} in the middle of the demo:\n"
        + "".join(log.readlines()[-20:])
    )


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
