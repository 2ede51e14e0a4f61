"""
Promise 2 under fire: many writers, in threads with a loop and a client each, as so many processes would be.

Whatever they do at the same moment, one conditional write decides; no reader sees half of it, and nothing older ever
stands over something newer. What cannot fail over a database that serves one call after the other, can over a real one.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from producer.main import wire
from producer.services import Services
from tests.fakes.accounts import BoundlessAccounts
from tests.integration.databases import Database, over_the_real_database
from tests.integration.fleet import Fleet, open_fleet
from tests.integration.product import REGION, TESTER, MovableClock, Product
from tests.integration.stack.test_changes import LARGE
from tests.integration.stack.test_opening import items, runs_of
from workers.aws.clients import Caller
from workers.aws.paced import wire_calls
from workers.core.clock import Time
from workers.core.errors import LeaseHeld, LeaseLost, ServiceUnavailable
from workers.core.model.group_parse import parse_group, parse_group_update
from workers.core.queries import Page
from workers.core.queue.depths import SqsDepths
from workers.core.queue.letter_box import SqsLetterBox
from workers.core.queue.request_source import RequestSource
from workers.core.queue.send import JobSender
from workers.core.requests import RequestRefused
from workers.core.runs.selection import ApplyRequest
from workers.core.runs.settle import Aggregator
from workers.core.status import Status
from workers.core.store.groups import GroupStore
from workers.core.store.leases import Lease, LeaseStore
from workers.core.store.notices import NoticeStore
from workers.core.store.records import ServerItem
from workers.core.store.runs import RunStore
from workers.core.store.seals import SealStore
from workers.core.store.tables import Tables
from workers.core.telling.tellings import Tellings

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("races"), over_the_real_database]

ACCOUNT = "123456789012"
THREADS = 4
FORCE = ApplyRequest(force=True)
_T = TypeVar("_T")


@dataclass(frozen=True)
class Process:
    """What a producer and a worker do to the store, over a client of their own."""

    services: Services
    groups: GroupStore
    runs: RunStore
    leases: LeaseStore
    aggregator: Aggregator

    async def record(self, group_id: str, generation: int, member: str, status: Status = Status.READY) -> bool:
        """Record what came of a source server under its lease, as soon as nobody else has it."""
        run = await self.runs.read_run(group_id, generation)
        assert run is not None
        now = datetime.now(UTC)
        item = ServerItem(member, status, generation, run.config_hashes[member], now, 1, verified_at=now)
        lease = await self.take(member)
        recorded = await self.runs.record(group_id, item, lease)
        if recorded:
            await self.runs.count_done(group_id, generation, now)
        else:
            await self.leases.give_back(lease, last_write_at=None, outcome=True)
        return recorded

    async def take(self, member: str) -> Lease:
        while True:
            try:
                return await self.leases.take(ACCOUNT, REGION, member)
            except LeaseHeld:
                await asyncio.sleep(0)

    async def is_current(self, group_id: str, generation: int) -> bool:
        status = await self.groups.read_status(group_id)
        return status is not None and status.generation == generation

    async def settle(self, group_id: str, generation: int) -> bool:
        """Settle a generation from what was read of it just now; tell whether it was this call that did."""
        run, before = await self.runs.read_run(group_id, generation), await self.groups.read_status(group_id)
        assert run is not None
        assert before is not None
        if before.generation != generation:
            return False
        return await self.aggregator.settle_if_complete(run, before) is not None


@pytest.fixture(scope="module")
def fleets() -> Iterator[Callable[[Database], Fleet]]:
    """One a database: to make its clients takes longer than what they are for."""
    opened: dict[int, Fleet] = {}
    with ExitStack() as closing:

        def find(database: Database) -> Fleet:
            if id(database) not in opened:
                opened[id(database)] = closing.enter_context(open_fleet(database.connect, THREADS))
            return opened[id(database)]

        yield find


InThreads = Callable[[int, Callable[["Process", int], Awaitable[Any]]], Awaitable[list[Any]]]


@pytest.fixture
def in_threads(product: Product, fleets: Callable[[Database], Fleet]) -> InThreads:
    """Does a piece of work many times at the same moment; answers what came of each."""
    fleet = fleets(product.database)

    async def do(many: int, work: Callable[[Process, int], Awaitable[Any]]) -> list[Any]:
        async def with_process(clients: Any, number: int) -> Any:
            return await work(await open_process(product, clients), number)

        return await fleet.do(many, with_process)

    return do


async def open_process(product: Product, clients: Any) -> Process:
    dynamodb = await clients.own("dynamodb")
    tables = Tables(dynamodb, product.settings.stack)
    sqs = await clients.own("sqs")
    queue = JobSender(sqs, stack=product.settings.stack)
    seals, stack = SealStore(tables), product.settings.stack
    box = SqsLetterBox(sqs, stack=stack, wait=product.settings.letter_wait, seal_key=seals.find)
    caller = Caller(ACCOUNT, "arn:test")
    paced = wire_calls(product.settings, clients, tables, dynamodb=dynamodb, own_account=ACCOUNT, clock=product.clock)
    groups = GroupStore(tables)
    runs = RunStore(tables, groups)
    return Process(
        services=wire(
            product.settings,
            tables,
            queue,
            box,
            RequestSource(sqs, stack=stack, wait=product.settings.request_wait, seal_key=seals.find_or_make),
            depths=SqsDepths(sqs, stack=stack),
            calls=paced.calls,
            accounts=BoundlessAccounts(),
            caller=caller,
            clock=product.clock,
        ),
        groups=groups,
        runs=runs,
        leases=LeaseStore(tables, product.settings, Time(product.clock)),
        aggregator=Aggregator(
            tables,
            runs,
            Tellings(
                NoticeStore(tables),
                None,
                stack=product.settings.stack,
                periods=product.settings.tell_periods,
                clock=product.clock,
            ),
            product.clock,
        ),
    )


async def watched(product: Product, group_id: str, working: Awaitable[_T]) -> _T:
    """Read the group all the while that others work: every answer is of one moment, and none is older than the last."""
    task = asyncio.ensure_future(working)
    newest, run_ids, settled = 0, dict[int, str](), set[int]()
    while not task.done():
        try:
            view = await product.services.queries.status(group_id, Page(limit=1000))
        except ServiceUnavailable:
            continue  # it changed each time that it was read
        status = view.status
        assert status is not None
        assert status.generation >= newest
        newest = status.generation
        assert run_ids.setdefault(newest, status.run_id) == status.run_id
        states = Counter(state for state, _, _ in view.servers.values())
        counts = (status.counts.applied, status.counts.failed, status.counts.pending)
        assert counts == tuple(states[state] for state in (Status.READY, Status.FAILED, Status.PENDING))
        if status.status is Status.PENDING:
            assert newest not in settled
        else:
            assert not states[Status.PENDING]
            settled.add(newest)
    return await task


async def test_every_generation_is_opened_whole_and_once(product: Product, in_threads: InThreads) -> None:
    """Twelve force an apply at once: as many generations as successes, each with its own run, head and list."""
    members = product.add_servers(3)
    group_id = await product.create(members)

    async def force(process: Process, _: int) -> str | None:
        try:
            return (await process.services.submission.apply(group_id, FORCE, TESTER)).run_id
        except ServiceUnavailable:
            return None  # others were faster eight times: nothing was opened

    opened = [run for run in await watched(product, group_id, in_threads(12, force)) if run is not None]
    heads = {int(generation): head for generation, head in runs_of(product, group_id).items()}
    assert len(opened) >= THREADS
    assert sorted(heads) == list(range(1, len(opened) + 2))
    assert {head["runId"]["S"] for generation, head in heads.items() if generation > 1} == set(opened)
    newest = max(heads)
    assert [generation for generation, head in heads.items() if "unsettled" in head] == [newest]
    assert all(heads[generation]["supersededBy"]["N"] == str(generation + 1) for generation in range(1, newest))
    lists = [i for i in items(product, "runs") if i["groupId"]["S"] == group_id and i["item"]["S"].startswith("list#")]
    assert len(lists) == newest
    assert all({member["S"] for member in each["sourceServerIds"]["L"]} == set(members) for each in lists)
    status = await product.status(group_id)
    assert (status["generation"], status["runId"]) == (newest, heads[newest]["runId"]["S"])


async def test_of_many_updates_over_one_version_one_is_stored(product: Product, in_threads: InThreads) -> None:
    """The others are refused, and what is read is the winner's, definition and generation together."""
    group_id = await product.create(product.add_servers(2))
    view = await product.services.queries.group(group_id)

    async def update(process: Process, number: int) -> str:
        config = {**LARGE, "tags": {"writer": str(number)}}
        body: dict[str, Any] = {**view.definition.to_body(), "version": view.head.version, "launchConfig": config}
        body = {name: value for name, value in body.items() if value is not None}
        try:
            await process.services.changes.update_group(group_id, parse_group_update(body), TESTER)
        except RequestRefused as refused:
            return refused.code
        return "stored"

    stored = await watched(product, group_id, in_threads(16, update))
    assert Counter(stored) == {"stored": 1, "VERSION_CONFLICT": 15}
    after = await product.services.queries.group(group_id)
    assert after.definition.launch_config.values["tags"] == {"writer": str(stored.index("stored"))}
    assert after.head.version == 2
    assert after.status is not None
    assert after.status.generation == 2


