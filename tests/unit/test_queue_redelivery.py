"""Redelivery: when a job comes again, and when it is buried."""

from datetime import UTC, datetime, timedelta

import pytest
from dramatiq.brokers.stub import StubBroker
from hypothesis import given
from hypothesis import strategies as st

from workers.core.queue.job import Delivery, JobMessage, decode_job, encode_job
from workers.core.queue.outcomes import FailureCounts, Outcomes
from workers.core.queue.redelivery import (
    MAX_DELAY,
    Acknowledge,
    Bury,
    HandBack,
    Outcome,
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


def decide(outcomes: Outcomes, receive_count: int, error: BaseException | None) -> Outcome | None:
    """Let the middleware decide about a job that was delivered so often."""
    delivery = Delivery("m", "r", "body", receive_count, first_received_at=datetime.now(UTC))
    job = JobMessage(decode_job(encode_job("work", "jobs", {}), "jobs"), delivery, lambda *_: None)
    outcomes.after_process_message(StubBroker(middleware=[]), job, exception=error)
    return job.outcome


def test_hand_backs_are_no_failures() -> None:
    """A job that waited its turn forty times has all its tries when it first fails by a bug."""
    outcomes = Outcomes(draw=lambda: 0.0)
    assert decide(outcomes, 40, Redeliver(timedelta(seconds=9), "lease held")) == HandBack(timedelta(seconds=9))
    found = [decide(outcomes, n, ValueError("a bug")) for n in range(41, 46)]
    assert found == [HandBack(timedelta(seconds=1))] * 4 + [Bury("ValueError: a bug")]


def test_a_success_forgets_earlier_failures() -> None:
    """Failures are counted from the last success on, and only a return acknowledges."""
    outcomes = Outcomes(draw=lambda: 0.0)
    for _ in range(2):
        for n in range(4):
            assert decide(outcomes, n, ValueError("a bug")) == HandBack(timedelta(seconds=1))
        assert decide(outcomes, 5, None) == Acknowledge()


def test_a_hand_back_without_a_delay_goes_by_the_receive_count() -> None:
    """The queue's own back-off grows with every delivery."""
    outcomes = Outcomes(draw=lambda: 1.0)
    found = [decide(outcomes, n, Redeliver(None, "later")) for n in (1, 3, 100)]
    assert found == [HandBack(timedelta(seconds=s)) for s in (1, 16, 900)]
