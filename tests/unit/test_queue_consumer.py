"""The consumer: what it takes, what it hands back, and that no error ends it or costs a slot."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker

from tests.fakes.scripted_sqs import ScriptedSqs
from workers.core.contract import Queue, find_fault
from workers.core.queue.consumer import Intake, JobConsumer
from workers.core.queue.drain import Drain
from workers.core.queue.job import JobMessage, encode_job
from workers.core.queue.redelivery import Acknowledge
from workers.core.queue.slots import Slots
from workers.core.queue.source import SourceQueue
from workers.core.queue.upkeep import Upkeep

LIMIT = timedelta(seconds=10)
BODY = encode_job("work", Queue.NORMAL, {})


@dataclass(frozen=True)
class Parts:
    sqs: ScriptedSqs
    intake: Intake
    consumer: JobConsumer
    worker: dramatiq.Worker

    @property
    def outcomes(self) -> dict[str, list[tuple[str, int]]]:
        assert self.intake.upkeep.flush(LIMIT)
        return dict(self.sqs.tried)

    def take(self) -> JobMessage:
        message = next(self.consumer)
        assert message
        return message

    def stop_worker(self) -> None:
        self.intake.drain.before_worker_shutdown(self.worker.broker, self.worker)


@pytest.fixture
def parts() -> Iterator[Parts]:
    sqs, drain = ScriptedSqs(), Drain()
    worker = dramatiq.Worker(StubBroker(middleware=[]))
    drain.before_worker_boot(worker.broker, worker)
    source = SourceQueue(
        sqs, queue="jobs", name="prelaunch-jobs", url="q", dead_letter_url="dlq", visibility_seconds=60
    )
    intake = Intake(
        queue=Queue.NORMAL,
        stack="prelaunch",
        source=source,
        upkeep=Upkeep(source, heartbeat=timedelta(seconds=60)),
        slots=Slots(4),
        drain=drain,
        knows_actor={"work"}.__contains__,
        find_fault=find_fault,
        poll_wait_seconds=2,
        deploy_grace=timedelta(minutes=15),
    )
    yield Parts(sqs, intake, JobConsumer(intake), worker)
    intake.upkeep.close(LIMIT)


def test_an_idle_queue_waits_without_slots_and_a_busy_one_takes_them_first(parts: Parts) -> None:
    """The long poll keeps no slot from another queue; the short one asks for no more than it may hold."""
    seen: list[int] = []

    def answer() -> list[str]:
        seen.append(parts.intake.slots.used)
        return [BODY] if len(seen) < 3 else []

    parts.sqs.on_receive = answer
    for _ in range(2):
        assert next(parts.consumer)
    assert next(parts.consumer) is None
    assert parts.sqs.receives == [(4, 2), (3, 0), (2, 0)]
    assert seen == [0, 4, 4]
    assert parts.intake.slots.used == 2


def test_a_full_process_does_not_ask(parts: Parts) -> None:
    """Without a free slot nothing is received."""
    parts.intake.slots.take(Queue.BULK, 4)
    assert next(parts.consumer) is None
    assert parts.sqs.receives == []


def test_messages_that_find_no_slot_are_handed_back(parts: Parts) -> None:
    """Another queue took the slots during the poll: what came is visible again at once."""

    def answer() -> list[str]:
        parts.intake.slots.take(Queue.BULK, 3)
        return [BODY] * 3

    parts.sqs.on_receive = answer
    assert parts.take().delivery.receipt_handle == "r0"
    assert parts.outcomes == {"r1": [("hide", 0)], "r2": [("hide", 0)]}
    assert parts.intake.slots.used == 4


def test_messages_that_arrive_while_the_worker_stops_are_handed_back(parts: Parts) -> None:
    """A long poll that ends with messages after SIGTERM starts none of them."""

    def answer() -> list[str]:
        parts.stop_worker()
        return [BODY] * 2

    parts.sqs.on_receive = answer
    assert next(parts.consumer) is None
    assert parts.outcomes == {"r0": [("hide", 0)], "r1": [("hide", 0)]}
    assert parts.intake.slots.used == 0
    assert next(parts.consumer) is None
    assert len(parts.sqs.receives) == 1


def test_what_no_thread_has_started_is_handed_back_at_once(parts: Parts) -> None:
    """At SIGTERM the worker's own queue is emptied, also of what came to it an instant later."""
    parts.sqs.on_receive = lambda: [BODY] * 2
    thread = dramatiq.worker.ConsumerThread(
        broker=parts.worker.broker,
        queue_name=Queue.NORMAL,
        prefetch=1,
        work_queue=parts.worker.work_queue,
        worker_timeout=1000,
    )
    dramatiq.actor(broker=parts.worker.broker, actor_name="work")(lambda: None)
    thread.handle_message(parts.take())
    late = parts.take()
    parts.stop_worker()
    assert parts.outcomes == {"r0": [("hide", 0)]}
    thread.handle_message(late)
    assert next(parts.consumer) is None
    assert parts.outcomes == {"r0": [("hide", 0)], "r1": [("hide", 0)]}


def test_a_failed_receive_raises_nothing_and_costs_no_slot(parts: Parts) -> None:
    """SQS does not answer a busy queue: the consumer goes on, with all its slots."""
    parts.sqs.on_receive = lambda: [BODY]
    parts.take().settle(Acknowledge())
    parts.sqs.broken["receive"] = 1
    assert next(parts.consumer) is None
    assert parts.intake.slots.used == 0
    assert next(parts.consumer)


def test_a_job_that_nobody_decided_about_comes_back(parts: Parts) -> None:
    """An acknowledgement without an outcome must not delete the message."""
    parts.sqs.on_receive = lambda: [BODY]
    parts.consumer.ack(parts.take())
    assert parts.outcomes == {"r0": [("hide", 1)]}


def test_a_slot_is_given_back_once(parts: Parts) -> None:
    """A message that is settled twice frees one slot and has one outcome, the first."""
    parts.sqs.on_receive = lambda: [BODY] * 2
    message = parts.take()
    message.outcome = Acknowledge()
    parts.consumer.ack(message)
    parts.consumer.requeue([message])
    assert parts.outcomes == {"r0": [("delete", 0)]}
    assert parts.intake.slots.used == 1


def test_closing_hands_back_what_is_buffered(parts: Parts) -> None:
    """A consumer that dramatiq closes leaves nothing hidden that it did not pass on."""
    parts.sqs.on_receive = lambda: [BODY] * 3
    parts.take()
    parts.consumer.close()
    assert parts.outcomes == {"r1": [("hide", 0)], "r2": [("hide", 0)]}
    assert parts.intake.slots.used == 1


def test_unreadable_and_unknown_jobs_keep_no_slot(parts: Parts) -> None:
    """What cannot run is settled on the spot."""
    parts.sqs.on_receive = lambda: ["?", encode_job("new", Queue.NORMAL, {})]
    assert next(parts.consumer) is None
    assert parts.outcomes == {"?": [("send", 0)], "r0": [("delete", 0)], "r1": [("hide", 30)]}
    assert parts.intake.slots.used == 0
