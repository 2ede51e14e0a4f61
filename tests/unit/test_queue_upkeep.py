"""The upkeep of held messages, against an SQS that refuses what the test tells it to."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.fakes.scripted_sqs import ScriptedSqs
from workers.core.queue.job import Delivery
from workers.core.queue.redelivery import Acknowledge, Bury, HandBack
from workers.core.queue.source import SourceQueue
from workers.core.queue.upkeep import MAX_TRIES, Upkeep

LIMIT = timedelta(seconds=10)
SELDOM = timedelta(seconds=60)
OFTEN = timedelta(seconds=0.02)


@pytest.fixture
def sqs() -> ScriptedSqs:
    return ScriptedSqs()


@pytest.fixture
def open_upkeep(sqs: ScriptedSqs) -> Iterator[Callable[[timedelta], Upkeep]]:
    opened: list[Upkeep] = []

    def open_one(heartbeat: timedelta) -> Upkeep:
        source = SourceQueue(
            sqs, queue="jobs", name="prelaunch-jobs", url="q", dead_letter_url="dlq", visibility_seconds=60
        )
        opened.append(Upkeep(source, heartbeat=heartbeat))
        return opened[-1]

    yield open_one
    for upkeep in opened:
        upkeep.close(LIMIT)


def make_delivery(n: int) -> Delivery:
    return Delivery(f"m{n}", f"r{n}", f"body{n}", receive_count=1, first_received_at=datetime.now(UTC))


Open = Callable[[timedelta], Upkeep]


def test_many_outcomes_take_few_calls(sqs: ScriptedSqs, open_upkeep: Open) -> None:
    """Every message is deleted once, in batches of at most ten."""
    upkeep = open_upkeep(SELDOM)
    for n in range(64):
        upkeep.settle(make_delivery(n), Acknowledge())
    assert upkeep.flush(LIMIT)
    assert sqs.tried == {f"r{n}": [("delete", 0)] for n in range(64)}
    assert max(sqs.sizes) <= 10


def test_a_refused_entry_is_tried_again_alone(sqs: ScriptedSqs, open_upkeep: Open) -> None:
    """What SQS could not do is repeated for that message only."""
    sqs.refusals = {"r1": ["InternalError", "RequestThrottled"]}
    upkeep = open_upkeep(SELDOM)
    for n in range(3):
        upkeep.settle(make_delivery(n), Acknowledge())
    assert upkeep.flush(LIMIT)
    assert {handle: len(tries) for handle, tries in sqs.tried.items()} == {"r0": 1, "r1": 3, "r2": 1}


@pytest.mark.parametrize("code", ["ReceiptHandleIsInvalid", "MessageNotInflight"])
def test_a_message_that_someone_else_has_is_left_alone(sqs: ScriptedSqs, open_upkeep: Open, code: str) -> None:
    """A receipt that is no longer ours is neither an error nor tried again."""
    sqs.refusals = {"r1": [code] * 9}
    upkeep = open_upkeep(SELDOM)
    upkeep.settle(make_delivery(1), HandBack(timedelta(seconds=3)))
    assert upkeep.flush(LIMIT)
    assert sqs.tried["r1"] == [("hide", 3)]


def test_tries_are_bounded(sqs: ScriptedSqs, open_upkeep: Open) -> None:
    """When SQS does not answer, an outcome is given up after a few tries: the message comes back."""
    sqs.broken["delete"] = 1000
    upkeep = open_upkeep(SELDOM)
    upkeep.settle(make_delivery(1), Acknowledge())
    assert upkeep.flush(LIMIT)
    assert sqs.calls == {"delete": MAX_TRIES}


def test_one_failing_outcome_does_not_hold_up_the_others(sqs: ScriptedSqs, open_upkeep: Open) -> None:
    """While one message waits for its next try, others are settled."""
    sqs.refusals = {"r0": ["InternalError"] * 99}
    upkeep = open_upkeep(SELDOM)
    for n in range(30):
        upkeep.settle(make_delivery(n), Acknowledge())
    assert upkeep.flush(LIMIT)
    assert len(sqs.tried) == 30
    assert sqs.order[-MAX_TRIES + 1 :] == ["r0"] * (MAX_TRIES - 1)


def test_held_messages_are_renewed_until_they_are_settled(sqs: ScriptedSqs, open_upkeep: Open) -> None:
    """Renewals carry the whole visibility and never follow a hand-back."""
    upkeep = open_upkeep(OFTEN)
    deliveries = [make_delivery(n) for n in range(25)]
    for delivery in deliveries:
        upkeep.hold(delivery)
    assert sqs.renewed.wait(5)
    for delivery in deliveries:
        upkeep.settle(delivery, HandBack())
    assert upkeep.flush(LIMIT)
    sqs.renewed.clear()
    upkeep.hold(make_delivery(99))
    assert sqs.renewed.wait(5)
    for delivery in deliveries:
        *renewals, last = sqs.tried[delivery.receipt_handle]
        assert last == ("hide", 0)
        assert set(renewals) <= {("hide", 60)}
    assert sqs.tried["r99"]


def test_a_lost_message_is_renewed_no_more(sqs: ScriptedSqs, open_upkeep: Open) -> None:
    """A receipt that SQS no longer knows is dropped from the renewals, the others go on."""
    sqs.refusals = {"r1": ["ReceiptHandleIsInvalid"] * 9}
    upkeep = open_upkeep(OFTEN)
    for n in range(3):
        upkeep.hold(make_delivery(n))
    for _ in range(4):
        sqs.renewed.clear()
        assert sqs.renewed.wait(5)
    assert len(sqs.tried["r1"]) == 1
    assert len(sqs.tried["r2"]) >= 3


def test_renewals_go_on_after_calls_that_fail(sqs: ScriptedSqs, open_upkeep: Open) -> None:
    """Three heartbeats without an answer do not end the heartbeat."""
    sqs.broken["hide"] = 3
    upkeep = open_upkeep(OFTEN)
    upkeep.hold(make_delivery(1))
    assert sqs.renewed.wait(5)
    assert sqs.calls["hide"] >= 4


def test_a_message_is_buried_once(sqs: ScriptedSqs, open_upkeep: Open) -> None:
    """A copy that was not accepted is sent again; a delete that failed does not send a second copy."""
    sqs.broken["send"] = 2
    sqs.refusals = {"r1": ["InternalError"]}
    upkeep = open_upkeep(SELDOM)
    upkeep.settle(make_delivery(1), Bury("no use"))
    assert upkeep.flush(LIMIT)
    assert sqs.tried == {"body1": [("send", 0)], "r1": [("delete", 0), ("delete", 0)]}
    assert sqs.calls["send"] == 3


def test_what_cannot_be_buried_is_not_deleted(sqs: ScriptedSqs, open_upkeep: Open) -> None:
    """With the dead-letter queue out of order the message stays where it is."""
    sqs.broken["send"] = 1000
    upkeep = open_upkeep(SELDOM)
    upkeep.settle(make_delivery(1), Bury("no use"))
    assert upkeep.flush(LIMIT)
    assert sqs.calls == {"send": MAX_TRIES}


def test_delays_are_rounded_up_to_whole_seconds(sqs: ScriptedSqs, open_upkeep: Open) -> None:
    """SQS knows whole seconds: a short delay must not become none."""
    upkeep = open_upkeep(SELDOM)
    upkeep.settle(make_delivery(1), HandBack(timedelta(seconds=1.2)))
    assert upkeep.flush(LIMIT)
    assert sqs.tried["r1"] == [("hide", 2)]


def test_slow_outcomes_leave_renewals_their_turn(sqs: ScriptedSqs) -> None:
    """However much is to be carried out, no more than one batch of it passes between two renewals that are due."""
    now = 0.0

    def take_long() -> None:
        nonlocal now
        now += 20

    sqs.on_delete = take_long
    source = SourceQueue(
        sqs, queue="jobs", name="prelaunch-jobs", url="q", dead_letter_url="dlq", visibility_seconds=60
    )
    upkeep = Upkeep(source, heartbeat=timedelta(seconds=15), clock=lambda: now)
    upkeep.hold(make_delivery(99))
    for n in range(40):
        upkeep.settle(make_delivery(n), Acknowledge())
    assert upkeep.flush(LIMIT)
    upkeep.close(LIMIT)
    runs = " ".join(sqs.order).split("r99")
    assert len(runs) >= 4
    assert max(len(run.split()) for run in runs) <= 10
