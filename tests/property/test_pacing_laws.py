"""Laws of the paced bucket against AWS's own, in virtual time."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.virtual_time import now, run_virtually
from workers.aws.pacing import RATES, PacedBucket, Pacing, Rate


@dataclass(slots=True)
class AwsBucket:
    """AWS's token bucket as AWS describes it: full at first, refilled evenly, one token a call."""

    rate: Rate
    tokens: float
    at: float

    def accepts(self, at: float) -> bool:
        self.tokens = min(self.tokens + (at - self.at) * self.rate.per_second, float(self.rate.capacity))
        self.at = at
        self.tokens -= 1
        return self.tokens > -1e-6


@dataclass(frozen=True, slots=True)
class Arrival:
    """So many callers at once, so long after those before; or, with a pause, a throttle answer."""

    gap: float
    callers: int
    pause: float | None = None


_GAPS = st.one_of(st.just(0.0), st.floats(0, 30))
_ARRIVALS = st.lists(st.builds(Arrival, _GAPS, st.integers(1, 150)), min_size=1, max_size=6)
_WITH_PAUSES = st.lists(
    st.one_of(
        st.builds(Arrival, _GAPS, st.integers(1, 150)),
        st.builds(Arrival, _GAPS, st.just(0), st.floats(0.2, 10)),
    ),
    min_size=2,
    max_size=7,
)
_RATES = st.sampled_from(sorted(set(RATES.values()), key=str))


async def _play(rate: Rate, arrivals: list[Arrival]) -> tuple[list[float], list[tuple[float, float]]]:
    """Answer when calls were sent, and when pauses began and ended."""
    bucket = PacedBucket(rate, asyncio.get_running_loop().time)
    sent: list[float] = []
    pauses: list[tuple[float, float]] = []

    async def call() -> None:
        await bucket.take()
        sent.append(now())

    async with asyncio.TaskGroup() as callers:
        for arrival in arrivals:
            await asyncio.sleep(arrival.gap)
            if arrival.pause is not None:
                bucket.pause(timedelta(seconds=arrival.pause))
                pauses.append((now(), now() + arrival.pause))
            for _ in range(arrival.callers):
                callers.create_task(call())
    return sent, pauses


@given(rate=_RATES, arrivals=_ARRIVALS)
def test_aws_s_own_bucket_never_refuses(rate: Rate, arrivals: list[Arrival]) -> None:
    """However callers arrive, no call is sent that a bucket of the published numbers would throttle; all are sent."""
    sent, _ = run_virtually(lambda: _play(rate, arrivals))
    aws = AwsBucket(rate, rate.capacity, sent[0])
    assert all(aws.accepts(at) for at in sent)
    assert len(sent) == sum(arrival.callers for arrival in arrivals)


@given(rate=_RATES, arrivals=_WITH_PAUSES)
def test_a_pause_is_kept_by_everybody(rate: Rate, arrivals: list[Arrival]) -> None:
    """In a pause nobody sends, who already waited neither; after it the calls fit what AWS's empty bucket regains."""
    sent, pauses = run_virtually(lambda: _play(rate, arrivals))
    assert len(sent) == sum(arrival.callers for arrival in arrivals)
    for begun, ended in pauses:
        assert not any(begun < at < ended - 1e-6 for at in sent)
        aws = AwsBucket(rate, 0.0, begun)
        assert all(aws.accepts(at) for at in sent if at > begun)


@pytest.mark.parametrize("rate", sorted(set(RATES.values()), key=str), ids=str)
def test_the_quota_is_used(rate: Rate) -> None:
    """With callers enough at all times at least 95 % of what AWS grants is used: its burst and then its rate."""
    sent, _ = run_virtually(lambda: _play(rate, [Arrival(0, 600)]))
    granted_seconds = (600 - rate.capacity) / rate.per_second
    assert sent[-1] - sent[0] <= granted_seconds / 0.95 + 2


@pytest.mark.parametrize("rate", sorted(set(RATES.values()), key=str), ids=str)
def test_speed_comes_back_after_a_pause(rate: Rate) -> None:
    """A throttle costs the burst, not the rate: afterwards at least 95 % of the refill is used again."""
    sent, [(begun, _)] = run_virtually(lambda: _play(rate, [Arrival(0, 300), Arrival(3, 0, 1.0)]))
    after = [at for at in sent if at > begun]
    assert after[-1] - begun <= len(after) / rate.per_second / 0.95 + 3


def test_an_idle_bucket_holds_no_more_than_its_burst() -> None:
    """After an hour without calls the burst is that of AWS's bucket, not an hour's worth."""
    sent, _ = run_virtually(lambda: _play(Rate(100, 5), [Arrival(0, 1), Arrival(3600, 300)]))
    at_once = [at for at in sent if at == sent[1]]
    assert 85 <= len(at_once) <= 100


def test_every_account_region_and_api_has_its_own_bucket() -> None:
    """One API's pause slows no other API, Region or account; asked twice, it is the same bucket."""
    pacing = Pacing()
    keys = [
        ("1", "us-east-1", "ec2", "ModifyLaunchTemplate"),
        ("2", "us-east-1", "ec2", "ModifyLaunchTemplate"),
        ("1", "eu-west-1", "ec2", "ModifyLaunchTemplate"),
        ("1", "us-east-1", "ec2", "CreateLaunchTemplateVersion"),
    ]
    pacing.bucket(*keys[0]).pause(timedelta(seconds=9))
    waits = [pacing.bucket(*key).reserve() for key in keys]
    assert waits[0] > 8
    assert waits[1:] == [0, 0, 0]
