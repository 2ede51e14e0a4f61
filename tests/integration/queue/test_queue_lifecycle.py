"""Start, long jobs, SIGKILL and SIGTERM: what happens to messages that a process holds."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from dramatiq.errors import ConnectionFailed
from dramatiq_sqs import SQSBroker

from tests.integration.queue.bench import Gate, Side, make_ours, make_plain, run_worker
from tests.integration.queue.sqs import Stack
from workers.core.contract import Queue
from workers.core.queue.broker import JobBroker, QueuePeriods
from workers.core.queue.errors import QueueMissing, QueueUnreachable
from workers.core.queue.job import encode_job

SHORT = QueuePeriods(visibility=timedelta(seconds=2), heartbeat=timedelta(seconds=0.5), poll_wait_seconds=1)


def steal_from_running(side: Side, stack: Stack, *, wait: int) -> int:
    """While a job runs, wait as another process for `wait` seconds; answer what was received."""
    gate = Gate(wanted=1)

    async def hold() -> None:
        await gate.enter()

    side.declare(hold)
    stack.put(side.url, encode_job("hold", Queue.NORMAL, {}))
    with run_worker(side, threads=1):
        assert gate.wait_until_full(10)
        received = stack.receive(side.url, wait=wait)
        gate.open()
    return len(received)


def test_plain_lets_a_running_job_be_delivered_again(stack: Stack) -> None:
    """The defect: without renewal a short visibility delivers running jobs twice.

    The worker that runs the job polls too and may be the one that gets it again, but only until it
    holds two; the next delivery is the other process's.
    """
    assert steal_from_running(make_plain(stack, visibility_timeout=2), stack, wait=20) == 1


def test_a_running_job_stays_hidden_for_as_long_as_it_runs(stack: Stack) -> None:
    """The heartbeat keeps a job from being delivered to another, for twice its visibility timeout."""
    assert steal_from_running(make_ours(stack, periods=SHORT), stack, wait=4) == 0


@contextmanager
def run_process(kind: str, stack: Stack) -> Iterator["subprocess.Popen[str]"]:
    """Run a worker in a process of its own until its first job runs."""
    command = [sys.executable, "-m", "tests.integration.queue.worker_process", kind, stack.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "running\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("kind", "returned"), [("plain", 0), ("ours", 1)])
def test_a_killed_worker_gives_its_jobs_back(stack: Stack, kind: str, returned: int) -> None:
    """After SIGKILL the job comes back when its visibility ends; dramatiq_sqs hides it for 12 hours."""
    side = make_plain(stack) if kind == "plain" else make_ours(stack)
    side.broker.close()
    stack.put(side.url, encode_job("hold", Queue.NORMAL, {}))
    with run_process(kind, stack) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert len(stack.receive(side.url, wait=4)) == returned


def receive_during_stop(side: Side, stack: Stack, *, held: int) -> int:
    """Stop a worker while two jobs run; answer how many of five others another process can receive.

    `held` of the five are there before the stop, the others come after it has begun.
    """
    gate = Gate(wanted=2)

    async def hold() -> None:
        await gate.enter()

    side.declare(hold)
    body = encode_job("hold", Queue.NORMAL, {})
    stack.put(side.url, *[body] * (2 + held))
    with run_worker(side, threads=2) as worker:
        assert gate.wait_until_full(10)
        stopping = threading.Thread(target=worker.stop)
        stopping.start()
        if held < 5:
            stack.put(side.url, *[body] * (5 - held))
        received = 0
        while found := stack.receive(side.url, wait=2):
            received += len(found)
        gate.open()
        stopping.join(10)
        assert not stopping.is_alive()
    assert gate.passed == 2
    return received


def test_plain_keeps_what_it_will_not_start(stack: Stack) -> None:
    """The defect: dramatiq holds what it fetched ahead, two jobs here, until its running jobs end."""
    assert receive_during_stop(make_plain(stack), stack, held=5) == 3


@pytest.mark.parametrize("held", [0, 5])
def test_a_stopping_worker_hands_back_what_it_has_not_started(stack: Stack, held: int) -> None:
    """While running jobs finish, all others are received elsewhere, and the finished are deleted."""
    side = make_ours(stack, capacity=10)
    assert receive_during_stop(side, stack, held=held) == 5
    assert sum(stack.count(side.url)) == 5


def test_a_stopped_worker_can_start_again(stack: Stack) -> None:
    """A second worker on the same broker receives."""
    side, gates = make_ours(stack), [Gate(wanted=1), Gate(wanted=1)]

    async def hold(n: int) -> None:
        await gates[n].enter()

    side.declare(hold)
    for n, gate in enumerate(gates):
        stack.put(side.url, encode_job("hold", Queue.NORMAL, {"n": n}))
        with run_worker(side):
            assert gate.wait_until_full(10)
            gate.open()


def test_the_dramatiq_command_stops_in_time_and_hands_back(stack: Stack) -> None:
    """`dramatiq` with our broker: at SIGTERM the unstarted is handed back at once, the running finishes."""
    side = make_ours(stack)
    side.broker.close()
    body = encode_job("hold_until_term", Queue.NORMAL, {})
    stack.put(side.url, *[body] * 6)
    command = [sys.executable, "-m", "dramatiq", "tests.integration.queue.worker_process:make_broker"]
    options = ["--processes", "1", "--threads", "2", "--worker-shutdown-timeout", "30000"]
    environment = {**os.environ, "TEST_STACK": stack.name, "TEST_CAPACITY": "6"}
    with subprocess.Popen(
        [*command, *options], env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr
        running = (line for line in process.stderr if "running" in line)
        assert [next(running), next(running)]
        assert stack.count(side.url) == (0, 6)
        process.send_signal(signal.SIGTERM)
        assert len(stack.receive(side.url, wait=3)) == 4
        assert stack.count(side.url) == (0, 6)
        process.stderr.read()
        assert process.wait(20) == 0
    assert stack.count(side.url) == (0, 4)


def test_missing_queues_are_named_at_once_and_never_made(stack: Stack) -> None:
    """Without a deployment check_queues names all six queues, and nothing creates one."""
    with pytest.raises(QueueMissing, match="PRELAUNCH_STACK") as caught:
        JobBroker(stack="elsewhere").check_queues()
    assert caught.value.names == tuple(f"elsewhere-{queue}{suffix}" for queue in Queue for suffix in ("", "-dlq"))
    with pytest.raises(ConnectionFailed, match="elsewhere-jobs"):
        JobBroker(stack="elsewhere").consume(Queue.NORMAL)
    assert "QueueUrls" not in stack.client.list_queues(QueueNamePrefix="elsewhere")


def test_plain_makes_a_missing_queue(stack: Stack) -> None:
    """The defect: a wrong stack or Region gets queues of its own, without a redrive policy."""
    broker = SQSBroker(namespace="wrong", middleware=[])
    broker.declare_queue(Queue.NORMAL)
    broker.consume(Queue.NORMAL)
    assert stack.client.list_queues(QueueNamePrefix="wrong")["QueueUrls"]
    stack.client.delete_queue(QueueUrl=stack.find_url_of(f"wrong_{Queue.NORMAL}"))


def test_a_deployed_stack_passes_the_check(stack: Stack) -> None:
    """With every queue there, the check says nothing."""
    JobBroker(stack=stack.name).check_queues()


def test_a_queue_deleted_under_a_worker_ends_nothing(stack: Stack) -> None:
    """The consumer waits, and goes on when the queue is back."""
    side, gate = make_ours(stack), Gate(wanted=1)

    async def hold() -> None:
        await gate.enter()

    side.declare(hold)
    with run_worker(side):
        stack.client.delete_queue(QueueUrl=side.url)
        stack.client.create_queue(QueueName=f"{stack.name}-{Queue.NORMAL}")
        stack.put(side.url, encode_job("hold", Queue.NORMAL, {}))
        assert gate.wait_until_full(20)
        gate.open()


def test_an_unreachable_endpoint_is_one_clear_error(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens: one error of ours names the endpoint and the variables to look at."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(QueueUnreachable, match=f"{endpoint}.*AWS_ENDPOINT_URL"):
            JobBroker(stack=stack.name).check_queues()


def test_no_region_is_one_clear_error(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a Region the broker cannot be made, and says which variable is missing."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(QueueUnreachable, match="AWS_DEFAULT_REGION"):
        JobBroker(stack=stack.name)
