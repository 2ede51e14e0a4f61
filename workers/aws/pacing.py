"""
One paced bucket for each (account, Region, API) of a process, at AWS's published numbers.

Callers are told when their turn is and sleep until then; nobody is refused. The burst is two seconds of refill
short of AWS's own, for the calls of a burst do not arrive in the instant in which they were allowed.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

BURST_MARGIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Rate:
    """AWS's token bucket: so many calls at once, so many a second."""

    capacity: int
    per_second: float


EC2_WRITE = Rate(100, 5)
"""Source: AWS, request throttling for the Amazon EC2 API (launch template writes)."""
EC2_READ = Rate(100, 20)
"""Source: AWS, request throttling for the Amazon EC2 API (non-mutating, described by name)."""
RATES = {
    ("ec2", "CreateLaunchTemplateVersion"): EC2_WRITE,
    ("ec2", "ModifyLaunchTemplate"): EC2_WRITE,
    ("ec2", "DescribeLaunchTemplateVersions"): EC2_READ,
    # AWS publishes no rates for DRS: these are assumed, and throttle answers correct them.
    ("drs", "GetLaunchConfiguration"): Rate(100, 10),
    ("drs", "UpdateLaunchConfiguration"): Rate(100, 10),
    ("drs", "DescribeJobs"): Rate(100, 20),
    ("drs", "StartRecovery"): Rate(10, 1),
}


@dataclass(slots=True)
class PacedBucket:
    """Hands out turns (generic cell rate algorithm); times are monotonic seconds."""

    rate: Rate
    clock: Callable[[], float] = time.monotonic
    _full_at: float = field(default=0.0, init=False)
    """When the bucket would be full again: every turn moves it one token's refill further."""
    _paused_until: float = field(default=0.0, init=False)
    _pauses: int = field(default=0, init=False)
    """Counts pauses: each takes back the turns that were still to come."""

    def reserve(self) -> float:
        """Reserve the next turn and answer in how many seconds it is; 0 is now."""
        now = self.clock()
        interval = 1.0 / self.rate.per_second
        burst = max(self.rate.capacity - BURST_MARGIN_SECONDS * self.rate.per_second, 1.0)
        self._full_at = max(self._full_at, now) + interval
        turn = max(self._full_at - burst * interval, self._paused_until)
        return max(turn - now, 0.0)

    def pause(self, duration: timedelta) -> None:
        """Let nobody's turn come before that: AWS throttled a call."""
        now = self.clock()
        self._paused_until = max(self._paused_until, now + duration.total_seconds())
        # What AWS refused shows that its bucket is empty, whatever we believed; and no burst after the pause may
        # be larger than any other.
        self._full_at = max(self._paused_until, now + self.rate.capacity / self.rate.per_second)
        self._pauses += 1

    async def take(self) -> None:
        """Wait for a turn."""
        pauses = -1
        # Who already waited when a pause began would go on in the middle of it: it queues anew.
        while pauses != self._pauses:
            pauses = self._pauses
            wait = self.reserve()
            if wait <= 0:
                return
            await asyncio.sleep(wait)


class Pacing:
    """The buckets of a process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str, str, str], PacedBucket] = {}

    def bucket(self, account_id: str, region: str, service: str, operation: str) -> PacedBucket:
        """Answer the bucket of an API in an account and Region."""
        key = (account_id, region, service, operation)
        if key not in self._buckets:
            self._buckets[key] = PacedBucket(RATES[service, operation], self._clock)
        return self._buckets[key]
