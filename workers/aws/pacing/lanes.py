"""
The callers of one process who wait for a turn in one bucket, those of each priority in a lane of their own.

A lane reserves a few turns at a time for those who wait in it and lets them go when their time comes. Nobody holds
more than one batch, so a process that dies, or is told to slow down, takes little with it.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from datetime import timedelta

import structlog

from workers.aws.pacing.law import SECOND, BucketState, cut, find_rate
from workers.aws.pacing.quotas import Quota
from workers.aws.pacing.store import Store, Turns
from workers.core.errors import OutOfTurns, PrelaunchError
from workers.core.priority import Priority

log = structlog.get_logger()

SEEN_LATELY = SECOND
"""After so long it is looked whether others were throttled before a turn is used: it slows the whole fleet."""
STORE_SECONDS = 2.0
"""How long DynamoDB may take for a reservation."""
ALONE_SHARE = 0.1
"""The share of the last known rate that a process takes when DynamoDB does not answer."""
ALONE_SECONDS = 2.0
"""How long it does so before it asks again."""
THROTTLED_SHARE = 0.5
"""A rate below this share of what AWS grants is what AWS's throttles have left."""
FEWEST_GIVEN, MOST_GIVEN, LATELY = 4, 16, 10 * SECOND
"""How many of the latest turns, of so much time, tell the pace of a process."""
FIRST_SPREAD, LONGEST_SPREAD = 0.2, 8.0
"""Over how many seconds the processes of a fleet spread their tries for the same turns."""
SPREAD_STEP, SPREAD_FACTOR = 0.8, 0.7
"""It grows by so much with each try in vain, and shrinks by that with each success: so all come to the same."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to send one call now; what it says when it is throttled counts in the state it was reserved in."""

    state: BucketState


class SharedBucket:
    """
    One bucket of the fleet, as a process draws on it. Belongs to one event loop.

    Parameters:
        key: Account, Region and API.
        quota: What AWS grants.
        store: Where the fleet's state of it is.
        now: Tells the time that the fleet has agreed on, in microseconds since the epoch.
        dice: Spreads tries.
    """

    def __init__(self, key: str, quota: Quota, store: Store, now: Callable[[], int], dice: random.Random) -> None:
        self.key = key
        self.quota = quota
        self.now = now
        self.dice = dice
        self.state = BucketState()
        self._store = store
        self._lanes = {priority: _Lane(self, priority) for priority in Priority}
        self.paused_until = 0
        """Until when AWS has asked this process to be left alone."""
        self._given: deque[int] = deque(maxlen=MOST_GIVEN)
        self._waiting_since: int | None = None
        self._alone: BucketState | None = None
        """The bucket as this process alone knows it, since a throttle that it could tell nobody of."""
        self._untold: tuple[BucketState, int] | None = None
        """The state that this throttle came in, and until when AWS has asked to be left alone."""
        self._alone_until = 0
        self._alone_turn = 0

    async def take(self, priority: Priority, patience: timedelta) -> Turn:
        """
        Wait for a turn.

        Parameters:
            priority: Whose turn comes first.
            patience: How long to wait at most.

        Returns:
            The turn.

        Raises:
            OutOfTurns: It did not come in time.
        """
        try:
            async with asyncio.timeout(patience.total_seconds()):
                return await self._lanes[priority].join()
        except TimeoutError as error:
            account_id, region, operation = self.key.split("#")
            raise OutOfTurns(
                f"No turn to call {operation} in account {account_id}, {region}, came within"
                f" {patience.total_seconds():.0f} s: {self._describe_rate()}.",
                operation=operation,
            ) from error

    async def close(self) -> None:
        """Hand out no more turns."""
        for lane in self._lanes.values():
            await lane.close()

    def _describe_rate(self) -> str:
        rate = find_rate(self._alone or self.state, self.quota)
        why = "AWS throttles it, and it" if rate < self.quota.per_second * THROTTLED_SHARE else "it"
        return f"{why} is called {rate:.1f} times a second by all workers"

    def count_waiting(self, priority: Priority = Priority.BULK) -> int:
        """Count the callers of this process who wait and do not come after this priority."""
        return sum(lane.count() for each, lane in self._lanes.items() if each <= priority)

    def find_pace(self) -> float:
        """Tell how many turns a second this process was given lately; all of the fleet's while that is not known."""
        now = self.now()
        while self._given and self._given[0] < now - LATELY:
            self._given.popleft()
        if len(self._given) < FEWEST_GIVEN:
            if self._waiting_since is not None and now - self._waiting_since >= LATELY:
                return len(self._given) * SECOND / LATELY
            return find_rate(self.state, self.quota)
        return len(self._given) * SECOND / max(now - self._given[0], 1)

    def note_turn(self) -> None:
        """Note that a turn was given to a caller of this process."""
        self._given.append(self.now())

    def note_waiting(self) -> None:
        """Note that callers wait, or that none does any more."""
        if not self.count_waiting():
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = self.now()

    async def report_throttle(self, turn: Turn, retry_after: timedelta | None) -> None:
        """
        Slow the fleet down: AWS throttled a call.

        Parameters:
            turn: The turn that it was sent in.
            retry_after: For how long AWS asks to be left alone.
        """
        pause = round((retry_after or timedelta(0)).total_seconds() * SECOND)
        if turn.state.cuts < self.state.cuts and not pause:
            return
        self.paused_until = max(self.paused_until, self.now() + pause)
        known = self.state if turn.state.cuts == self.state.cuts else turn.state
        try:
            await self._tell(known, pause)
        except (PrelaunchError, TimeoutError) as error:
            self._untold = (known, self.paused_until)
            self._alone = cut(self._alone or self.state, self.quota, self.now(), pause)
            self._go_alone(error)

    async def _tell(self, known: BucketState, pause: int) -> None:
        async with asyncio.timeout(STORE_SECONDS):
            self._learn(await self._store.cut(self.key, self.quota, known=known, now=self.now(), retry_after=pause))

    async def reserve(self, priority: Priority, wanted: int) -> Turns:
        """Reserve turns for callers who wait; where the fleet cannot be asked, one of a small share."""
        now = self.now()
        if now < self._alone_until:
            return self._reserve_alone(now)
        try:
            if self._untold is not None:
                known, until = self._untold
                await self._tell(known, max(until - now, 0))
                self._untold = self._alone = None
            async with asyncio.timeout(STORE_SECONDS):
                turns = await self._store.reserve(
                    self.key, self.quota, priority, known=self.state, now=now, wanted=wanted
                )
        except (PrelaunchError, TimeoutError) as error:
            self._go_alone(error)
            return self._reserve_alone(now)
        self._learn(turns.state)
        return turns

    async def look(self) -> None:
        """Learn what others did to the bucket; where the fleet cannot be asked, nothing."""
        if self.now() < self._alone_until:
            return
        try:
            async with asyncio.timeout(STORE_SECONDS):
                self._learn(await self._store.read(self.key))
        except (PrelaunchError, TimeoutError) as error:
            self._go_alone(error)

    def _learn(self, state: BucketState) -> None:
        # An answer from before a cut may come after it.
        self.state = state if state.cuts >= self.state.cuts else self.state

    def _go_alone(self, error: Exception) -> None:
        self._alone_until = self.now() + round(ALONE_SECONDS * SECOND)
        log.warning("pacing.alone", bucket=self.key, error=str(error) or type(error).__name__)

    def _reserve_alone(self, now: int) -> Turns:
        state = self._alone or self.state
        interval = round(SECOND / (find_rate(state, self.quota) * ALONE_SHARE))
        turn = max(self._alone_turn + interval, self.paused_until, now)
        if turn > self._alone_until:
            # By then the fleet can be asked again: whoever waited for this one would miss what it has.
            return Turns(self.state, opens_at=self._alone_until)
        self._alone_turn = turn
        return Turns(self.state, (turn,))


