"""
The state machine: requests, deliveries, faults, deaths and time in any order, over the real code and the twin.

Nothing waits for anything: a request or a delivery is begun and goes on while others are begun, for as long as the
rules let time pass. Whatever the order, the promises hold at every write to AWS, at every change of a status and in
every answer to a reader; and once the faults have ended, all that was accepted settles.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias, TypeVar

import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from producer.services import Services
from tests.fakes.twin.dynamodb import Tables
from tests.fakes.twin.fleet import Fleet, Process
from tests.fakes.twin.process import ACCOUNT
from tests.fakes.twin.promises import Watch, digests_of
from tests.fakes.twin.sqs import Message
from tests.fakes.twin.world import Call, Trouble, World
from tests.fakes.virtual_time import VirtualTimeLoop
from workers.core.drift_checks import DriftCheck
from workers.core.errors import RetryableError
from workers.core.model.errors import InvalidBody
from workers.core.model.group_parse import parse_group, parse_group_update
from workers.core.model.waves import OnNotReady, Verify
from workers.core.requests import Requester, RequestKey, RequestRefused
from workers.core.runs.selection import ApplyRequest
from workers.core.wave_plan import WaveRequest
from workers.main import WorkerUseCases

_T = TypeVar("_T")
SERVERS = tuple(f"s-{letter * 17}" for letter in "abcd")
TYPES = ("m5.xlarge", "r5.large", "c6i.large")
WORKERS = 2
BASE = {"targetInstanceTypeRightSizingMethod": "NONE"}
Members: TypeAlias = Mapping[str, Any]
"""The members of a group, each with its instance type."""
SETTLES_WITHIN = timedelta(hours=2)
AFTERMATH_SECONDS = 900.0
"""How long those who were stopped go on after all has settled."""

kinds = st.sampled_from((*TYPES, None))
"""None: the type is not the group's, or no more."""
members = st.dictionaries(st.sampled_from(SERVERS), kinds, min_size=1, max_size=3)
moments = st.sampled_from([0.0, 0.05, 0.3, 1.0, 5.0])
groups = st.integers(0, 3)
operations = st.sampled_from(
    [
        "get_item",
        "query",
        "update_item",
        "transact_write_items",
        "batch_write_item",
        "send_message_batch",
        "get_launch_configuration",
        "update_launch_configuration",
        "describe_launch_template_versions",
        "create_launch_template_version",
        "modify_launch_template",
        "start_recovery",
        "describe_jobs",
    ]
)
workers = st.integers(0, WORKERS - 1)


