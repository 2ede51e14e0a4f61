"""
Find what EC2 warns of in the data of a launch template. EC2 stores such data all the same.

The rule, in EC2's order of trouble:

- *Instance type*: known if botocore's EC2 model or moto's offerings list it (together about a thousand types,
  of every family), else warned of. It is never guessed from its spelling: `m5.3xlarge` looks right and does
  not exist.
- *Security groups*: the id must be well formed and must exist in the account and Region.
- *Combinations*: what RunInstances refuses for any instance (security groups beside network interfaces, two
  network interfaces of one device index, a ready-made interface with subnet or groups, an io1 or io2 disk
  without iops).

It never refuses: only the caller knows whether a warned version may be used.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

from infra.local.aws_models import load_model

Finding = dict[str, str]

_GROUP_ID = re.compile(r"sg-(?:[0-9a-f]{17}|[0-9a-f]{8})\Z")


def find_warnings(data: dict[str, Any], group_ids: frozenset[str]) -> list[Finding]:
    """
    List what is wrong with the data of a launch template.

    Parameters:
        data: Launch template data as the request's shape has it.
        group_ids: The security groups of the account and Region.

    Returns:
        One `{"Code", "Message"}` a finding; empty if the data can be launched.
    """
    return [
        *_check_instance_type(data.get("InstanceType")),
        *_check_groups(data, group_ids),
        *_check_interfaces(data),
        *_check_disks(data),
    ]


@cache
def known_instance_types() -> frozenset[str]:
    """Gather every instance type that botocore's model or moto's offerings name."""
    return frozenset(load_model("ec2").shape_for("InstanceType").enum) | frozenset(INSTANCE_TYPES)


def _warning(code: str, message: str) -> Finding:
    return {"Code": code, "Message": message}


def _check_instance_type(instance_type: str | None) -> Iterator[Finding]:
    if instance_type is not None and instance_type not in known_instance_types():
        yield _warning("InvalidInstanceType", f"The instance type '{instance_type}' does not exist.")


def _check_groups(data: dict[str, Any], group_ids: frozenset[str]) -> Iterator[Finding]:
    named = list(data.get("SecurityGroupIds", ()))
    for interface in data.get("NetworkInterfaces", ()):
        named.extend(interface.get("Groups", ()))
    for group_id in dict.fromkeys(named):
        if not _GROUP_ID.match(group_id):
            yield _warning("InvalidGroupId.Malformed", f'Invalid id: "{group_id}" (expecting "sg-...")')
        elif group_id not in group_ids:
            yield _warning("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")


def _check_interfaces(data: dict[str, Any]) -> Iterator[Finding]:
    interfaces = data.get("NetworkInterfaces", ())
    if interfaces and (data.get("SecurityGroupIds") or data.get("SecurityGroups")):
        yield _warning(
            "InvalidParameterCombination",
            "Network interfaces and instance-level security groups may not be specified on the same request",
        )
    indexes = [interface.get("DeviceIndex") for interface in interfaces]
    if len(set(indexes)) < len(indexes):
        yield _warning(
            "InvalidParameterValue", "Each network interface requires a unique device index for the instance."
        )
    for interface in interfaces:
        if "NetworkInterfaceId" in interface and ("SubnetId" in interface or interface.get("Groups")):
            yield _warning(
                "InvalidParameterCombination",
                "A network interface may not specify both an ID and a subnet or security groups",
            )


def _check_disks(data: dict[str, Any]) -> Iterator[Finding]:
    for mapping in data.get("BlockDeviceMappings", ()):
        disk = mapping.get("Ebs", {})
        if disk.get("VolumeType") in ("io1", "io2") and "Iops" not in disk:
            yield _warning(
                "MissingParameter",
                f"The parameter iops must be specified for {disk['VolumeType']} volumes.",
            )
