"""The workers' composition root: the module that the dramatiq CLI loads, the only place where workers are wired."""

import random

import dramatiq

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
from workers.boot import OpenUseCases, follow_parent, tune
from workers.core.clock import Time, read_clock
from workers.core.contract import Queue, WatchWork
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
from workers.wave.follow import FollowJobs
from workers.wave.parts import StartPart
from workers.wave.readiness import Readiness

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
        follow=FollowJobs(waves=waves, recovery=recovery, settings=settings, clock=clock),
        release=Release(resources, settings.run_periods),
        tellings=resources.tellings,
        settings=settings,
        clock=clock,
    )


def build_broker(settings: Settings) -> JobBroker:
    """Build the broker that the dramatiq CLI runs workers on."""
    use_cases = OpenUseCases(settings, wire)
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
    follow_parent()
    tune()
    configure_logs()
    dramatiq.set_broker(build_broker(Settings()))
