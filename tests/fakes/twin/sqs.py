"""The queues of a stack in memory: at least once, in any order; who receives is up to the test."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tests.fakes.twin.dynamodb import refuse

QUEUES = ("jobs", "jobs-urgent", "jobs-bulk")
DEAD_LETTER_QUEUES = tuple(f"{queue}-dlq" for queue in (*QUEUES, "requests"))
MOST_IN_A_BATCH = 10
SENT_MILLISECONDS = "1767323045000"
"""When every dead letter was sent: before anything that is asked in a world."""


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


@dataclass(eq=False, slots=True)
class DeadLetter:
    """A message of a dead-letter queue, until it is deleted."""

    queue: str
    """The dead-letter queue's own name, without the stack."""
    message_id: str
    body: str
    hidden_until: float = 0.0
    received: int = 0

    @property
    def handle(self) -> str:
        """What the last one who received it deletes it by: an older one does nothing."""
        return f"{self.message_id} {self.received}"


class Queues:
    """
    The queues of one stack.

    Parameters:
        stack: The prefix of their names.
        now: Tells the world's time, in seconds.
    """

    def __init__(self, stack: str, now: Callable[[], float]) -> None:
        self._stack = stack
        self._now = now
        self.messages: list[Message] = []
        self.letters: list[DeadLetter] = []
        self.loses = False
        """Whether every message that is sent from now on is lost, though it was taken."""

    def get_queue_url(self, **request: Any) -> dict[str, Any]:
        """Answer the address of a queue."""
        name = request["QueueName"].removeprefix(f"{self._stack}-")
        if name not in {*QUEUES, *DEAD_LETTER_QUEUES}:
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

    def bury(self, message: Message) -> None:
        """Move a message to its dead-letter queue, as SQS does of itself."""
        self.delete(message)
        self.letters.append(DeadLetter(f"{message.queue}-dlq", f"letter {len(self.letters)}", message.body))

    def get_queue_attributes(self, **request: Any) -> dict[str, Any]:
        """Count the letters of a dead-letter queue."""
        hidden = [letter.hidden_until > self._now() for letter in self._letters_of(request)]
        counts = {
            "ApproximateNumberOfMessages": hidden.count(False),
            "ApproximateNumberOfMessagesNotVisible": hidden.count(True),
            "ApproximateNumberOfMessagesDelayed": 0,
        }
        return {"Attributes": {name: str(count) for name, count in counts.items()}}

    def receive_message(self, **request: Any) -> dict[str, Any]:
        """Hand out letters of a dead-letter queue and hide them from others."""
        visible = [letter for letter in self._letters_of(request) if letter.hidden_until <= self._now()]
        chosen = visible[: request["MaxNumberOfMessages"]]
        for letter in chosen:
            letter.hidden_until, letter.received = self._now() + request["VisibilityTimeout"], letter.received + 1
        return {
            "Messages": [
                {
                    "MessageId": letter.message_id,
                    "ReceiptHandle": letter.handle,
                    "Body": letter.body,
                    "Attributes": {
                        "ApproximateReceiveCount": str(letter.received),
                        "SentTimestamp": SENT_MILLISECONDS,
                    },
                }
                for letter in chosen
            ]
        }

    def delete_message_batch(self, **request: Any) -> dict[str, Any]:
        """Delete letters for good."""
        for letter in self._held(request):
            self.letters.remove(letter)
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}

    def change_message_visibility_batch(self, **request: Any) -> dict[str, Any]:
        """Give letters back."""
        for letter in self._held(request):
            letter.hidden_until = self._now()
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}

    def _letters_of(self, request: Mapping[str, Any]) -> list[DeadLetter]:
        queue = request["QueueUrl"].rpartition("/")[2]
        return [letter for letter in self.letters if letter.queue == queue]

    def _held(self, request: Mapping[str, Any]) -> list[DeadLetter]:
        handles = {entry["ReceiptHandle"] for entry in request["Entries"]}
        return [letter for letter in self._letters_of(request) if letter.handle in handles]

    def visible(self, now: float, visibility: float) -> list[Message]:
        """Tell what can be received, urgent first."""
        found = [message for message in self.messages if message.is_visible(now, visibility)]
        return sorted(found, key=lambda message: message.queue != "jobs-urgent")

    def delete(self, message: Message) -> None:
        """Delete a message; one that is gone already is no error."""
        if message in self.messages:
            self.messages.remove(message)
