"""Laws of the fleet's buckets against AWS's own, in virtual time: the product's own code, many processes."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.pacing import STACK, InstantClient, make_tables, pace
from tests.fakes.twin.dynamodb import Tables as TwinTables
from tests.fakes.virtual_time import now, run_virtually
from tests.simulation.case import Case
from tests.simulation.fleet import simulate
from workers.aws.pacing.lanes import SharedBucket, Turn
from workers.aws.pacing.law import CUT_INTERVAL, SECOND, BucketState, cut, find_rate
from workers.aws.pacing.quotas import QUOTAS, Quota
from workers.aws.pacing.store import BucketStore, Store
from workers.core.errors import OutOfTurns, ServiceUnavailable
from workers.core.priority import Priority
from workers.core.store.tables import Tables

LONG = timedelta(hours=5)
CREATE = ("ec2", "CreateLaunchTemplateVersion")
quotas = st.sampled_from(sorted(set(QUOTAS.values()), key=str))


@dataclass(frozen=True, slots=True)
class Arrival:
    """So many callers at once in one of the processes, so long after those before."""

    gap: float
    callers: int
    process: int
    priority: Priority


arrivals = st.lists(
    st.builds(
        Arrival,
        st.one_of(st.just(0.0), st.floats(0, 30)),
        st.integers(1, 60),
        st.integers(0, 2),
        st.sampled_from(Priority),
    ),
    min_size=1,
    max_size=6,
)


def make_buckets(quota: Quota, processes: int) -> list[SharedBucket]:
    """Make one bucket of one fleet, as each of its processes has it."""
    tables = make_tables()
    made = [pace(tables).bucket("1", "us-east-1", *CREATE) for _ in range(processes)]
    for seed, bucket in enumerate(made):
        bucket.quota, bucket.dice = quota, random.Random(seed)
    return made


@pytest.mark.unmeasured
@given(quota=quotas, arrivals=arrivals)
def test_aws_s_own_bucket_never_refuses(quota: Quota, arrivals: list[Arrival]) -> None:
    """However callers arrive in three processes, no call is sent that AWS's bucket would refuse; all are sent."""

    async def play() -> list[float]:
        buckets, sent = make_buckets(quota, 3), list[float]()

        async def call(arrival: Arrival) -> None:
            await buckets[arrival.process].take(arrival.priority, LONG)
            sent.append(now())

        async with asyncio.TaskGroup() as callers:
            for arrival in arrivals:
                await asyncio.sleep(arrival.gap)
                for _ in range(arrival.callers):
                    callers.create_task(call(arrival))
        return sent

    sent = run_virtually(play)
    assert len(sent) == sum(arrival.callers for arrival in arrivals)
    level, at = float(quota.capacity), sent[0]
    for each in sent:
        level, at = min(level + (each - at) * quota.per_second, quota.capacity) - 1, each
        # Of an assumed quota more is tried after minutes without a throttle.
        assert level >= 0 or not quota.published


@pytest.mark.unmeasured
@pytest.mark.parametrize("processes", [1, 8])
def test_the_quota_is_used(processes: int) -> None:
    """Alone, at least 95 % of what AWS gives is used, and nothing is throttled, however many processes there are."""
    result = simulate(Case("alone", processes=processes, seconds=300))
    assert result.used >= 0.95
    assert result.throttled == 0


@pytest.mark.unmeasured
def test_trace_24_clocks_two_seconds_apart_share_the_turns() -> None:
    """Trace 24: processes whose clocks are 2 s ahead get as much as the others, within a fifth, and no throttle."""
    result = simulate(Case("skewed", processes=4, skew_seconds=2.0, seconds=3600))
    ahead = sum(count for number, count in result.shares.items() if number % 2)
    assert 0.8 <= ahead / (result.granted - ahead) <= 1.25
    assert result.throttled == 0
    assert result.used >= 0.95


def test_trace_25_many_throttles_at_once_cut_the_rate_once() -> None:
    """Trace 25: 64 calls of two processes, throttled at the same moment, are one decrease."""

    async def play() -> float:
        one, other = make_buckets(Quota(100, 20), 2)
        turns = [(bucket, await bucket.take(Priority.NORMAL, LONG)) for bucket in (one, other) for _ in range(32)]
        await asyncio.gather(*(bucket.report_throttle(turn, None) for bucket, turn in turns))
        assert one.state == other.state
        return find_rate(one.state, one.quota) / one.quota.per_second

    assert 0.5 <= run_virtually(play) < 1.0


