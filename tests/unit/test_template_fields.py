"""Where each field stands in launch template data: read from there, written there, and nowhere else."""

import copy
from typing import Any

import pytest

from workers.core.model.launch_config import Json
from workers.core.plan.template import TEMPLATE_FIELDS, is_managed_tag

_OTHER_CARD = {"DeviceIndex": 0, "NetworkCardIndex": 1, "SubnetId": "subnet-9", "Groups": ["sg-9"]}
_SECOND = {"DeviceIndex": 1, "SubnetId": "subnet-8", "PrivateIpAddress": "10.0.8.8"}
_OTHERS = {"NetworkInterfaces": [_OTHER_CARD, _SECOND]}
_ARN = "arn:aws:iam::111122223333:instance-profile/some/path/web"


def _primary(*others: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Answer data with DRS's own interface, behind the others: the list has no promised order."""
    return {"NetworkInterfaces": [*others, {"DeviceIndex": 0, **members}]}


def _addresses(*addresses: str, primary: str = "") -> list[dict[str, Any]]:
    return [{"PrivateIpAddress": each, "Primary": each == primary} for each in addresses]


def _tagged(**tags: dict[str, str]) -> dict[str, Any]:
    """Answer data with tags by resource; `network_interface` is none of ours."""
    return {
        "TagSpecifications": [
            {
                "ResourceType": kind.replace("_", "-"),
                "Tags": [{"Key": key, "Value": value} for key, value in held.items()],
            }
            for kind, held in tags.items()
        ]
    }


_READ: list[tuple[str, dict[str, Any], Json]] = [
    *[
        (name, {}, {} if name in {"metadataOptions", "creditSpecification", "tags"} else None)
        for name in TEMPLATE_FIELDS
    ],
    ("instanceType", {"InstanceType": "m5.large"}, "m5.large"),
    ("monitoring", {"Monitoring": {"Enabled": False}}, False),
    ("tenancy", {"Placement": {"GroupName": "g"}}, None),
    (
        "metadataOptions",
        {"MetadataOptions": {"HttpTokens": "required", "State": "applied"}},
        {"httpTokens": "required"},
    ),
    ("subnetId", _OTHERS, None),
    ("subnetId", _primary(_OTHER_CARD, _SECOND, SubnetId="subnet-1"), "subnet-1"),
    ("subnetId", _primary(_SECOND, NetworkCardIndex=0, SubnetId="subnet-1"), "subnet-1"),
    ("associatePublicIp", _primary(AssociatePublicIpAddress=False), False),
    # Groups stand on the interface, or at the top where there is none.
    ("securityGroupIds", _OTHERS, None),
    ("securityGroupIds", _primary(_OTHER_CARD, Groups=["sg-2", "sg-1"]), ["sg-1", "sg-2"]),
    ("securityGroupIds", {"SecurityGroupIds": ["sg-2", "sg-1"]}, ["sg-1", "sg-2"]),
    # An address stands by itself, or is the primary one of a list.
    ("staticPrivateIp", _OTHERS, None),
    ("staticPrivateIp", _primary(_SECOND, PrivateIpAddress="10.0.0.1"), "10.0.0.1"),
    (
        "staticPrivateIp",
        _primary(PrivateIpAddresses=_addresses("10.0.0.2", "10.0.0.3", primary="10.0.0.3")),
        "10.0.0.3",
    ),
    ("staticPrivateIp", _primary(PrivateIpAddresses=_addresses("10.0.0.2", "10.0.0.3")), None),
    ("staticPrivateIp", _primary(PrivateIpAddresses=[{"PrivateIpAddress": "10.0.0.2"}]), None),
    (
        "staticPrivateIp",
        _primary(PrivateIpAddress="10.0.0.1", PrivateIpAddresses=_addresses("10.0.0.2")),
        "10.0.0.1",
    ),
    # A profile is named, or is the last part of its ARN.
    ("instanceProfileName", {"IamInstanceProfile": {"Name": "web"}}, "web"),
    ("instanceProfileName", {"IamInstanceProfile": {"Arn": _ARN}}, "web"),
    ("instanceProfileName", {"IamInstanceProfile": {}}, None),
    # Tags are those of the instance and its volumes; what these do not agree on reads as neither.
    ("tags", _tagged(network_interface={"a": "1"}), {}),
    ("tags", _tagged(instance={"b": "2", "a": "1"}, volume={"a": "1", "b": "2"}), {"a": "1", "b": "2"}),
    ("tags", _tagged(instance={"a": "1"}), {"a": {"instance": "1", "volume": None}}),
    ("tags", _tagged(volume={"a": "1"}), {"a": {"instance": None, "volume": "1"}}),
    ("tags", _tagged(instance={"a": "1"}, volume={"a": "2"}), {"a": {"instance": "1", "volume": "2"}}),
    ("tags", _tagged(instance={"aws:a": "1", "AWSElasticDisasterRecoveryX": "drs"}), {}),
]


@pytest.mark.parametrize(("name", "data", "value"), _READ)
def test_a_field_is_read_where_it_stands(name: str, data: dict[str, Any], value: Json) -> None:
    """Nothing where the template holds none; on interface 0 of card 0, wherever that stands in the list."""
    assert TEMPLATE_FIELDS[name].read(data) == value


_WRITTEN: list[tuple[str, dict[str, Any], Any, dict[str, Any]]] = [
    ("instanceType", {"KeyName": "k"}, "m5.large", {"KeyName": "k", "InstanceType": "m5.large"}),
    ("instanceType", {"InstanceType": "m5.large", "KeyName": "k"}, None, {"KeyName": "k"}),
    ("ebsOptimized", {}, False, {"EbsOptimized": False}),
    ("monitoring", {"Monitoring": {"Enabled": True}}, None, {}),
    ("tenancy", {"Placement": {"GroupName": "g"}}, "host", {"Placement": {"GroupName": "g", "Tenancy": "host"}}),
    ("tenancy", {"Placement": {"GroupName": "g", "Tenancy": "host"}}, None, {"Placement": {"GroupName": "g"}}),
    (
        "metadataOptions",
        {"MetadataOptions": {"HttpTokens": "optional", "HttpEndpoint": "enabled", "State": "applied"}},
        {"httpTokens": "required", "httpEndpoint": None},
        {"MetadataOptions": {"HttpTokens": "required", "State": "applied"}},
    ),
    ("creditSpecification", {"CreditSpecification": {"CpuCredits": "standard"}}, None, {}),
    # The other interfaces stay as they are, behind DRS's own.
    ("subnetId", {}, "subnet-1", _primary(SubnetId="subnet-1")),
    (
        "subnetId",
        _primary(_OTHER_CARD, _SECOND, Description="d"),
        "subnet-1",
        {"NetworkInterfaces": [{"DeviceIndex": 0, "Description": "d", "SubnetId": "subnet-1"}, _OTHER_CARD, _SECOND]},
    ),
    (
        "subnetId",
        _OTHERS,
        "subnet-1",
        {"NetworkInterfaces": [*_primary(SubnetId="subnet-1")["NetworkInterfaces"], *_OTHERS["NetworkInterfaces"]]},
    ),
    ("subnetId", _OTHERS, None, _OTHERS),
    ("subnetId", {"KeyName": "k"}, None, {"KeyName": "k"}),
    ("subnetId", _primary(SubnetId="subnet-1"), None, _primary()),
    # Groups at the top go on to the interface that comes, and stay there while none comes.
    ("subnetId", {"SecurityGroupIds": ["sg-1"]}, "subnet-1", _primary(Groups=["sg-1"], SubnetId="subnet-1")),
    ("subnetId", {"SecurityGroupIds": ["sg-1"]}, None, {"SecurityGroupIds": ["sg-1"]}),
    ("securityGroupIds", {"SecurityGroupIds": ["sg-1"]}, ["sg-2"], _primary(Groups=["sg-2"])),
    ("securityGroupIds", {"SecurityGroupIds": ["sg-1"], "KeyName": "k"}, None, {"KeyName": "k"}),
    ("securityGroupIds", _primary(Groups=["sg-1"], SubnetId="subnet-1"), None, _primary(SubnetId="subnet-1")),
    ("securityGroupIds", _primary(Groups=["sg-1"]), ["sg-2", "sg-3"], _primary(Groups=["sg-2", "sg-3"])),
    # The primary address leaves the list, and so does the one that takes its place.
    (
        "staticPrivateIp",
        _primary(PrivateIpAddresses=_addresses("10.0.0.2", "10.0.0.3", "10.0.0.4", primary="10.0.0.2")),
        "10.0.0.4",
        _primary(PrivateIpAddresses=_addresses("10.0.0.3"), PrivateIpAddress="10.0.0.4"),
    ),
    (
        "staticPrivateIp",
        _primary(PrivateIpAddress="10.0.0.1", PrivateIpAddresses=_addresses("10.0.0.3")),
        None,
        _primary(PrivateIpAddresses=_addresses("10.0.0.3")),
    ),
    ("staticPrivateIp", _primary(PrivateIpAddresses=_addresses("10.0.0.2", primary="10.0.0.2")), None, _primary()),
    # A profile is named once: by its name.
    ("instanceProfileName", {"IamInstanceProfile": {"Arn": _ARN}}, "db", {"IamInstanceProfile": {"Name": "db"}}),
    ("instanceProfileName", {"IamInstanceProfile": {"Arn": _ARN}}, None, {}),
    # Tags are laid over those that are there, on the instance and on its volumes; tags of other resources stay.
    ("tags", {}, {"a": "1"}, _tagged(instance={"a": "1"}, volume={"a": "1"})),
    (
        "tags",
        _tagged(volume={"b": "2", "c": "3"}, network_interface={"n": "1"}, instance={"a": "0"}),
        {"a": "1", "b": None},
        _tagged(network_interface={"n": "1"}, instance={"a": "1"}, volume={"c": "3", "a": "1"}),
    ),
    ("tags", _tagged(instance={"a": "1"}), {"a": None}, {}),
    # Emptied, those stay that AWS and DRS set for themselves.
    (
        "tags",
        _tagged(instance={"a": "1", "aws:b": "2", "AWSElasticDisasterRecoveryX": "drs"}, volume={"a": "1"}),
        None,
        _tagged(instance={"aws:b": "2", "AWSElasticDisasterRecoveryX": "drs"}),
    ),
    ("tags", _tagged(instance={"a": "1"}, network_interface={"n": "1"}), None, _tagged(network_interface={"n": "1"})),
]


@pytest.mark.parametrize(("name", "data", "value", "after"), _WRITTEN)
def test_a_field_is_written_where_it_stands(name: str, data: dict[str, Any], value: Any, after: dict[str, Any]) -> None:
    """None empties it; all else stays, what was read is not changed, and what was written is read."""
    before = copy.deepcopy(data)
    field = TEMPLATE_FIELDS[name]
    written = field.write(data, value)
    assert written == after
    assert data == before
    assert field.write(written, value) == written
    if not isinstance(value, dict):
        assert field.read(written) == ({} if name in {"creditSpecification", "tags"} else value)


@pytest.mark.parametrize(
    ("key", "managed"),
    [
        ("aws:cloudformation:stack", True),
        ("AWSElasticDisasterRecoveryManaged", True),
        ("awsome", False),
        ("Owner-aws:", False),
        ("AWS", False),
    ],
)
def test_managed_tags_are_told_by_how_they_begin(key: str, managed: bool) -> None:
    """Those of AWS, and those by which DRS finds what is its own."""
    assert is_managed_tag(key) is managed
