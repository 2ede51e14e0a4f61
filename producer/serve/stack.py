"""
The running local stack: a stand-in for AWS, the API and a worker; the latter two are started anew where they end.

The stand-in keeps everything in memory: once it has ended there is nothing left to go on with.
"""

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import httpx

from infra.local.process import StandIn
from producer.cli.answer import ExitStatus, complain, tell
from producer.local_stack.processes import LocalStackFailed, Running, StopSignals, start_prelaunch
from producer.serve.groups import FirstGroups
from producer.serve.keeper import Keeper
from producer.serve.logs import LogFile

LOOK_SECONDS = 0.25


class Stack:
    """
    API and worker over a stand-in.

    Parameters:
        aws: The stand-in.
        folder: Where the processes' logs are.
        signals: What may tell it to stop.
    """

    def __init__(self, aws: StandIn, folder: Path, signals: StopSignals) -> None:
        self._aws = aws
        self._folder = folder
        self._signals = signals
        self._keepers: list[Keeper] = []
        self._logs: list[LogFile] = []
        signals.at_once = self._end_at_once

    def start(self, port: int) -> str:
        """
        Start API and worker.

        Parameters:
            port: The API's port; 0 takes a free one.

        Returns:
            Where the API answers.

        Raises:
            LocalStackFailed: The API does not start, or somebody said stop.
        """
        self._signals.check()
        self._keep("worker")
        url = self._keep("api", "--port", str(port)).read_url()
        # Who has the address finds it there again.
        self._keepers[-1].start = lambda: self._start("api", "--port", str(httpx.URL(url).port))
        return url

    def look_after(self, groups: FirstGroups) -> None:
        """
        Keep everything running, and tell what a person has to know, until somebody says stop.

        Parameters:
            groups: The groups that are there from the start.

        Raises:
            LocalStackFailed: It cannot go on.
        """
        while self._signals.received is None:
            self._tell_news()
            status = self._aws.poll()
            if status is not None:
                raise LocalStackFailed(
                    f"The stand-in for AWS ended with status {status}, and all that it held is gone: start anew."
                )
            for keeper in self._keepers:
                told = keeper.look()
                if told:
                    complain(told)
            for told in groups.step():
                tell(told)
            time.sleep(LOOK_SECONDS)

    def end(self) -> None:
        """End API and worker in order: first who takes requests, then who works on them."""
        if self._signals.received:
            tell(f"{self._signals.received.name}: each process is ended in order; Ctrl-C twice ends all at once.")
        for keeper in reversed(self._keepers):
            keeper.process.stop()
            tell(f"{keeper.process.name} has ended.")
        self._tell_news()

    def _keep(self, name: str, *arguments: str) -> Running:
        running = self._start(name, *arguments)
        self._keepers.append(Keeper(running, lambda: self._start(name, *arguments), time.monotonic))
        self._logs.append(LogFile(name, Path(running.log.name)))
        return running

    def _start(self, name: str, *arguments: str) -> Running:
        with (self._folder / f"{name}.log").open("a") as log:
            return start_prelaunch({**os.environ, **self._aws.environment}, log, name, *arguments)  # noqa: TID251  # inherited

    def _tell_news(self) -> None:
        for log in self._logs:
            for line in log.read_news():
                complain(line)

    def _end_at_once(self) -> None:
        for keeper in self._keepers:
            keeper.process.kill()
        with suppress(ProcessLookupError):
            os.kill(self._aws.process_id, signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)
        # Whatever is under way, this process waits for nobody any more.
        os._exit(ExitStatus.INTERRUPTED)
