"""What becomes of a job: again, buried, retried, never lost."""

import base64
import json
from datetime import timedelta

import pytest
from dramatiq.middleware import Retries

from tests.integration.queue.bench import PERIODS, Settled, Side, Tally, make_ours, make_plain, run_worker
from tests.integration.queue.sqs import Stack
from workers.core.contract import Queue
from workers.core.queue.broker import QueuePeriods
from workers.core.queue.job import encode_job
from workers.core.queue.outcomes import Outcomes
from workers.core.queue.redelivery import DeadLetter, Redeliver


def bury_and_read(stack: Stack) -> tuple[str, str]:
    """Wait for a message on the dead-letter queue; answer its body and reason."""
    (message,) = stack.receive(stack.find_dead_letter_url(Queue.NORMAL), wait=10)
    return message["Body"], message["MessageAttributes"]["reason"]["StringValue"]


def test_redeliver_brings_the_same_message_again(stack: Stack) -> None:
    """An actor that raises Redeliver gets the same message after the delay, and frees its slot at once."""
    side, seen, others = make_ours(stack, capacity=1), Tally(wanted=2), Tally(wanted=1)

    async def wait_turn() -> None:
        seen.add(1)
        if len(seen.items) == 1:
            raise Redeliver(timedelta(seconds=1), "not yet")

    async def hide_away() -> None:
        raise Redeliver(timedelta(hours=9), "much later")

    async def other() -> None:
        others.add(1)

    for fn in (wait_turn, hide_away, other):
        side.declare(fn)
    stack.put(side.url, *(encode_job(name, Queue.NORMAL, {}) for name in ("hide_away", "wait_turn")))
    with run_worker(side):
        assert seen.wait(10)
        stack.put(side.url, encode_job("other", Queue.NORMAL, {}))
        assert others.wait(10)
    assert stack.count(side.url) == (0, 1)
    assert stack.count(stack.find_dead_letter_url(Queue.NORMAL)) == (0, 0)


def test_a_redelivered_message_says_how_often_it_came(stack: Stack) -> None:
    """SQS's receive count and id travel with the job."""
    settled = Settled(wanted=2)
    side, calls = make_ours(stack, middleware=[settled]), Tally(wanted=2)

    async def twice() -> None:
        calls.add(1)
        if len(calls.items) == 1:
            raise Redeliver(timedelta(0), "again")

    side.declare(twice)
    stack.put(side.url, encode_job("twice", Queue.NORMAL, {}))
    with run_worker(side):
        assert settled.tally.wait(10)
    first, second = (message.delivery for message in settled.tally.items)
    assert (first.receive_count, second.receive_count) == (1, 2)
    assert first.message_id == second.message_id


def test_dead_letter_buries_the_body_with_the_reason(stack: Stack) -> None:
    """An actor that raises DeadLetter finds its message, as it was, on the dead-letter queue."""
    side, body = make_ours(stack), encode_job("refuse", Queue.NORMAL, {"n": 1})

    async def refuse(n: int) -> None:
        raise DeadLetter(f"no \x00 use: {n}")

    side.declare(refuse)
    stack.put(side.url, body)
    with run_worker(side):
        assert bury_and_read(stack) == (body, "no \ufffd use: 1")
    assert stack.count(side.url) == (0, 0)


def test_a_message_that_cannot_be_buried_stays(stack: Stack) -> None:
    """With the dead-letter queue gone, the message is not deleted."""
    settled = Settled(wanted=1)
    side = make_ours(stack, middleware=[settled])

    async def refuse() -> None:
        raise DeadLetter("no use")

    side.declare(refuse)
    side.fail_calls("SendMessage")
    stack.put(side.url, encode_job("refuse", Queue.NORMAL, {}))
    with run_worker(side):
        assert settled.tally.wait(10)
    assert sum(stack.count(side.url)) == 1


