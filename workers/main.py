"""
The workers' composition root: the module that the dramatiq CLI loads, the only place where workers are wired.

Everything that lives on the event loop is made when the worker boots, on its loop, and closed when it stops.
"""

import asyncio
import ctypes
import gc
import multiprocessing
import os
import random
import signal
import sys
from contextlib import AsyncExitStack

import dramatiq
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.middleware import MiddlewareError

from workers.actors import declare_actors
from workers.apply.apply import ApplyServer
from workers.apply.bring import BringServer
from workers.apply.report import Report
from workers.apply.survey import Surveys
from workers.aws.accounts import AwsTargetAccounts
from workers.aws.calls import Calls
from workers.aws.clients import Clients
from workers.aws.drs import DrsLaunchConfigurations, DrsRecovery
from workers.aws.messenger import AwsMessenger
from workers.aws.paced import wire_calls
from workers.aws.pacing.admission import Admission
from workers.aws.pacing.pacing import Pacing
from workers.aws.templates import Ec2LaunchTemplates
from workers.core.clock import Time, read_clock
from workers.core.contract import Queue, WatchWork
from workers.core.errors import PrelaunchError, SetupError
from workers.core.logs import configure_logs
from workers.core.outcome import Outcome
from workers.core.queue.broker import JobBroker, QueuePeriods
from workers.core.queue.send import JobSender
from workers.core.runs.next_run import NextRun
from workers.core.runs.planner import RunPlanner
from workers.core.runs.release import Release
from workers.core.runs.resources import Resources
from workers.core.runs.sending import RunSender
from workers.core.runs.settle import Aggregator
from workers.core.runs.submission import Submission
from workers.core.server_plan import ServerPlanner
from workers.core.settings import Settings
from workers.core.store.baselines import BaselineStore
from workers.core.store.groups import GroupStore
from workers.core.store.journal import Journal
from workers.core.store.leases import LeaseStore
from workers.core.store.notices import NoticeStore
from workers.core.store.receipts import Receipts
from workers.core.store.runs import RunStore
from workers.core.store.surveys import SurveyStore
from workers.core.store.tables import Tables
from workers.core.store.watches import WatchStore
from workers.core.store.waves import WaveStore
from workers.core.telling.tellings import Tellings
from workers.core.validation.missing import Missing
from workers.core.validation.validation import Validation
from workers.sweep.sweep import Sweep
from workers.watch.selection import Selections
from workers.watch.standing import Standings
from workers.watch.watch import Watch
from workers.wave.advance import AdvanceWave
from workers.wave.parts import StartPart
from workers.wave.readiness import Readiness

PR_SET_PDEATHSIG = 1
"""Linux, prctl(2): the signal that the kernel sends when the parent ends."""
SWITCH_SECONDS = 0.001
"""How long the loop waits at most for a thread that keeps the interpreter busy; CPython's own is 5 ms, each time."""
COLLECTED_AFTER = (10_000, 20, 50)
"""Garbage is looked for after so many new objects, among older ones the more rarely: CPython's own are 700, 10, 10."""
URGENT_SHARE = 4
"""One in so many of a process's slots is for urgent work only."""


class WorkerUseCases:
    """The use cases of one worker process, over clients of its event loop."""

    def __init__(self, apply: ApplyServer, wave: AdvanceWave, sweep: Sweep, watch: Watch, pacing: Pacing) -> None:
        self._pacing = pacing
        self._apply = apply
        self._wave = wave
        self._sweep = sweep
        self._watch = watch

    async def apply(self, group_id: str, source_server_id: str) -> Outcome:
        """Apply a group's current launch config to one of its source servers."""
        return await self._apply.apply(group_id, source_server_id)

    async def start_wave(self, wave_id: str) -> Outcome:
        """Go on with a wave."""
        return await self._wave.start(wave_id)

    async def sweep(self) -> Outcome:
        """Look after every run that is due."""
        return await self._sweep.sweep()

    async def watch(self, work: WatchWork) -> Outcome:
        """Look for drift."""
        return await self._watch.watch(work)

    async def close(self) -> None:
        """Hand out no more turns to call AWS."""
        await self._pacing.close()

    async def run_sweeps(self) -> None:
        """Sweep again and again, until cancelled."""
        await self._sweep.run()

    async def run_watches(self) -> None:
        """Ask for a watch again and again, until cancelled."""
        await self._watch.run()


