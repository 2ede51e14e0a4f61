"""Accounts that hold whatever is asked for, for tests of what comes after that, and accounts that hold some things."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import TypeVar

from workers.core.model.group import Target
from workers.core.validation.holdings import Holdings, InstanceProfile, Interface, SourceServer, Subnet

T = TypeVar("T")
EVERYWHERE = Subnet("vpc-00000000", IPv4Network("0.0.0.0/0"))


class _EverySubnet(Mapping[str, Subnet]):
    """A list of subnets that has each that it is asked for."""

    def __getitem__(self, _: str) -> Subnet:
        return EVERYWHERE

    def __iter__(self) -> Iterator[str]:
        yield "subnet-00000000"

    def __len__(self) -> int:
        return 1


class BoundlessAccounts:
    """Stands where `workers.aws.accounts.AwsTargetAccounts` does."""

    async def find_source_servers(
        self, target: Target, source_server_ids: Collection[str]
    ) -> Mapping[str, SourceServer]:
        return dict.fromkeys(source_server_ids, SourceServer())

    async def list_source_servers(self, target: Target) -> Mapping[str, SourceServer]:
        return {}

    async def find_subnets(self, target: Target, subnet_ids: Collection[str]) -> Mapping[str, Subnet]:
        return dict.fromkeys(subnet_ids, EVERYWHERE)

    async def list_subnets(self, target: Target) -> Mapping[str, Subnet]:
        return _EverySubnet()

    async def find_security_groups(self, target: Target, group_ids: Collection[str]) -> Mapping[str, str]:
        return dict.fromkeys(group_ids, EVERYWHERE.vpc_id)

    async def find_instance_types(self, target: Target, names: Collection[str]) -> Collection[str]:
        return names

    async def find_instance_profiles(self, target: Target, names: Collection[str]) -> Mapping[str, InstanceProfile]:
        return dict.fromkeys(names, InstanceProfile("recovered", has_policy=True))

    async def find_instances(self, target: Target, instance_ids: Collection[str]) -> Collection[str]:
        return instance_ids

    async def find_interfaces(self, target: Target, addresses: Collection[str]) -> Sequence[Interface]:
        return ()


class HeldAccounts:
    """
    Accounts that all hold the same, and remember what they were asked for.

    Parameters:
        held: What they hold.
    """

    def __init__(self, held: Holdings) -> None:
        self._held = held
        self.asked: list[tuple[str, frozenset[str]]] = []
        """Each question, with the names that it asks for; a list of all names none."""
        self.refusals: dict[str, Exception] = {}
        """What a kind of question is answered with instead."""

    async def find_source_servers(
        self, target: Target, source_server_ids: Collection[str]
    ) -> Mapping[str, SourceServer]:
        return self._find("source servers", self._held.source_servers, source_server_ids)

    async def list_source_servers(self, target: Target) -> Mapping[str, SourceServer]:
        self._ask("source servers", ())
        return self._held.source_servers

    async def find_subnets(self, target: Target, subnet_ids: Collection[str]) -> Mapping[str, Subnet]:
        return self._find("subnets", self._held.subnets, subnet_ids)

    async def list_subnets(self, target: Target) -> Mapping[str, Subnet]:
        self._ask("subnets", ())
        return self._held.subnets

    async def find_security_groups(self, target: Target, group_ids: Collection[str]) -> Mapping[str, str]:
        return self._find("security groups", self._held.security_groups, group_ids)

    async def find_instance_types(self, target: Target, names: Collection[str]) -> Collection[str]:
        return self._find("instance types", dict.fromkeys(self._held.instance_types), names)

    async def find_instance_profiles(self, target: Target, names: Collection[str]) -> Mapping[str, InstanceProfile]:
        return self._find("instance profiles", self._held.instance_profiles, names)

    async def find_instances(self, target: Target, instance_ids: Collection[str]) -> Collection[str]:
        return self._find("instances", dict.fromkeys(self._held.instances), instance_ids)

    async def find_interfaces(self, target: Target, addresses: Collection[str]) -> Sequence[Interface]:
        self._ask("interfaces", addresses)
        return [each for each in self._held.interfaces if each.address in addresses]

    def _find(self, kind: str, held: Mapping[str, T], names: Collection[str]) -> dict[str, T]:
        if names:
            self._ask(kind, names)
        return {name: held[name] for name in names if name in held}

    def _ask(self, kind: str, names: Collection[str]) -> None:
        self.asked.append((kind, frozenset(names)))
        if kind in self.refusals:
            raise self.refusals[kind]
