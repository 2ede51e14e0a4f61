"""
Where each EC2 field of a launch config stands in launch template data, and how it is set there. Pure.

Setting a field keeps everything else: disks, tags, further network interfaces, options of the same member that
are not ours. No function here changes the data that it is given.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from workers.core.model.launch_config import Json
from workers.core.model.types import DRS_TAG_PREFIX

TemplateData: TypeAlias = Mapping[str, Any]
TAGGED_RESOURCES = ("instance", "volume")
MANAGED_TAG_PREFIXES = ("aws:", DRS_TAG_PREFIX)
"""Tags that AWS and DRS set for themselves; emptying the tags leaves them."""

_METADATA_MEMBERS = {
    "httpTokens": "HttpTokens",
    "httpPutResponseHopLimit": "HttpPutResponseHopLimit",
    "httpEndpoint": "HttpEndpoint",
    "httpProtocolIpv6": "HttpProtocolIpv6",
    "instanceMetadataTags": "InstanceMetadataTags",
}


@dataclass(frozen=True, slots=True)
class TemplateField:
    """How one field is read from launch template data and written into a copy of it."""

    read: Callable[[TemplateData], Json]
    """Answer the value in our shape; None where the template holds none."""
    write: Callable[[TemplateData, Any], dict[str, Any]]
    """Answer a copy with the value set; None empties it."""


def _without(data: TemplateData, name: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != name}


def _set(data: TemplateData, name: str, value: object) -> dict[str, Any]:
    return _without(data, name) if value in (None, {}, []) else {**data, name: value}


def _scalar(name: str) -> TemplateField:
    return TemplateField(lambda data: data.get(name), lambda data, value: _set(data, name, value))


def _nested(name: str, member: str) -> TemplateField:
    def write(data: TemplateData, value: Json) -> dict[str, Any]:
        return _set(data, name, _set(data.get(name) or {}, member, value))

    return TemplateField(lambda data: (data.get(name) or {}).get(member), write)


def _members(name: str, members: Mapping[str, str]) -> TemplateField:
    def read(data: TemplateData) -> Json:
        held = data.get(name) or {}
        return {ours: held[theirs] for ours, theirs in members.items() if theirs in held}

    def write(data: TemplateData, value: Mapping[str, Json] | None) -> dict[str, Any]:
        wanted = dict.fromkeys(members) if value is None else value
        held = data.get(name) or {}
        for ours, setting in wanted.items():
            held = _set(held, members[ours], setting)
        return _set(data, name, held)

    return TemplateField(read, write)


def _is_primary(interface: TemplateData) -> bool:
    # Types with several network cards may have a device 0 on each: DRS's is that of card 0.
    return interface.get("DeviceIndex") == 0 and not interface.get("NetworkCardIndex")


def _primary_interface(data: TemplateData) -> dict[str, Any]:
    """Answer network interface 0, which is DRS's; by its index, for the list has no promised order."""
    return dict(next(filter(_is_primary, data.get("NetworkInterfaces") or []), {}))


def _write_interface(data: TemplateData, interface: Mapping[str, Any]) -> dict[str, Any]:
    others = [nic for nic in data.get("NetworkInterfaces") or [] if not _is_primary(nic)]
    if not interface:
        return _set(data, "NetworkInterfaces", others)
    # EC2 refuses groups at the top beside an interface: they go on to the primary one, where they mean the same.
    groups = {"Groups": data["SecurityGroupIds"]} if data.get("SecurityGroupIds") else {}
    primary = {"DeviceIndex": 0, **groups, **interface}
    return {**_without(data, "SecurityGroupIds"), "NetworkInterfaces": [primary, *others]}


def _on_interface(name: str) -> TemplateField:
    def write(data: TemplateData, value: Json) -> dict[str, Any]:
        return _write_interface(data, _set(_primary_interface(data), name, value))

    return TemplateField(lambda data: _primary_interface(data).get(name), write)


def _read_groups(data: TemplateData) -> Json:
    # Those of a default VPC may be named instead.
    groups = _primary_interface(data).get("Groups") or data.get("SecurityGroupIds") or data.get("SecurityGroups")
    return sorted(groups) if groups else None


def _write_groups(data: TemplateData, value: list[str] | None) -> dict[str, Any]:
    # What stands at the top is replaced too: EC2 refuses groups in both places.
    cleaned = _without(_without(data, "SecurityGroupIds"), "SecurityGroups")
    return _write_interface(cleaned, _set(_primary_interface(data), "Groups", value))


