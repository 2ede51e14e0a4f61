"""
CloudWatch's ApproximateAgeOfOldestMessage of a queue, which moto does not measure: as it is now, in one datapoint.

SQS sends its figures once a minute, and none of a queue with nothing in it that nobody uses (SQS Developer Guide,
"Available CloudWatch metrics"). Every other metric stays moto's.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult
from moto.sqs.exceptions import QueueDoesNotExist
from moto.sqs.models import sqs_backends

from infra.local.mend import replace

METRIC = "ApproximateAgeOfOldestMessage"
SECONDS = 1000


def install() -> None:
    """Mend moto's CloudWatch."""
    replace(CloudWatchResponse, "get_metric_statistics", _measuring)


def _measuring(original: Callable[[CloudWatchResponse], ActionResult]) -> Callable[[CloudWatchResponse], ActionResult]:
    def get_metric_statistics(self: CloudWatchResponse) -> ActionResult:
        if (self._get_param("Namespace"), self._get_param("MetricName")) != ("AWS/SQS", METRIC):
            return original(self)
        (dimension,) = self._get_param("Dimensions")
        points = _measure(self.current_account, self.region, dimension["Value"])
        return ActionResult({"Label": METRIC, "Datapoints": points})

    return get_metric_statistics


def _measure(account_id: str, region: str, queue_name: str) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    try:
        queue = sqs_backends[account_id][region].get_queue(queue_name)
    except QueueDoesNotExist:
        return []
    sent: list[Any] = [message.sent_timestamp for message in queue._messages]  # noqa: SLF001  # moto's own way to them
    if not sent:
        return []
    age = now.timestamp() - min(sent) / SECONDS
    return [{"Timestamp": now, "Maximum": max(age, 0.0), "Unit": "Seconds"}]