def test_the_rate_is_cut_once_a_second() -> None:
    """Turns of after a cut are throttled too, a moment later: that says nothing new."""
    state = cut(BucketState(next_at=SECOND), Quota(100, 5), SECOND)
    assert cut(state, Quota(100, 5), SECOND + CUT_INTERVAL - 1) == state
    assert find_rate(cut(state, Quota(100, 5), SECOND + CUT_INTERVAL), Quota(100, 5)) < find_rate(state, Quota(100, 5))


@pytest.mark.unmeasured
@pytest.mark.parametrize("processes", [8, 40])
def test_what_others_leave_is_used(processes: int) -> None:
    """With outsiders at 30 % at least 93 % of the rest is used, and less than 1 % throttled."""
    ten = Quota(100, 10)
    case = Case("shared", processes, assumed=ten, per_second=10, outsiders=lambda _: 3.0, seconds=600)
    result = simulate(case)
    assert result.used >= 0.93
    assert result.throttled_share < 0.01


@pytest.mark.unmeasured
def test_speed_comes_back_when_the_others_go() -> None:
    """Five minutes after a neighbour has gone at least 95 % of the whole quota is used again."""
    case = Case("gone", assumed=Quota(100, 10), per_second=10, outsiders=lambda at: 6.0 * (at < 200), seconds=800)
    result = simulate(case)
    assert sum(at >= 500 for at in result.sent_at) >= 0.95 * 300 * 10


def test_a_quota_that_aws_lowers_is_found() -> None:
    """A fleet that believes in twice as much as there is comes down to it, without a storm of throttles."""
    result = simulate(Case("lowered", per_second=2.5, seconds=900))
    assert result.used >= 0.93
    assert result.throttled_share < 0.02


@pytest.mark.unmeasured
def test_an_assumed_quota_that_is_too_low_is_found_out() -> None:
    """Where AWS never throttles, the fleet tries more: after ten minutes three times what was assumed at least."""
    assumed = Quota(100, 10, published=False)
    result = simulate(Case("more", 4, callers=48, assumed=assumed, per_second=50, capacity=200, seconds=600))
    assert sum(at >= 540 for at in result.sent_at) >= 60 * 30
    assert result.throttled_share < 0.01


def test_a_crashed_process_loses_one_small_batch() -> None:
    """With a death every ten seconds at least 95 % of the quota is used all the same."""
    assert simulate(Case("crashes", crash_every=10.0, seconds=600)).used >= 0.95


@pytest.mark.unmeasured
def test_ten_minutes_of_nothing_but_throttles_are_no_storm() -> None:
    """While an account refuses everything, it is asked ever less often; afterwards the speed comes back."""
    case = Case("refused", outsiders=lambda at: 400.0 if at < 600 else 0.0, seconds=1200)
    result = simulate(case)
    assert sum(300 <= at < 600 for at in result.throttled_at) <= 150
    assert sum(at >= 900 for at in result.sent_at) >= 0.9 * 300 * 5


def test_trace_27_urgent_work_goes_before_the_rest() -> None:
    """Trace 27: among processes full of bulk and normal work the urgent ones get nearly all of the turns."""
    case = Case("urgent", 9, priorities=(Priority.BULK, Priority.NORMAL, Priority.URGENT), seconds=600)
    shares = simulate(case).shares
    bulk, normal, urgent = (sum(count for number, count in shares.items() if number % 3 == n) for n in range(3))
    assert urgent >= 0.9 * (bulk + normal + urgent)
    assert bulk <= normal


def test_trace_27_bulk_work_leaves_half_of_a_bucket() -> None:
    """Trace 27: however long bulk work has been going on, a hundred urgent calls find half of the capacity at once."""

    async def play() -> float:
        one, other = make_buckets(Quota(100, 5), 2)
        bulk = [asyncio.create_task(one.take(Priority.BULK, LONG)) for _ in range(1000)]
        await asyncio.sleep(100)
        begun = now()
        await asyncio.gather(*(other.take(Priority.URGENT, LONG) for _ in range(48)))
        took = now() - begun
        for task in bulk:
            task.cancel()
        return took

    assert run_virtually(play) < 2


class Unreachable:
    """A store that does not answer."""

    async def reserve(self, *_: object, **__: object) -> object:
        raise ServiceUnavailable("DynamoDB does not answer")

    async def cut(self, *_: object, **__: object) -> object:
        await asyncio.sleep(1000)
        raise AssertionError("nobody waits for that")

    read = reserve


class Outage:
    """A fleet's store that does not answer for a while."""

    def __init__(self, tables: TwinTables) -> None:
        self._store = BucketStore(Tables(InstantClient(tables), STACK))
        self.away_until = 0.0

    def __getattr__(self, operation: str) -> Callable[..., Awaitable[object]]:
        async def call(*arguments: object, **named: object) -> object:
            if now() < self.away_until:
                raise ServiceUnavailable("DynamoDB does not answer")
            answer: object = await getattr(self._store, operation)(*arguments, **named)
            return answer

        return call


