"""
Launch template data as DRS and people leave it, EC2's rule for versions, and what data means.

`meaning` names every single setting in the data by its path: laws compare meanings, not shapes. It is written
from EC2's documentation and knows nothing of the code that plans.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.model import ListShape, OperationModel, Shape, StringShape, StructureShape
from botocore.session import Session
from hypothesis import strategies as st

from tests.fakes.strategies import instance_types, ipv4_addresses, security_group_ids, sendable_text, subnet_ids
from workers.core.plan.observed import ObservedTemplate
from workers.core.plan.plan import CreateTemplateVersion

READ_AT = datetime(2026, 1, 2, tzinfo=UTC)


@cache
def create_version_model() -> OperationModel:
    """Read botocore's model of CreateLaunchTemplateVersion."""
    return Session().get_service_model("ec2").operation_model("CreateLaunchTemplateVersion")


@cache
def update_configuration_shape() -> Shape:
    """Tell the shape of the parameters of DRS's UpdateLaunchConfiguration."""
    return Session().get_service_model("drs").operation_model("UpdateLaunchConfiguration").input_shape


def request_shape() -> Shape:
    """Tell the shape of launch template data in a request."""
    return create_version_model().input_shape.members["LaunchTemplateData"]


def response_shape() -> Shape:
    """Tell the shape of launch template data in an answer."""
    return create_version_model().service_model.shape_for("ResponseLaunchTemplateData")


def answers(shape: Shape, taken: Shape | None) -> st.SearchStrategy[Any]:
    """
    Make anything that EC2 may answer in a shape.

    Parameters:
        shape: The answer's.
        taken: The request's, which tells what is always there; None where a request has no such thing.
    """
    match shape:
        case StructureShape():
            known = taken.members if isinstance(taken, StructureShape) else {}
            members = {name: answers(member, known.get(name)) for name, member in shape.members.items()}
            always = {name: members.pop(name) for name in getattr(taken, "required_members", [])}
            return st.fixed_dictionaries(always, optional=members)
        case ListShape():
            return st.lists(answers(shape.member, getattr(taken, "member", None)), min_size=1, max_size=2)
        case StringShape() if shape.enum:
            return st.sampled_from(shape.enum)
    by_type: dict[str, st.SearchStrategy[Any]] = {
        "string": sendable_text.filter(bool),
        "boolean": st.booleans(),
        "integer": st.integers(1, 2**31 - 1),
        "double": st.floats(0, 1000, allow_nan=False),
        "timestamp": st.datetimes(timezones=st.just(UTC)),
    }
    return by_type[shape.type_name]


@cache
def answered_member(name: str) -> st.SearchStrategy[Any]:
    """Make anything that EC2 may answer in a member of launch template data."""
    return answers(response_shape().members[name], request_shape().members[name])


_ABOUT_OTHERS = (
    "BlockDeviceMappings",
    "UserData",
    "KeyName",
    "ImageId",
    "InstanceInitiatedShutdownBehavior",
    "InstanceMarketOptions",
    "CpuOptions",
    "HibernationOptions",
    "EnclaveOptions",
    "PrivateDnsNameOptions",
    "MaintenanceOptions",
    "CapacityReservationSpecification",
    "LicenseSpecifications",
    "NetworkPerformanceOptions",
    "KernelId",
    "RamDiskId",
    "ElasticGpuSpecifications",
    "ElasticInferenceAccelerators",
)
"""Members in which no field of a launch config stands."""

_TAGGED = ("instance", "volume", "network-interface", "elastic-gpu", "spot-instances-request")
"""Source: EC2 API reference, LaunchTemplateTagSpecificationRequest, ResourceType."""

_TAG_KEYS = st.one_of(
    st.sampled_from(["Owner", "Name", "Cost.Center", "AWSElasticDisasterRecoveryManaged", "aws:cloudformation:stack"]),
    sendable_text.filter(bool),
)
_TAGS = st.dictionaries(_TAG_KEYS, sendable_text, max_size=4).map(
    lambda tags: [{"Key": key, "Value": value} for key, value in tags.items()]
)


_OF_AN_INTERFACE = (
    "AssociateCarrierIpAddress",
    "ConnectionTrackingSpecification",
    "EnaSrdSpecification",
    "Ipv4PrefixCount",
    "Ipv4Prefixes",
    "Ipv6AddressCount",
    "Ipv6Addresses",
    "Ipv6Prefixes",
    "PrimaryIpv6",
    "SecondaryPrivateIpAddressCount",
)
"""Further settings of a network interface, none of them ours."""


@cache
def _answered_of_an_interface(name: str) -> st.SearchStrategy[Any]:
    answered, taken = (shape.members["NetworkInterfaces"].member for shape in (response_shape(), request_shape()))
    return answers(answered.members[name], taken.members[name])


def _addresses(addresses: list[str], *, named: bool) -> list[dict[str, Any]]:
    # The first is the primary one, unless the interface names that elsewhere.
    return [{"PrivateIpAddress": a, "Primary": not named and i == 0} for i, a in enumerate(addresses)]


