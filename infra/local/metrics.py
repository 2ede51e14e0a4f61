"""
CloudWatch's figures of a queue that moto does not measure: the age of its oldest message, and how it is received from.

As it is now, in one datapoint. SQS sends its figures once a minute, and none of a queue with nothing in it that nobody
uses (SQS Developer Guide, "Available CloudWatch metrics"). Every other metric stays moto's.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult
from moto.sqs.exceptions import QueueDoesNotExist
from moto.sqs.models import Queue, sqs_backends

from infra.local.mend import replace
from infra.local.standard_queue import StandardQueue

OLDEST = "ApproximateAgeOfOldestMessage"
RECEIVED, EMPTY = "NumberOfMessagesReceived", "NumberOfEmptyReceives"
SECONDS = 1000


def install() -> None:
    """Mend moto's CloudWatch."""
    replace(CloudWatchResponse, "get_metric_statistics", _measuring)


def _measuring(original: Callable[[CloudWatchResponse], ActionResult]) -> Callable[[CloudWatchResponse], ActionResult]:
    def get_metric_statistics(self: CloudWatchResponse) -> ActionResult:
        metric = self._get_param("MetricName")
        if self._get_param("Namespace") != "AWS/SQS" or metric not in {OLDEST, RECEIVED, EMPTY}:
            return original(self)
        (dimension,) = self._get_param("Dimensions")
        try:
            queue = sqs_backends[self.current_account][self.region].get_queue(dimension["Value"])
        except QueueDoesNotExist:
            return ActionResult({"Label": metric, "Datapoints": []})
        since = self._get_param("StartTime").timestamp()
        points = _measure_age(queue) if metric == OLDEST else _count_receives(queue, metric, since)
        return ActionResult({"Label": metric, "Datapoints": points})

    return get_metric_statistics


def _measure_age(queue: Queue) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    sent: list[Any] = [message.sent_timestamp for message in queue._messages]  # noqa: SLF001  # moto's own way to them
    if not sent:
        return []
    age = now.timestamp() - min(sent) / SECONDS
    return [{"Timestamp": now, "Maximum": max(age, 0.0), "Unit": "Seconds"}]


def _count_receives(queue: Queue, metric: str, since: float) -> list[dict[str, Any]]:
    if not isinstance(queue, StandardQueue):
        return []
    received, empty = queue.count_receives(since * SECONDS)
    count = received if metric == RECEIVED else empty
    return [{"Timestamp": datetime.now(UTC), "Sum": float(count), "Unit": "Count"}] if count else []