def fail_once(side: Side, settled: Settled, stack: Stack) -> int:
    """Run one job that fails by a bug; answer how many messages are left of it, anywhere."""

    async def crash() -> None:
        raise ZeroDivisionError("a bug")

    side.declare(crash)
    stack.put(side.url, encode_job("crash", Queue.NORMAL, {}))
    with run_worker(side):
        assert settled.tally.wait(10)
    return sum(stack.count(side.url)) + sum(stack.count(stack.find_dead_letter_url(Queue.NORMAL)))


def test_plain_loses_a_job_whose_retry_sqs_does_not_take(stack: Stack) -> None:
    """The defect: when the call that sends the retry fails, the job is deleted all the same."""
    settled = Settled(wanted=1)
    side = make_plain(stack, middleware=[settled, Retries()])
    side.fail_calls("SendMessage")
    assert fail_once(side, settled, stack) == 0


def test_a_failed_job_is_kept_though_nothing_can_be_sent(stack: Stack) -> None:
    """To come again a job needs no new message: it stays when every send fails."""
    settled = Settled(wanted=1)
    side = make_ours(stack, middleware=[settled])
    side.fail_calls("SendMessage")
    side.fail_calls("SendMessageBatch")
    assert fail_once(side, settled, stack) == 1


def test_plain_loses_a_job_whose_retry_it_cannot_send(stack: Stack) -> None:
    """The defect: a retry is a new message; one delayed over 900 s is refused, and the old one deleted."""
    settled = Settled(wanted=1)
    late = Retries(min_backoff=2_000_000, max_backoff=3_000_000)
    assert fail_once(make_plain(stack, middleware=[settled, late]), settled, stack) == 0


def test_a_failed_job_is_never_lost(stack: Stack) -> None:
    """After a failure by a bug the message is still there."""
    settled = Settled(wanted=1)
    assert fail_once(make_ours(stack, middleware=[settled]), settled, stack) == 1


def test_the_fifth_failure_by_a_bug_buries_the_job(stack: Stack) -> None:
    """A job that always fails is tried five times, then buried with the exception's text."""
    side, tries = make_ours(stack, outcomes=Outcomes(draw=lambda: 0.0)), Tally(wanted=5)

    async def crash() -> None:
        tries.add(1)
        raise ZeroDivisionError("a bug")

    side.declare(crash)
    stack.put(side.url, encode_job("crash", Queue.NORMAL, {}))
    with run_worker(side):
        assert tries.wait(20)
        _, reason = bury_and_read(stack)
    assert (len(tries.items), reason) == (5, "ZeroDivisionError: a bug")


def run_unknown(side: Side, settled: Settled | None, stack: Stack) -> tuple[int, int]:
    """Run a job that names an actor nobody declared, then one that is known; count the messages left."""
    known = Tally(wanted=1)

    async def work() -> None:
        known.add(1)

    side.declare(work)
    stack.put(side.url, encode_job("of_the_next_release", Queue.NORMAL, {}))
    with run_worker(side, threads=1):
        stack.put(side.url, encode_job("work", Queue.NORMAL, {}))
        assert known.wait(10)
        assert settled is None or settled.tally.wait(10)
    return sum(stack.count(side.url)), sum(stack.count(stack.find_dead_letter_url(Queue.NORMAL)))


def test_plain_deletes_a_job_of_the_next_release(stack: Stack) -> None:
    """The defect: an old worker in a rolling deploy deletes what it does not know."""
    settled = Settled(wanted=2)
    assert run_unknown(make_plain(stack, middleware=[settled]), settled, stack) == (0, 0)


def test_a_job_of_the_next_release_is_handed_back(stack: Stack) -> None:
    """An unknown actor's job stays on the queue while a deploy may still run."""
    assert run_unknown(make_ours(stack), None, stack) == (1, 0)


def test_a_job_that_no_release_knows_is_buried(stack: Stack) -> None:
    """After the grace an unknown actor's job goes to the dead-letter queue with its reason."""
    periods = QueuePeriods(poll_wait_seconds=1, deploy_grace=timedelta(0))
    assert run_unknown(make_ours(stack, periods=periods), None, stack) == (0, 1)
    _, reason = bury_and_read(stack)
    assert "'of_the_next_release'" in reason


