"""
What launch template data must mean once a launch config was applied to it.

Written from the fields' documentation; it knows nothing of the code that plans.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.fakes.launch_templates import Path
from workers.core.model.launch_config import LaunchConfig

_ON_INTERFACE = {
    "subnetId": "SubnetId",
    "securityGroupIds": "Groups",
    "staticPrivateIp": "PrivateIpAddress",
    "associatePublicIp": "AssociatePublicIpAddress",
}
_ELSEWHERE: dict[str, Path] = {
    "instanceType": ("InstanceType",),
    "ebsOptimized": ("EbsOptimized",),
    "disableApiTermination": ("DisableApiTermination",),
    "disableApiStop": ("DisableApiStop",),
    "instanceProfileName": ("profile",),
    "monitoring": ("Monitoring", "Enabled"),
    "tenancy": ("Placement", "Tenancy"),
}
_MEMBERS = {
    "metadataOptions": (
        "MetadataOptions",
        ["HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint", "HttpProtocolIpv6", "InstanceMetadataTags"],
    ),
    "creditSpecification": ("CreditSpecification", ["CpuCredits"]),
}


def _wanted(desired: LaunchConfig, before: Mapping[Path, Any]) -> Iterator[tuple[Path, Any]]:
    """Answer where each wanted value must stand, None where nothing may."""
    for name, value in desired.values.items():
        if name in _ON_INTERFACE:
            yield ("nic", "0/0", _ON_INTERFACE[name]), value
        elif name in _ELSEWHERE:
            yield _ELSEWHERE[name], value
        elif name in _MEMBERS:
            member, known = _MEMBERS[name]
            options = dict.fromkeys(key[0].lower() + key[1:] for key in known) if value is None else value
            assert isinstance(options, dict)
            yield from (((member, key[0].upper() + key[1:]), each) for key, each in options.items())
        elif name == "tags":
            yield from _wanted_tags(value, before)


def _wanted_tags(value: Any, before: Mapping[Path, Any]) -> Iterator[tuple[Path, Any]]:
    if value is None:
        held = {path[2] for path in before if path[0] == "tags" and path[1] in {"instance", "volume"}}
        value = dict.fromkeys(key for key in held if not key.startswith(("aws:", "AWSElasticDisasterRecovery")))
    for key, text in value.items():
        yield from ((("tags", kind, key), text) for kind in ("instance", "volume"))


FIELDS_WITH_MEANING = {*_ON_INTERFACE, *_ELSEWHERE, *_MEMBERS, "tags"}
"""Every field of EC2's half whose meaning is known here."""


def expected_meaning(desired: LaunchConfig, before: Mapping[Path, Any]) -> dict[Path, Any]:
    """
    Tell what the data must mean afterwards: every wanted value, nothing where nothing may be, all else as it was.

    Parameters:
        desired: What was applied.
        before: What the data meant before.
    """
    wanted = dict(_wanted(desired, before))
    others = {path: value for path, value in before.items() if path not in wanted}
    # A secondary address that is wanted as the primary one is that now.
    others.pop(("nic", "0/0", f"secondary {desired.values.get('staticPrivateIp')}"), None)
    return {**others, **{path: value for path, value in wanted.items() if value is not None}}
