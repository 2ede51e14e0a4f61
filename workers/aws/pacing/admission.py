"""
Which jobs may begin: no account takes more than its places, and nobody begins what would only wait for turns.

A job that began too early would read, wait, give up and read again: its reads would take turns from all the others.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from workers.aws.pacing.pacing import Pacing
from workers.aws.pacing.quotas import SCARCEST
from workers.core.errors import OutOfTurns
from workers.core.priority import Priority, read_priority

LONGEST_QUEUE_SECONDS = 8.0
"""How long those who are admitted may have to wait for their turns: less than what they wait at most."""
LONGEST_WAIT_SECONDS = 10.0
"""How long a job waits here: it holds one of the worker's slots."""
LOOK_SECONDS = 0.25
ACCOUNT_WAIT_SECONDS, ALONE_WAIT_SECONDS = 1.0, 4.0
"""How long a job waits for one of its account's places: the slot it holds is another account's, if there is one."""
LATELY_SECONDS = 30.0
"""For so long after a job of it an account counts as being there."""
COMES_AGAIN_SECONDS = (2.0, 6.0)
STEP_SECONDS = 0.004
"""How far apart jobs begin: more than the loop is kept by one of them at a time."""


class Admission:
    """
    Lets the jobs of a process begin. Belongs to one event loop.

    Parameters:
        pacing: The buckets.
        places: How many jobs of one account may be at work at once; as many urgent ones, but half as many more
            beside the others.
        dice: Spreads the jobs that come again.
    """

    def __init__(self, pacing: Pacing, places: int, dice: random.Random) -> None:
        self._pacing = pacing
        self._places = places
        self._dice = dice
        self._inside: Counter[tuple[str, str, Priority]] = Counter()
        self._taken: Counter[tuple[str, bool]] = Counter()
        """By account, and whether they are urgent."""
        self._seen_at: dict[str, float] = {}
        self._next_begins_at = 0.0

    async def begin(self) -> None:
        """Wait for a moment where others have just begun: what begins together goes on in step, and keeps the loop."""
        if read_priority() is Priority.URGENT:
            return
        now = asyncio.get_running_loop().time()
        begins_at = max(self._next_begins_at, now)
        self._next_begins_at = begins_at + STEP_SECONDS
        if begins_at > now:
            await asyncio.sleep(begins_at - now)

    @asynccontextmanager
    async def enter(self, account_id: str, region: str) -> AsyncIterator[None]:
        """
        Let a job be at work while the block runs.

        Parameters:
            account_id: The account whose source server it names.
            region: The Region.

        Yields:
            Nothing, once.

        Raises:
            OutOfTurns: It did not come in; it says when to try again.
        """
        priority = read_priority()
        is_urgent = priority is Priority.URGENT
        self._seen_at[account_id] = asyncio.get_running_loop().time()
        if not await self._wait_for_place(account_id, is_urgent):
            raise self._refuse(f"Account {account_id} has as many jobs at work here as it may")
        self._taken[account_id, is_urgent] += 1
        try:
            if not await self._wait(LONGEST_WAIT_SECONDS, lambda: self._is_turn_near(account_id, region, priority)):
                raise self._refuse(f"The rate of account {account_id} is used up by what is at work already")
            self._inside[account_id, region, priority] += 1
            try:
                yield
            finally:
                self._inside[account_id, region, priority] -= 1
        finally:
            self._taken[account_id, is_urgent] -= 1

    async def _wait_for_place(self, account_id: str, is_urgent: bool) -> bool:
        waited = 0.0
        while not self._has_place(account_id, is_urgent):
            if waited >= (ALONE_WAIT_SECONDS if self._is_alone(account_id) else ACCOUNT_WAIT_SECONDS):
                return False
            await asyncio.sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS
        return True

    def _has_place(self, account_id: str, is_urgent: bool) -> bool:
        """What is urgent finds places beside the others of its account, and still leaves some to other accounts."""
        both = self._taken[account_id, True] + self._taken[account_id, False]
        beside = max(self._places // 2, 1) if is_urgent else 0
        return self._taken[account_id, is_urgent] < self._places and both < self._places + beside

    def _is_alone(self, account_id: str) -> bool:
        lately = asyncio.get_running_loop().time() - LATELY_SECONDS
        self._seen_at = {each: at for each, at in self._seen_at.items() if at >= lately}
        return not self._seen_at.keys() - {account_id}

    def _is_turn_near(self, account_id: str, region: str, priority: Priority) -> bool:
        """Only who comes before a job keeps it waiting."""
        bucket = self._pacing.bucket(account_id, region, *SCARCEST)
        if not bucket.count_waiting(priority):
            return True
        before = sum(self._inside[account_id, region, each] for each in Priority if each <= priority)
        return before < LONGEST_QUEUE_SECONDS * bucket.find_pace()

    async def _wait(self, seconds: float, is_there: Callable[[], bool]) -> bool:
        ends_at = asyncio.get_running_loop().time() + seconds
        while not is_there():
            if asyncio.get_running_loop().time() >= ends_at:
                return False
            await asyncio.sleep(LOOK_SECONDS)
        return True

    def _refuse(self, why: str) -> OutOfTurns:
        again = timedelta(seconds=self._dice.uniform(*COMES_AGAIN_SECONDS))
        return OutOfTurns(f"{why}.", retry_after=again, operation=".".join(SCARCEST))
