"""The queues of a stack in memory: at least once, in any order; who receives is up to the test."""

from dataclasses import dataclass
from typing import Any, Protocol

from tests.fakes.twin.dynamodb import refuse

QUEUES = ("jobs", "jobs-urgent", "jobs-bulk")
MOST_IN_A_BATCH = 10


class Holder(Protocol):
    """Who received a message and prolongs its time, for as long as it lives and goes on."""

    silent_since: float | None
    """Seconds of the world's time; None while it goes on."""


@dataclass(eq=False, slots=True)
class Message:
    """A message that is in a queue until it is deleted."""

    queue: str
    body: str
    visible_at: float
    holder: Holder | None = None

    def is_visible(self, now: float, visibility: float) -> bool:
        """Tell whether it can be received: nobody has it, or whoever has it has been silent for too long."""
        if self.holder is None:
            return self.visible_at <= now
        return self.holder.silent_since is not None and self.holder.silent_since + visibility <= now


class Queues:
    """The queues of one stack."""

    def __init__(self, stack: str) -> None:
        self._stack = stack
        self.messages: list[Message] = []
        self.loses = False
        """Whether every message that is sent from now on is lost, though it was taken."""

    def get_queue_url(self, **request: Any) -> dict[str, Any]:
        """Answer the address of a queue."""
        name = request["QueueName"].removeprefix(f"{self._stack}-")
        if name not in QUEUES:
            raise refuse("AWS.SimpleQueueService.NonExistentQueue", "GetQueueUrl")
        return {"QueueUrl": f"https://sqs/{name}"}

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        """Take up to ten messages."""
        entries = request["Entries"]
        assert 1 <= len(entries) <= MOST_IN_A_BATCH
        queue = request["QueueUrl"].rpartition("/")[2]
        if not self.loses:
            self.messages += [Message(queue, entry["MessageBody"], 0.0) for entry in entries]
        return {"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}

    def visible(self, now: float, visibility: float) -> list[Message]:
        """Tell what can be received, urgent first."""
        found = [message for message in self.messages if message.is_visible(now, visibility)]
        return sorted(found, key=lambda message: message.queue != "jobs-urgent")

    def delete(self, message: Message) -> None:
        """Delete a message; one that is gone already is no error."""
        if message in self.messages:
            self.messages.remove(message)
