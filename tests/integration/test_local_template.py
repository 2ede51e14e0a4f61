"""The template that production deploys, and what of it the stand-in leaves out."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode import cfn_yaml

from workers.core.contract import Queue, SweepWork, WatchWork, read_work
from workers.core.queue.errors import UnreadableJob
from workers.core.queue.job import decode_job

TEMPLATE = Path(__file__).parents[2] / "infra" / "template.yaml"
Clients = Callable[..., Any]

TABLES = {
    "groups": ["groupId", "item"],
    "runs": ["groupId", "item"],
    "keys": ["key"],
    "rate-buckets": ["bucket"],
    "waves": ["waveId", "item"],
}
QUEUES = ["jobs-urgent", "jobs", "jobs-bulk", "requests"]


def test_cfn_lint_finds_nothing() -> None:
    """AWS's own linter accepts the template, warnings included."""
    command = [
        str(Path(sys.executable).with_name("cfn-lint")),
        "--non-zero-exit-code",
        "warning",
        str(TEMPLATE),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_stand_in_has_exactly_the_template_s_tables_and_queues(client: Clients) -> None:
    """Nothing on the laptop that production lacks."""
    found = client("dynamodb").list_tables()["TableNames"]
    assert {name for name in found if not name.startswith("test-")} == {f"prelaunch-{name}" for name in TABLES}
    urls = client("sqs").list_queues(QueueNamePrefix="prelaunch-")["QueueUrls"]
    names = {url.rpartition("/")[2] for url in urls}
    assert names == {f"prelaunch-{name}{end}" for name in QUEUES for end in ("", "-dlq")}


@pytest.mark.parametrize(("name", "keys"), TABLES.items())
def test_a_table_has_its_keys(client: Clients, name: str, keys: list[str]) -> None:
    """Partition key, then sort key; paid on demand."""
    table = client("dynamodb").describe_table(TableName=f"prelaunch-{name}")["Table"]
    assert [key["AttributeName"] for key in table["KeySchema"]] == keys
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


def test_only_unsettled_heads_are_in_the_index(client: Clients) -> None:
    """The index is sparse: an item without its attributes is not in it, and it holds what the sweeper reads."""
    dynamodb = client("dynamodb")
    head = {"groupId": {"S": "g"}, "item": {"S": "head#1"}, "listed": {"N": "3"}, "done": {"N": "1"}}
    waiting = {"unsettled": {"S": "1"}, "resendAfter": {"S": "2026-01-01"}}
    ask = {
        "TableName": "prelaunch-runs",
        "IndexName": "unsettled",
        "KeyConditionExpression": "unsettled = :one AND resendAfter < :now",
        "ExpressionAttributeValues": {":one": {"S": "1"}, ":now": {"S": "2026-06-01"}},
    }
    dynamodb.put_item(TableName="prelaunch-runs", Item=head | waiting)
    (found,) = dynamodb.query(**ask)["Items"]
    assert set(found) == {"groupId", "item", "unsettled", "resendAfter", "listed"}
    dynamodb.put_item(TableName="prelaunch-runs", Item=head)
    assert dynamodb.query(**ask)["Items"] == []


@pytest.mark.parametrize("name", QUEUES)
def test_a_queue_has_its_times_and_its_dead_letter_queue(client: Clients, name: str) -> None:
    """60 s of visibility, polls of 20 s, 14 days; a thousand receives before the dead-letter queue."""
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName=f"prelaunch-{name}")["QueueUrl"]
    told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert told["VisibilityTimeout"] == "60"
    assert told["ReceiveMessageWaitTimeSeconds"] == "20"
    assert told["MessageRetentionPeriod"] == "1209600"
    assert told["SqsManagedSseEnabled"] == "true"
    assert f"prelaunch-{name}-dlq" in told["RedrivePolicy"]
    assert '"maxReceiveCount": 1000' in told["RedrivePolicy"]


def read_resources() -> dict[str, Any]:
    """Read the template's resources as AWS's own linter does."""
    return dict(cfn_yaml.load(str(TEMPLATE))["Resources"])


