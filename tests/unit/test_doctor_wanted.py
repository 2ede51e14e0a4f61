"""What the doctor looks for is what is deployed, and what is called: neither list may fall behind."""

from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader
from cfnlint.decode import cfn_yaml

from workers.aws.pacing.quotas import QUOTAS
from workers.core.doctor.ports import TableSeen
from workers.core.doctor.resources import CALLED, DRY_RUNS, list_drs_writes
from workers.core.doctor.rules import CHECK_DRIFT, PATTERN, RULES
from workers.core.doctor.stack import (
    BILLING,
    EXPIRING,
    MAX_RECEIVES,
    VISIBILITY,
    check_table,
    list_indexes,
    list_queues,
)
from workers.core.model.group import Target
from workers.core.store.writes import KEYS, TableName

TEMPLATE = cfn_yaml.load(str(Path(__file__).parents[2] / "infra" / "template.yaml"))
DOCTORS_OWN = {("iam", "GetRole"), ("iam", "SimulatePrincipalPolicy"), ("service-quotas", "ListServiceQuotas")}
CALLER = "arn:aws-us-gov:sts::111122223333:assumed-role/ops/me"


def of_kind(kind: str) -> list[Any]:
    return [each["Properties"] for each in TEMPLATE["Resources"].values() if each["Type"] == kind]


def read_key(described: Any) -> tuple[str, str | None]:
    keys = {each["KeyType"]: each["AttributeName"] for each in described["KeySchema"]}
    return str(keys["HASH"]), keys.get("RANGE")


@pytest.mark.parametrize("table", KEYS)
def test_a_table_as_the_template_has_it_is_ok(table: TableName) -> None:
    """Keys, indexes and billing; and no index is expected that the template lacks, or the other way about."""
    (found,) = (
        each for each in of_kind("AWS::DynamoDB::Table") if each["TableName"]["Fn::Sub"] == f"${{Stack}}-{table}"
    )
    indexes = {str(each["IndexName"]): read_key(each) for each in found.get("GlobalSecondaryIndexes", [])}
    assert list_indexes(table) == indexes
    assert found["BillingMode"] == BILLING
    seen = TableSeen("ACTIVE", str(found["BillingMode"]), read_key(found), indexes)
    assert check_table(table, table, seen).outcome == "ok"


@pytest.mark.parametrize("table", KEYS)
def test_items_are_expected_to_go_as_the_template_has_it(table: TableName) -> None:
    """By an attribute, or never."""
    (found,) = (
        each for each in of_kind("AWS::DynamoDB::Table") if each["TableName"]["Fn::Sub"] == f"${{Stack}}-{table}"
    )
    wanted = found.get("TimeToLiveSpecification")
    assert EXPIRING.get(table) == (wanted["AttributeName"] if wanted and wanted["Enabled"] else None)


def test_rules_are_expected_as_the_template_has_them() -> None:
    """Names, schedules or events, targets, and what they send."""
    deployed = {each["Name"]["Fn::Sub"]: each for each in of_kind("AWS::Events::Rule")}
    assert deployed.keys() == {f"${{Stack}}-{rule.name}" for rule in RULES}
    for rule in RULES:
        found = deployed[f"${{Stack}}-{rule.name}"]
        (target,) = found["Targets"]
        queue = TEMPLATE["Resources"][target["Arn"]["Fn::GetAtt"][0]]["Properties"]
        assert queue["QueueName"]["Fn::Sub"] == f"${{Stack}}-{rule.queue}"
        assert found["State"] == "ENABLED"
        assert found.get("ScheduleExpression") == rule.schedule
        assert found.get("EventPattern") == (None if rule.schedule else PATTERN)
        if rule.actor:
            assert f'"actor_name": "{rule.actor}"' in target["Input"]["Fn::Sub"]
        else:
            assert f'"operation": "{CHECK_DRIFT}"' in target["InputTransformer"]["InputTemplate"]


def test_queues_are_expected_as_the_template_has_them() -> None:
    """Names, visibility and redrive policy."""
    queues = {each["QueueName"]["Fn::Sub"].replace("${Stack}", "p"): each for each in of_kind("AWS::SQS::Queue")}
    assert sorted(name for names in list_queues("p") for name in names) == sorted(queues)
    for name, dead_letter_queue in list_queues("p"):
        assert queues[name]["VisibilityTimeout"] == VISIBILITY.total_seconds()
        redrive = queues[name]["RedrivePolicy"]
        assert redrive["maxReceiveCount"] == MAX_RECEIVES
        resource, _ = redrive["deadLetterTargetArn"]["Fn::GetAtt"]
        assert TEMPLATE["Resources"][resource]["Properties"]["QueueName"]["Fn::Sub"] == (
            dead_letter_queue.replace("p-", "${Stack}-", 1)
        )


def test_every_call_that_is_paced_is_asked_for() -> None:
    """A call that the product makes in an account and the doctor does not know of would be denied in the disaster."""
    writes = {
        action for actions in list_drs_writes(CALLER, Target("us-gov-west-1"), "s-1").values() for action in actions
    }
    asked = {("ec2", operation) for operation in DRY_RUNS} | {*CALLED}
    asked |= {("drs", action.partition(":")[2]) for action in writes} - {("drs", "TagResource")}
    assert asked == QUOTAS.keys() - DOCTORS_OWN


def test_what_is_tried_by_a_dry_run_has_one() -> None:
    """By botocore's model; what has none would be done."""
    model = Loader().load_service_model("ec2", "service-2")
    for operation in DRY_RUNS:
        assert "DryRun" in model["shapes"][model["operations"][operation]["input"]["shape"]]["members"]


def test_resources_are_named_in_the_callers_partition() -> None:
    """And in the account that the target names, or the caller's."""
    named = list_drs_writes(CALLER, Target("us-gov-west-1"), "s-1")
    assert "arn:aws-us-gov:drs:us-gov-west-1:111122223333:source-server/s-1" in named
    assert all(
        ":444455556666:" in arn for arn in list_drs_writes(CALLER, Target("us-gov-west-1", "444455556666"), "s-1")
    )
