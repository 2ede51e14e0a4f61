"""
Producer and workers over the twin: every process lives until it is killed, and every message comes again until it is
acknowledged, as SQS and dramatiq have it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar, cast

from producer.main import wire as wire_producer
from producer.services import Services
from tests.fakes.accounts import BoundlessAccounts
from tests.fakes.twin.process import ACCOUNT, TwinClients, time_of
from tests.fakes.twin.sqs import Message
from tests.fakes.twin.world import STACK, Life, World
from workers.actors import carry_out
from workers.aws.clients import Caller, Clients
from workers.aws.paced import wire_calls
from workers.core.contract import APPLY_ACTOR, SWEEP_ACTOR, WATCH_ACTOR, WAVE_ACTOR, WatchWork, read_work
from workers.core.queue.depths import SqsDepths
from workers.core.queue.job import decode_job
from workers.core.queue.letter_box import SqsLetterBox
from workers.core.queue.redelivery import Redeliver
from workers.core.queue.request_source import RequestSource
from workers.core.queue.send import JobSender
from workers.core.settings import Settings
from workers.core.store.seals import SealStore
from workers.core.store.tables import Tables
from workers.core.store.writes import decode
from workers.main import WorkerUseCases, wire

ROUND_SECONDS = 15.0
"""How often the queue is looked at while everything settles."""
COMES_AGAIN = timedelta(seconds=5)
"""A redelivery whose time the queue chooses."""
_T = TypeVar("_T")


class Process:
    """One process of ours, and all that runs in it."""

    def __init__(self, world: World, name: str) -> None:
        self.life = Life(name)
        self._world = world
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, work: Callable[[], Awaitable[_T]]) -> _T | None:
        """Run something in this process; None where it died of it."""

        async def running() -> _T:
            return await work()

        # Of its own, so that what one request binds to its log is not another's.
        task = asyncio.create_task(running())
        self._tasks.add(task)
        try:
            await asyncio.wait([task])
        finally:
            self._tasks.discard(task)
        if self.life.dead:
            # Also what ended well: nobody hears of it any more.
            self.bury()
            task.cancelled() or task.exception()
            return None
        return task.result()

    def kill(self) -> None:
        """Kill the process in this instant."""
        self.life.die(self._world.seconds())
        self.bury()

    def stop(self) -> None:
        """Stop the process in the middle of whatever it does."""
        self.life.stop(self._world.seconds())

    def bury(self) -> None:
        """End what still waits in a process that has died."""
        for task in self._tasks:
            task.cancel()


class Fleet:
    """
    One producer, and workers that are started anew when they have died.

    Parameters:
        world: What they run over.
        time_scale: Scales every period of ours.
        rate_factor: How many times the published quotas AWS is believed to grant.
    """

    def __init__(self, world: World, time_scale: float = 1.0, rate_factor: float = 1.0) -> None:
        self.world = world
        # As many threads as there can be: every message that is visible is delivered at once.
        self.settings = Settings(
            stack=STACK, time_scale=time_scale, threads=512, rate_factor=rate_factor, event_bus="told"
        )
        self._started = 0
        self.results: list[str] = []
        """What became of every message that was delivered, in order."""

    # --- processes

    async def start_producer(self, kind: str = "producer") -> tuple[Process, Services]:
        """Start a producer."""
        process = self._start(kind)
        clients = TwinClients(self.world, process.life)
        dynamodb = await clients.own("dynamodb")
        tables = Tables(dynamodb, STACK)
        sqs = await clients.own("sqs")
        queue, seals = JobSender(sqs, stack=STACK), SealStore(tables)
        box = SqsLetterBox(sqs, stack=STACK, wait=self.settings.letter_wait, seal_key=seals.find)
        caller = Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/tester")
        paced = wire_calls(
            self.settings,
            cast("Clients", clients),
            tables,
            dynamodb=dynamodb,
            own_account=ACCOUNT,
            clock=self.world.now,
            dice=self.world.dice,
        )
        services = wire_producer(
            self.settings,
            tables,
            queue,
            box,
            RequestSource(sqs, stack=STACK, wait=self.settings.request_wait, seal_key=seals.find_or_make),
            depths=SqsDepths(sqs, stack=STACK),
            calls=paced.calls,
            accounts=BoundlessAccounts(),
            caller=caller,
            clock=self.world.now,
        )
        return process, services

    async def start_worker(self) -> tuple[Process, WorkerUseCases]:
        """Start a worker."""
        process = self._start("worker")
        clients = cast("Clients", TwinClients(self.world, process.life))
        return process, await wire(self.settings, clients, time_of(self.world), self.world.dice)

    def _start(self, kind: str) -> Process:
        self._started += 1
        return Process(self.world, f"{kind} {self._started}")

    # --- messages

    async def deliver(self, message: Message, process: Process, use_cases: WorkerUseCases) -> None:
        """Deliver a message to a worker, whatever becomes of it."""
        told = decode_job(message.body, message.queue)
        done: list[timedelta | None] = []

        async def carry() -> bool:
            try:
                await carry_out(told.actor_name, lambda: _choose(use_cases, told.actor_name, told.kwargs))
            except Redeliver as again:
                done.append(COMES_AGAIN if again.delay is None else again.delay)
            else:
                done.append(None)
            return True

        message.holder = process.life
        ended = await process.run(carry)
        if not ended:
            self.results.append("killed")
        elif done[0] is None:
            self.world.queues.delete(message)
            self.results.append("acknowledged")
        else:
            self.results.append("again")
            if message.holder is process.life:
                # Otherwise it was received anew meanwhile, and is not ours to hide.
                message.holder, message.visible_at = None, self.world.seconds() + done[0].total_seconds()

    def visible(self) -> list[Message]:
        """Tell which messages can be received."""
        return self.world.queues.visible(self.world.seconds(), self.settings.lease.total_seconds())

    async def sweep(self, process: Process, use_cases: WorkerUseCases) -> None:
        """Sweep once; what kept it from it is met again the next time."""

        async def carry() -> None:
            with suppress(Redeliver):
                await carry_out(SWEEP_ACTOR, use_cases.sweep)

        await process.run(carry)

    async def settle(self, within: timedelta) -> None:
        """Do what a running installation does until no run is under way and no message is left."""
        end = self.world.seconds() + within.total_seconds()
        process, use_cases = await self.start_worker()
        while self.pending() or self.world.queues.messages:
            assert self.world.seconds() < end, f"not settled: {self.pending()}, {self.results[-5:]}"
            if process.life.dead:
                process, use_cases = await self.start_worker()
            await asyncio.gather(*(self.deliver(message, process, use_cases) for message in self.visible()))
            await self.sweep(process, use_cases)
            await asyncio.sleep(ROUND_SECONDS)

    # --- what there is

    def statuses(self) -> dict[str, dict[str, Any]]:
        """Tell every group's status item."""
        items = map(decode, self.world.tables.every("groups"))
        return {item["groupId"]: item for item in items if item["item"] == "status"}

    def pending(self) -> list[str]:
        """Name the groups that are pending, to be cleared or not told of, and the waves that are not over."""
        waves = [item for item in map(decode, self.world.tables.every("waves")) if item["item"] == "wave"]
        starting = [wave["waveId"] for wave in waves if wave["status"] not in {"finished", "failed"}]
        clearing = [
            item["groupId"]
            for item in map(decode, self.world.tables.every("runs"))
            if item["item"] == "clearing" or item["item"].startswith("untold#")
        ]
        return (
            [group for group, status in self.statuses().items() if status["status"] == "pending"] + starting + clearing
        )

    def heads(self, group_id: str) -> list[dict[str, Any]]:
        """Tell the heads of a group's runs, oldest first."""
        items = (decode(item) for item in self.world.tables.every("runs"))
        return sorted(
            (item for item in items if item["groupId"] == group_id and item["item"].startswith("head#")),
            key=lambda item: str(item["item"]),
        )


def _choose(use_cases: WorkerUseCases, actor: str, arguments: dict[str, Any]) -> Awaitable[Any]:
    match actor:
        case _ if actor == APPLY_ACTOR:
            return use_cases.apply(arguments["groupId"], arguments["sourceServerId"])
        case _ if actor == WAVE_ACTOR:
            return use_cases.start_wave(arguments["waveId"])
        case _ if actor == SWEEP_ACTOR:
            return use_cases.sweep()
        case _ if actor == WATCH_ACTOR:
            work = read_work(actor, arguments)
            assert isinstance(work, WatchWork)
            return use_cases.watch(work)
    raise AssertionError(f"no such actor: {actor}")
