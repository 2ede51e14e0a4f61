"""What the demo plays on: a stand-in for AWS, the API and a worker, each a process of its own."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from infra.local.process import StandIn, StandInFailed, stand_in
from producer.demo.report import Screen
from producer.demo.result import Calls
from producer.local_stack.door import ANSWER_SECONDS, NoAnswer, call_api
from producer.local_stack.isolation import leave_real_accounts_alone
from producer.local_stack.processes import LocalStackFailed, Running, StopSignals, prelaunch_process

LATENCY_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Stage:
    """The running parts."""

    aws: StandIn
    api: httpx.Client
    screen: Screen
    signals: StopSignals
    processes: Sequence[Running]

    def check(self) -> None:
        """
        Make sure that the demo can go on.

        Raises:
            LocalStackFailed: Somebody told it to stop, or one of its processes has ended.
        """
        self.signals.check()
        for process in self.processes:
            process.check()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """
        Call the API.

        Parameters:
            method: The HTTP method.
            path: The path, with its query.
            body: What is sent, as JSON.

        Returns:
            The answer's JSON.

        Raises:
            LocalStackFailed: It refused, or did not answer.
        """
        self.check()
        try:
            return call_api(self.api, method, path, body)
        except NoAnswer:
            # If a process has died, that is why.
            self.check()
            raise

    def reset_counts(self) -> None:
        """Begin to count calls anew."""
        self.aws.control("DELETE", "calls")

    def read_calls(self) -> Calls:
        """Answer the calls of DRS and EC2 since the counts were reset."""
        counted = self.aws.control("GET", "calls")
        return {name: counts for name, counts in counted.items() if name.startswith(("drs.", "ec2."))}


@contextmanager
def open_stage(screen: Screen, signals: StopSignals) -> Iterator[Stage]:
    """
    Start everything, and end it when the block is left.

    Parameters:
        screen: Where the demo is shown.
        signals: What may tell it to stop.

    Yields:
        The stage; LocalStackFailed is raised if a part does not start.
    """
    with ExitStack() as closing:
        screen.say("Starting a stand-in for AWS, the API and a worker, each a process of its own …")
        leave_real_accounts_alone()
        try:
            aws = closing.enter_context(stand_in(latency_seconds=LATENCY_SECONDS, rates="real"))
        except StandInFailed as error:
            raise LocalStackFailed(str(error)) from error
        signals.check()
        environment = {**os.environ, **aws.environment}  # noqa: TID251  # what a child process gets
        worker = closing.enter_context(prelaunch_process(environment, "worker"))
        door = closing.enter_context(prelaunch_process(environment, "api", "--port", "0"))
        url = door.read_url()
        api = closing.enter_context(httpx.Client(base_url=url, timeout=ANSWER_SECONDS, trust_env=False))
        stage = Stage(aws, api, screen, signals, (worker, door))
        stage.call("GET", "/readyz")
        yield stage
