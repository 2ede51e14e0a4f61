"""Our own account: who we are, tables and queues as AWS describes them, and AWS's time."""

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from workers.aws.calls import Calls
from workers.aws.clients import Clients
from workers.aws.doctor.simulation import Simulation
from workers.aws.errors import translate
from workers.aws.pacing.law import SECOND
from workers.aws.pacing.server_clock import ServerClock
from workers.core.doctor.ports import (
    Identity,
    QueueSeen,
    RuleSeen,
    RuleTarget,
    TableSeen,
    TimeToLive,
    Verdict,
)
from workers.core.errors import PrelaunchError
from workers.core.model.group import Target
from workers.core.ports import Clock

MISSING = ("ResourceNotFoundException",)
"""What DynamoDB and EventBridge answer of a table, a rule and a bus that is not there."""
MISSING_QUEUES = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
MISSING_ROLE = "NoSuchEntity"
QUEUE_ATTRIBUTES = (
    "VisibilityTimeout",
    "RedrivePolicy",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "QueueArn",
    "Policy",
)
COUNTS = slice(2, 5)
QUEUES_A_PAGE = 1000
EXPIRING = ("ENABLED", "ENABLING")
OLDEST = "ApproximateAgeOfOldestMessage"
RECEIVES = ("NumberOfMessagesReceived", "NumberOfEmptyReceives")
"""What a poll adds to, whether it found something or not (SQS Developer Guide, "Available CloudWatch metrics")."""
METRIC_PERIOD = timedelta(minutes=1)
METRIC_REACH = timedelta(minutes=5)
"""CloudWatch has SQS's figures a minute or two late."""


