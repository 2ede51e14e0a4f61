"""The producer's composition root: settings, clients and stores become the operations that every door calls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from producer.services import Services
from workers.aws.clients import STORE_TRIES, Caller, Clients
from workers.core.clock import read_clock
from workers.core.contract import Queue
from workers.core.history import History
from workers.core.queries import Queries
from workers.core.queue.send import JobSender
from workers.core.runs.change import Changes
from workers.core.runs.planner import RunPlanner
from workers.core.runs.removal import Removal
from workers.core.runs.resources import Resources
from workers.core.runs.sending import RunSender
from workers.core.runs.settle import Aggregator
from workers.core.runs.submission import Submission
from workers.core.settings import Settings
from workers.core.store.groups import GroupStore
from workers.core.store.journal import Journal
from workers.core.store.receipts import Receipts
from workers.core.store.runs import RunStore
from workers.core.store.tables import Tables
from workers.core.store.waves import WaveStore
from workers.core.waves import Waves

CONNECTIONS = 50


@asynccontextmanager
async def open_services(
    settings: Settings, *, region: str | None = None, profile: str | None = None, store_tries: int = STORE_TRIES
) -> AsyncIterator[Services]:
    """
    Open the operations on the running loop.

    Parameters:
        settings: The installation's.
        region: Overrides the SDK's own choice.
        profile: Overrides the SDK's own choice.
        store_tries: How often a call to our own tables and queues is tried.

    Yields:
        The operations, until the block is left.
    """
    opening = Clients(connections=CONNECTIONS, region=region, profile=profile, store_tries=store_tries)
    async with opening as clients:
        tables = Tables(await clients.own("dynamodb"), settings.stack)
        queue = JobSender(await clients.own("sqs"), stack=settings.stack)
        # Looked up now: the first wave must not wait for it, and a missing queue is told before any request.
        await asyncio.gather(*(queue.find_queue(name) for name in Queue))
        yield _wire(settings, tables, queue, await clients.caller())


def _wire(settings: Settings, tables: Tables, queue: JobSender, caller: Caller) -> Services:
    groups = GroupStore(tables)
    runs = RunStore(tables, groups)
    receipts = Receipts(tables, read_clock)
    queries = Queries(groups, runs, read_clock)
    periods = settings.run_periods
    aggregator = Aggregator(tables, runs, read_clock)
    resources = Resources(
        tables=tables,
        groups=groups,
        runs=runs,
        receipts=receipts,
        planner=RunPlanner(runs=runs, periods=periods, clock=read_clock),
        sender=RunSender(runs=runs, queue=queue, aggregator=aggregator, periods=periods, clock=read_clock),
        clock=read_clock,
        account_id=caller.account_id,
    )
    return Services(
        submission=Submission(resources),
        changes=Changes(resources),
        removal=Removal(resources),
        queries=queries,
        history=History(groups, runs, Journal(tables)),
        waves=_wire_waves(settings, tables, queue, queries, receipts),
        tables=tables,
        caller_arn=caller.arn,
    )


def _wire_waves(settings: Settings, tables: Tables, queue: JobSender, queries: Queries, receipts: Receipts) -> Waves:
    return Waves(
        tables=tables,
        waves=WaveStore(tables),
        queries=queries,
        receipts=receipts,
        queue=queue,
        clock=read_clock,
        max_ready_age=settings.max_ready_age,
    )