def make_bucket_over(store: object, quota: Quota) -> SharedBucket:
    """Make the bucket of one process over a store."""
    dice = random.Random(1)
    return SharedBucket("1#us-east-1#ec2.X", quota, cast("Store", store), lambda: round(now() * SECOND), dice)


def test_without_dynamodb_a_process_takes_a_small_share() -> None:
    """Never open, never shut: a tenth of the last known rate, without a burst, and throttles are survived."""

    async def play() -> int:
        bucket = make_bucket_over(Unreachable(), Quota(100, 5))
        sent = 0
        begun = now()
        while now() < begun + 100:
            turn = await bucket.take(Priority.NORMAL, LONG)
            sent += 1
        await bucket.report_throttle(turn, None)
        return sent

    assert 45 <= run_virtually(play) <= 55


def test_a_short_outage_of_dynamodb_shuts_no_slow_bucket() -> None:
    """A full bucket at one a second: half a second's outage is over in two, and not when the small share comes."""

    async def play() -> float:
        outage = Outage(make_tables())
        bucket = make_bucket_over(outage, Quota(10, 1))
        outage.away_until = now() + 0.5
        begun = now()
        await asyncio.gather(*(bucket.take(Priority.URGENT, timedelta(seconds=10)) for _ in range(4)))
        return now() - begun

    assert run_virtually(play) < 3


def test_a_throttle_that_nobody_could_be_told_of_counts_all_the_same() -> None:
    """DynamoDB is away: the process itself keeps what AWS asks for, and tells the others when it can."""

    async def play() -> tuple[float, int]:
        outage = Outage(make_tables())
        bucket = make_bucket_over(outage, Quota(100, 5))
        turn = await bucket.take(Priority.NORMAL, LONG)
        begun = now()
        outage.away_until = begun + 20
        await bucket.report_throttle(turn, timedelta(seconds=60))
        await bucket.take(Priority.NORMAL, LONG)
        told = await outage.read(bucket.key)
        assert isinstance(told, BucketState)
        return now() - begun, told.cuts

    waited, cuts = run_virtually(play)
    assert waited >= 60
    assert cuts == 1


def test_what_aws_asks_for_outlives_the_next_throttle() -> None:
    """Retry-After 30, then a throttle without one of a call that was under way: nobody calls before the 30 are over."""

    async def play() -> float:
        one, other = make_buckets(Quota(100, 5), 2)
        first, second = [await one.take(Priority.NORMAL, LONG) for _ in range(2)]
        begun = now()
        await one.report_throttle(first, None)
        under_way = await other.take(Priority.NORMAL, LONG)
        await one.report_throttle(second, timedelta(seconds=30))
        await asyncio.sleep(0.2)
        await other.report_throttle(under_way, None)
        taking = [asyncio.create_task(each.take(Priority.NORMAL, LONG)) for each in (one, other)]
        await asyncio.wait(taking, return_when=asyncio.FIRST_COMPLETED)
        waited = now() - begun
        await asyncio.wait(taking)
        return waited

    assert run_virtually(play) >= 30


