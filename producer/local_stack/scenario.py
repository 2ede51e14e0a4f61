"""Two groups with defaults, overrides and static addresses, and what happens to some of their members. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

REGION = "us-east-1"
GROUP_NAMES = ("web tier", "database tier")
SERVERS_A_GROUP = 60
OVERRIDES_A_GROUP = 6
STATIC_ADDRESSES_A_GROUP = 2
FIRST_STATIC_HOST = 200
REFUSED_MEMBER = 7
"""Position, in the first group, of the source server whose update DRS refuses."""
REFUSAL = "ValidationException"
EDITED_MEMBERS = ((0, 20), (0, 40), (1, 30))
"""Group and position of the source servers whose launch templates somebody else edits."""


@dataclass(frozen=True, slots=True)
class Network:
    """Where recovered servers land."""

    subnet_id: str
    cidr: str
    security_group_id: str


def draw_group(name: str, source_server_ids: Sequence[str], network: Network) -> dict[str, Any]:
    """
    Draw the body of one group: defaults, six overrides, two of them with a static address.

    Parameters:
        name: The group's name.
        source_server_ids: Its members.
        network: Where they land.

    Returns:
        The body of `POST /protection-groups`.
    """
    position = GROUP_NAMES.index(name)
    return {
        "groupName": name,
        "region": REGION,
        "sourceServerIds": list(source_server_ids),
        "launchConfig": {
            "instanceType": "m5.xlarge",
            "targetInstanceTypeRightSizingMethod": "NONE",
            "subnetId": network.subnet_id,
            "securityGroupIds": [network.security_group_id],
            "copyPrivateIp": False,
            "copyTags": True,
            "launchDisposition": "STARTED",
            "monitoring": True,
            "tags": {"Application": name},
        },
        "servers": [
            {"sourceServerId": member, "launchConfig": _override(index, position, network)}
            for index, member in enumerate(source_server_ids[:OVERRIDES_A_GROUP])
        ],
    }


def _override(index: int, group_position: int, network: Network) -> dict[str, Any]:
    if index >= STATIC_ADDRESSES_A_GROUP:
        return {"instanceType": "r5.2xlarge", "tags": {"Role": f"override-{index}"}}
    host = FIRST_STATIC_HOST + group_position * STATIC_ADDRESSES_A_GROUP + index
    return {"staticPrivateIp": str(IPv4Network(network.cidr)[host]), "tags": {"Role": "fixed address"}}
