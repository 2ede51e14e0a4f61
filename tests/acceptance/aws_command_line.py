"""
Amazon's own `aws` command as a client of the stand-in: its parsing, its requests, its output, its exit statuses.

To load it takes longer than most commands do. So one process loads it once and then runs command after command,
each with a session of its own; that it does what `aws` itself does is a test of its own.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.process import StandIn
from tests.acceptance.commands import count_calls, make_environment
from tests.measuring import VARIABLE

AWS = str(Path(sys.executable).with_name("aws"))
ROOT = Path(__file__).parents[2]
# The settings of whoever runs the tests, a pager and retries are nobody's business here.
SETTINGS = {"AWS_PAGER": "", "AWS_DEFAULT_OUTPUT": "json", "AWS_MAX_ATTEMPTS": "1"}


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    status: int
    output: str
    errors: str


@dataclass(frozen=True)
class AwsCommandLine:
    """The loaded command, with the stand-in that it speaks to."""

    aws: StandIn
    environment: dict[str, str]
    process: "subprocess.Popen[str]"

    def run(self, *arguments: str, **variables: str) -> Ran:
        """Run `aws` with these arguments, and with variables of the environment of this command alone."""
        if arguments[0] == "sqs":
            # This version of `aws` calls queue.amazonaws.com whatever AWS_ENDPOINT_URL says.
            arguments = (*arguments, "--endpoint-url", self.aws.url)
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([arguments, variables]) + "\n")
        self.process.stdin.flush()
        return Ran(*json.loads(self.process.stdout.readline()))

    def ask(self, *arguments: str, **variables: str) -> Any:
        """Run a command that must succeed; answer what it printed, read as JSON."""
        ran = self.run(*arguments, **variables)
        assert (ran.status, ran.errors) == (0, ""), ran.errors
        return json.loads(ran.output) if ran.output else None

    def fail(self, *arguments: str, **variables: str) -> str:
        """Run a command that AWS must refuse; answer the one line that it says."""
        ran = self.run(*arguments, **variables)
        assert (ran.status, ran.output) == (255, ""), ran
        return ran.errors.strip()

    @contextmanager
    def calling(self, *operations: str) -> Iterator[None]:
        """Make sure that the stand-in is asked for these operations while the block runs."""
        before = [count_calls(self.aws, operation) for operation in operations]
        yield
        for operation, count in zip(operations, before, strict=True):
            assert count_calls(self.aws, operation) > count, f"{operation} was not called"

    def add_servers(self, count: int) -> list[str]:
        made: list[str] = self.aws.control("POST", "servers", {"count": count})["sourceServerIds"]
        return made


@contextmanager
def aws_command_line(aws: StandIn) -> Iterator[AwsCommandLine]:
    """Load the command while the block runs."""
    environment = make_environment(aws.environment, SETTINGS)
    environment.pop(VARIABLE, None)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.acceptance.loaded_aws"],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield AwsCommandLine(aws, environment, process)
        # It ends with its input.
        process.communicate()
    assert process.returncode == 0
