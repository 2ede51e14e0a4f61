"""How many calls it takes, and what they say: sends, deletes and polls, beside the plain dramatiq_sqs."""

import threading
from collections import Counter
from typing import Any

import dramatiq

from tests.integration.queue.bench import PERIODS, Settled, Side, make_ours, make_plain
from tests.integration.queue.sqs import Stack
from workers.core.contract import Queue
from workers.core.queue.job import encode_job

JOBS = 20


def test_plain_sends_one_message_a_call_and_names_no_group(stack: Stack) -> None:
    """The defect: n jobs take n calls, and without a group one noisy group starves the others.

    Ours is `test_jobs_go_in_tens_and_arrive_once`.
    """
    side, calls = make_plain(stack), Counter[str]()

    async def work() -> None:
        pass

    side.broker.sqs.meta.client.meta.events.register(
        "before-call.sqs.*", lambda model, **_: calls.update([model.name]), unique_id="count"
    )
    actor = side.declare(work)
    for _ in range(JOBS):
        actor.send()
    assert calls["SendMessage"] == JOBS
    (first, *_) = stack.receive(side.url, wait=1)
    assert "MessageGroupId" not in first["Attributes"]
    side.broker.close()


def count_deletes(side: Side, settled: Settled, stack: Stack) -> int:
    """Run jobs whose deletion waits until all of them are done; answer how many calls delete them."""
    calls: list[str] = []
    all_done = threading.Event()

    def note(model: Any, **_: Any) -> None:
        if model.name.startswith("DeleteMessage"):
            calls.append(model.name)
            # What is done meanwhile can go together; plain's worker threads delete one by one, and wait for no other.
            if model.name == "DeleteMessageBatch":
                all_done.wait(20)

    async def work() -> None:
        pass

    side.declare(work)
    side.broker.sqs.meta.client.meta.events.register("before-call.sqs.*", note)
    stack.put(side.url, *(encode_job("work", Queue.NORMAL, {}) for _ in range(JOBS)))
    worker = dramatiq.Worker(side.broker, worker_threads=4, worker_timeout=100)
    worker.start()
    try:
        assert settled.tally.wait(30)
        all_done.set()
    finally:
        worker.stop(timeout=5000)
        side.broker.close()
    assert sum(stack.count(side.url)) == 0
    return len(calls)


def test_plain_deletes_one_message_a_call(stack: Stack) -> None:
    """The defect: n jobs that are done take n calls."""
    settled = Settled(wanted=JOBS)
    assert count_deletes(make_plain(stack, middleware=[settled]), settled, stack) == JOBS


def test_what_is_done_is_deleted_in_tens(stack: Stack) -> None:
    """The first job that is done may go alone; the others that are done by then go in as few calls as SQS allows."""
    settled = Settled(wanted=JOBS)
    assert count_deletes(make_ours(stack, middleware=[settled]), settled, stack) <= 1 + JOBS // 10


def read_polls(side: Side, *, wanted: int) -> set[int]:
    """Let a worker of dramatiq's own time-outs find nothing; answer how long its polls wait."""
    waits: list[int] = []
    enough = threading.Event()

    def note(params: dict[str, Any], **_: Any) -> None:
        waits.append(params["WaitTimeSeconds"])
        if len(waits) >= wanted:
            enough.set()

    async def work() -> None:
        pass

    side.declare(work)
    side.broker.sqs.meta.client.meta.events.register("provide-client-params.sqs.ReceiveMessage", note)
    worker = dramatiq.Worker(side.broker, worker_threads=1)
    worker.start()
    try:
        assert enough.wait(20)
    finally:
        worker.stop(timeout=5000)
        side.broker.close()
    return set(waits)


def test_plain_polls_every_second(stack: Stack) -> None:
    """The defect: its long polls end with dramatiq's own time-out, one second, where SQS would wait for 20."""
    assert read_polls(make_plain(stack), wanted=2) == {1}


def test_an_idle_worker_polls_as_seldom_as_its_setting_says(stack: Stack) -> None:
    """The wait of a poll is the setting's, of up to 20 seconds, whatever dramatiq's time-out is."""
    assert PERIODS.poll_wait_seconds != 3
    longer = type(PERIODS)(poll_wait_seconds=3)
    assert read_polls(make_ours(stack, periods=longer), wanted=len(Queue)) == {3}