async def test_of_many_groups_that_want_one_server_one_is_made(product: Product, in_threads: InThreads) -> None:
    """Each brings servers of its own, too: of those who lose, nothing is stored."""
    shared, *own = product.add_servers(13)

    async def create(process: Process, number: int) -> str:
        definition = parse_group(product.body([shared, own[number]]))
        try:
            return (await process.services.submission.create_group(definition, TESTER)).group_id
        except RequestRefused as refused:
            return refused.code

    made = await in_threads(12, create)
    (winner,) = (group_id for group_id in made if group_id != "SERVER_CONFLICT")
    owners = {
        server: owner["S"]
        for item in items(product, "keys")
        if item["key"]["S"].startswith("servers#")
        for server, owner in item["owners"]["M"].items()
    }
    wanted = {shared: winner, own[made.index(winner)]: winner}
    assert {server: owners[server] for server in (shared, *own) if server in owners} == wanted


async def test_no_older_outcome_is_ever_read_after_a_newer_one(product: Product, in_threads: InThreads) -> None:
    """100 servers recorded at two generations by 32 clients in any order: each ends at the newer, every count exact."""
    members = product.add_servers(100)
    group_id = await product.create(members)
    await product.apply(group_id, force=True)
    todo = [(member, generation) for member in members for generation in (1, 2)]
    random.shuffle(todo)
    shares = [todo[start::32] for start in range(32)]

    async def record(process: Process, number: int) -> list[tuple[str, int]]:
        return [
            (member, generation)
            for member, generation in shares[number]
            if await process.record(group_id, generation, member)
        ]

    recording = asyncio.ensure_future(in_threads(32, record))
    runs = product.workers._apply._runs
    seen: dict[str, int] = {}
    while not recording.done():
        for member, item in (await runs.read_servers(group_id)).items():
            assert item.generation >= seen.get(member, 0)
            seen[member] = item.generation
    recorded = [each for share in await recording for each in share]
    assert sorted(member for member, generation in recorded if generation == 2) == sorted(members)
    found = await runs.read_servers(group_id)
    assert {member: item.generation for member, item in found.items()} == dict.fromkeys(members, 2)
    counted = Counter(generation for _, generation in recorded)
    heads = runs_of(product, group_id)
    assert {generation: int(heads[str(generation)]["done"]["N"]) for generation in (1, 2)} == {
        1: counted[1],
        2: counted[2],
    }
    # Each record gave its lease back with it, and what was not recorded did so by itself.
    leases = [item for item in items(product, "keys") if item["key"]["S"].rpartition("#")[2] in members]
    assert [item for item in leases if "owner" in item] == []


