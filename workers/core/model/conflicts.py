"""
Find fields that cannot stand together: by what AWS documents, before anything is stored.

Nothing is resolved silently: the user is told, and decides. What depends on the server's operating system
(bring your own licence of Windows needs tenancy "host") or on the account (subnets, addresses in use) is
judged elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass

from workers.core.model.launch_config import Json, LaunchConfig
from workers.core.model.types import MAX_TAGS


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two fields that cannot stand together."""

    field: str
    """The field to look at first."""
    message: str
    """What is wrong, why, and what to do."""
    others: tuple[str, ...] = ()
    """The other fields that take part, given or missing."""


def find_conflicts(effective: LaunchConfig) -> list[Conflict]:
    """
    Find every conflict within one effective launch config.

    A rule speaks only of fields that the config holds. To judge a config against what DRS holds in fields
    that it leaves out, merge it over the observed values first.

    Parameters:
        effective: Group defaults and override, merged.

    Returns:
        The conflicts, in the order of the rules; none for a config that is right.
    """
    return [conflict for rule in _RULES for conflict in rule(effective)]


def find_shared_addresses(effective: dict[str, LaunchConfig]) -> list[tuple[str, Conflict]]:
    """
    Find servers of a group that ask for an address which another one has.

    Parameters:
        effective: Source server id to effective launch config.

    Returns:
        Each later server with its conflict. Two servers that name no subnet are taken to be in the same.
    """
    holders: dict[tuple[str, Json], str] = {}
    shared = []
    for source_server_id, config in effective.items():
        address = config.values.get("staticPrivateIp")
        if not isinstance(address, str):
            continue
        subnet = config.values.get("subnetId")
        holder = holders.setdefault((address, str(subnet)), source_server_id)
        if holder != source_server_id:
            message = (
                f"staticPrivateIp {address} is also that of {holder} in the same subnet; an address serves "
                "one server. Give one of them another address or another subnetId."
            )
            shared.append((source_server_id, Conflict("staticPrivateIp", message, ("subnetId",))))
    return shared


def _type_with_right_sizing(config: LaunchConfig) -> list[Conflict]:
    method = config.values.get("targetInstanceTypeRightSizingMethod", "NONE")
    if "instanceType" not in config.values or method == "NONE":
        return []
    message = (
        f"instanceType cannot stand with targetInstanceTypeRightSizingMethod {method}: right-sizing "
        "overwrites the type in the launch template. Set targetInstanceTypeRightSizingMethod to NONE, "
        "or leave out instanceType."
    )
    return [Conflict("instanceType", message, ("targetInstanceTypeRightSizingMethod",))]


def _address_with_copied_address(config: LaunchConfig) -> list[Conflict]:
    if "staticPrivateIp" not in config.values or config.values.get("copyPrivateIp") is not True:
        return []
    message = (
        "staticPrivateIp cannot stand with copyPrivateIp true: DRS writes the source server's address "
        "over it. Set copyPrivateIp to false, or leave out staticPrivateIp."
    )
    return [Conflict("staticPrivateIp", message, ("copyPrivateIp",))]


def _security_groups_without_subnet(config: LaunchConfig) -> list[Conflict]:
    if not config.values.get("securityGroupIds") or config.values.get("subnetId"):
        return []
    message = (
        "securityGroupIds needs a subnetId: security groups belong to the VPC of the subnet, and without "
        "one EC2 launches into the default VPC. Add subnetId to the defaults or to the server, or leave out "
        "securityGroupIds."
    )
    return [Conflict("securityGroupIds", message, ("subnetId",))]


def _launch_into_with(switch: str, copied: str) -> Callable[[LaunchConfig], list[Conflict]]:
    def rule(config: LaunchConfig) -> list[Conflict]:
        target = config.values.get("launchIntoInstanceProperties")
        # DRS reports an empty id where nothing is set.
        named = isinstance(target, dict) and bool(target.get("launchIntoEC2InstanceID"))
        if not named or config.values.get(switch) is not True:
            return []
        message = (
            f"launchIntoInstanceProperties cannot stand with {switch} true: an existing instance "
            f"keeps its own {copied}. Set {switch} to false, or leave out launchIntoInstanceProperties."
        )
        return [Conflict("launchIntoInstanceProperties", message, (switch,))]

    return rule


def _too_many_tags(config: LaunchConfig) -> list[Conflict]:
    tags = config.values.get("tags")
    count = sum(value is not None for value in tags.values()) if isinstance(tags, dict) else 0
    if count <= MAX_TAGS:
        return []
    message = (
        f"tags come to {count} with the defaults and the override together; EC2 allows {MAX_TAGS} tags on "
        "a resource. Take some out."
    )
    return [Conflict("tags", message)]


_RULES: tuple[Callable[[LaunchConfig], list[Conflict]], ...] = (
    _type_with_right_sizing,
    _address_with_copied_address,
    _security_groups_without_subnet,
    _launch_into_with("copyPrivateIp", "address"),
    _launch_into_with("copyTags", "tags"),
    _too_many_tags,
)
