"""
A fleet of many accounts in virtual time: each process lets jobs begin, and calls, by the product's own limiter.

Jobs come from a queue that is fair among accounts, and come again as the worker has it. What a job reads and writes of
our own tables takes its time here and is counted elsewhere: `tests.scale.cost`.
"""

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from tests.fakes.pacing import EPOCH, OWN_ACCOUNT, InstantClient
from tests.fakes.twin.dynamodb import Tables as TwinTables
from tests.fakes.virtual_time import now, run_virtually
from tests.simulation.case import AwsBucket
from workers.apply.hand_back import FIRST_WAIT, LONGEST_WAIT_FOR_TURNS
from workers.aws.calls import LONGEST_WAIT
from workers.aws.pacing.admission import Admission
from workers.aws.pacing.law import SECOND
from workers.aws.pacing.pacing import Pacing
from workers.aws.pacing.quotas import QUOTAS, SCARCEST
from workers.aws.pacing.store import BucketStore
from workers.core.contract import Queue
from workers.core.errors import OutOfTurns
from workers.core.priority import read_priority, set_priority
from workers.core.retry import back_off
from workers.core.store.tables import Tables

STACK, REGION = "scale", "us-east-1"
PLAN = (
    ("drs", "GetLaunchConfiguration"),
    ("ec2", "DescribeLaunchTemplateVersions"),
    ("drs", "UpdateLaunchConfiguration"),
    ("ec2", "CreateLaunchTemplateVersion"),
    ("ec2", "ModifyLaunchTemplate"),
    ("ec2", "DescribeLaunchTemplateVersions"),
)
"""The calls for a source server that has to be changed: tests/faults/test_call_counts.py holds the product to them."""
CALL_SECONDS = (0.05, 0.35)
TABLE_SECONDS = (0.03, 0.15)
"""How long a job's own reads and writes take altogether."""
THREADS, URGENT_SHARE = 64, 4


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to do, and who does it."""

    accounts: int = 50
    servers_an_account: int = 2_000
    processes: int = 16
    seed: int = 1


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    seconds: float = 0.0
    first_account_seconds: float = 0.0
    """When the first account was done."""
    calls: int = 0
    throttled: int = 0
    hand_backs: int = 0
    table_calls: Counter[str] = field(default_factory=Counter)
    """Reads and writes of buckets, by bucket."""

    @property
    def hottest(self) -> float:
        """Tell how many table calls a second the busiest bucket had."""
        return max(self.table_calls.values(), default=0) / max(self.seconds, 1)


class Jobs:
    """One queue, fair among accounts: a message that is handed back can be received again after a while."""

    def __init__(self, accounts: list[str], each: int, dice: random.Random) -> None:
        self._ready = dict.fromkeys(accounts, each)
        self.left = dict.fromkeys(accounts, each)
        self._hidden: list[tuple[float, int, str]] = []
        self._numbers = count()
        self._dice = dice

    async def take(self) -> str | None:
        """Take a job, by its account; None where there are no more."""
        while any(self.left.values()):
            while self._hidden and self._hidden[0][0] <= now():
                _, _, account = heapq.heappop(self._hidden)
                self._ready[account] += 1
            ready = [account for account, jobs in self._ready.items() if jobs]
            if ready:
                chosen = self._dice.choice(ready)
                self._ready[chosen] -= 1
                return chosen
            await asyncio.sleep(self._dice.uniform(0.5, 1.0))
        return None

    def hide(self, account: str, seconds: float) -> None:
        """Hand a job back."""
        heapq.heappush(self._hidden, (now() + seconds, next(self._numbers), account))


class _CountingClient(InstantClient):
    """A client of DynamoDB that counts its calls by bucket; a call takes as long as it does over a network."""

    def __init__(self, tables: TwinTables, calls: Counter[str], dice: random.Random) -> None:
        super().__init__(tables)
        self._calls, self._dice = calls, dice

    def __getattr__(self, operation: str) -> object:
        effect = super().__getattr__(operation)

        async def call(**request: object) -> object:
            self._calls[str(request["Key"])] += 1
            await asyncio.sleep(self._dice.uniform(0.004, 0.02))
            return await effect(**request)

        return call


class Fleet:
    """All of it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.outcome = Outcome()
        self._dice = random.Random(plan.seed)
        self._accounts = [f"{222200000000 + number}" for number in range(plan.accounts)]
        self._began = now()
        self._jobs = Jobs(self._accounts, plan.servers_an_account, self._dice)
        self._aws = {(account, *api): AwsBucket(*_granted(api)) for account in self._accounts for api in set(PLAN)}
        self._tables = TwinTables(STACK, now)

    async def run(self) -> Outcome:
        """Do everything."""
        async with asyncio.TaskGroup() as slots:
            for pacing, admission in self._start():
                for _ in range(THREADS - THREADS // URGENT_SHARE):
                    slots.create_task(self._work(pacing, admission))
        self.outcome.seconds = now() - self._began
        return self.outcome

    def _start(self) -> Iterator[tuple[Pacing, Admission]]:
        for _ in range(self.plan.processes):
            dice = random.Random(self._dice.random())
            client = _CountingClient(self._tables, self.outcome.table_calls, dice)
            pacing = Pacing(BucketStore(Tables(client, STACK)), _microseconds, OWN_ACCOUNT, dice)
            yield pacing, Admission(pacing, THREADS // 2, dice)

    async def _work(self, pacing: Pacing, admission: Admission) -> None:
        set_priority(Queue.BULK.value)
        while (account := await self._jobs.take()) is not None:
            try:
                async with admission.enter(account, REGION):
                    await asyncio.sleep(self._dice.uniform(*TABLE_SECONDS))
                    for api in PLAN:
                        await self._call(pacing, account, api)
            except OutOfTurns as error:
                self.outcome.hand_backs += 1
                wait = error.retry_after or back_off(1, first=FIRST_WAIT, longest=LONGEST_WAIT_FOR_TURNS)
                self._jobs.hide(account, wait.total_seconds())
            else:
                self._end_job(account)

    def _end_job(self, account: str) -> None:
        self._jobs.left[account] -= 1
        if not self._jobs.left[account] and not self.outcome.first_account_seconds:
            self.outcome.first_account_seconds = now() - self._began

    async def _call(self, pacing: Pacing, account: str, api: tuple[str, str]) -> None:
        bucket = pacing.bucket(account, REGION, *api)
        taken = False
        while not taken:
            turn = await bucket.take(read_priority(), LONGEST_WAIT)
            there, back = (self._dice.uniform(*CALL_SECONDS) / 2 for _ in range(2))
            await asyncio.sleep(there)
            taken = self._aws[account, *api].accepts()
            await asyncio.sleep(back)
            self.outcome.calls += 1
            if not taken:
                self.outcome.throttled += 1
                await bucket.report_throttle(turn, timedelta(0))


def _granted(api: tuple[str, str]) -> tuple[float, float]:
    return QUOTAS[api].capacity, QUOTAS[api].per_second


def _microseconds() -> int:
    return round((EPOCH + now()) * SECOND)


def find_floor(plan: Plan) -> float:
    """Tell the seconds below which no fleet comes: what the scarcest bucket holds is spent, the rest flows in."""
    quota = QUOTAS[SCARCEST]
    return max(0.0, (plan.servers_an_account - quota.capacity) / quota.per_second)


def simulate(plan: Plan) -> Outcome:
    """Play a plan in virtual time."""
    return run_virtually(lambda: Fleet(plan).run())
