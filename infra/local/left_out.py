"""
What moto has, and its CloudFormation leaves out of a template: the time to live of tables, and queues' policies.

Both are there to be read. Nothing expires here, and nobody is kept from a queue.
"""

import json
from collections.abc import Callable
from typing import Any, Self

from moto.core.common_models import CloudFormationModel
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.sqs.models import sqs_backends

from infra.local.mend import replace


def install() -> None:
    """Mend moto's CloudFormation, which finds the class below by itself."""
    replace(Table, "create_from_cloudformation_json", _with_time_to_live)


def _with_time_to_live(original: Callable[..., Table]) -> Callable[..., Table]:
    def create(name: str, resource: dict[str, Any], account_id: str, region: str, **more: Any) -> Table:
        table = original(name, resource, account_id, region, **more)
        wanted = resource["Properties"].get("TimeToLiveSpecification")
        if wanted:
            dynamodb_backends[account_id][region].update_time_to_live(table.name, wanted)
        return table

    return create


class QueuePolicy(CloudFormationModel):
    """The policy that a template gives queues, named by their URLs. Source: CloudFormation, AWS::SQS::QueuePolicy."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def physical_resource_id(self) -> str:
        """Name it to CloudFormation."""
        return self.name

    @staticmethod
    def cloudformation_name_type() -> str:
        """Tell CloudFormation that no property names it."""
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        """Tell CloudFormation what it is."""
        return "AWS::SQS::QueuePolicy"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: dict[str, Any], account_id: str, region_name: str, **_: Any
    ) -> Self:
        """Set the queues' policy."""
        properties = cloudformation_json["Properties"]
        for url in properties["Queues"]:
            attributes = {"Policy": json.dumps(properties["PolicyDocument"])}
            sqs_backends[account_id][region_name].set_queue_attributes(url.rpartition("/")[2], attributes)
        return cls(resource_name)
