"""What launch configs name of an account: each thing once, however many source servers name it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from workers.core.model.launch_config import LaunchConfig


@dataclass(frozen=True, slots=True)
class Names:
    """What has to be looked up."""

    source_servers: tuple[str, ...]
    subnets: frozenset[str]
    every_subnet: bool
    """Whether an address is asked for without its subnet: then any subnet of the Region may be the one."""
    security_groups: frozenset[str]
    instance_types: frozenset[str]
    instance_profiles: frozenset[str]
    instances: frozenset[str]
    addresses: frozenset[str]


def find_names(configs: Mapping[str, LaunchConfig]) -> Names:
    """
    Gather what effective launch configs name.

    Parameters:
        configs: Source server id to effective launch config.

    Returns:
        Each name once.
    """
    each = list(configs.values())
    groups = (config.values.get("securityGroupIds") for config in each)
    return Names(
        source_servers=tuple(configs),
        subnets=_texts(each, "subnetId"),
        every_subnet=any(read_address(config) and not read_text(config, "subnetId") for config in each),
        security_groups=frozenset(str(group) for named in groups if isinstance(named, list) for group in named),
        instance_types=_texts(each, "instanceType"),
        instance_profiles=_texts(each, "instanceProfileName"),
        instances=frozenset(instance for instance in map(read_launch_into, each) if instance),
        addresses=_texts(each, "staticPrivateIp"),
    )


def merge_names(many: Sequence[Names]) -> Names:
    """Gather what several groups of one account and Region name: each thing once."""
    return Names(
        source_servers=tuple(dict.fromkeys(server for each in many for server in each.source_servers)),
        subnets=_join(each.subnets for each in many),
        every_subnet=any(each.every_subnet for each in many),
        security_groups=_join(each.security_groups for each in many),
        instance_types=_join(each.instance_types for each in many),
        instance_profiles=_join(each.instance_profiles for each in many),
        instances=_join(each.instances for each in many),
        addresses=_join(each.addresses for each in many),
    )


def read_text(config: LaunchConfig, field: str) -> str | None:
    """Read a field that names something; None where it is not ours, or is to be empty."""
    value = config.values.get(field)
    return value if isinstance(value, str) else None


def read_address(config: LaunchConfig) -> str | None:
    """Read the static private address."""
    return read_text(config, "staticPrivateIp")


def read_launch_into(config: LaunchConfig) -> str | None:
    """Read the id of the instance that DRS is to launch into."""
    properties = config.values.get("launchIntoInstanceProperties")
    value = properties.get("launchIntoEC2InstanceID") if isinstance(properties, dict) else None
    return value if isinstance(value, str) and value else None


def _texts(configs: list[LaunchConfig], field: str) -> frozenset[str]:
    return frozenset(value for value in (read_text(config, field) for config in configs) if value)


def _join(many: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset[str]().union(*many)