class OwnAccount:
    """
    Our own account, by our own credentials.

    Parameters:
        clients: Those of the running loop.
        calls: The paced calls over them.
        clock: Tells this machine's time, which may be wrong.
    """

    def __init__(self, clients: Clients, calls: Calls, clock: Clock) -> None:
        self._clients = clients
        self._calls = calls
        self._clock = clock
        self._simulation = Simulation(calls)

    async def who(self) -> Identity:
        """Tell whose credentials these are; SetupError: nobody answers."""
        credentials = await self._clients.credentials()
        caller = await self._clients.caller()
        region = (await self._clients.own("sts")).meta.region_name
        return Identity(caller.account_id, caller.arn, region, credentials.method, credentials.expires_at)

    async def find_clock_offset(self) -> timedelta | None:
        """Tell how far AWS's clock is ahead of ours; None where no answer says its time."""
        sts = await self._clients.own("sts")
        aws = ServerClock(lambda: round(self._clock().timestamp() * SECOND))
        aws.watch(sts)
        try:
            await sts.get_caller_identity()
        except ClientError:
            # A refusal has a Date too: of a clock that is far off there is nothing else.
            pass
        except BotoCoreError as error:
            raise translate(error, "sts", "GetCallerIdentity") from error
        return timedelta(microseconds=aws.offset) if aws.is_known else None

    async def describe_table(self, name: str) -> TableSeen | None:
        """Describe a table; None where there is none."""
        found = await self._ask("dynamodb", "DescribeTable", MISSING, TableName=name)
        if found is None:
            return None
        table = found["Table"]
        # A table that was never on demand has no summary (DynamoDB's API reference).
        billing = (table.get("BillingModeSummary") or {}).get("BillingMode", "PROVISIONED")
        indexes = {each["IndexName"]: _read_key(each) for each in table.get("GlobalSecondaryIndexes") or []}
        return TableSeen(table["TableStatus"], billing, _read_key(table), indexes)

    async def describe_queue(self, name: str) -> QueueSeen | None:
        """Describe a queue; None where there is none."""
        found = await self._ask("sqs", "GetQueueUrl", MISSING_QUEUES, QueueName=name)
        if found is None:
            return None
        asked = {"QueueUrl": found["QueueUrl"], "AttributeNames": list(QUEUE_ATTRIBUTES)}
        answer = await self._ask("sqs", "GetQueueAttributes", MISSING_QUEUES, **asked)
        return None if answer is None else _read_queue(answer.get("Attributes") or {})

    async def describe_time_to_live(self, name: str) -> TimeToLive | None:
        """Tell by which attribute a table's items are deleted; None where there is no such table."""
        found = await self._ask("dynamodb", "DescribeTimeToLive", MISSING, TableName=name)
        if found is None:
            return None
        told = found["TimeToLiveDescription"]
        return TimeToLive(told["TimeToLiveStatus"] in EXPIRING, told.get("AttributeName"))

    async def list_queues(self, prefix: str) -> Sequence[str]:
        """List the names of the queues that begin so."""
        # Without MaxResults SQS answers no token, and 1,000 at most (SQS's API reference).
        request: dict[str, Any] = {"QueueNamePrefix": prefix, "MaxResults": QUEUES_A_PAGE}
        names: list[str] = []
        while True:
            page = await self._ask("sqs", "ListQueues", (), **request)
            names += [url.rpartition("/")[2] for url in page.get("QueueUrls") or []]
            if not page.get("NextToken"):
                return names
            request["NextToken"] = page["NextToken"]

    async def describe_rule(self, name: str) -> RuleSeen | None:
        """Describe a rule of the default event bus; None where there is none."""
        rule, listed = await asyncio.gather(
            self._ask("events", "DescribeRule", MISSING, Name=name),
            self._ask("events", "ListTargetsByRule", MISSING, Rule=name),
        )
        if rule is None or listed is None:
            return None
        targets = tuple(map(_read_target, listed["Targets"]))
        return RuleSeen(rule["Arn"], rule["State"], rule.get("ScheduleExpression"), rule.get("EventPattern"), targets)

    async def has_event_bus(self, name: str) -> bool:
        """Tell whether there is an event bus of this name or ARN."""
        return await self._ask("events", "DescribeEventBus", MISSING, Name=name) is not None

    async def find_oldest(self, name: str) -> timedelta | None:
        """Tell the age of a queue's oldest message; None where CloudWatch has no figure of it."""
        points = await self._measure(name, OLDEST, "Maximum", METRIC_REACH)
        return timedelta(seconds=points[-1]) if points else None

    async def count_receives(self, name: str, reach: timedelta) -> int:
        """Count how often somebody asked a queue for messages of late, as far as CloudWatch knows by now."""
        measuring = (self._measure(name, metric, "Sum", reach) for metric in RECEIVES)
        return round(sum(sum(points) for points in await asyncio.gather(*measuring)))

    async def _measure(self, queue: str, metric: str, statistic: str, reach: timedelta) -> list[float]:
        """Ask CloudWatch for the values of one of a queue's metrics, one a minute, the latest last."""
        until = self._clock()
        found = await self._ask(
            "cloudwatch",
            "GetMetricStatistics",
            (),
            Namespace="AWS/SQS",
            MetricName=metric,
            Dimensions=[{"Name": "QueueName", "Value": queue}],
            StartTime=until - reach,
            EndTime=until,
            Period=int(METRIC_PERIOD.total_seconds()),
            Statistics=[statistic],
        )
        points = sorted(found.get("Datapoints") or [], key=lambda point: point["Timestamp"])
        return [float(point[statistic]) for point in points]

    async def may_use(self, arn: str, resources: Mapping[str, Collection[str]]) -> Sequence[Verdict]:
        """Tell what a principal may do, by ARN of the resource; never raises what IAM refuses."""
        return await self._simulation.ask(await self._here(), arn, resources)

    async def find_role(self, name: str) -> bool | None:
        """Tell whether our own account has a role; None where that is not known."""
        try:
            await self._calls.call(await self._here(), "iam", "GetRole", {"RoleName": name.rpartition("/")[2]})
        except PrelaunchError as error:
            return False if error.code == MISSING_ROLE else None
        return True

    async def _here(self) -> Target:
        return Target((await self._clients.own("sts")).meta.region_name)

    async def _ask(self, service: str, operation: str, missing: tuple[str, ...], **request: Any) -> Any:
        """Ask one of our own services, with the SDK's retries; None where what is asked for is not there."""
        client = await self._clients.own(service)
        try:
            return await getattr(client, xform_name(operation))(**request)
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] in missing:
                return None
            raise translate(error, service, operation) from error


def _read_key(described: Any) -> tuple[str, str | None]:
    keys = {each["KeyType"]: each["AttributeName"] for each in described["KeySchema"]}
    return keys["HASH"], keys.get("RANGE")


def _read_queue(attributes: Mapping[str, str]) -> QueueSeen:
    redrive = json.loads(attributes.get("RedrivePolicy") or "{}")
    target = redrive.get("deadLetterTargetArn")
    waiting, in_flight, delayed = (int(attributes[name]) for name in QUEUE_ATTRIBUTES[COUNTS])
    return QueueSeen(
        visibility=timedelta(seconds=int(attributes["VisibilityTimeout"])),
        dead_letter_queue=target.rpartition(":")[2] if target else None,
        max_receives=int(redrive["maxReceiveCount"]) if redrive else None,
        waiting=waiting,
        in_flight=in_flight,
        delayed=delayed,
        arn=attributes["QueueArn"],
        policy=attributes.get("Policy") or None,
    )


def _read_target(target: Mapping[str, Any]) -> RuleTarget:
    template = (target.get("InputTransformer") or {}).get("InputTemplate")
    return RuleTarget(target["Arn"], target.get("Input"), template)