@pytest.mark.parametrize(
    ("name", "rate", "work"),
    [("sweep", "rate(1 minute)", SweepWork()), ("watch", "rate(6 hours)", WatchWork())],
)
def test_the_schedules_send_what_a_worker_reads(client: Clients, name: str, rate: str, work: object) -> None:
    """What a deployed rule sends is a sweep, or a watch of everything, of its stack to the product's own decoder."""
    events, sqs = client("events"), client("sqs")
    rule = events.describe_rule(Name=f"prelaunch-{name}")
    assert (rule["ScheduleExpression"], rule["State"]) == (rate, "ENABLED")
    (target,) = events.list_targets_by_rule(Rule=f"prelaunch-{name}")["Targets"]
    url = sqs.get_queue_url(QueueName="prelaunch-jobs")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    assert target["Arn"] == arn
    # EventBridge refuses an Input that is no JSON.
    assert isinstance(json.loads(target["Input"]), dict)
    job = decode_job(target["Input"], Queue.NORMAL, stack="prelaunch")
    assert (job.actor_name, read_work(job.actor_name, job.kwargs)) == (name, work)
    with pytest.raises(UnreadableJob, match='of the stack "prelaunch"'):
        decode_job(target["Input"], Queue.NORMAL, stack="recovery")


def _arn(resource: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [resource, "Arn"]}


@pytest.mark.parametrize(
    ("queue", "rules"),
    [("JobsQueue", [_arn("SweepRule"), _arn("WatchRule")]), ("RequestsQueue", _arn("ChangesRule"))],
)
def test_only_our_rules_may_send_from_outside(queue: str, rules: object) -> None:
    """A queue's policy names EventBridge and, against the rules of all others, the ARNs of its own rules."""
    policy = read_resources()[f"{queue}Policy"]["Properties"]
    assert policy["Queues"] == [{"Ref": queue}]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": _arn(queue),
        "Condition": {"ArnEquals": {"aws:SourceArn": rules}},
    }


def test_what_moto_leaves_out_of_the_template(client: Clients) -> None:
    """By name: resources that are in the template and not on the laptop. None; but nothing sets a rule off."""
    deployed = client("cloudformation").list_stack_resources(StackName="prelaunch")["StackResourceSummaries"]
    left_out = read_resources().keys() - {resource["LogicalResourceId"] for resource in deployed}
    assert left_out == set()


def test_what_moto_ignores_in_the_template(client: Clients) -> None:
    """By name: these hold in production only. Should one hold here one day, this list is old."""
    dynamodb = client("dynamodb")
    runs = dynamodb.describe_table(TableName="prelaunch-runs")["Table"]
    backups = dynamodb.describe_continuous_backups(TableName="prelaunch-runs")["ContinuousBackupsDescription"]
    ignored = {
        "PointInTimeRecoverySpecification": (
            backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "DISABLED"
        ),
        "SSESpecification": "SSEDescription" not in runs,
    }
    assert ignored == dict.fromkeys(ignored, True)


@pytest.mark.parametrize(("name", "expires"), [("groups", True), ("runs", True), ("keys", True), ("waves", False)])
def test_a_table_s_time_to_live_is_there_to_be_read(client: Clients, name: str, expires: bool) -> None:
    """moto's CloudFormation leaves it out, and moto has it; that of a table without any is disabled."""
    told = client("dynamodb").describe_time_to_live(TableName=f"prelaunch-{name}")["TimeToLiveDescription"]
    wanted = {"TimeToLiveStatus": "ENABLED", "AttributeName": "expiresAt"}
    assert told == (wanted if expires else {"TimeToLiveStatus": "DISABLED"})


@pytest.mark.parametrize(
    ("name", "rules"), [("jobs", ["sweep", "watch"]), ("requests", ["changes"]), ("jobs-urgent", None)]
)
def test_a_queue_s_policy_is_there_to_be_read(client: Clients, name: str, rules: list[str] | None) -> None:
    """With the ARNs of the rules that may send; of a queue that has none there is no such attribute."""
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName=f"prelaunch-{name}")["QueueUrl"]
    told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"]).get("Attributes", {})
    if rules is None:
        assert "Policy" not in told
        return
    (statement,) = json.loads(told["Policy"])["Statement"]
    named = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
    found = [named] if isinstance(named, str) else named
    assert found == [f"arn:aws:events:us-east-1:123456789012:rule/prelaunch-{rule}" for rule in rules]
