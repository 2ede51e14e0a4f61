"""
DynamoDB Local as a process of its own.

It must end in every case: when the block is left, and when the one who started it is killed.
"""

import re
import select
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.dynamodb_local.install import HOME, JAR, require

SERVER = Path(__file__).with_name("server.xml")
# A small heap, and neither threads nor time for a compiler that only pays in processes that live for long.
OPTIONS = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.library.path=DynamoDBLocal_lib")
QUIET = ("-Dorg.eclipse.jetty.util.log.announce=false", "-Dorg.eclipse.jetty.LEVEL=WARN")
START_SECONDS = 60
STOP_SECONDS = 5


class DynamoDBLocalFailed(Exception):
    """It did not start; its standard error says why."""


@dataclass(frozen=True, slots=True)
class DynamoDBLocal:
    """A running DynamoDB Local."""

    url: str
    process_id: int


@contextmanager
def run_dynamodb_local() -> Iterator[DynamoDBLocal]:
    """
    Run one while the block runs, in memory.

    Yields:
        It, once it accepts connections. DynamoDBLocalFailed is raised if it does not start.

    Raises:
        Missing: Java or its jars are not there.
    """
    jars = f"{JAR}:DynamoDBLocal_lib/*"
    command = [require(), *OPTIONS, *QUIET, "-cp", jars, "org.eclipse.jetty.xml.XmlConfiguration", str(SERVER)]
    with tempfile.TemporaryFile("w+") as errors:
        # The pipe is the life line: whoever holds its other end lives, or it closes.
        # A session of its own: Ctrl-C reaches its starter alone, which may still need it to end in order.
        process = subprocess.Popen(
            command,
            cwd=HOME,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            yield DynamoDBLocal(f"http://{_read_address(process, errors)}", process.pid)
        finally:
            _stop(process)


def _read_address(process: "subprocess.Popen[str]", errors: IO[str]) -> str:
    assert process.stdout
    # A Java that fails half way does not end: its web server's threads go on.
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    found = re.search(r"\{(127\.0\.0\.1:\d+)\}", process.stdout.readline()) if ready else None
    if found is None:
        errors.seek(0)
        raise DynamoDBLocalFailed(f"DynamoDB Local did not start: {errors.read()}")
    return found[1]


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