class _Lane:
    """Callers of one priority, first come, first served."""

    def __init__(self, bucket: SharedBucket, priority: Priority) -> None:
        self._bucket = bucket
        self._priority = priority
        self._waiting: deque[asyncio.Future[Turn]] = deque()
        self._serving: asyncio.Task[None] | None = None
        self._spread = FIRST_SPREAD

    def count(self) -> int:
        """Count those who wait."""
        return sum(not waiter.done() for waiter in self._waiting)

    def join(self) -> Awaitable[Turn]:
        """Queue; whoever is cancelled leaves."""
        waiter: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._bucket.note_waiting()
        if self._serving is None or self._serving.done():
            # In a context of its own: what it logs is not about whoever came first.
            self._serving = asyncio.create_task(self._serve(), context=Context())
            self._serving.add_done_callback(self._ended)
        return waiter

    async def close(self) -> None:
        """Let nobody go any more."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait([self._serving])

    def _ended(self, serving: "asyncio.Task[None]") -> None:
        error = None if serving.cancelled() else serving.exception()
        for waiter in self._waiting:
            if error is not None and not waiter.done():
                # A bug of ours: whoever waits must hear of it.
                waiter.set_exception(error)

    async def _serve(self) -> None:
        while wanted := self.count():
            reserved = await self._bucket.reserve(self._priority, wanted)
            if reserved.turns:
                self._spread = max(self._spread * SPREAD_FACTOR, FIRST_SPREAD)
                now = self._bucket.now()
                await self._let_go(reserved)
                if reserved.turns[-1] > now and self._spread > FIRST_SPREAD:
                    # Where there are not turns for all, whoever had some lets others come first the next time.
                    await self._sleep_until(now + self._choose_spread())
            else:
                await self._sleep_until(reserved.opens_at + self._choose_spread())
                self._spread = min(self._spread + SPREAD_STEP, LONGEST_SPREAD)
        self._waiting.clear()
        self._bucket.note_waiting()

    def _choose_spread(self) -> int:
        return round(self._bucket.dice.uniform(0, self._spread) * SECOND)

    async def _sleep_until(self, at: int) -> None:
        await asyncio.sleep(max(at - self._bucket.now(), 0) / SECOND)

    async def _let_go(self, reserved: Turns) -> None:
        turn, seen_at = Turn(reserved.state), self._bucket.now()
        for at in reserved.turns:
            if at > self._bucket.now():
                await self._sleep_until(at)
            if at > seen_at + SEEN_LATELY:
                await self._bucket.look()
                seen_at = self._bucket.now()
            if self._bucket.state.cuts != reserved.state.cuts or at < self._bucket.paused_until:
                # AWS throttled meanwhile: whoever goes on in these turns would be throttled too.
                return
            if not self._next(turn):
                return

    def _next(self, turn: Turn) -> bool:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(turn)
                self._bucket.note_turn()
                return True
        return False
