"""
What the demo plays on: a stand-in for AWS, the API and a worker, each a process of its own.

The demo must never reach a real account, whatever the environment of the person who runs it says.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from infra.local.process import StandIn, StandInFailed, stand_in
from producer.demo.processes import DemoFailed, Running, StopSignals, prelaunch_process
from producer.demo.report import Screen
from producer.demo.result import Calls

LATENCY_SECONDS = 0.1
ANSWER_SECONDS = 60
_FOREIGN_PREFIXES = ("AWS_", "PRELAUNCH_")
_PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}


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
            DemoFailed: Somebody told it to stop, or one of its processes has ended.
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
            DemoFailed: It refused, or did not answer.
        """
        self.check()
        try:
            answer = self.api.request(method, path, json=body)
        except httpx.HTTPError as error:
            self.check()
            raise DemoFailed(f"The demo's API does not answer {method} {path}: {error!r}.") from error
        if answer.is_error:
            raise DemoFailed(f"The demo's API answered {answer.status_code} to {method} {path}: {answer.text}")
        return answer.json()

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
        The stage; DemoFailed is raised if a part does not start.
    """
    with ExitStack() as closing:
        screen.say("Starting a stand-in for AWS, the API and a worker, each a process of its own …")
        _leave_real_accounts_alone()
        try:
            aws = closing.enter_context(stand_in(latency_seconds=LATENCY_SECONDS, rates="real"))
        except StandInFailed as error:
            raise DemoFailed(str(error)) from error
        signals.check()
        environment = {**os.environ, **aws.environment}  # noqa: TID251  # what a child process gets
        worker = closing.enter_context(prelaunch_process(environment, "worker"))
        door = closing.enter_context(prelaunch_process(environment, "api", "--port", "0"))
        url = door.read_url()
        api = closing.enter_context(httpx.Client(base_url=url, timeout=ANSWER_SECONDS, trust_env=False))
        stage = Stage(aws, api, screen, signals, (worker, door))
        stage.call("GET", "/readyz")
        yield stage


def _leave_real_accounts_alone() -> None:
    """Take out of our own environment, which our processes inherit, what could lead to a real account."""
    environment = os.environ  # noqa: TID251  # cleared, not read
    for name in [*environment]:
        if name.startswith(_FOREIGN_PREFIXES) or name.upper() in _PROXIES:
            del environment[name]
    # A profile's settings may say to ignore the endpoint that the environment names.
    environment["AWS_CONFIG_FILE"] = environment["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