class FleetMachine(RuleBasedStateMachine):
    """One installation under everything at once."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self._asked = 0
        self._running: set[asyncio.Task[None]] = set()
        self._troubles: dict[str, list[Trouble | None]] = {}
        """What is to go wrong at the next calls of each operation."""
        self._group_ids: list[str] = []
        self._answered: dict[str, int] = {}
        """The version of each group that somebody was told of; 0 for a group that is told to be gone."""
        self._maybe_deleted: set[str] = set()
        """Groups that somebody asked to be deleted, whatever came of it."""
        self._stopped: list[Process] = []
        self._runner.get_loop().set_exception_handler(lambda *_: None)

    @initialize(seed=st.integers(0, 2**16), lag=st.sampled_from([0.0, 2.0]), wanted=members, repairs=st.booleans())
    def begin(self, seed: int, lag: float, wanted: Members, repairs: bool) -> None:
        """Start two workers and a reader over a world of four source servers, and make a first group."""
        self._run(self._begin(seed, lag))
        self.create(wanted, repairs, 1.0)

    async def _begin(self, seed: int, lag: float) -> None:
        self.world = World(seed, lag)
        self.world.tables = self.make_tables(self.world.tables)
        self.world.servers.add(*SERVERS)
        self.world.on_call = self._choose_trouble
        self.fleet = Fleet(self.world)
        self.watch = Watch(self.fleet)
        self.watch.configs = digests_of(BASE, *({**BASE, "instanceType": kind} for kind in TYPES))
        self.workers = [await self.fleet.start_worker() for _ in range(WORKERS)]
        _, self.reader = await self.fleet.start_producer("reader")

    def make_tables(self, tables: Tables) -> Tables:
        """Answer the tables that the world has, given those in memory."""
        return tables

    # --- requests

    @rule(wanted=members, repairs=st.booleans(), wait=moments)
    def create(self, wanted: Members, repairs: bool, wait: float) -> None:
        """Ask for a group; it is refused where one of its servers is another's."""
        name = f"group {self._asked}"
        body = {"groupName": name, "region": "us-east-1", "autoRepair": repairs, **_body(wanted)}
        definition = parse_group(body)

        async def create(services: Services, who: Requester) -> None:
            head = await services.submission.create_group(definition, who)
            self._group_ids.append(head.group_id)
            self._answered.setdefault(head.group_id, 1)

        self._ask(create, wait)

    @precondition(lambda self: self._group_ids)
    @rule(which=groups, wanted=members, force=st.booleans(), repairs=st.booleans(), wait=moments)
    def update(self, which: int, wanted: Members, force: bool, repairs: bool, wait: float) -> None:
        """Replace a group's definition, over the version that is read just before."""
        group_id = self._choose(which)

        async def update(services: Services, who: Requester) -> None:
            view = await services.queries.group(group_id)
            body = {"groupName": view.head.name, "region": "us-east-1", "version": view.head.version, "force": force}
            body["autoRepair"] = repairs
            updated = await services.changes.update_group(group_id, parse_group_update({**body, **_body(wanted)}), who)
            if self._answered[group_id]:
                self._answered[group_id] = max(self._answered[group_id], updated.head.version)

        self._ask(update, wait)

    @precondition(lambda self: self._group_ids)
    @rule(which=groups, server=st.integers(0, 3), kind=kinds, wait=moments)
    def change_one(self, which: int, server: int, kind: str | None, wait: float) -> None:
        """Change the launch config of one member and leave the others as they are."""
        group_id = self._choose(which)

        async def change(services: Services, who: Requester) -> None:
            view = await services.queries.group(group_id)
            effective = {each: view.definition.effective(each).values for each in view.definition.source_server_ids}
            wanted = {each: config.get("instanceType") for each, config in effective.items()}
            wanted |= {view.definition.source_server_ids[server % len(wanted)]: kind}
            body = {"groupName": view.head.name, "region": "us-east-1", "version": view.head.version}
            await services.changes.update_group(group_id, parse_group_update({**body, **_body(wanted)}), who)

        self._ask(change, wait)

    @precondition(lambda self: self._group_ids)
    @rule(which=groups, generation=st.integers(1, 3), wait=moments)
    def roll_back(self, which: int, generation: int, wait: float) -> None:
        """Go back to an early run of a group."""
        group_id = self._choose(which)

        async def roll_back(services: Services, who: Requester) -> None:
            went = await services.rollback.roll_back(group_id, str(generation), who)
            if self._answered[group_id]:
                self._answered[group_id] = max(self._answered[group_id], went.updated.head.version)

        self._ask(roll_back, wait)

    @precondition(lambda self: self._group_ids)
    @rule(which=groups, force=st.booleans(), server=st.none() | st.sampled_from(SERVERS), wait=moments)
    def apply(self, which: int, force: bool, server: str | None, wait: float) -> None:
        """Apply a group again, whole or one of its servers."""
        group_id = self._choose(which)
        request = ApplyRequest(force=force, source_server_ids=None if server is None else (server,))

        async def apply(services: Services, who: Requester) -> None:
            await services.submission.apply(group_id, request, who)

        self._ask(apply, wait)

    @precondition(lambda self: self._group_ids)
    @rule(
        which=groups,
        is_drill=st.booleans(),
        choice=st.sampled_from(list(OnNotReady)),
        verify=st.sampled_from(list(Verify)),
        wait=moments,
    )
    def start_wave(self, which: int, is_drill: bool, choice: OnNotReady, verify: Verify, wait: float) -> None:
        """Recover a group; it is refused where another wave has it."""
        request = WaveRequest((self._choose(which),), is_drill, choice, verify)

        async def start(services: Services, who: Requester) -> None:
            await services.waves.accept(request, who)

        self._ask(start, wait)

    @rule(server=st.none() | st.sampled_from(SERVERS), wait=moments)
    def look_for_drift(self, server: str | None, wait: float) -> None:
        """Schedule or event: the workers are to look everywhere, or at one source server."""
        check = DriftCheck(ACCOUNT, "us-east-1", source_server_ids=() if server is None else (server,))

        async def ask(services: Services, who: Requester) -> None:
            await services.drift_checks.ask(check, who)

        self._ask(ask, wait)

    @precondition(lambda self: self._group_ids)
    @rule(which=groups, wait=moments)
    def delete(self, which: int, wait: float) -> None:
        """Delete a group."""
        group_id = self._choose(which)
        self._maybe_deleted.add(group_id)

        async def delete(services: Services, who: Requester) -> None:
            await services.removal.delete_group(group_id, who)
            self._answered[group_id] = 0

        self._ask(delete, wait)

    # --- messages and sweeps

    @precondition(lambda self: self._visible())
    @rule(which=st.integers(0, 20), worker=workers, wait=moments)
    def deliver(self, which: int, worker: int, wait: float) -> None:
        """Deliver any message that is visible: in any order, however late."""
        visible = self._visible()
        self._start(self.fleet.deliver(visible[which % len(visible)], *self._worker(worker)), wait)

    @precondition(lambda self: self._visible())
    @rule(worker=workers, wait=moments)
    def deliver_all(self, worker: int, wait: float) -> None:
        """Deliver every message that is visible, all at once."""
        for message in self._visible():
            self._start(self.fleet.deliver(message, *self._worker(worker)), 0)
        self._pass(wait)

    @precondition(lambda self: self.world.queues.messages)
    @rule(which=st.integers(0, 20))
    def double(self, which: int) -> None:
        """SQS delivers at least once: a message is there a second time."""
        messages = self.world.queues.messages
        message = messages[which % len(messages)]
        messages.append(Message(message.queue, message.body, self.world.seconds()))

    @rule(worker=workers, wait=moments)
    def sweep(self, worker: int, wait: float) -> None:
        """A worker's sweep is due."""
        self._start(self.fleet.sweep(*self._worker(worker)), wait)

    # --- faults, deaths, time

    @rule(operation=operations, skipped=st.integers(0, 3), trouble=st.sampled_from(list(Trouble)))
    def trouble(self, operation: str, skipped: int, trouble: Trouble) -> None:
        """Something goes wrong at one of the next calls of an operation."""
        self._troubles.setdefault(operation, []).extend([*[None] * skipped, trouble])

    @rule(operation=operations, count=st.integers(2, 15))
    def throttle(self, operation: str, count: int) -> None:
        """The next calls of an operation are refused, one after the other."""
        self._troubles.setdefault(operation, []).extend([Trouble.REFUSED] * count)

    @rule(worker=workers)
    def kill(self, worker: int) -> None:
        """SIGKILL."""
        self.workers[worker][0].kill()
        self._pass(0)

    @rule(worker=workers)
    def stop(self, worker: int) -> None:
        """SIGSTOP; another worker takes its place."""
        process, _ = self.workers[worker]
        process.stop()
        self._stopped.append(process)
        self.workers[worker] = self._run(self.fleet.start_worker())

    @precondition(lambda self: self._stopped)
    @rule(wait=moments)
    def go_on(self, wait: float) -> None:
        """SIGCONT: it does not know how long it was stopped."""
        self._stopped.pop().life.cont()
        self._pass(wait)

    @rule(server=st.sampled_from(SERVERS))
    def edit(self, server: str) -> None:
        """Somebody else writes the launch template."""
        self.watch.edited[server] = self.world.now()
        self.world.servers.edit(server, InstanceType="t3.micro", KeyName="theirs")

    @rule(seconds=st.sampled_from([2.0, 15.0, 61.0, 200.0, 1000.0]))
    def let_time_pass(self, seconds: float) -> None:
        """What was begun goes on."""
        self._pass(seconds)

    # --- what must hold

    @invariant()
    def promises_hold(self) -> None:
        """No promise was broken so far, and no request or delivery met a bug."""
        if hasattr(self, "watch"):
            self.watch.check()
            self._run(self._read())

    async def _read(self) -> None:
        for group_id in self._group_ids:
            await self.watch.read(group_id, self.reader)

    def teardown(self) -> None:
        """End the faults; then all settles, those who were stopped go on, and nothing changes any more."""
        try:
            if hasattr(self, "watch"):
                self._run(self._end())
        finally:
            for process in self._stopped:
                process.kill()
            self._runner.close()
            structlog.reset_defaults()

    async def _end(self) -> None:
        self._troubles.clear()
        await self.fleet.settle(SETTLES_WITHIN)
        self.watch.check()
        for process in self._stopped:
            process.life.cont()
        await asyncio.sleep(AFTERMATH_SECONDS)
        await self.fleet.settle(SETTLES_WITHIN)
        if self._running:
            await asyncio.wait(self._running)
        # Read what is wanted from the definitions: of a request that was not answered nobody knows whether it counts.
        wanted = {}
        for group_id in self.fleet.statuses():
            view = await self.reader.queries.group(group_id)
            assert view.head.version >= self._answered.get(group_id, 1)
            members_of = view.definition.source_server_ids
            wanted[group_id] = {each: view.definition.effective(each).values for each in members_of}
        told = {group_id for group_id, version in self._answered.items() if version}
        gone = {group_id for group_id, version in self._answered.items() if not version}
        assert gone.isdisjoint(wanted), "a group that was deleted is there"
        assert told - set(wanted) <= self._maybe_deleted, "a group that was created is not there"
        self.watch.check_end(wanted)
        await self._find_what_others_changed(wanted)
        await self._apply_what_failed()

    async def _find_what_others_changed(self, wanted: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        """After one period of the watch nothing reads ready that is not as it is wanted, whoever wrote it."""
        await asyncio.sleep(self.fleet.settings.watch_period.total_seconds())
        _, services = await self.fleet.start_producer()
        await services.drift_checks.ask(DriftCheck(ACCOUNT, "us-east-1"), Requester("rule", "schedule", "requested"))
        await self.fleet.settle(SETTLES_WITHIN)
        self.watch.edited.clear()
        self.watch.check_end(wanted)

    async def _apply_what_failed(self) -> None:
        """Nothing is wrong any more: whatever the faults made fail is ready after its first re-apply."""
        _, services = await self.fleet.start_producer()
        request = ApplyRequest(only_failed=True)
        for group_id, status in self.fleet.statuses().items():
            if status["status"] == "failed":
                await services.submission.apply(group_id, request, Requester("alice", "http", "requested"))
        await self.fleet.settle(SETTLES_WITHIN)
        assert all(status["status"] == "ready" for status in self.fleet.statuses().values()), self.fleet.statuses()
        self.watch.check()

    # --- how

    def _choose_trouble(self, call: Call) -> Trouble | None:
        if call.process.startswith("reader"):
            return None
        script = self._troubles.get(call.operation)
        trouble = script.pop(0) if script else None
        # Only what can happen: our tables are not written minutes late, and the SDK repeats no write to AWS for us.
        if trouble is Trouble.LATE and not call.is_target_write:
            return Trouble.LOST
        if trouble is Trouble.REPEATED and call.service in {"drs", "ec2"}:
            return Trouble.LOST
        return trouble

    def _choose(self, which: int) -> str:
        return self._group_ids[which % len(self._group_ids)]

    def _visible(self) -> list[Message]:
        return self.fleet.visible()

    def _worker(self, which: int) -> tuple[Process, WorkerUseCases]:
        if self.workers[which][0].life.dead:
            self.workers[which] = self._run(self.fleet.start_worker())
        return self.workers[which]

    def _ask(self, request: Callable[[Services, Requester], Awaitable[None]], wait: float) -> None:
        self._asked += 1
        key = RequestKey(f"key {self._asked}", "fingerprint")
        who = Requester("alice", "http", "requested", key=key)

        async def ask() -> None:
            # Asked again under the same key where there was no answer, as a client does that wants to know.
            for _ in range(3):
                process, services = await self.fleet.start_producer()
                try:
                    await process.run(partial(request, services, who))
                except RetryableError:
                    continue
                except (RequestRefused, InvalidBody):
                    return
                if not process.life.dead:
                    return

        self._start(ask(), wait)

    def _start(self, work: Coroutine[Any, Any, None], wait: float) -> None:
        async def start() -> None:
            task = asyncio.create_task(work)
            self._running.add(task)
            task.add_done_callback(self._ended)

        self._run(start())
        self._pass(wait)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.watch.broken.append(f"[bug] {type(error).__name__}: {error}")

    def _pass(self, seconds: float) -> None:
        self._run(asyncio.sleep(seconds))

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self._runner.run(work)


def _body(wanted: Members) -> dict[str, Any]:
    return {
        "sourceServerIds": sorted(wanted),
        "launchConfig": BASE,
        "servers": [
            {"sourceServerId": each, "launchConfig": {"instanceType": kind}} for each, kind in wanted.items() if kind
        ],
    }


FEW = 1000
FleetMachine.TestCase.settings = settings(
    # Few examples are the same ones each time, so that whoever changes something meets what that broke, and not what
    # nobody had met before: that is looked for with many.
    derandomize=settings().max_examples < FEW,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestFleet = FleetMachine.TestCase
