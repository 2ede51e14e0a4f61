"""
The shapes of single values, each with the rule of AWS that it comes from.

botocore checks neither patterns nor enums nor greatest lengths before it sends; what passes here is sent.
Descriptions complete the sentence "x must be …": they are error message and OpenAPI text at once.
"""

import ipaddress
import re
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from workers.core.model.errors import show

MAX_SECURITY_GROUPS = 16
"""EC2's greatest number of security groups of a network interface (adjustable up to this)."""
MAX_TAGS = 50
"""EC2's greatest number of tags of a resource."""
MAX_TAG_KEY_LENGTH = 128
MAX_TAG_VALUE_LENGTH = 256
MAX_GROUP_NAME_LENGTH = 128

DRS_TAG_PREFIX = "AWSElasticDisasterRecovery"
"""Tags by which DRS finds its own templates and instances."""

_NO_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f]*$"
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _refuse(message: str) -> PydanticCustomError:
    # The message goes in as a value: braces in it would be read as a template's fields.
    return PydanticCustomError("prelaunch", "{message}", {"message": message})


def _canonical_ipv4(text: str) -> str:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError as error:
        raise _refuse(f"staticPrivateIp must be an IPv4 address such as 10.0.1.17, not {show(text)}.") from error
    never_in_a_vpc = address.is_loopback or address.is_multicast or address.is_link_local
    if never_in_a_vpc or address.is_reserved or address in _THIS_NETWORK:
        raise _refuse(f"staticPrivateIp must be an address of a subnet; no subnet can hold {address}.")
    return str(address)


def _sorted_set(ids: list[str]) -> list[str]:
    unique = sorted(set(ids))
    if not unique:
        raise _refuse(
            "securityGroupIds must name at least one security group; give null to empty the list in the "
            "template, or leave the field out to keep what is there."
        )
    if len(unique) > MAX_SECURITY_GROUPS:
        raise _refuse(f"securityGroupIds names {len(unique)} groups; EC2 allows {MAX_SECURITY_GROUPS} on an interface.")
    return unique


def _tag_key(key: str) -> str:
    if not 1 <= len(key) <= MAX_TAG_KEY_LENGTH or _CONTROLS.search(key):
        raise _refuse(f"The tag key {show(key)} must have 1 to {MAX_TAG_KEY_LENGTH} characters, no control characters.")
    if key.lower().startswith("aws:"):
        raise _refuse(f'The tag key {show(key)} begins with "aws:", which AWS keeps for itself; use another key.')
    if key.startswith(DRS_TAG_PREFIX):
        raise _refuse(f"The tag {show(key)} is managed by DRS, which finds its own by such tags; leave it out.")
    return key


def _tag_value(value: str) -> str:
    if len(value) > MAX_TAG_VALUE_LENGTH or _CONTROLS.search(value):
        raise _refuse(
            f"A tag's value must have at most {MAX_TAG_VALUE_LENGTH} characters, no control characters; "
            f"{show(value)} is refused."
        )
    return value


def _few_tags(tags: dict[str, str | None]) -> dict[str, str | None]:
    if len(tags) > MAX_TAGS:
        raise _refuse(f"tags names {len(tags)} keys; EC2 allows {MAX_TAGS} tags on a resource.")
    return tags


