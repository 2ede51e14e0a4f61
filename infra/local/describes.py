"""
Describes of EC2 where moto does less: DryRun that it does not heed, and pages where it answers all at once.

EC2 answers DryRunOperation to DryRun and does nothing else; MaxResults items are a page, with a NextToken where there
are more (EC2's API reference). A reader that asks whether it may read must not be given what it did not ask for, and
one that takes the first page for all must not get away with it.
"""

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces
from moto.ec2.responses.instances import InstanceResponse
from moto.ec2.responses.security_groups import SecurityGroups
from moto.ec2.responses.subnets import Subnets

from infra.local.mend import replace


def install() -> None:
    """Mend moto's EC2."""
    replace(InstanceResponse, "describe_instance_type_offerings", _mend("InstanceTypeOfferings"))
    replace(SecurityGroups, "describe_security_groups", _mend("SecurityGroups"))
    replace(Subnets, "describe_subnets", _mend("Subnets"))
    replace(ElasticNetworkInterfaces, "describe_network_interfaces", _mend("NetworkInterfaces"))


def _mend(member: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    def make(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def describe(self: Any) -> ActionResult:
            self.error_on_dryrun()
            result = original(self).result
            start = int(self._get_param("NextToken") or 0)
            end = start + int(self._get_param("MaxResults") or len(result[member]))
            more = {"NextToken": str(end)} if end < len(result[member]) else {}
            return ActionResult({**result, member: result[member][start:end], **more})

        return describe

    return make
