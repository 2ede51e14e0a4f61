"""Accounts that hold whatever is asked for: for tests of what comes after a launch config was found right."""

from collections.abc import Collection, Mapping, Sequence

from workers.core.model.group import Target
from workers.core.validation.holdings import Interface, SourceServer, Subnet


class BoundlessAccounts:
    """Stands where `workers.aws.accounts.AwsTargetAccounts` does."""

    async def find_source_servers(
        self, target: Target, source_server_ids: Collection[str]
    ) -> Mapping[str, SourceServer]:
        return dict.fromkeys(source_server_ids, SourceServer())

    async def list_source_servers(self, target: Target) -> Mapping[str, SourceServer]:
        return {}

    async def find_subnets(self, target: Target, subnet_ids: Collection[str]) -> Mapping[str, Subnet]:
        return {}

    async def list_subnets(self, target: Target) -> Mapping[str, Subnet]:
        return {}

    async def find_security_groups(self, target: Target, group_ids: Collection[str]) -> Mapping[str, str]:
        return {}

    async def find_instance_types(self, target: Target, names: Collection[str]) -> Collection[str]:
        return names

    async def find_instance_profiles(self, target: Target, names: Collection[str]) -> Collection[str]:
        return names

    async def find_instances(self, target: Target, instance_ids: Collection[str]) -> Collection[str]:
        return instance_ids

    async def find_interfaces(self, target: Target, addresses: Collection[str]) -> Sequence[Interface]:
        return ()
