"""Redelivery: when a job comes again, and when it is buried."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.core.queue.outcomes import FailureCounts
from workers.core.queue.redelivery import (
    MAX_DELAY,
    Bury,
    HandBack,
    Redeliver,
    plan_backoff,
    plan_retry,
    plan_unknown,
)

GRACE = timedelta(minutes=15)


@given(failures=st.integers(1, 500), jitter=st.floats(0, 1))
def test_a_retry_waits_between_a_second_and_a_quarter_of_an_hour(failures: int, jitter: float) -> None:
    """However often a job failed, its delay is one that SQS knows."""
    delay = plan_retry(failures, jitter=jitter, max_failures=1000)
    assert delay is not None
    assert timedelta(seconds=1) <= delay <= MAX_DELAY


def test_the_longest_retry_grows_from_a_second_to_a_quarter_of_an_hour() -> None:
    """Each failure lengthens the longest delay until the limit."""
    delays = [plan_retry(n, jitter=1.0, max_failures=10) for n in range(1, 8)]
    assert delays == [timedelta(seconds=s) for s in (1, 4, 16, 64, 256, 900, 900)]


def test_jitter_spreads_retries_over_the_whole_span() -> None:
    """Jobs that failed together need not come back together."""
    assert plan_retry(4, jitter=0.0) == timedelta(seconds=1)
    assert plan_retry(4, jitter=0.5) == timedelta(seconds=32.5)


def test_the_fifth_failure_is_the_last() -> None:
    """Four failures are retried, the fifth is not."""
    assert [plan_retry(n, jitter=0.5) is None for n in range(1, 7)] == [False] * 4 + [True] * 2


@pytest.mark.parametrize(("asked", "given_"), [(-5, 0), (0, 0), (90, 90), (900, 900), (901, 900), (86400, 900)])
def test_redeliver_keeps_to_what_sqs_can_hide(asked: int, given_: int) -> None:
    """A delay outside 0 ... 15 minutes is cut to it."""
    assert Redeliver(timedelta(seconds=asked), "why").delay == timedelta(seconds=given_)


def test_an_unknown_actor_is_handed_back_until_the_grace_is_over() -> None:
    """The hand-backs end exactly with the grace, then the job is buried with the actor's name."""
    assert plan_unknown("new", timedelta(0), grace=GRACE) == HandBack(timedelta(seconds=30))
    assert plan_unknown("new", timedelta(seconds=890), grace=GRACE) == HandBack(timedelta(seconds=10))
    assert plan_unknown("new", GRACE, grace=GRACE) == Bury("no worker knew its actor 'new' for 900 s")


def test_failures_are_counted_by_message_and_forgotten_oldest_first() -> None:
    """Each message has its own count; the memory for counts is bounded."""
    counts = FailureCounts(limit=2)
    assert [counts.add(name) for name in ("a", "a", "b", "a")] == [1, 2, 1, 3]
    counts.add("c")
    assert counts.add("b") == 1, "b was the oldest and should be forgotten"
    counts.forget("b")
    assert counts.add("b") == 1


def test_a_hand_back_without_a_delay_waits_longer_each_time() -> None:
    """A job that leaves its delay to the queue is never given up, and comes less and less often."""
    assert Redeliver(None, "later").delay is None
    assert [plan_backoff(n, jitter=1.0).total_seconds() for n in (1, 2, 6, 500)] == [1, 4, 900, 900]