UNREADABLE = [
    "{not base64",
    base64.b64encode(b"not json").decode(),
    base64.b64encode(json.dumps({"groupId": "g"}).encode()).decode(),
    base64.b64encode(
        json.dumps(
            {"queue_name": Queue.NORMAL, "actor_name": 1, "args": [], "kwargs": {}, "options": {}, "message_id": "m"}
        ).encode()
    ).decode(),
]


@pytest.mark.parametrize("body", UNREADABLE)
def test_an_unreadable_body_is_buried_as_it_came(stack: Stack, body: str) -> None:
    """What is no job goes to the dead-letter queue with the reason and takes no slot."""
    side, known = make_ours(stack, capacity=1), Tally(wanted=1)

    async def work() -> None:
        known.add(1)

    side.declare(work)
    stack.put(side.url, body)
    with run_worker(side):
        found, reason = bury_and_read(stack)
        stack.put(side.url, encode_job("work", Queue.NORMAL, {}))
        assert known.wait(10)
    assert found == body
    assert reason.startswith("unreadable: ")
    assert stack.count(side.url) == (0, 0)


def test_plain_receives_an_unreadable_body_for_ever(stack: Stack) -> None:
    """The defect: dramatiq_sqs logs it and leaves it to come back."""
    side = make_plain(stack, visibility_timeout=1)
    stack.put(side.url, UNREADABLE[1])
    received: list[int] = []
    with run_worker(side):
        while not received or received[-1] < 3:
            for message in stack.receive(side.url, wait=10):
                received.append(int(message["Attributes"]["ApproximateReceiveCount"]))
                stack.client.change_message_visibility(
                    QueueUrl=side.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
                )
    assert sum(stack.count(side.url)) == 1


def make_hostile(**parts: object) -> str:
    """Build a body that dramatiq reads and should not believe."""
    message = json.loads(base64.b64decode(encode_job("work", Queue.NORMAL, {})))
    return base64.b64encode(json.dumps(message | parts).encode()).decode()


HOSTILE = [
    {"queue_name": "nowhere"},
    {"options": {"eta": 32503680000000}},
    {"options": {"throws": "not a class"}},
    {"options": None},
]


def run_hostile(side: Side, stack: Stack, parts: dict[str, object], *, seconds: float) -> int:
    """Run such a message and then a good one on one thread; answer how many ran and were deleted."""
    ran = Tally(wanted=2)

    async def work() -> None:
        ran.add(1)
        if len(ran.items) == 1 and parts.get("options"):
            raise ValueError("a first failure")

    side.declare(work)
    stack.put(side.url, make_hostile(**parts))
    with run_worker(side, threads=1):
        stack.put(side.url, encode_job("work", Queue.NORMAL, {}))
        ran.wait(seconds)
    return len(ran.items)


@pytest.mark.parametrize("parts", HOSTILE)
def test_what_a_body_says_about_dramatiq_is_not_believed(stack: Stack, parts: dict[str, object]) -> None:
    """A wrong queue name or option neither stops a thread nor keeps the job from running."""
    assert run_hostile(make_ours(stack), stack, parts, seconds=10) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("parts", HOSTILE[:2])
def test_plain_believes_what_a_body_says(stack: Stack, parts: dict[str, object]) -> None:
    """The defect: a wrong queue name ends a worker thread; a far eta keeps the job in memory."""
    assert run_hostile(make_plain(stack), stack, parts, seconds=3) < 2


def test_periods_that_would_lose_messages_are_refused() -> None:
    """A heartbeat that comes as the visibility ends is no setting."""
    with pytest.raises(ValueError, match="half of the visibility"):
        QueuePeriods(visibility=PERIODS.heartbeat, heartbeat=PERIODS.heartbeat)