async def wire(
    settings: Settings, clients: Clients, time: Time | None = None, dice: random.Random | None = None
) -> WorkerUseCases:
    """
    Wire the use cases over the clients of the running loop.

    Parameters:
        settings: The installation's.
        clients: Those of the running loop.
        time: The time that everything goes by; None for the machine's own, and for the fleet's buckets DynamoDB's.
        dice: Spreads what many processes try at once.

    Returns:
        The use cases.
    """
    is_given = time is not None
    time = time or Time(read_clock)
    clock = time.wall
    dynamodb = await clients.own("dynamodb")
    tables = Tables(dynamodb, settings.stack)
    groups = GroupStore(tables)
    runs = RunStore(tables, groups)
    journal = Journal(tables)
    tellings = Tellings(
        NoticeStore(tables),
        AwsMessenger(clients, settings.event_bus),
        stack=settings.stack,
        periods=settings.tell_periods,
        clock=clock,
    )
    aggregator = Aggregator(tables, runs, tellings, clock)
    queue = JobSender(await clients.own("sqs"), stack=settings.stack)
    sender = RunSender(
        runs=runs,
        queue=queue,
        aggregator=aggregator,
        periods=settings.run_periods,
        clock=clock,
    )
    dice = dice or random.Random()  # noqa: S311  # nosec B311  # nothing is to be kept secret
    account_id = await clients.account_id()
    paced = wire_calls(
        settings,
        clients,
        tables,
        dynamodb=dynamodb,
        own_account=account_id,
        clock=clock if is_given else None,
        dice=dice,
    )
    calls, pacing = paced.calls, paced.pacing
    templates = Ec2LaunchTemplates(calls, clock)
    configurations = DrsLaunchConfigurations(calls)
    bring = BringServer(
        configurations=configurations,
        templates=templates,
        settings=settings,
        clock=clock,
    )
    accounts = AwsTargetAccounts(calls)
    missing = Missing(accounts)
    apply = ApplyServer(
        groups=groups,
        runs=runs,
        leases=LeaseStore(tables, settings, time),
        journal=journal,
        baselines=BaselineStore(tables),
        aggregator=aggregator,
        bring=bring,
        report=Report(bring, missing),
        surveys=Surveys(runs=runs, store=SurveyStore(tables), templates=templates, clock=clock),
        admission=Admission(pacing, places=max(settings.threads // 2, 1), dice=dice),
        settings=settings,
        clock=clock,
    )
    waves = WaveStore(tables)
    sweep = Sweep(
        groups=groups,
        runs=runs,
        journal=journal,
        sender=sender,
        waves=waves,
        queue=queue,
        aggregator=aggregator,
        tellings=tellings,
        settings=settings,
        clock=clock,
    )
    resources = Resources(
        tables=tables,
        groups=groups,
        runs=runs,
        receipts=Receipts(tables, clock),
        planner=RunPlanner(runs=runs, periods=settings.run_periods, clock=clock),
        sender=sender,
        tellings=tellings,
        clock=clock,
        account_id=account_id,
    )
    planner = ServerPlanner(configurations, templates)
    wave = _wire_wave(resources, waves=waves, planner=planner, templates=templates, calls=calls, settings=settings)
    watch = Watch(
        standings=Standings(tables, groups, runs),
        selections=Selections(accounts, groups, WatchStore(tables), clock),
        missing=missing,
        planner=planner,
        templates=templates,
        store=WatchStore(tables),
        next_run=NextRun(resources),
        queue=queue,
        settings=settings,
        clock=clock,
    )
    return WorkerUseCases(apply, wave, sweep, watch, pacing)


def _wire_wave(
    resources: Resources,
    *,
    waves: WaveStore,
    planner: ServerPlanner,
    templates: Ec2LaunchTemplates,
    calls: Calls,
    settings: Settings,
) -> AdvanceWave:
    groups, runs, clock = resources.groups, resources.runs, resources.clock
    recovery = DrsRecovery(calls)
    return AdvanceWave(
        groups=groups,
        waves=waves,
        readiness=Readiness(
            groups=groups,
            runs=runs,
            waves=waves,
            submission=Submission(resources, Validation(AwsTargetAccounts(calls))),
            sender=resources.sender,
            planner=planner,
            templates=templates,
            settings=settings,
            clock=clock,
        ),
        start=StartPart(waves=waves, recovery=recovery, settings=settings, clock=clock),
        recovery=recovery,
        release=Release(resources, settings.run_periods),
        tellings=resources.tellings,
        settings=settings,
        clock=clock,
    )


class OpenUseCases(dramatiq.Middleware):
    """Makes the use cases when the worker boots, on its loop, and closes their clients when it stops."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._closing = AsyncExitStack()
        self._wired: WorkerUseCases | None = None
        self._timers: list[asyncio.Task[None]] = []

    def wired(self) -> WorkerUseCases:
        """
        Answer the use cases of the running worker.

        Returns:
            The use cases.

        Raises:
            SetupError: No worker has booted in this process.
        """
        if self._wired is None:
            raise SetupError("No worker has booted in this process.")
        return self._wired

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:  # noqa: ARG002
        """Wire on the loop that AsyncIO has just started."""
        loop = get_event_loop_thread()
        if loop is None:
            raise MiddlewareError("The event loop did not start.")
        try:
            loop.run_coroutine(self._open())
        except PrelaunchError as error:
            # Of anything else dramatiq would only write a line, and then consume jobs that nobody can do.
            raise MiddlewareError(error.message) from error

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:  # noqa: ARG002
        """Close the clients while the loop still runs."""
        loop = get_event_loop_thread()
        if loop is not None:
            loop.run_coroutine(self._close())

    async def _open(self) -> None:
        clients = await self._closing.enter_async_context(Clients(connections=2 * self._settings.threads))
        await clients.warm()
        self._wired = await wire(self._settings, clients)
        _spare_what_stays()
        runs = (self._wired.run_sweeps(), self._wired.run_watches())
        self._timers = [asyncio.create_task(each) for each in runs]

    async def _close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._timers:
            await asyncio.wait(self._timers)
        if self._wired is not None:
            await self._wired.close()
        await self._closing.aclose()


def _spare_what_stays() -> None:
    """
    Let the garbage collector leave alone what there is now: modules, and the SDK's models of the services.

    All of it stays until the process ends, and a full collection that goes through it lets the loop stand still.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)


def build_broker(settings: Settings) -> JobBroker:
    """Build the broker that the dramatiq CLI runs workers on."""
    use_cases = OpenUseCases(settings)
    # A killed worker's message must not come back long before, or after, its lease may be taken over.
    periods = QueuePeriods(visibility=settings.lease, heartbeat=settings.lease / 4)
    broker = JobBroker(
        stack=settings.stack,
        periods=periods,
        reserved={Queue.URGENT: settings.threads // URGENT_SHARE},
        middleware=[use_cases],
    )
    declare_actors(broker, use_cases.wired)
    return broker


def set_up() -> None:
    """Set the process up for dramatiq's CLI, which calls this before it starts workers."""
    _follow_parent()
    sys.setswitchinterval(SWITCH_SECONDS)
    configure_logs()
    dramatiq.set_broker(build_broker(Settings()))


def _follow_parent() -> None:
    """
    Tie this process, which dramatiq's CLI forked, to its parent alone.

    In a session of its own a SIGTERM to the parent's group reaches it once, from the parent, and not twice, which
    dramatiq takes for a kill. And it ends with its parent: an orphan would go on beside the worker that replaces it.
    """
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        # It was killed between the fork and the line above, of which the kernel tells nobody.
        sys.exit(1)