async def test_a_group_is_settled_once_whoever_settles(product: Product, in_threads: InThreads) -> None:
    """Sixteen who have read the same settle at once: one write, and its head is closed with it."""
    members = product.add_servers(8)
    group_id = await product.create(members)

    async def record(process: Process, number: int) -> bool:
        failed = number == 0
        return await process.record(group_id, 1, members[number], Status.FAILED if failed else Status.READY)

    async def settle(process: Process, _: int) -> bool:
        return await process.settle(group_id, 1)

    assert all(await watched(product, group_id, in_threads(len(members), record)))
    assert sum(await watched(product, group_id, in_threads(16, settle))) == 1
    status = await product.status(group_id)
    assert (status["status"], status["appliedServers"], status["failedServers"]) == ("failed", 7, 1)
    (head,) = runs_of(product, group_id).values()
    assert head["outcome"]["S"] == "failed"
    assert "unsettled" not in head


async def test_settling_never_stands_over_a_newer_generation(product: Product, in_threads: InThreads) -> None:
    """Round after round all settle one generation while another opens: in every one, the newer stands at the end."""
    first, last = product.add_servers(2)
    group_id = await product.create([first, last])
    rounds = 8

    async def open_next(process: Process, generation: int) -> None:
        opening = process.services.submission.apply(group_id, FORCE, TESTER)
        await process.record(group_id, generation, first)
        if generation % 2:
            await process.record(group_id, generation, last)
            await opening
        else:
            # It may be superseded before its last outcome is there.
            await asyncio.gather(process.record(group_id, generation, last), opening)

    async def race(process: Process, number: int) -> list[int]:
        settled = []
        for generation in range(1, rounds + 1):
            if number == 0:
                await open_next(process, generation)
                continue
            while not await process.is_current(group_id, generation):
                pass
            while await process.is_current(group_id, generation):
                settled += [generation] * await process.settle(group_id, generation)
        return settled

    settled = Counter(each for share in await watched(product, group_id, in_threads(THREADS, race)) for each in share)
    status = await product.status(group_id)
    assert (status["status"], status["generation"]) == ("pending", rounds + 1)
    heads = runs_of(product, group_id)
    assert [generation for generation, head in heads.items() if "unsettled" in head] == [str(rounds + 1)]
    ends = {int(g): [name for name in ("outcome", "supersededBy") if name in head] for g, head in heads.items()}
    # Settled by one, or superseded: never both, never neither, and whoever believes to have settled it did.
    told = {g: ["outcome"] * settled[g] or ["supersededBy"] for g in range(1, rounds + 1)}
    assert ends == {**told, rounds + 1: []}


