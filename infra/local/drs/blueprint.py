"""
The launch template that DRS makes for a source server.

It holds what an operator would miss at once: disks of different types, IMDSv2, tags of instance and volumes,
a second network interface. Code that writes a template without inheriting from it loses them: that must show.
"""

import json
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from moto.ec2.models import ec2_backends
from moto.iam.models import AWSManagedPolicy, iam_backends
from moto.utilities.utils import get_partition

from infra.local.drs.servers import HARDWARES, Hardware

MANAGED_TAG = "AWSElasticDisasterRecoveryManaged"
"""The tag by which DRS's own policy, and its users' policies, allow writes to the template."""
SERVER_TAG = "AWSElasticDisasterRecoverySourceServerID"
INSTANCE_PROFILE = "AWSElasticDisasterRecoveryRecoveryInstanceProfile"
INSTANCE_ROLE = "AWSElasticDisasterRecoveryRecoveryInstanceRole"
INSTANCE_POLICY = "AWSElasticDisasterRecoveryRecoveryInstancePolicy"
"""AWS's managed policy, by which what DRS launched talks to DRS; its path is /service-role/ (AWS managed policies)."""

_FIRST_HOST = 10


@dataclass(frozen=True, slots=True)
class Landing:
    """Where in the account recovered servers land: the default VPC."""

    subnets: tuple[tuple[str, IPv4Network | IPv6Network], ...]
    group_id: str


def find_landing(account_id: str, region: str) -> Landing:
    """Find the default VPC's subnets and its default security group; make the VPC if it is gone."""
    ec2 = ec2_backends[account_id][region]
    vpc = ec2.get_default_vpc() or ec2.create_default_vpc()
    subnets = sorted(ec2.get_default_subnets().values(), key=lambda subnet: str(subnet.availability_zone))
    group = ec2.get_default_security_group(vpc.id)
    if group is None or not subnets:
        raise LookupError(f"The default VPC of account {account_id} in {region} has no subnet or no default group.")
    return Landing(tuple((subnet.id, subnet.cidr) for subnet in subnets), group.id)


def make_instance_profile(account_id: str, region: str) -> None:
    """Make the instance profile that DRS makes when it is initialised, unless it is there: its templates name it."""
    iam = iam_backends[account_id][get_partition(region)]
    if INSTANCE_PROFILE in iam.instance_profiles:
        return
    # AWS's own policies are in every account; moto has them only if it is told to load all thousand.
    now = "2021-11-17T10:20:00+00:00"
    about = {"Path": "/service-role/", "Document": _write_document([]), "CreateDate": now, "UpdateDate": now}
    policy = AWSManagedPolicy.from_data(INSTANCE_POLICY, account_id, region, about)
    iam.managed_policies[policy.arn] = policy
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps(_write_document([trust]))
    iam.create_role(INSTANCE_ROLE, document, "/service-role/", None, "", [], "3600")
    iam.attach_role_policy(policy.arn, INSTANCE_ROLE)
    iam.create_instance_profile(INSTANCE_PROFILE, "/service-role/", [INSTANCE_ROLE])


def _write_document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def choose_hardware(number: int, landing: Landing) -> Hardware:
    """
    Decide what the numbered source server is like.

    Parameters:
        number: Counts up from 0 in an account and Region.
        landing: Where it will land.

    Returns:
        Its hardware; the private address lies in the subnet of its template.
    """
    system, cores, ram, disks, instance_type = HARDWARES[number % len(HARDWARES)]
    _, network = landing.subnets[number % len(landing.subnets)]
    usable = network.num_addresses - _FIRST_HOST - 1
    address = network[_FIRST_HOST + number // len(landing.subnets) % usable]
    return Hardware(
        hostname=f"app-{number + 1:04d}",
        private_ip=str(address),
        operating_system=system,
        cpu_cores=cores,
        ram_gib=ram,
        disks_gib=disks,
        recommended_instance_type=instance_type,
    )


def draw_template(number: int, source_server_id: str, hardware: Hardware, landing: Landing) -> dict[str, Any]:
    """
    Write the launch template data of a source server, by the members of EC2's request.

    Parameters:
        number: The server's number in its account and Region.
        source_server_id: Whose template it is.
        hardware: Its disks and its instance type.
        landing: Where it lands.

    Returns:
        The data, anew at each call.
    """
    subnet_id = landing.subnets[number % len(landing.subnets)][0]
    return {
        "InstanceType": hardware.recommended_instance_type,
        "IamInstanceProfile": {"Name": INSTANCE_PROFILE},
        "EbsOptimized": True,
        "Monitoring": {"Enabled": False},
        "MetadataOptions": {
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 2,
            "HttpEndpoint": "enabled",
            "InstanceMetadataTags": "enabled",
        },
        "BlockDeviceMappings": [
            {"DeviceName": f"/dev/sd{letter}", "Ebs": {**_DISKS[letter], "VolumeSize": size}}
            for letter, size in zip("abc", hardware.disks_gib, strict=False)
        ],
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                "SubnetId": subnet_id,
                "Groups": [landing.group_id],
                "DeleteOnTermination": True,
            },
            {
                "DeviceIndex": 1,
                "Description": "backup network",
                "SubnetId": subnet_id,
                "Groups": [landing.group_id],
                "DeleteOnTermination": False,
            },
        ],
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": _tags(source_server_id, hardware.hostname)}
            for kind in ("instance", "volume")
        ],
    }


def _tags(source_server_id: str, hostname: str) -> list[dict[str, str]]:
    return [
        {"Key": "Name", "Value": hostname},
        {"Key": SERVER_TAG, "Value": source_server_id},
        {"Key": "CostCenter", "Value": "4711"},
    ]


_DISKS: dict[str, dict[str, Any]] = {
    "a": {
        "VolumeType": "gp3",
        "Iops": 3000,
        "Throughput": 125,
        "Encrypted": True,
        "DeleteOnTermination": True,
    },
    "b": {"VolumeType": "io1", "Iops": 5000, "Encrypted": True, "DeleteOnTermination": True},
    "c": {
        "VolumeType": "gp3",
        "Iops": 6000,
        "Throughput": 250,
        "Encrypted": True,
        "DeleteOnTermination": False,
    },
}