def _read_address(data: TemplateData) -> Json:
    interface = _primary_interface(data)
    listed: list[TemplateData] = interface.get("PrivateIpAddresses") or []
    primary = next((address for address in listed if address.get("Primary")), {})
    return interface.get("PrivateIpAddress") or primary.get("PrivateIpAddress")


def _write_address(data: TemplateData, value: str | None) -> dict[str, Any]:
    interface = _primary_interface(data)
    # EC2 refuses an address that is given twice: the list keeps only the secondary ones.
    addresses: list[TemplateData] = interface.get("PrivateIpAddresses") or []
    listed = [a for a in addresses if not a.get("Primary") and a.get("PrivateIpAddress") != value]
    interface = _set(interface, "PrivateIpAddresses", listed)
    return _write_interface(data, _set(interface, "PrivateIpAddress", value))


def _tags_of(data: TemplateData, resource: str) -> dict[str, str]:
    return {
        tag["Key"]: tag["Value"]
        for specification in data.get("TagSpecifications") or []
        if specification.get("ResourceType") == resource
        for tag in specification.get("Tags") or []
    }


def _read_profile(data: TemplateData) -> Json:
    profile = data.get("IamInstanceProfile") or {}
    return profile.get("Name") or (profile.get("Arn") or "").rpartition("/")[2] or None


def _write_profile(data: TemplateData, value: str | None) -> dict[str, Any]:
    # EC2 refuses a profile that is named by Arn and by Name: ours replaces both.
    return _set(data, "IamInstanceProfile", {"Name": value} if value else None)


def is_managed_tag(key: str) -> bool:
    """Tell whether AWS or DRS sets this tag for itself."""
    return key.startswith(MANAGED_TAG_PREFIXES)


def _read_tags(data: TemplateData) -> Json:
    """Answer the tags; one that instance and volume do not agree on reads as an object of both."""
    instance, volume = (_tags_of(data, resource) for resource in TAGGED_RESOURCES)
    return {
        key: instance[key]
        if instance.get(key) == volume.get(key)
        else {"instance": instance.get(key), "volume": volume.get(key)}
        for key in sorted({*instance, *volume})
        if not is_managed_tag(key)
    }


def _text_for(resource: str, value: str | Mapping[str, str | None] | None) -> str | None:
    """Answer a tag's value for instance or volume: one for both, or an object of both as `_read_tags` answers it."""
    return value.get(resource) if isinstance(value, Mapping) else value


def _write_tags(
    data: TemplateData, value: Mapping[str, str | Mapping[str, str | None] | None] | None
) -> dict[str, Any]:
    specifications = [s for s in data.get("TagSpecifications") or [] if s.get("ResourceType") not in TAGGED_RESOURCES]
    for resource in TAGGED_RESOURCES:
        held = _tags_of(data, resource)
        if value is None:
            merged = {key: text for key, text in held.items() if is_managed_tag(key)}
        else:
            said = {key: _text_for(resource, each) for key, each in value.items()}
            merged = {key: text for key, text in {**held, **said}.items() if text is not None}
        if merged:
            tags = [{"Key": key, "Value": text} for key, text in merged.items()]
            specifications.append({"ResourceType": resource, "Tags": tags})
    return _set(data, "TagSpecifications", specifications)


TEMPLATE_FIELDS: Mapping[str, TemplateField] = {
    "instanceType": _scalar("InstanceType"),
    "subnetId": _on_interface("SubnetId"),
    "securityGroupIds": TemplateField(_read_groups, _write_groups),
    "staticPrivateIp": TemplateField(_read_address, _write_address),
    "instanceProfileName": TemplateField(_read_profile, _write_profile),
    "associatePublicIp": _on_interface("AssociatePublicIpAddress"),
    "monitoring": _nested("Monitoring", "Enabled"),
    "ebsOptimized": _scalar("EbsOptimized"),
    "disableApiTermination": _scalar("DisableApiTermination"),
    "disableApiStop": _scalar("DisableApiStop"),
    "metadataOptions": _members("MetadataOptions", _METADATA_MEMBERS),
    "creditSpecification": _members("CreditSpecification", {"cpuCredits": "CpuCredits"}),
    "tenancy": _nested("Placement", "Tenancy"),
    "tags": TemplateField(_read_tags, _write_tags),
}
"""Every EC2 field of a launch config; a field that is accepted and missing here would be a bug."""
