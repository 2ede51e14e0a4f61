"""An SQS client that remembers every entry of every call, and refuses entries and breaks calls by script."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ReadTimeoutError


class ScriptedSqs:
    """Remembers every entry of every call; refuses entries and breaks calls by script."""

    def __init__(self) -> None:
        self.meta = type("Meta", (), {"endpoint_url": "http://scripted"})
        self.calls: Counter[str] = Counter()
        self.sizes: list[int] = []
        self.order: list[str] = []
        self.tried: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self.refusals: dict[str, list[str]] = {}
        self.broken: Counter[str] = Counter()
        self.renewed = threading.Event()
        self.delivered = 0
        self.receives: list[tuple[int, int]] = []
        self.on_delete: Callable[[], object] = list
        self.on_receive: Callable[[], list[str]] = list

    def receive_message(self, *, MaxNumberOfMessages: int, WaitTimeSeconds: int, **_: Any) -> Any:  # noqa: N803
        """Deliver the bodies that the test's callback names; handles are r0, r1, … in order."""
        self.receives.append((MaxNumberOfMessages, WaitTimeSeconds))
        self._count("receive")
        bodies = self.on_receive()[:MaxNumberOfMessages]
        return {"Messages": [self._deliver(body) for body in bodies]}

    def delete_message_batch(self, *, Entries: list[dict[str, Any]], **_: str) -> Any:  # noqa: N803
        self.on_delete()
        return self._answer("delete", Entries)

    def change_message_visibility_batch(self, *, Entries: list[dict[str, Any]], **_: str) -> Any:  # noqa: N803
        answer = self._answer("hide", Entries)
        self.renewed.set()
        return answer

    def send_message(self, *, MessageBody: str, **_: Any) -> Any:  # noqa: N803
        self._count("send")
        self.tried[MessageBody].append(("send", 0))
        return {}

    def _deliver(self, body: str) -> dict[str, Any]:
        number = self.delivered
        self.delivered += 1
        now = str(int(time.time() * 1000))
        attributes = {"ApproximateReceiveCount": "1", "ApproximateFirstReceiveTimestamp": now}
        return {"MessageId": f"m{number}", "ReceiptHandle": f"r{number}", "Body": body, "Attributes": attributes}

    def _count(self, name: str) -> None:
        self.calls[name] += 1
        if self.broken[name] > 0:
            self.broken[name] -= 1
            raise ReadTimeoutError(endpoint_url="http://scripted")

    def _answer(self, name: str, entries: list[dict[str, Any]]) -> Any:
        self._count(name)
        self.sizes.append(len(entries))
        failed = []
        for entry in entries:
            handle = entry["ReceiptHandle"]
            self.order.append(handle)
            self.tried[handle].append((name, entry.get("VisibilityTimeout", 0)))
            if codes := self.refusals.get(handle):
                failed.append({"Id": entry["Id"], "Code": codes.pop(0), "SenderFault": True})
        return {"Failed": failed}
