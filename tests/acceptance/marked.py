"""Commands that start processes of their own: each inherits a mark, by which it is found, and ended after the test."""

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.commands import PATIENCE_SECONDS, find_processes_with, make_environment, running, wait_until
from tests.measuring import unmeasured

ELSEWHERE = "http://127.0.0.1:1"
FOREIGN = {
    "AWS_ENDPOINT_URL_DRS": ELSEWHERE,
    "AWS_ENDPOINT_URL": ELSEWHERE,
    "AWS_PROFILE": "nobody",
    "PRELAUNCH_STACK": "production",
    "HTTP_PROXY": ELSEWHERE,
    "http_proxy": ELSEWHERE,
}
"""An environment that leads to another account."""


@dataclass(frozen=True)
class Marked:
    """A running command; every process that it starts inherits a mark."""

    process: "subprocess.Popen[str]"
    mark: str
    log: Path

    def find_child(self, words: str) -> int | None:
        """Answer the process whose command line holds these words."""
        found = [process_id for process_id, line in find_processes_with(self.mark).items() if words in line]
        return min(found, default=None)

    def wait_for_child(self, words: str) -> int:
        wait_until(lambda: self.find_child(words) is not None, words)
        child = self.find_child(words)
        assert child is not None
        return child

    def end(self, seconds: float = PATIENCE_SECONDS) -> tuple[int, str, str]:
        """Wait for its end; answer status, standard output, standard error."""
        output, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, output, self.log.read_text()


@contextmanager
def running_marked(log: Path, *arguments: str, measure: bool = True) -> Iterator[Marked]:
    """Run a command in an environment that leads to another account; nothing of it outlives the block."""
    name, value = "ACCEPTANCE_TEST", uuid.uuid4().hex
    environment = make_environment(FOREIGN, {name: value, "TMPDIR": str(log.parent)})
    if not measure:
        environment = unmeasured(environment)
    try:
        with running(environment, *arguments, log=log) as process:
            yield Marked(process, f"{name}={value}", log)
    finally:
        for process_id in find_processes_with(f"{name}={value}"):
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
