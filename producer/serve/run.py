"""
The course of `prelaunch serve`: start, look after everything until told to end, end everything in order.

Whatever way it ends, no process may be left: each is tied to this one, and those that it knows it ends itself.
"""

import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.process import StandInFailed, stand_in
from producer.cli.answer import ExitStatus, complain, tell
from producer.listen import listen
from producer.local_stack.door import ANSWER_SECONDS
from producer.local_stack.isolation import leave_real_accounts_alone
from producer.local_stack.processes import LocalStackFailed, StopSignals
from producer.serve.groups import FirstGroups, draw_first_groups
from producer.serve.stack import Stack

HOST = "127.0.0.1"


def run_serve(port: int, servers: int, latency_seconds: float) -> ExitStatus:
    """
    Run the local stack until a signal ends it.

    Parameters:
        port: The API's port; 0 takes a free one.
        servers: How many source servers the two groups have together; 0 makes no group.
        latency_seconds: How long a call of DRS or EC2 takes.

    Returns:
        The exit status: that of a failure where it could not go on.

    Raises:
        SetupError: The port cannot be had; nothing was started.
    """
    # Tried before anything is started, which takes seconds. Whoever takes it in between is named by the API's own line.
    listen(HOST, port).close()
    leave_real_accounts_alone()
    logs = Path(tempfile.mkdtemp(prefix="prelaunch-serve-"))
    with StopSignals.watch("It") as signals:
        why = None
        try:
            _serve(port, servers, latency_seconds, logs, signals)
        except (LocalStackFailed, StandInFailed) as failed:
            why = str(failed)
        except (OSError, BotoCoreError, ClientError) as error:
            why = f"The stand-in for AWS does not answer: {error}"
        # Who was told to stop before everything ran has not failed.
        if why is None or signals.received:
            shutil.rmtree(logs, ignore_errors=True)
            return ExitStatus.WELL
        complain(f"{why}\nThe logs are in {logs}")
        return ExitStatus.FAILED


def _serve(port: int, servers: int, latency_seconds: float, logs: Path, signals: StopSignals) -> None:
    with ExitStack() as closing:
        tell("Starting a stand-in for AWS, the API and a worker, each a process of its own …")
        closing.callback(tell, "The stand-in for AWS has ended: nothing runs any more.")
        aws = closing.enter_context(stand_in(latency_seconds=latency_seconds, rates="real"))
        stack = Stack(aws, logs, signals)
        closing.callback(stack.end)
        url = stack.start(port)
        tell(describe(url, aws.environment, logs))
        api = closing.enter_context(httpx.Client(base_url=url, timeout=ANSWER_SECONDS, trust_env=False))
        stack.look_after(FirstGroups(api, draw_first_groups(aws, servers), aws.url))


def describe(url: str, environment: Mapping[str, str], logs: Path) -> str:
    """
    Say what runs where.

    Parameters:
        url: Where the API answers.
        environment: What to export so that the command line works on the same stack.
        logs: Where the processes' logs are.

    Returns:
        Lines of text.
    """
    return "\n".join(
        (
            "Ready, until Ctrl-C.",
            f"  the page     {url}/",
            f"  the API      {url}/openapi.json",
            f"  the metrics  {url}/metrics",
            f"  the logs     {logs}/api.log and worker.log, until it ends",
            "To use the command line on it, in another terminal:",
            *(f"export {name}={value}" for name, value in environment.items()),
        )
    )
