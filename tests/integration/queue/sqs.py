"""An SQS to test against: moto's server in a process of its own, and a stack's queues on it.

Each test has a stack of its own, so that tests neither see nor wait for each other's messages.
"""

import itertools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3

from workers.core.contract import Queue
from workers.core.queue.names import name_dead_letter_queue, name_queue
from workers.core.queue.source import batch

_SDK = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
}
_numbers = itertools.count(1)


@contextmanager
def run_sqs() -> Iterator[dict[str, str]]:
    """Run the server on a free port; gives the SDK's variables that lead to it."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr
        found = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in server.stderr)
        endpoint = next(match.group() for match in found if match)
        # The server logs every request: a full pipe would stop it.
        reader = threading.Thread(target=server.stderr.read)
        reader.start()
        try:
            yield {**_SDK, "AWS_ENDPOINT_URL": endpoint}
        finally:
            server.terminate()
            server.wait()
            reader.join()


@dataclass(frozen=True)
class Stack:
    """The queues of one test."""

    name: str
    client: Any

    def find_url(self, queue: str) -> str:
        return self.find_url_of(name_queue(self.name, queue))

    def find_dead_letter_url(self, queue: str) -> str:
        return self.find_url_of(name_dead_letter_queue(self.name, queue))

    def find_url_of(self, name: str) -> str:
        return str(self.client.get_queue_url(QueueName=name)["QueueUrl"])

    def put(self, url: str, *bodies: str) -> None:
        for part in batch(bodies):
            entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(part)]
            assert not self.client.send_message_batch(QueueUrl=url, Entries=entries).get("Failed")

    def count(self, url: str) -> tuple[int, int]:
        """How many messages are visible, and how many are hidden."""
        answer = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        visible, hidden = (int(answer["Attributes"][name]) for name in names)
        return visible, hidden

    def receive(self, url: str, *, wait: int) -> list[dict[str, Any]]:
        """Receive as another process would, waiting for a first message."""
        answer = self.client.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=wait,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        return list(answer.get("Messages", []))


def make_stack() -> Stack:
    """Make a stack where the SDK's variables lead."""
    stack = Stack(f"test{os.getpid()}x{next(_numbers)}", boto3.client("sqs"))
    for queue in Queue:
        stack.client.create_queue(QueueName=name_queue(stack.name, queue))
        stack.client.create_queue(QueueName=name_dead_letter_queue(stack.name, queue))
    return stack
