"""
Asking the operations from the command line: in this process, with the caller's own credentials, which IAM judges.

Waiting changes nothing for anybody: a command that is broken off leaves its run going on.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from producer.cli.answer import ExitStatus, complain
from producer.cli.options import AwsChoice, read_settings
from producer.cli.text import Document, say_wait
from producer.main import open_services
from producer.services import Services, new_request_id
from workers.core.clock import read_clock
from workers.core.errors import RetryableError
from workers.core.logs import configure_logs
from workers.core.model.group import MAX_SERVERS
from workers.core.queries import Page, ServerFilter, StatusView
from workers.core.requests import Requester
from workers.core.status import Status
from workers.core.store.records import GroupStatus
from workers.core.store.wave_records import WaveView

T = TypeVar("T")
TRIES = 3
"""Of a call to our own tables and queues: a person waits in front of it."""
POLL_SECONDS = 0.5
UNANSWERED_POLLS = 60
"""So many polls in a row may stay without an answer while a run is waited for: stores fail for minutes."""

OVERDUE = timedelta(minutes=1)
"""A worker that settles a run at its deadline does so a little later."""

STILL_PENDING = "It is still pending past its deadline; does a worker run? It goes on: see 'prelaunch status'."


def ask(operation: Callable[[Services], Awaitable[T]], aws: AwsChoice) -> T:
    """
    Do one operation.

    Parameters:
        operation: Called with the operations, on a loop of its own.
        aws: The AWS that it is asked of.

    Returns:
        What it answers.
    """
    configure_logs(quiet=True)
    settings = read_settings()

    async def open_and_ask() -> T:
        opening = open_services(settings, region=aws.region, profile=aws.profile, store_tries=TRIES)
        async with opening as services:
            return await operation(services)

    return asyncio.run(open_and_ask())


def make_requester(services: Services) -> Requester:
    """Name who asks, the user or role whose credentials these are, and the request: runs and workers' logs carry it."""
    return Requester(principal=services.caller_arn, door="cli", reason="requested", request_id=new_request_id())


def find_settled_status(status: Document, *, waited: bool) -> ExitStatus:
    """Tell with which exit status a command ends whose group stands there."""
    overdue = waited and status["status"] == Status.PENDING
    return ExitStatus.FAILED if overdue or status["status"] == Status.FAILED else ExitStatus.WELL


async def read_whole_status(services: Services, group_id: str, servers: ServerFilter) -> StatusView:
    """Read where a group and all of its source servers stand, at one moment."""
    return await services.queries.status(group_id, Page(servers, limit=MAX_SERVERS))


async def wait_until_settled(services: Services, group_id: str, name: str) -> bool:
    """
    Wait until no run of a group is under way, with a bar on a terminal.

    Parameters:
        services: The operations.
        group_id: The group.
        name: What the bar is called.

    Returns:
        Whether it settled; False where it is past its deadline and still pending.
    """
    with _bar(name) as show:

        def judge(view: StatusView) -> bool | None:
            if view.status is None or view.status.status is not Status.PENDING:
                return True
            show(view.status)
            return _find_overdue(view.deadline)

        return await _poll(lambda: services.queries.status(group_id, Page(limit=0)), judge)


async def wait_until_begun(services: Services, wave_id: str) -> bool:
    """
    Wait until DRS has answered for all of a wave, and tell what that waits for.

    Parameters:
        services: The operations.
        wave_id: The wave.

    Returns:
        Whether it did; False where the wave is past its deadline, and nobody ended it.
    """
    told = None

    def judge(view: WaveView) -> bool | None:
        nonlocal told
        if view.wave.status.is_begun:
            return True
        if view.wave.waiting_for not in {None, told}:
            told = view.wave.waiting_for
            complain(say_wait(str(told)))
        return _find_overdue(view.wave.deadline)

    return await _poll(lambda: services.waves.get(wave_id), judge)


def _find_overdue(deadline: datetime | None) -> bool | None:
    """Judge what goes on: False where it is not to be waited for any more."""
    return False if deadline is not None and read_clock() > deadline + OVERDUE else None


async def _poll(read: Callable[[], Awaitable[T]], judge: Callable[[T], bool | None]) -> bool:
    """Read again and again until there is a judgement; what was accepted is waited for through an outage too."""
    unanswered = 0
    while True:
        try:
            view = await read()
        except RetryableError:
            unanswered += 1
            if unanswered > UNANSWERED_POLLS:
                raise
        else:
            unanswered = 0
            judged = judge(view)
            if judged is not None:
                return judged
        _heed_interruption()
        await asyncio.sleep(POLL_SECONDS)


def _heed_interruption() -> None:
    """Be cancelled, if that was asked for: a library that had its answer in the same instant went on with that."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@contextmanager
def _bar(name: str) -> Iterator[Callable[[GroupStatus], None]]:
    # Asked of the stream itself: FORCE_COLOR makes rich take a pipe for a terminal.
    if not sys.stderr.isatty():
        yield lambda _status: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name, total=None, failed=0)

        def show(status: GroupStatus) -> None:
            counts = status.counts
            settled = counts.applied + counts.failed
            progress.update(task, total=settled + counts.pending, completed=settled, failed=counts.failed)

        yield show
