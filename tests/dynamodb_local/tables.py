"""The tables of `infra/template.yaml`, made as CloudFormation would: keys, indexes, and what ends an item."""

from pathlib import Path
from typing import Any

from cfnlint.decode import cfn_yaml

TEMPLATE = Path(__file__).parents[2] / "infra" / "template.yaml"
LEFT_OUT = frozenset({"PointInTimeRecoverySpecification", "SSESpecification"})
"""What DynamoDB Local does not have; nothing that an item holds depends on it."""


def read_tables(stack: str) -> list[dict[str, Any]]:
    """Read the properties of each table of a stack."""
    resources = cfn_yaml.load(str(TEMPLATE))["Resources"].values()
    tables = [each["Properties"] for each in resources if each["Type"] == "AWS::DynamoDB::Table"]
    return [{**table, "TableName": table["TableName"]["Fn::Sub"].replace("${Stack}", stack)} for table in tables]


def make_tables(dynamodb: Any, stack: str, *, expire: bool = True) -> None:
    """
    Make every table that is not there yet.

    Parameters:
        dynamodb: A client.
        stack: The prefix of their names.
        expire: Whether items end, by the machine's own clock, as they do in production.
    """
    present = dynamodb.list_tables()["TableNames"]
    for properties in read_tables(stack):
        name = properties["TableName"]
        if name in present:
            continue
        ends = properties.get("TimeToLiveSpecification")
        apart = {*LEFT_OUT, "TimeToLiveSpecification"}
        dynamodb.create_table(**{key: value for key, value in properties.items() if key not in apart})
        if ends and expire:
            dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=ends)
