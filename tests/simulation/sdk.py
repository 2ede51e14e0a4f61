"""
What the SDK does instead, in each process for itself: its standard retries, and its adaptive mode.

Both are made of the SDK's own parts, set to the simulation's time. A call that was throttled too often fails, and its
caller begins anew a second later.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

from aiobotocore.retries.adaptive import AsyncClientRateLimiter
from aiobotocore.retries.bucket import AsyncTokenBucket
from botocore.retries.adaptive import RateClocker
from botocore.retries.quota import RetryQuota
from botocore.retries.standard import ExponentialBackoff
from botocore.retries.throttling import CubicCalculator

from tests.fakes.virtual_time import now
from tests.simulation.fleet import Send, Simulation, Work

MOST_ATTEMPTS = 3
"""The SDK's default of both modes."""
PAUSE_SECONDS = 1.0
RETRY_COST, RETRY_REFUND = 5, 1
"""botocore.retries.standard: what a retry takes from the client's retry quota, and what a success gives back."""


class _Clock:
    """The simulation's time, which goes on a little by being read: the SDK waits for the last moment in a loop."""

    def __init__(self) -> None:
        self._read = 0

    def sleep(self, _seconds: float) -> None:
        raise AssertionError("nothing here may block")

    def current_time(self) -> float:
        self._read += 1
        return now() + self._read * 1e-6


async def _retry(send: Send, quota: RetryQuota) -> None:
    back_off = ExponentialBackoff()
    for attempt in range(1, MOST_ATTEMPTS + 1):
        if await send():
            quota.release(RETRY_REFUND)
            return
        if attempt == MOST_ATTEMPTS or not quota.acquire(RETRY_COST):
            break
        await asyncio.sleep(back_off.delay_amount(SimpleNamespace(attempt_number=attempt)))
    await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def standard(_simulation: Simulation, _number: int) -> AsyncIterator[Work]:
    """Send at once; retry what is throttled by the SDK's standard mode."""
    quota = RetryQuota()

    async def work(send: Send) -> None:
        await _retry(send, quota)

    yield work


@asynccontextmanager
async def adaptive(_simulation: Simulation, _number: int) -> AsyncIterator[Work]:
    """Limit by the SDK's adaptive mode: a client rate that every answer adjusts."""
    clock, quota = _Clock(), RetryQuota()
    throttled: list[bool] = [False]
    limiter = AsyncClientRateLimiter(
        rate_adjustor=CubicCalculator(starting_max_rate=0, start_time=clock.current_time()),
        rate_clocker=RateClocker(clock),
        token_bucket=AsyncTokenBucket(max_rate=1, clock=clock),
        throttling_detector=SimpleNamespace(is_throttling_error=lambda **_: throttled[0]),
        clock=clock,
    )

    async def work(send: Send) -> None:
        async def limited() -> bool:
            await limiter.on_sending_request(request=None)
            taken = await send()
            # Read before the limiter yields for the first time: nobody else's answer can come in between.
            throttled[0] = not taken
            await limiter.on_receiving_response()
            return taken

        await _retry(limited, quota)

    yield work
