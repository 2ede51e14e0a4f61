"""
Send jobs in batches of ten, and know how many SQS took.

A batch answers HTTP 200 with some of its entries refused: counting calls instead of entries loses jobs.
Nothing here decides what is sent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from workers.core.contract import Queue
from workers.core.ports import Job
from workers.core.queue.errors import JobsNotSent, QueueError, QueueMissing
from workers.core.queue.job import encode_job
from workers.core.queue.names import name_queue
from workers.core.queue.source import batch, explain
from workers.core.retry import back_off

MAX_TRIES = 4
"""Tries of one batch; each but the first has only the entries that were refused."""

CONCURRENT_BATCHES = 8

_FIRST_WAIT = timedelta(milliseconds=200)
_LONGEST_WAIT = timedelta(seconds=2)

_Entry = dict[str, str]


@dataclass(frozen=True, slots=True)
class _Unsent:
    jobs: int
    cause: QueueError | str


class JobSender:
    """
    Sends to the queues of one stack. Belongs to the event loop of its client.

    Parameters:
        client: An open aiobotocore SQS client.
        stack: The prefix of the queues.
        sleep: Waits between two tries.
    """

    def __init__(
        self,
        client: Any,
        *,
        stack: str = "prelaunch",
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._stack = stack
        self._sleep = sleep
        self._urls: dict[Queue, str] = {}
        self._batches = asyncio.Semaphore(CONCURRENT_BATCHES)

    async def send(self, queue: Queue, jobs: Sequence[Job]) -> None:
        """
        Send jobs to one queue; QueueUnreachable says that its address could not be asked for.

        Parameters:
            queue: The queue.
            jobs: Any number; ten together at most 1 MiB.

        Raises:
            QueueMissing: If the queue does not exist.
            JobsNotSent: If SQS refused some in every try; the others are sent.
        """
        if not jobs:
            return
        url = await self.find_queue(queue)
        async with asyncio.TaskGroup() as tasks:
            sending = [tasks.create_task(self._send_batch(url, part)) for part in batch(self._encode(queue, jobs))]
        failed = [unsent for task in sending if (unsent := task.result())]
        if not failed:
            return
        cause = failed[0].cause
        if isinstance(cause, QueueMissing):
            # It may be deployed anew, under another address.
            self._urls.pop(queue, None)
            raise QueueMissing([name_queue(self._stack, queue)]) from cause
        raise JobsNotSent(
            name_queue(self._stack, queue),
            unsent=sum(unsent.jobs for unsent in failed),
            total=len(jobs),
            cause=str(cause),
        )

    async def find_queue(self, queue: Queue) -> str:
        """Look up the queue's URL, once; QueueMissing and QueueUnreachable say what is wrong."""
        if queue not in self._urls:
            name = name_queue(self._stack, queue)
            try:
                answer = await self._client.get_queue_url(QueueName=name)
            except (BotoCoreError, ClientError) as error:
                raise explain(error, name, self._client) from error
            self._urls[queue] = answer["QueueUrl"]
        return self._urls[queue]

    async def _send_batch(self, url: str, jobs: Sequence[_Entry]) -> _Unsent | None:
        cause: QueueError | str = ""
        async with self._batches:
            for attempt in range(MAX_TRIES):
                if attempt:
                    wait = back_off(attempt, first=_FIRST_WAIT, longest=_LONGEST_WAIT)
                    await self._sleep(wait.total_seconds())
                try:
                    answer = await self._client.send_message_batch(QueueUrl=url, Entries=_number(jobs))
                except (BotoCoreError, ClientError) as error:
                    cause = explain(error, url, self._client)
                    if isinstance(cause, QueueMissing):
                        break
                    continue
                refused = answer.get("Failed", [])
                if not refused:
                    return None
                jobs = [jobs[int(entry["Id"])] for entry in refused]
                cause = f"{refused[0]['Code']}: {refused[0].get('Message', '')}"
        return _Unsent(len(jobs), cause)

    def _encode(self, queue: Queue, jobs: Sequence[Job]) -> Iterator[_Entry]:
        for job in jobs:
            # The group id makes the queue a fair one: it orders nothing.
            body = encode_job(job.actor, queue.value, job.arguments, stack=self._stack)
            yield {"MessageBody": body, "MessageGroupId": job.group_id}


def _number(entries: Sequence[_Entry]) -> list[_Entry]:
    return [{"Id": str(i), **entry} for i, entry in enumerate(entries)]
