"""
Every field of a launch config that is accepted: its type, where it lives, and what null means there.

This is the only list of them: parsing, merging, the OpenAPI schema and the table `FIELDS` come from it.
A field stands here only if a worker applies it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from workers.core.model import types


class Half(StrEnum):
    """Which of the two AWS objects of a source server holds a field."""

    DRS = "drs"
    """The launch configuration, written by UpdateLaunchConfiguration."""
    EC2 = "ec2"
    """The launch template, written by CreateLaunchTemplateVersion."""


@dataclass(frozen=True, slots=True)
class Belongs:
    """What a type cannot say about a field; stands in its annotation."""

    half: Half
    null_reason: str = ""
    """Why null is refused; empty where null is allowed."""
    servers_only: bool = False
    """True where one value for a whole group makes no sense."""


_DRS_BOOLEAN = "DRS holds true or false here, never nothing; give one of them, or leave the field out to keep it."
_DRS_ENUM = "DRS always holds one of its values here; name it, or leave the field out to keep what is there."
_DRS_INSTANCE = (
    "DRS accepts no empty instance id, so the setting cannot be taken back through its API; "
    "leave the field out, or remove it in the DRS console."
)

_EC2 = Belongs(Half.EC2)
_CLOSED = ConfigDict(extra="forbid")


@with_config(_CLOSED)
class MetadataOptions(TypedDict, total=False):
    """The instance metadata service of the recovery instance; members that are left out stay as they are."""

    httpTokens: Annotated[
        Literal["optional", "required"] | None, Field(description='"optional" or "required" (IMDSv2 only)')
    ]
    httpPutResponseHopLimit: Annotated[types.HopLimit | None, Field(description="a whole number from 1 to 64")]
    httpEndpoint: Annotated[types.Switch | None, Field(description='"enabled" or "disabled"')]
    httpProtocolIpv6: Annotated[types.Switch | None, Field(description='"enabled" or "disabled"')]
    instanceMetadataTags: Annotated[types.Switch | None, Field(description='"enabled" or "disabled"')]


@with_config(_CLOSED)
class CreditSpecification(TypedDict, total=False):
    """CPU credits of burstable instance types."""

    cpuCredits: Annotated[Literal["standard", "unlimited"] | None, Field(description='"standard" or "unlimited"')]


@with_config(_CLOSED)
class Licensing(TypedDict, total=False):
    """Licensing of the operating system."""

    osByol: Annotated[bool, Field(description="true (bring your own licence) or false")]


@with_config(_CLOSED)
class LaunchIntoInstanceProperties(TypedDict, total=False):
    """An instance that exists already, into which DRS launches."""

    launchIntoEC2InstanceID: Annotated[
        types.InstanceId, Field(description="an EC2 instance id such as i-0123456789abcdef0")
    ]


@with_config(_CLOSED)
class LaunchConfigBody(TypedDict, total=False):
    """
    What a user wants of a launch. A field that is left out is not ours, null means it must be empty.

    Objects are merged member by member, with the same three values for each member.
    """

    instanceType: Annotated[
        types.InstanceType | None, Field(description="an EC2 instance type such as m7i.large"), _EC2
    ]
    subnetId: Annotated[
        types.SubnetId | None, Field(description="a subnet id, subnet- and 8 or 17 hexadecimal digits"), _EC2
    ]
    securityGroupIds: Annotated[
        types.SecurityGroupIds | None,
        Field(description="a list of security group ids, each sg- and 8 or 17 hexadecimal digits"),
        _EC2,
    ]
    staticPrivateIp: Annotated[
        types.Ipv4Address | None,
        Field(description="an IPv4 address such as 10.0.1.17; for single servers only"),
        Belongs(Half.EC2, servers_only=True),
    ]
    instanceProfileName: Annotated[
        types.InstanceProfileName | None,
        Field(description="the name (not the ARN) of an instance profile, 1 to 128 of A-Z a-z 0-9 _+=,.@-"),
        _EC2,
    ]
    associatePublicIp: Annotated[bool | None, Field(description="true or false"), _EC2]
    monitoring: Annotated[bool | None, Field(description="true or false"), _EC2]
    ebsOptimized: Annotated[bool | None, Field(description="true or false"), _EC2]
    disableApiTermination: Annotated[bool | None, Field(description="true or false"), _EC2]
    disableApiStop: Annotated[bool | None, Field(description="true or false"), _EC2]
    metadataOptions: Annotated[
        MetadataOptions | None, Field(description="an object of instance metadata options"), _EC2
    ]
    creditSpecification: Annotated[CreditSpecification | None, Field(description="an object with cpuCredits"), _EC2]
    tenancy: Annotated[
        Literal["default", "dedicated", "host"] | None,
        Field(description='"default", "dedicated" or "host"'),
        _EC2,
    ]
    tags: Annotated[
        types.Tags | None,
        Field(description="an object of tag keys with text values (null: the key must be absent)"),
        _EC2,
    ]
    copyPrivateIp: Annotated[bool, Field(description="true or false"), Belongs(Half.DRS, _DRS_BOOLEAN)]
    copyTags: Annotated[bool, Field(description="true or false"), Belongs(Half.DRS, _DRS_BOOLEAN)]
    launchDisposition: Annotated[
        Literal["STOPPED", "STARTED"],
        Field(description='"STOPPED" or "STARTED"'),
        Belongs(Half.DRS, _DRS_ENUM),
    ]
    targetInstanceTypeRightSizingMethod: Annotated[
        Literal["NONE", "BASIC", "IN_AWS"],
        Field(description='"NONE", "BASIC" or "IN_AWS"'),
        Belongs(Half.DRS, _DRS_ENUM),
    ]
    licensing: Annotated[Licensing, Field(description="an object with osByol"), Belongs(Half.DRS, _DRS_BOOLEAN)]
    postLaunchEnabled: Annotated[bool, Field(description="true or false"), Belongs(Half.DRS, _DRS_BOOLEAN)]
    name: Annotated[
        types.DrsName | None,
        Field(description="text of 1 to 128 characters without control characters (null empties it)"),
        Belongs(Half.DRS),
    ]
    launchIntoInstanceProperties: Annotated[
        LaunchIntoInstanceProperties,
        Field(description="an object with launchIntoEC2InstanceID"),
        Belongs(Half.DRS, _DRS_INSTANCE),
    ]


_SET_BY_DRS = "DRS sets it for each launch from what it replicated; a value of ours would break the launch."

MANAGED_BY_DRS: Mapping[str, str] = {
    "imageId": f"The image is managed by DRS: {_SET_BY_DRS}",
    "userData": f"User data is managed by DRS: {_SET_BY_DRS}",
    "blockDeviceMappings": f"Disks are managed by DRS: {_SET_BY_DRS}",
    "volumeSize": f"Disk sizes are managed by DRS: {_SET_BY_DRS}",
    "deviceName": f"Device names are managed by DRS: {_SET_BY_DRS}",
    "rootDeviceName": f"Device names are managed by DRS: {_SET_BY_DRS}",
    "snapshotId": f"Snapshots are managed by DRS: {_SET_BY_DRS}",
    "keyName": (
        "The key pair is managed by DRS: a recovery instance starts from the replicated disks, "
        "with the accounts and keys of its source server."
    ),
    "launchTemplateName": "The launch template and its name are managed by DRS, which finds it by them.",
    "networkInterfaces": (
        "The list of network interfaces is managed by DRS; the primary one is set by subnetId, "
        "securityGroupIds, staticPrivateIp and associatePublicIp, others are kept as they are."
    ),
}
"""Refused fields, and why."""
