"""Accounts that hold whatever is asked for: for tests of what comes after a launch config was found right."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import IPv4Network

from workers.core.model.group import Target
from workers.core.validation.holdings import InstanceProfile, Interface, SourceServer, Subnet

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