InstanceType: TypeAlias = Annotated[
    # Tolerant: AWS adds families and sizes every month (u7i-12tb.224xlarge, m7i.metal-24xl, mac2-m2.metal).
    str, Field(max_length=64, pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*\.[a-z0-9]+(-[a-z0-9]+)*$")
]
SubnetId: TypeAlias = Annotated[str, Field(pattern=r"^subnet-([0-9a-f]{8}|[0-9a-f]{17})$")]
SecurityGroupId: TypeAlias = Annotated[str, Field(pattern=r"^sg-([0-9a-f]{8}|[0-9a-f]{17})$")]
SecurityGroupIds: TypeAlias = Annotated[
    list[SecurityGroupId],
    AfterValidator(_sorted_set),
    Field(json_schema_extra={"minItems": 1}),
]
Ipv4Address: TypeAlias = Annotated[str, AfterValidator(_canonical_ipv4), Field(json_schema_extra={"format": "ipv4"})]
# IAM: letters, digits and _+=,.@- ; ASCII only, as IAM compares names that way.
InstanceProfileName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@-]{1,128}$")]
RoleName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@-]{1,64}$")]
ExternalId: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@:/-]{2,1224}$")]
InstanceId: TypeAlias = Annotated[str, Field(pattern=r"^i-[0-9a-fA-F]{8,253}$")]
DrsName: TypeAlias = Annotated[str, Field(min_length=1, max_length=128, pattern=_NO_CONTROLS)]
HopLimit: TypeAlias = Annotated[int, Field(ge=1, le=64)]
Switch: TypeAlias = Literal["enabled", "disabled"]
TagKey: TypeAlias = Annotated[str, AfterValidator(_tag_key)]
TagValue: TypeAlias = Annotated[str, AfterValidator(_tag_value)]
Tags: TypeAlias = Annotated[dict[TagKey, TagValue | None], AfterValidator(_few_tags)]

SelectionTags: TypeAlias = Annotated[
    # Tags that AWS sets itself (aws:…) select as well as others.
    dict[
        Annotated[str, Field(min_length=1, max_length=MAX_TAG_KEY_LENGTH)],
        Annotated[str, Field(max_length=MAX_TAG_VALUE_LENGTH)],
    ],
    Field(min_length=1, max_length=MAX_TAGS),
]

_SENDABLE = "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\ufffe\\uffff]*$"
# Any other text names no group of ours, and DynamoDB refuses an empty key or one of over 2 KiB.
GroupId: TypeAlias = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        # What no text of a request may hold is checked for all of it together; the schema says it where it can.
        json_schema_extra={"pattern": _SENDABLE},
    ),
]
# DynamoDB and JSON readers hold whole numbers up to this exactly.
GroupVersion: TypeAlias = Annotated[int, Field(ge=1, le=2**53 - 1)]
LONGEST_RUN_NAME = 64
LAST_GENERATION = 10**10 - 1
"""The greatest that a key of our tables can hold."""


def _digits(value: object) -> object:
    """Spell a generation; what is none stays for whoever refuses it."""
    return str(value) if type(value) is int and 1 <= value <= LAST_GENERATION else value


RunName: TypeAlias = Annotated[
    str,
    BeforeValidator(_digits),
    Field(min_length=1, max_length=LONGEST_RUN_NAME),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": LONGEST_RUN_NAME, "pattern": _SENDABLE},
                {"type": "integer", "minimum": 1, "maximum": LAST_GENERATION},
            ]
        }
    ),
]
MessageId: TypeAlias = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        json_schema_extra={"pattern": _SENDABLE},
    ),
]
TaskToken: TypeAlias = Annotated[str, Field(min_length=1, max_length=2048)]
"""Source of the lengths: botocore's model of Step Functions."""
SourceServerId: TypeAlias = Annotated[str, Field(pattern=r"^s-[0-9a-zA-Z]{17}$")]
RecoverySnapshotId: TypeAlias = Annotated[str, Field(pattern=r"^pit-[0-9a-zA-Z]{17}$")]
AccountId: TypeAlias = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
# us-east-1, us-gov-west-1, cn-north-1, us-isob-east-1, eusc-de-east-1.
Region: TypeAlias = Annotated[str, Field(pattern=r"^[a-z]{2,6}(-[a-z]{2,12}){1,3}-[0-9]{1,2}$")]


def _printable(text: str) -> str:
    trimmed = text.strip()
    if not 1 <= len(trimmed) <= MAX_GROUP_NAME_LENGTH or not trimmed.isprintable():
        raise _refuse(f"groupName must have 1 to {MAX_GROUP_NAME_LENGTH} printable characters, not {show(text)}.")
    return trimmed


GroupName: TypeAlias = Annotated[str, AfterValidator(_printable), Field(json_schema_extra={"minLength": 1})]
Description: TypeAlias = Annotated[str, Field(max_length=1000)]
