"""Who is told: an event bus, and tasks of Step Functions that wait with a token until they are answered once."""

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

LARGEST_ENTRY = 256 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What a task was answered."""

    succeeded: bool
    document: dict[str, Any]
    error: str = ""


class Listeners:
    """Stands behind the clients of EventBridge and of Step Functions."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        """What the bus took, in order."""
        self.refusals: list[str] = []
        """The codes with which the next entries are refused, at HTTP 200."""
        self.waiting: set[str] = set()
        """The tokens of tasks that wait."""
        self.answers: dict[str, Answer] = {}

    def told(self) -> list[dict[str, Any]]:
        """Tell the details of all events, in order."""
        return [json.loads(entry["Detail"]) for entry in self.entries]

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Take events, or say of each why not."""
        (entry,) = Entries
        if self.refusals:
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": self.refusals.pop(0), "ErrorMessage": "no"}]}
        texts = (entry["Source"], entry["DetailType"], entry["Detail"])
        assert sum(len(text.encode()) for text in texts) + 14 < LARGEST_ENTRY
        self.entries.append(entry)
        return {"FailedEntryCount": 0, "Entries": [{"EventId": str(len(self.entries))}]}

    def send_task_success(self, *, taskToken: str, output: str) -> dict[str, Any]:  # noqa: N803
        """Let a waiting task go on."""
        self._take("SendTaskSuccess", taskToken)
        assert len(output) <= 262_144
        self.answers[taskToken] = Answer(True, json.loads(output))
        return {}

    def send_task_failure(self, *, taskToken: str, error: str, cause: str) -> dict[str, Any]:  # noqa: N803
        """Let a waiting task fail."""
        self._take("SendTaskFailure", taskToken)
        assert len(error) <= 256
        assert len(cause) <= 32_768
        self.answers[taskToken] = Answer(False, json.loads(cause), error)
        return {}

    def _take(self, operation: str, token: str) -> None:
        if token not in self.waiting:
            said = {"Code": "TaskTimedOut", "Message": f"Task Timed Out: {token}"}
            raise ClientError({"Error": said, "ResponseMetadata": {"HTTPStatusCode": 400}}, operation)
        self.waiting.remove(token)