@st.composite
def _interfaces(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Make network interfaces in any order, each with its place of card and index; DRS's own may lack."""
    # Large types have an interface of index 0 on every network card.
    places = draw(st.lists(st.sampled_from([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]), unique=True, max_size=4))
    interfaces = []
    for card, index in places:
        interface: dict[str, Any] = {"DeviceIndex": index}
        if card or draw(st.booleans()):
            interface["NetworkCardIndex"] = card
        optional = {
            "SubnetId": subnet_ids,
            "Groups": st.lists(security_group_ids, min_size=1, max_size=3, unique=True),
            "AssociatePublicIpAddress": st.booleans(),
            "DeleteOnTermination": st.booleans(),
            "Description": sendable_text.filter(bool),
            "InterfaceType": st.just("interface"),
        }
        interface |= draw(st.fixed_dictionaries({}, optional=optional))
        for name in draw(st.lists(st.sampled_from(_OF_AN_INTERFACE), max_size=2, unique=True)):
            interface[name] = draw(_answered_of_an_interface(name))
        addresses = draw(st.lists(ipv4_addresses, max_size=3, unique=True))
        named = bool(addresses) and draw(st.booleans())
        if named:
            interface["PrivateIpAddress"] = addresses.pop()
        if addresses:
            interface["PrivateIpAddresses"] = draw(st.permutations(_addresses(addresses, named=named)))
        interfaces.append(interface)
    return interfaces


@cache
def _settings() -> dict[str, st.SearchStrategy[Any]]:
    """Members that stand alone, most of them of ours."""
    return {
        "InstanceType": instance_types,
        "EbsOptimized": st.booleans(),
        "DisableApiTermination": st.booleans(),
        "DisableApiStop": st.booleans(),
        "Monitoring": st.booleans().map(lambda on: {"Enabled": on}),
        "CreditSpecification": st.sampled_from(["standard", "unlimited"]).map(lambda kind: {"CpuCredits": kind}),
        "MetadataOptions": answered_member("MetadataOptions"),
        "Placement": answered_member("Placement"),
        "IamInstanceProfile": st.sampled_from(
            [{"Name": "held"}, {"Arn": "arn:aws:iam::111122223333:instance-profile/some/path/held"}]
        ),
        "Operator": st.just({"Managed": False}),
    }


@st.composite
def template_data(draw: st.DrawFn) -> dict[str, Any]:
    """Make launch template data that EC2 accepts, as DescribeLaunchTemplateVersions answers it."""
    data: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=_settings()))
    tags = draw(st.dictionaries(st.sampled_from(_TAGGED), _TAGS))
    if tags:
        kinds = draw(st.permutations(sorted(tags)))
        data["TagSpecifications"] = [{"ResourceType": kind, "Tags": tags[kind]} for kind in kinds]
    if interfaces := draw(_interfaces()):
        data["NetworkInterfaces"] = interfaces
    elif draw(st.booleans()):
        # EC2 allows groups here only where no network interface is named.
        data["SecurityGroupIds"] = draw(st.lists(security_group_ids, min_size=1, max_size=3, unique=True))
    elif draw(st.booleans()):
        # The groups of a default VPC can be named, there and only so.
        data["SecurityGroups"] = draw(st.lists(sendable_text.filter(bool), min_size=1, max_size=2, unique=True))
    if "InstanceType" not in data and draw(st.booleans()):
        # EC2 takes one of the two.
        data["InstanceRequirements"] = draw(answered_member("InstanceRequirements"))
    for name in draw(st.lists(st.sampled_from(_ABOUT_OTHERS), max_size=3, unique=True)):
        data[name] = draw(answered_member(name))
    return data


def members_tried() -> set[str]:
    """Name every top-level member that `template_data` can draw."""
    drawn_apart = {
        "TagSpecifications",
        "NetworkInterfaces",
        "SecurityGroupIds",
        "SecurityGroups",
        "InstanceRequirements",
    }
    return {*_settings(), *drawn_apart, *_ABOUT_OTHERS}


def observe(data: Mapping[str, Any], version: int = 7) -> ObservedTemplate:
    """Answer the data as the default version that was read."""
    return ObservedTemplate("lt-0123456789abcdef0", version, data, READ_AT)


def execute(step: CreateTemplateVersion, source: ObservedTemplate) -> ObservedTemplate:
    """Do what EC2 does: members of the source version are inherited, one that is sent replaces its own whole."""
    inherited = source.data if step.inherits else {}
    return observe({**inherited, **step.members}, source.version + 1)


Path = tuple[str, ...]


def meaning(data: Mapping[str, Any]) -> dict[Path, Any]:
    """Name every setting that the data holds by its path; where EC2 has two ways to say a thing, by one of them."""
    found: dict[Path, Any] = {}
    for name, member in data.items():
        match name:
            case "NetworkInterfaces":
                for interface in member:
                    found |= _interface_meaning(interface)
            case "SecurityGroupIds" | "SecurityGroups":
                found["nic", "0/0", "Groups"] = sorted(member)
            case "TagSpecifications":
                found |= {("tags", s["ResourceType"], t["Key"]): t["Value"] for s in member for t in s["Tags"]}
            case "IamInstanceProfile":
                found["profile",] = member.get("Name") or member["Arn"].split("/")[-1]
            case _ if isinstance(member, dict):
                found |= {(name, key): value for key, value in member.items()}
            case _:
                found[name,] = member
    return found


def _interface_meaning(interface: Mapping[str, Any]) -> dict[Path, Any]:
    place = f"{interface.get('NetworkCardIndex', 0)}/{interface['DeviceIndex']}"
    found: dict[Path, Any] = {}
    for name, value in interface.items():
        if name == "Groups":
            found["nic", place, name] = sorted(value)
        elif name == "PrivateIpAddresses":
            for address in value:
                kind = "PrivateIpAddress" if address["Primary"] else f"secondary {address['PrivateIpAddress']}"
                assert ("nic", place, kind) not in found, "an address that is given twice"
                found["nic", place, kind] = address["PrivateIpAddress"]
        elif name not in {"DeviceIndex", "NetworkCardIndex"}:
            assert ("nic", place, name) not in found, "an address that is given twice"
            found["nic", place, name] = value
    return found
