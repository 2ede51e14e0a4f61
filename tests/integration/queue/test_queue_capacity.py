"""How many jobs a worker holds: as many as it has threads, and no more."""

from tests.integration.queue.bench import Gate, Side, Tally, make_ours, make_plain, run_worker
from tests.integration.queue.sqs import Stack
from workers.core.contract import Queue
from workers.core.queue.job import encode_job


def count_running(side: Side, stack: Stack, *, seconds: float) -> tuple[int, tuple[int, int]]:
    """Run 64 threads on 96 jobs that all wait; answer how many run, and what the queue then says."""
    gate = Gate(wanted=64)

    async def hold() -> None:
        await gate.enter()

    side.declare(hold)
    stack.put(side.url, *(encode_job("hold", Queue.NORMAL, {}) for _ in range(96)))
    with run_worker(side, threads=64):
        gate.wait_until_full(seconds)
        running, counts = gate.running, stack.count(side.url)
        gate.open()
    return running, counts


def test_plain_runs_about_ten_jobs_whatever_its_threads(stack: Stack) -> None:
    """The defect: dramatiq_sqs holds ten messages a queue, so 64 threads run ten jobs."""
    running, _ = count_running(make_plain(stack), stack, seconds=4)
    assert running <= 10


def test_64_threads_run_64_jobs_and_hold_no_more(stack: Stack) -> None:
    """A worker really runs as many jobs as it has threads, and leaves the rest to other processes."""
    running, (visible, hidden) = count_running(make_ours(stack), stack, seconds=20)
    assert (running, visible, hidden) == (64, 32, 64)


def test_busy_queues_share_the_slots_of_the_process(stack: Stack) -> None:
    """Two queues with work hold no more messages together than the process has threads."""
    side, gate = make_ours(stack), Gate(wanted=8)

    async def hold() -> None:
        await gate.enter()

    side.declare(hold)
    urls = [stack.find_url(Queue.NORMAL), stack.find_url(Queue.BULK)]
    for url in urls:
        stack.put(url, *(encode_job("hold", Queue.NORMAL, {}) for _ in range(20)))
    with run_worker(side, threads=8):
        assert gate.wait_until_full(20)
        assert side.broker._slots.used == 8
        gate.open()


def test_urgent_work_finds_its_reserved_slots_behind_bulk_work(stack: Stack) -> None:
    """With every other slot taken by bulk jobs that do not end, an urgent job still starts."""
    side, gate, urgent = make_ours(stack, reserved={Queue.URGENT: 2}), Gate(wanted=6), Tally(wanted=2)

    async def hold() -> None:
        await gate.enter()

    async def hurry() -> None:
        urgent.add(1)

    side.declare(hold)
    side.declare(hurry)
    stack.put(stack.find_url(Queue.BULK), *(encode_job("hold", Queue.BULK, {}) for _ in range(20)))
    with run_worker(side, threads=8):
        assert gate.wait_until_full(20)
        stack.put(stack.find_url(Queue.URGENT), *(encode_job("hurry", Queue.URGENT, {}) for _ in range(2)))
        assert urgent.wait(10)
        assert gate.running == 6
        gate.open()


def test_a_small_worker_keeps_half_for_the_other_queues(stack: Stack) -> None:
    """A reserve as large as the worker still leaves it able to run other work."""
    side, ran = make_ours(stack, reserved={Queue.URGENT: 16}), Tally(wanted=3)

    async def work() -> None:
        ran.add(1)

    side.declare(work)
    stack.put(side.url, *(encode_job("work", Queue.NORMAL, {}) for _ in range(3)))
    with run_worker(side, threads=2):
        assert ran.wait(10)


def run_without_deletes(side: Side, stack: Stack, *, seconds: float) -> int:
    """Run 30 jobs while every delete fails; answer how many ran."""
    tally = Tally(wanted=30)

    async def work() -> None:
        tally.add(1)

    side.declare(work)
    side.fail_calls("DeleteMessage")
    side.fail_calls("DeleteMessageBatch")
    stack.put(side.url, *(encode_job("work", Queue.NORMAL, {}) for _ in range(30)))
    with run_worker(side, threads=8):
        tally.wait(seconds)
    return len(tally.items)


def test_plain_stalls_after_ten_failed_deletes(stack: Stack) -> None:
    """The defect: each failed delete costs dramatiq_sqs one of its ten places for good."""
    assert run_without_deletes(make_plain(stack), stack, seconds=4) <= 10


def test_failed_deletes_cost_no_slot(stack: Stack) -> None:
    """A worker of 8 threads runs 30 jobs although no delete succeeds."""
    assert run_without_deletes(make_ours(stack), stack, seconds=20) == 30