async def test_a_lease_is_one_clients_at_a_time(product: Product, in_threads: InThreads, clock: MovableClock) -> None:
    """32 take it at once: one has it; when its time is over one other takes it, and the first can do nothing more."""
    (member,) = product.add_servers(1)
    group_id = await product.create([member])
    held: list[tuple[Lease, int]] = []

    async def take(process: Process, _: int) -> Lease | None:
        try:
            return await process.leases.take(ACCOUNT, REGION, member)
        except LeaseHeld:
            return None

    for attempt in range(1, 4):
        (lease,) = (lease for lease in await in_threads(32, take) if lease is not None)
        assert lease.attempt == attempt
        held.append((lease, attempt))
        clock.advance(product.settings.lease + product.settings.lease_grace + timedelta(milliseconds=1))
    assert len({lease.owner for lease, _ in held}) == len(held)
    worker = product.workers._apply
    run = await worker._runs.read_run(group_id, 1)
    assert run is not None
    now = datetime.now(UTC)
    item = ServerItem(member, Status.READY, 1, run.config_hashes[member], now, 1, verified_at=now)
    for lease, _ in held[:-1]:
        with pytest.raises(LeaseLost):
            await worker._leases.renew(lease)
        with pytest.raises(LeaseLost):
            await worker._runs.record(group_id, replace(item, attempts=lease.attempt), lease)
    assert await worker._runs.read_server(group_id, member) is None
    assert await worker._runs.record(group_id, item, held[-1][0])