def test_a_throttle_of_one_process_stops_urgent_turns_of_another_within_a_second() -> None:
    """Urgent turns lie up to three seconds ahead: before one of them is used it is looked what others met."""

    async def play() -> int:
        one, *others = make_buckets(Quota(2, 1), 6)
        held = await one.take(Priority.NORMAL, LONG)
        tasks = [asyncio.create_task(each.take(Priority.URGENT, LONG)) for each in others for _ in range(6)]
        await asyncio.sleep(2.1)
        await one.report_throttle(held, timedelta(seconds=60))
        await asyncio.sleep(1)
        before = sum(task.done() for task in tasks)
        await asyncio.sleep(30)
        after = sum(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return after - before

    assert run_virtually(play) == 0


def test_trace_27_urgent_work_goes_before_the_rest_at_slow_rates_too() -> None:
    """In an account that AWS leaves one call in three seconds: urgent callers get most of what there is."""
    case = Case("slow", 6, priorities=(Priority.NORMAL, Priority.URGENT), capacity=5, per_second=0.3, seconds=1800)
    shares = simulate(case).shares
    normal, urgent = (sum(count for number, count in shares.items() if number % 2 == n) for n in range(2))
    assert urgent >= 0.8 * (normal + urgent)


def test_bulk_work_uses_a_bucket_that_holds_less_than_is_known() -> None:
    """AWS grants a tenth of the assumed burst: bulk work leaves half of what is believed, and uses what there is."""
    assumed = Quota(100, 10, published=False)
    case = Case("small", priorities=(Priority.BULK,), assumed=assumed, capacity=10, per_second=2, seconds=1200)
    assert simulate(case).used >= 0.9


def test_who_gets_few_turns_does_not_expect_all_of_them() -> None:
    """A process among many that has waited for long knows its own pace, though it was given hardly a turn."""

    async def play() -> tuple[float, float]:
        one, *others = make_buckets(Quota(100, 5), 20)
        waiting = [asyncio.create_task(each.take(Priority.NORMAL, LONG)) for each in others for _ in range(400)]
        at_first = one.find_pace()
        waiting += [asyncio.create_task(one.take(Priority.BULK, LONG)) for _ in range(20)]
        await asyncio.sleep(60)
        pace = one.find_pace()
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        return at_first, pace

    at_first, later = run_virtually(play)
    assert at_first == 5
    assert later < 1


def test_who_waits_too_long_is_told_so() -> None:
    """A turn that does not come in time is an error that says of which API; whoever waits longer gets his."""

    async def play() -> None:
        (bucket,) = make_buckets(Quota(10, 1), 1)
        patient = [asyncio.create_task(bucket.take(Priority.NORMAL, LONG)) for _ in range(30)]
        await asyncio.sleep(1)
        with pytest.raises(OutOfTurns, match=r"ec2.CreateLaunchTemplateVersion"):
            await bucket.take(Priority.NORMAL, timedelta(seconds=3))
        assert len(await asyncio.gather(*patient)) == 30

    run_virtually(play)


def test_what_is_cancelled_takes_no_turn() -> None:
    """Callers who are gone before their turn leave it to those behind them."""

    async def play() -> float:
        (bucket,) = make_buckets(Quota(10, 1), 1)
        gone = [asyncio.create_task(bucket.take(Priority.NORMAL, LONG)) for _ in range(100)]
        last = asyncio.create_task(bucket.take(Priority.NORMAL, LONG))
        await asyncio.sleep(1)
        for task in gone:
            task.cancel()
        begun = now()
        await last
        return now() - begun

    assert run_virtually(play) < 5


def test_every_account_region_and_api_has_its_own_bucket() -> None:
    """One API's throttle slows no other API, Region or account; the own account is the same, named or not."""

    async def play() -> None:
        pacing = pace()
        keys = [
            ("1", "us-east-1", "ec2", "ModifyLaunchTemplate"),
            ("2", "us-east-1", "ec2", "ModifyLaunchTemplate"),
            ("1", "eu-west-1", "ec2", "ModifyLaunchTemplate"),
            ("1", "us-east-1", "ec2", "CreateLaunchTemplateVersion"),
        ]
        turn: Turn = await pacing.bucket(*keys[0]).take(Priority.NORMAL, LONG)
        await pacing.bucket(*keys[0]).report_throttle(turn, timedelta(seconds=30))
        begun, waits = now(), []
        for key in keys[1:]:
            await pacing.bucket(*key).take(Priority.NORMAL, LONG)
            waits.append(now() - begun)
        assert waits == [0, 0, 0]
        await pacing.bucket(*keys[0]).take(Priority.NORMAL, LONG)
        assert now() - begun >= 30
        assert pacing.bucket(None, *keys[0][1:]) is pacing.bucket("111122223333", *keys[0][1:])

    run_virtually(play)


def test_a_raised_quota_is_used_and_a_part_of_one_is_kept_to() -> None:
    """The rate factor scales burst and refill, and keeps at least one call."""
    assert Quota(100, 5).scaled(2) == Quota(200, 10)
    assert Quota(10, 1, published=False).scaled(0.01) == Quota(1, 0.01, published=False)


def test_what_was_long_ago_says_nothing_about_the_pace() -> None:
    """After an idle hour a process expects what the whole fleet may have, as a new one does."""

    async def play() -> tuple[float, float]:
        (bucket,) = make_buckets(Quota(100, 5), 1)
        await asyncio.gather(*(bucket.take(Priority.NORMAL, LONG) for _ in range(150)))
        lately = bucket.find_pace()
        await asyncio.sleep(3600)
        return lately, bucket.find_pace()

    lately, after = run_virtually(play)
    assert 4 <= lately <= 6
    assert after == 5


def test_where_there_are_turns_for_all_nobody_waits() -> None:
    """However long processes had to wait for each other before: a full bucket's turns are there at once."""

    async def play() -> float:
        buckets = make_buckets(Quota(100, 5), 8)
        tasks = [asyncio.create_task(each.take(Priority.NORMAL, LONG)) for each in buckets for _ in range(60)]
        await asyncio.wait(tasks)
        await asyncio.sleep(60)
        begun = now()
        for _ in range(5):
            await asyncio.gather(*(each.take(Priority.NORMAL, LONG) for each in buckets for _ in range(2)))
        return now() - begun

    assert run_virtually(play) < 0.1
