"""
A fleet in virtual time: every process runs the product's own limiter over tables in memory.

Calls, and writes to the tables, take as long as they do over a network; the tables' answers carry a Date.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

from tests.fakes.twin.dynamodb import Tables as TwinTables
from tests.fakes.virtual_time import now, run_virtually
from tests.simulation.case import AwsBucket, Case, Result
from workers.aws.pacing.lanes import SharedBucket
from workers.aws.pacing.law import SECOND
from workers.aws.pacing.server_clock import ServerClock
from workers.aws.pacing.store import BucketStore
from workers.core.store.tables import Tables

STACK = "simulated"
EPOCH = 1_800_000_000 * SECOND
PATIENCE = timedelta(hours=1)
Send = Callable[[], Awaitable[bool]]
"""Sends a call; tells whether AWS took it."""
Work = Callable[[Send], Awaitable[None]]
"""Waits until a call may be sent, sends it, and learns from the answer."""
Limiter = Callable[["Simulation", int], AbstractAsyncContextManager[Work]]
"""The limiter of one process, by its number."""


class Simulation:
    """One case as it is played."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.dice = random.Random(case.seed)
        self.result = Result()
        self.began = now()
        self.tables = TwinTables(STACK, self.seconds)
        self._aws = AwsBucket(case.capacity, case.per_second)

    def seconds(self) -> float:
        """Tell the time since the beginning."""
        return now() - self.began

    async def play(self, limiter: Limiter) -> Result:
        """Play it to its end."""
        case = self.case
        processes = [asyncio.create_task(self._run(limiter, number)) for number in range(case.processes)]
        outsiders = asyncio.create_task(self._call_from_outside())
        while (left := case.seconds - self.seconds()) > 0:
            await asyncio.sleep(min(case.crash_every or left, left))
            if case.crash_every:
                victim = self.dice.randrange(case.processes)
                await _end(processes[victim])
                processes[victim] = asyncio.create_task(self._run(limiter, victim))
        await asyncio.gather(*map(_end, [*processes, outsiders]))
        self._aws.refill()
        self.result.spilt = self._aws.spilt + self._aws.tokens
        return self.result

    async def _run(self, limiter: Limiter, number: int) -> None:
        async with limiter(self, number) as work, asyncio.TaskGroup() as callers:
            for _ in range(self.case.callers):
                callers.create_task(self._call_on_and_on(work, number))

    async def _call_on_and_on(self, work: Work, number: int) -> None:
        async def send() -> bool:
            self.result.sent_at.append(self.seconds())
            await asyncio.sleep(self.dice.uniform(0.01, 0.15))
            taken = self._aws.accepts()
            if not taken:
                self.result.throttled_at.append(self.seconds())
            await asyncio.sleep(self.dice.uniform(0.01, 0.15))
            self.result.granted += taken
            self.result.throttled += not taken
            self.result.shares[number] = self.result.shares.get(number, 0) + taken
            return taken

        while True:
            await work(send)

    async def _call_from_outside(self) -> None:
        while True:
            rate = self.case.outsiders(self.seconds())
            await asyncio.sleep(self.dice.expovariate(rate) if rate else 1.0)
            if rate:
                self.result.outside += 1
                self.result.outside_throttled += not self._aws.accepts()


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


class _Client:
    """A client of DynamoDB of one process: calls take their time, and their answers a Date."""

    def __init__(self, simulation: Simulation, wall: Callable[[], int], clock: ServerClock) -> None:
        self._simulation, self._wall, self._clock = simulation, wall, clock
        self.meta = SimpleNamespace(endpoint_url="https://dynamodb")

    def __getattr__(self, operation: str) -> Any:
        simulation = self._simulation
        effect = getattr(simulation.tables, operation)

        async def call(**request: Any) -> Any:
            simulation.result.table_calls += 1
            sent_at = self._wall()
            await asyncio.sleep(simulation.dice.uniform(0.002, 0.01))
            date = formatdate(EPOCH // SECOND + int(simulation.seconds()), usegmt=True)
            try:
                return effect(**request)
            finally:
                await asyncio.sleep(simulation.dice.uniform(0.002, 0.01))
                self._clock.see(date, sent_at)

        return call


@asynccontextmanager
async def prelaunch(simulation: Simulation, number: int) -> AsyncIterator[Work]:
    """Limit by the fleet's shared bucket."""
    skew = simulation.case.skew_seconds * (number % 2)
    priorities = simulation.case.priorities
    priority = priorities[number % len(priorities)]

    def wall() -> int:
        return EPOCH + round((simulation.seconds() + skew) * SECOND)

    clock = ServerClock(wall)
    store = BucketStore(Tables(_Client(simulation, wall, clock), STACK))
    dice = random.Random(simulation.dice.random())
    bucket = SharedBucket("simulated", simulation.case.assumed, store, clock.now, dice)

    async def work(send: Send) -> None:
        turn = await bucket.take(priority, PATIENCE)
        if not await send():
            await bucket.report_throttle(turn, timedelta(seconds=simulation.case.retry_after_seconds))

    try:
        yield work
    finally:
        await bucket.close()


def simulate(case: Case, limiter: Limiter = prelaunch) -> Result:
    """Play a case."""
    return run_virtually(lambda: Simulation(case).play(limiter))
