"""
Compare an effective launch config with what its account holds. Pure: a rule looks at one source server.

A rule refuses only what is known to be wrong. Where the account was not asked, or the field is not ours, it is silent.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from workers.core.model.conflicts import Conflict
from workers.core.model.launch_config import LaunchConfig
from workers.core.validation.holdings import RECOVERY_POLICY, Holdings, Interface, SourceServer
from workers.core.validation.names import read_address, read_launch_into, read_text

RESERVED_AT_START = 4
"""AWS keeps the first four addresses of a subnet (network, router, DNS, future use) and the last one for itself."""


@dataclass(frozen=True, slots=True)
class Configured:
    """A source server with what it is to have."""

    server: SourceServer
    config: LaunchConfig
    where: str
    """The account and Region, in words."""


def find_misfits(configured: Configured, held: Holdings) -> list[Conflict]:
    """
    Find what an effective launch config asks for and its account cannot give.

    Parameters:
        configured: The source server.
        held: What the account holds of what the group names.

    Returns:
        The misfits, in the order of the rules; none for a config that fits.
    """
    return [conflict for rule in _RULES for conflict in rule(configured, held)]


def find_gone(configured: Configured, held: Holdings, kinds: Collection[str]) -> list[Conflict]:
    """
    Find, of what can go away after it was checked, what an effective launch config names and is not there.

    Parameters:
        configured: The source server.
        held: What the account holds of what is named.
        kinds: The members of `held` that were read; of others nothing is known.

    Returns:
        The misfits.
    """
    rules = {
        "subnets": _unknown_subnet,
        "security_groups": _unknown_security_groups,
        "instance_profiles": _unfit_profile,
    }
    return [conflict for kind, rule in rules.items() if kind in kinds for conflict in rule(configured, held)]


def _unknown_subnet(asked: Configured, held: Holdings) -> list[Conflict]:
    subnet_id = read_text(asked.config, "subnetId")
    if subnet_id is None or subnet_id in held.subnets:
        return []
    return [Conflict("subnetId", f"There is no subnet {subnet_id} in {asked.where}. Name one that is there.")]


def _unknown_security_groups(asked: Configured, held: Holdings) -> list[Conflict]:
    subnet = held.subnets.get(read_text(asked.config, "subnetId") or "")
    named = asked.config.values.get("securityGroupIds")
    conflicts = []
    for group in map(str, named if isinstance(named, list) else []):
        vpc_id = held.security_groups.get(group)
        if vpc_id is None:
            message = f"There is no security group {group} in {asked.where}. Name one that is there."
            conflicts.append(Conflict("securityGroupIds", message))
        elif subnet is not None and vpc_id != subnet.vpc_id:
            message = (
                f"Security group {group} belongs to {vpc_id}, and the subnet"
                f" {read_text(asked.config, 'subnetId')} to {subnet.vpc_id}. Name a security group and a subnet of one"
                " VPC."
            )
            conflicts.append(Conflict("securityGroupIds", message, ("subnetId",)))
    return conflicts


def _type_not_offered(asked: Configured, held: Holdings) -> list[Conflict]:
    name = read_text(asked.config, "instanceType")
    if name is None or name in held.instance_types:
        return []
    return [Conflict("instanceType", f"EC2 offers no instance type {name} in {asked.where}. Choose one that it does.")]


def _unfit_profile(asked: Configured, held: Holdings) -> list[Conflict]:
    name = read_text(asked.config, "instanceProfileName")
    if name is None:
        return []
    profile = held.instance_profiles.get(name)
    if profile is None:
        message = (
            f"There is no instance profile {name} in {asked.where}. Name one that is there; its role needs the policy"
            f" {RECOVERY_POLICY}."
        )
    elif profile.role is None:
        message = (
            f"The instance profile {name} in {asked.where} holds no role. Put one into it that has the policy"
            f" {RECOVERY_POLICY}, without which a recovery instance cannot talk to DRS, or name another."
        )
    elif not profile.has_policy:
        message = (
            f"The policy {RECOVERY_POLICY} is not attached to the role {profile.role} of the instance profile {name} in"
            f" {asked.where}, and without it a recovery instance cannot talk to DRS. Attach it, or name another."
        )
    else:
        return []
    return [Conflict("instanceProfileName", message)]


def _unknown_instance(asked: Configured, held: Holdings) -> list[Conflict]:
    instance_id = read_launch_into(asked.config)
    if instance_id is None or instance_id in held.instances:
        return []
    message = f"There is no instance {instance_id} in {asked.where} to launch into. Name one that is there."
    return [Conflict("launchIntoInstanceProperties", message)]


def _licence_without_host(asked: Configured, _: Holdings) -> list[Conflict]:
    licensing = asked.config.values.get("licensing")
    brings_own = isinstance(licensing, dict) and licensing.get("osByol") is True
    is_windows = "windows" in asked.server.operating_system.lower()
    if not (brings_own and is_windows) or asked.config.values.get("tenancy") == "host":
        return []
    message = (
        "licensing.osByol true needs tenancy host on a source server with Windows: its licence is bound to a dedicated"
        " host. Set tenancy to host, or osByol to false."
    )
    return [Conflict("licensing", message, ("tenancy",))]


def _misplaced_address(asked: Configured, held: Holdings) -> list[Conflict]:
    address, subnet_id = read_address(asked.config), read_text(asked.config, "subnetId")
    if address is None or (subnet_id is not None and subnet_id not in held.subnets):
        return []
    networks = {name: held.subnets[name].network for name in ([subnet_id] if subnet_id else held.subnets)}
    around = {name: net for name, net in networks.items() if net is not None and IPv4Address(address) in net}
    if not around:
        return [_nowhere(asked, address, networks.get(subnet_id) if subnet_id else None)]
    # Without a subnet of ours it is that of the template, which may be any of them.
    reasons = [_find_hindrance(asked, IPv4Address(address), held, *each) for each in around.items()]
    if None in reasons:
        return []
    return [Conflict("staticPrivateIp", str(reasons[0]), ("subnetId",))]


def _nowhere(asked: Configured, address: str, network: IPv4Network | None) -> Conflict:
    subnet_id = read_text(asked.config, "subnetId")
    if subnet_id is None:
        message = (
            f"No subnet in {asked.where} holds the address {address}. Give an address of the subnet that the source"
            " server is launched into, and name that in subnetId."
        )
    else:
        what = f"has the addresses {network}" if network else "has no IPv4 addresses"
        message = f"The subnet {subnet_id} {what}, and {address} is none of them. Give one that is, or another subnet."
    return Conflict("staticPrivateIp", message, ("subnetId",))


def _find_hindrance(
    asked: Configured, address: IPv4Address, held: Holdings, subnet_id: str, network: IPv4Network
) -> str | None:
    number = int(address) - int(network.network_address)
    if number < RESERVED_AT_START or address == network.broadcast_address:
        return (
            f"AWS keeps {address} for itself, as it does the first four addresses and the last of each subnet;"
            f" {subnet_id} is {network}. Give an address from {network[RESERVED_AT_START]} to {network[-2]}."
        )
    taken = [each for each in held.interfaces if (each.subnet_id, each.address) == (subnet_id, str(address))]
    others = [each for each in taken if not _is_own(asked, each)]
    if not others:
        return None
    holder = others[0]
    attached = f" of instance {holder.instance_id}" if holder.instance_id else ""
    return (
        f"{address} is in use in {subnet_id} by the network interface {holder.interface_id}{attached}. Give an address"
        " that is free, or free this one."
    )


def _is_own(asked: Configured, interface: Interface) -> bool:
    # What it was launched as last, in a drill say, holds the address of nobody else.
    return interface.instance_id is not None and interface.instance_id == asked.server.recovery_instance_id


_RULES: tuple[Callable[[Configured, Holdings], list[Conflict]], ...] = (
    _unknown_subnet,
    _unknown_security_groups,
    _type_not_offered,
    _unfit_profile,
    _unknown_instance,
    _licence_without_host,
    _misplaced_address,
)
