"""Sending: every job once accepted, in as few calls as SQS allows."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aioboto3
import pytest
from botocore.exceptions import ConnectTimeoutError

from tests.integration.queue.bench import Tally, make_ours, run_worker
from tests.integration.queue.sqs import Stack
from workers.core.contract import Queue
from workers.core.ports import Job, JobQueue
from workers.core.queue.errors import JobsNotSent, QueueMissing, QueueUnreachable
from workers.core.queue.send import CONCURRENT_BATCHES, MAX_TRIES, JobSender


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[Any]:
    async with aioboto3.Session().client("sqs") as opened:
        yield opened


def make_jobs(count: int) -> list[Job]:
    return [Job("work", f"g{n % 3}", {"n": n}) for n in range(count)]


async def test_jobs_go_in_tens_and_arrive_once(stack: Stack, client: Any) -> None:
    """n jobs take ceil(n / 10) calls; each arrives once, in its fair-queue group, as an actor's call."""
    calls: Counter[str] = Counter()
    client.meta.events.register("before-call.sqs.*", lambda model, **_: calls.update([model.name]), unique_id="count")
    sender: JobQueue = JobSender(client, stack=stack.name)
    await sender.send(Queue.NORMAL, make_jobs(43))
    await sender.send(Queue.NORMAL, make_jobs(10))
    await sender.send(Queue.NORMAL, [])
    assert calls == {"GetQueueUrl": 1, "SendMessageBatch": 6}
    assert stack.count(stack.find_url(Queue.NORMAL)) == (53, 0)
    found: list[tuple[int, str]] = []
    while messages := stack.receive(stack.find_url(Queue.NORMAL), wait=1):
        found += [(_read_number(m["Body"]), m["Attributes"]["MessageGroupId"]) for m in messages]
    assert sorted(found) == sorted((n, f"g{n % 3}") for n in [*range(43), *range(10)])


async def test_what_is_sent_is_what_a_worker_runs(stack: Stack, client: Any) -> None:
    """A sent job runs its actor with its arguments."""
    await JobSender(client, stack=stack.name).send(Queue.NORMAL, make_jobs(20))

    def run() -> list[int]:
        side, ran = make_ours(stack), Tally(wanted=20)

        async def work(n: int) -> None:
            ran.add(n)

        side.declare(work)
        with run_worker(side):
            assert ran.wait(20)
        return ran.items

    assert sorted(await asyncio.to_thread(run)) == list(range(20))
    assert stack.count(stack.find_url(Queue.NORMAL)) == (0, 0)


async def test_a_missing_queue_is_the_same_clear_error(stack: Stack, client: Any) -> None:
    """Sending to a stack that is not deployed names the queue and what to do."""
    with pytest.raises(QueueMissing, match=r"elsewhere-jobs.*PRELAUNCH_STACK"):
        await JobSender(client, stack="elsewhere").send(Queue.NORMAL, make_jobs(1))


async def test_a_queue_deleted_later_is_missing_and_then_found_anew(stack: Stack, client: Any) -> None:
    """The address of a queue is not kept past the queue."""
    sender, url = JobSender(client, stack=stack.name), stack.find_url(Queue.NORMAL)
    await sender.send(Queue.NORMAL, make_jobs(1))
    stack.client.delete_queue(QueueUrl=url)
    with pytest.raises(QueueMissing, match=f"{stack.name}-jobs\\b"):
        await sender.send(Queue.NORMAL, make_jobs(25))
    stack.client.create_queue(QueueName=f"{stack.name}-{Queue.NORMAL}")
    await sender.send(Queue.NORMAL, make_jobs(1))
    assert stack.count(stack.find_url(Queue.NORMAL)) == (1, 0)


async def test_nobody_listening_is_one_clear_error(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an endpoint that answers, the address cannot be asked for: one error of ours."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    async with aioboto3.Session().client("sqs") as nowhere:
        with pytest.raises(QueueUnreachable, match=r"127\.0\.0\.1:9"):
            await JobSender(nowhere, stack=stack.name).send(Queue.NORMAL, make_jobs(1))


class RefusingSqs:
    """Takes batches as SQS does, and refuses each job as often as it is told to."""

    def __init__(self, refusals: dict[int, int]) -> None:
        self.meta = type("Meta", (), {"endpoint_url": "http://refusing"})
        self.refusals = refusals
        self.taken: Counter[int] = Counter()
        self.batches: list[list[int]] = []
        self.most_at_once = 0
        self._at_once = 0

    async def get_queue_url(self, QueueName: str) -> dict[str, str]:  # noqa: N803
        return {"QueueUrl": f"http://refusing/{QueueName}"}

    async def send_message_batch(self, *, Entries: list[dict[str, str]], **_: str) -> Any:  # noqa: N803
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(0)
        self._at_once -= 1
        jobs = {entry["Id"]: _read_number(entry["MessageBody"]) for entry in Entries}
        self.batches.append(sorted(jobs.values()))
        failed = []
        for entry_id, n in jobs.items():
            if self.refusals.get(n, 0) > 0:
                self.refusals[n] -= 1
                failed.append({"Id": entry_id, "Code": "InternalError", "SenderFault": False})
            else:
                self.taken[n] += 1
        return {"Failed": failed}


def _read_number(body: str) -> int:
    return int(json.loads(base64.b64decode(body))["kwargs"]["n"])


async def no_wait(_: float) -> None:
    """Pass time at once."""


async def test_only_refused_jobs_are_sent_again() -> None:
    """A batch that answers 200 with refusals repeats those alone; each job is taken exactly once."""
    sqs = RefusingSqs({3: 1, 7: 2, 12: 3})
    await JobSender(sqs, sleep=no_wait).send(Queue.NORMAL, make_jobs(20))
    assert sqs.taken == dict.fromkeys(range(20), 1)
    assert sorted(sqs.batches, key=lambda part: (len(part), part)) == [
        [7],
        [12],
        [12],
        [12],
        [3, 7],
        list(range(10)),
        list(range(10, 20)),
    ]


async def test_jobs_refused_in_every_try_are_counted() -> None:
    """After the last try the error says how many of how many were not sent, and the rest is sent."""
    sqs = RefusingSqs({3: 99, 7: 99, 12: MAX_TRIES})
    with pytest.raises(JobsNotSent, match="3 of 20 jobs were not sent to prelaunch-jobs: InternalError"):
        await JobSender(sqs, sleep=no_wait).send(Queue.NORMAL, make_jobs(20))
    assert sqs.taken.total() == 17
    assert len([part for part in sqs.batches if 3 in part]) == MAX_TRIES


async def test_many_batches_go_at_once_but_not_all() -> None:
    """Batches go concurrently, up to the limit."""
    sqs = RefusingSqs({})
    await JobSender(sqs).send(Queue.NORMAL, make_jobs(400))
    assert sqs.most_at_once == CONCURRENT_BATCHES
    assert len(sqs.batches) == 40


async def test_a_batch_without_an_answer_is_sent_again(stack: Stack, client: Any) -> None:
    """A call that times out is repeated whole, a bounded number of times."""
    failures = iter([ConnectTimeoutError(endpoint_url="x")] * 2)

    def fail(**_: Any) -> None:
        if error := next(failures, None):
            raise error

    client.meta.events.register("before-call.sqs.SendMessageBatch", fail)
    await JobSender(client, stack=stack.name, sleep=no_wait).send(Queue.NORMAL, make_jobs(5))
    assert stack.count(stack.find_url(Queue.NORMAL)) == (5, 0)
