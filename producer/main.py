"""The producer's composition root: settings, clients and stores become the operations that every door calls."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from producer.services import Services
from producer.stack import find_queues
from workers.aws.accounts import AwsTargetAccounts
from workers.aws.calls import Calls
from workers.aws.clients import STORE_TRIES, Caller, Clients
from workers.aws.doctor.own import OwnAccount
from workers.aws.doctor.places import AwsPlaces
from workers.aws.drs import DrsLaunchConfigurations
from workers.aws.paced import wire_calls
from workers.aws.pacing.fleet_size import FleetSize, choose_fleet_size
from workers.aws.regions import list_regions
from workers.aws.templates import Ec2LaunchTemplates
from workers.core.clock import Time, read_clock
from workers.core.doctor.doctor import Doctor
from workers.core.doctor.groups import find_places
from workers.core.doctor.places import PlaceChecks
from workers.core.drift_checks import DriftChecks
from workers.core.errors import SetupError
from workers.core.figures import Depths, StackFigures
from workers.core.fleet.fleet import Fleet
from workers.core.fleet.live import LiveImport
from workers.core.history import History
from workers.core.letters.dead_letters import DeadLetters
from workers.core.letters.letter import LetterBox
from workers.core.letters.redrive import Redrive
from workers.core.ports import Clock, TargetAccounts
from workers.core.preview import Preview
from workers.core.progress import Progress
from workers.core.queries import Queries
from workers.core.queue.depths import SqsDepths
from workers.core.queue.letter_box import SqsLetterBox
from workers.core.queue.request_source import RequestSource
from workers.core.queue.send import JobSender
from workers.core.runs.change import Changes
from workers.core.runs.completion import Completion
from workers.core.runs.planner import RunPlanner
from workers.core.runs.removal import Removal
from workers.core.runs.resources import Resources
from workers.core.runs.rollback import Rollback
from workers.core.runs.sending import RunSender
from workers.core.runs.settle import Aggregator
from workers.core.runs.submission import Submission
from workers.core.server_plan import ServerPlanner
from workers.core.settings import Settings
from workers.core.store.groups import GroupStore
from workers.core.store.journal import Journal
from workers.core.store.notices import NoticeStore
from workers.core.store.receipts import Receipts
from workers.core.store.runs import RunStore
from workers.core.store.seals import SealStore
from workers.core.store.tables import Tables
from workers.core.store.waves import WaveStore
from workers.core.telling.tellings import Tellings
from workers.core.validation.validation import Validation
from workers.core.wave_plan import WavePeriods
from workers.core.waves import Waves

CONNECTIONS = 50
DOCTOR_TRIES = 2
"""Few: a person waits, and what does not answer is what he wants to know."""


def find_regions(settings: Settings) -> frozenset[str]:
    """Tell the Regions that a group can be in: those where the SDK knows DRS, and those that the settings name."""
    return list_regions() | settings.extra_regions


def choose_workers(settings: Settings, processes: int | None) -> FleetSize:
    """Choose how many workers run on this machine by what AWS grants; so many processes where somebody says so."""
    return choose_fleet_size(settings.rate_factor, os.cpu_count() or 1, processes)


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    region: str | None = None,
    profile: str | None = None,
    store_tries: int = STORE_TRIES,
    clock: Clock | None = None,
) -> AsyncIterator[Services]:
    """
    Open the operations on the running loop.

    Parameters:
        settings: The installation's.
        region: Overrides the SDK's own choice.
        profile: Overrides the SDK's own choice.
        store_tries: How often a call to our own tables and queues is tried.
        clock: The time that everything goes by; None for the machine's own, and for the fleet's buckets DynamoDB's.

    Yields:
        The operations, until the block is left.
    """
    opening = Clients(connections=CONNECTIONS, region=region, profile=profile, store_tries=store_tries)
    async with opening as clients:
        dynamodb = await clients.own("dynamodb")
        tables = Tables(dynamodb, settings.stack)
        sqs = await clients.own("sqs")
        queue = JobSender(sqs, stack=settings.stack)
        seals = SealStore(tables)
        box = SqsLetterBox(sqs, stack=settings.stack, wait=settings.letter_wait, seal_key=seals.find)
        # Looked up now: the first wave must not wait for it, and a missing queue is told before any request.
        await find_queues(settings.stack, tables, queue)
        caller = await clients.caller()
        paced = wire_calls(settings, clients, tables, dynamodb=dynamodb, own_account=caller.account_id, clock=clock)
        try:
            requests = RequestSource(sqs, stack=settings.stack, wait=settings.request_wait, seal_key=seals.find_or_make)
            services = wire(
                settings,
                tables,
                queue,
                box,
                requests,
                depths=SqsDepths(sqs, stack=settings.stack),
                calls=paced.calls,
                accounts=AwsTargetAccounts(paced.calls),
                caller=caller,
                clock=clock,
            )
            try:
                yield services
            finally:
                await services.figures.close()
        finally:
            await paced.pacing.close()


@asynccontextmanager
async def open_doctor(
    settings: Settings, *, region: str | None = None, profile: str | None = None, clock: Clock = read_clock
) -> AsyncIterator[Doctor]:
    """
    Open the doctor on the running loop: nothing of the stack has to be there.

    Parameters:
        settings: The installation's.
        region: Overrides the SDK's own choice.
        profile: Overrides the SDK's own choice.
        clock: This machine's time, which may be wrong.

    Yields:
        The doctor, until the block is left.
    """
    opening = Clients(connections=CONNECTIONS, region=region, profile=profile, store_tries=DOCTOR_TRIES)
    async with opening as clients:
        dynamodb = await clients.own("dynamodb")
        tables = Tables(dynamodb, settings.stack)
        try:
            own_account = await clients.account_id()
        except SetupError:
            # It is told by the doctor; without it no other account is asked.
            own_account = ""
        paced = wire_calls(settings, clients, tables, dynamodb=dynamodb, own_account=own_account)
        try:
            own = OwnAccount(clients, paced.calls, clock)
            places = AwsPlaces(clients, paced.calls, clock)
            checks = PlaceChecks(own, places, partial(find_places, GroupStore(tables)))
            yield Doctor(own, checks, stack=settings.stack, event_bus=settings.event_bus)
        finally:
            await paced.pacing.close()


def wire(
    settings: Settings,
    tables: Tables,
    queue: JobSender,
    box: LetterBox,
    requests: RequestSource,
    *,
    depths: Depths,
    calls: Calls,
    accounts: TargetAccounts,
    caller: Caller,
    clock: Clock | None = None,
) -> Services:
    """Wire the operations over one loop's tables and queues, by the machine's own clock unless another is given."""
    clock = clock or read_clock
    groups = GroupStore(tables)
    runs = RunStore(tables, groups)
    receipts = Receipts(tables, clock)
    queries = Queries(groups, runs, clock)
    periods = settings.run_periods
    # The workers tell: whoever asks needs no permission for that.
    tellings = Tellings(NoticeStore(tables), None, stack=settings.stack, periods=settings.tell_periods, clock=clock)
    aggregator = Aggregator(tables, runs, tellings, clock)
    resources = Resources(
        tables=tables,
        groups=groups,
        runs=runs,
        receipts=receipts,
        planner=RunPlanner(runs=runs, periods=periods, clock=clock),
        sender=RunSender(runs=runs, queue=queue, aggregator=aggregator, periods=periods, clock=clock),
        tellings=tellings,
        clock=clock,
        account_id=caller.account_id,
    )
    validation = Validation(accounts)
    submission = Submission(resources, validation)
    completion = Completion(resources, validation)
    configurations, templates = DrsLaunchConfigurations(calls), Ec2LaunchTemplates(calls, clock)
    waves = _wire_waves(settings, resources, queue, queries)
    history, changes = History(groups, runs, Journal(tables)), Changes(resources, validation)
    removal = Removal(resources, periods)
    return Services(
        submission=submission,
        completion=completion,
        changes=changes,
        rollback=Rollback(groups, history, changes),
        removal=removal,
        queries=queries,
        progress=Progress(groups, runs, clock),
        history=history,
        preview=Preview(queries, runs, ServerPlanner(configurations, templates), templates, clock),
        waves=waves,
        dead_letters=DeadLetters(
            box=box,
            redrive=Redrive(submission=submission, waves=waves, queue=queue),
            waves=waves,
            receipts=receipts,
            tables=tables,
            clock=clock,
        ),
        drift_checks=DriftChecks(queue),
        figures=StackFigures(depths=depths, groups=groups, runs=runs, waves=WaveStore(tables), time=Time(clock)),
        fleet=Fleet(
            resources,
            submission=submission,
            completion=completion,
            changes=changes,
            removal=removal,
            validation=validation,
        ),
        live_import=LiveImport(
            configurations=configurations,
            templates=templates,
            validation=validation,
            groups=groups,
            tables=tables,
            account_id=caller.account_id,
        ),
        requests=requests,
        validation=validation,
        tables=tables,
        regions=find_regions(settings),
        caller_arn=caller.arn,
    )


def _wire_waves(settings: Settings, resources: Resources, queue: JobSender, queries: Queries) -> Waves:
    return Waves(
        tables=resources.tables,
        waves=WaveStore(resources.tables),
        tellings=resources.tellings,
        queries=queries,
        receipts=resources.receipts,
        queue=queue,
        clock=resources.clock,
        periods=WavePeriods(
            max_ready_age=settings.max_ready_age,
            longest=settings.longest_wave,
            send_after=settings.run_periods.send_after,
        ),
    )
