"""
What a target account holds: source servers, subnets, security groups, instance types, profiles, addresses. Reads only.

Names are asked for by filters and not as ids: an id that does not exist fails the whole call, a filter's value that
matches nothing is left out. A filter takes 200 values, a page of EC2 or IAM holds 1,000 items (EC2's and IAM's API
references); of DRS's source servers 200 ids a call (botocore's model).
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from workers.aws.calls import Calls
from workers.core.model.group import Target
from workers.core.validation.holdings import Interface, SourceServer, Subnet

NAMES_A_CALL = 200
PAGE = 1000


class AwsTargetAccounts:
    """Target accounts over the APIs of DRS, EC2 and IAM."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def find_source_servers(
        self, target: Target, source_server_ids: Collection[str]
    ) -> Mapping[str, SourceServer]:
        """Find source servers of DRS by id."""
        pages = (self._list_source_servers(target, {"sourceServerIDs": ids}) for ids in _cut(source_server_ids))
        return {name: server for page in await asyncio.gather(*pages) for name, server in page.items()}

    async def list_source_servers(self, target: Target) -> Mapping[str, SourceServer]:
        """List every source server of DRS."""
        return await self._list_source_servers(target, {})

    async def find_subnets(self, target: Target, subnet_ids: Collection[str]) -> Mapping[str, Subnet]:
        """Find subnets by id."""
        return _subnets(await self._find(target, "DescribeSubnets", "Subnets", "subnet-id", subnet_ids))

    async def list_subnets(self, target: Target) -> Mapping[str, Subnet]:
        """List every subnet."""
        return _subnets([each async for each in self._page(target, "DescribeSubnets", "Subnets", {})])

    async def find_security_groups(self, target: Target, group_ids: Collection[str]) -> Mapping[str, str]:
        """Find the VPC of each security group by its id."""
        found = await self._find(target, "DescribeSecurityGroups", "SecurityGroups", "group-id", group_ids)
        return {each["GroupId"]: each["VpcId"] for each in found}

    async def find_instance_types(self, target: Target, names: Collection[str]) -> Collection[str]:
        """Find which of these instance types EC2 offers in the Region."""
        found = await self._find(
            target,
            "DescribeInstanceTypeOfferings",
            "InstanceTypeOfferings",
            "instance-type",
            names,
            LocationType="region",
        )
        return frozenset(each["InstanceType"] for each in found)

    async def find_instance_profiles(self, target: Target, names: Collection[str]) -> Collection[str]:
        """Find which of these instance profiles there are: one page of all for the most part, not a call a name."""
        request: dict[str, Any] = {"MaxItems": PAGE}
        found: set[str] = set()
        while True:
            page = await self._calls.call(target, "iam", "ListInstanceProfiles", request)
            found |= {each["InstanceProfileName"] for each in page["InstanceProfiles"]} & set(names)
            if len(found) == len(set(names)) or not page.get("IsTruncated"):
                return frozenset(found)
            request["Marker"] = page["Marker"]

    async def find_instances(self, target: Target, instance_ids: Collection[str]) -> Collection[str]:
        """Find which of these instances there are."""
        found = await self._find(target, "DescribeInstances", "Reservations", "instance-id", instance_ids)
        return frozenset(instance["InstanceId"] for each in found for instance in each["Instances"])

    async def find_interfaces(self, target: Target, addresses: Collection[str]) -> Sequence[Interface]:
        """Find the network interfaces that hold one of these private IPv4 addresses, in whatever subnet."""
        found = await self._find(
            target, "DescribeNetworkInterfaces", "NetworkInterfaces", "addresses.private-ip-address", addresses
        )
        asked = frozenset(addresses)
        return [
            Interface(
                each["NetworkInterfaceId"],
                each["SubnetId"],
                held["PrivateIpAddress"],
                (each.get("Attachment") or {}).get("InstanceId"),
            )
            for each in found
            for held in each.get("PrivateIpAddresses") or []
            if held.get("PrivateIpAddress") in asked
        ]

    async def _list_source_servers(self, target: Target, filters: Mapping[str, Any]) -> dict[str, SourceServer]:
        request: dict[str, Any] = {"filters": filters, "maxResults": NAMES_A_CALL}
        servers: dict[str, SourceServer] = {}
        while True:
            page = await self._calls.call(target, "drs", "DescribeSourceServers", request)
            servers |= {each["sourceServerID"]: _source_server(each) for each in page["items"]}
            if not page.get("nextToken"):
                return servers
            request["nextToken"] = page["nextToken"]

    async def _find(
        self, target: Target, operation: str, member: str, filter_name: str, values: Collection[str], **more: str
    ) -> list[Any]:
        async def find(names: list[str]) -> list[Any]:
            request = {"Filters": [{"Name": filter_name, "Values": names}], **more}
            return [each async for each in self._page(target, operation, member, request)]

        return [each for page in await asyncio.gather(*map(find, _cut(values))) for each in page]

    async def _page(
        self, target: Target, operation: str, member: str, request: Mapping[str, Any]
    ) -> AsyncIterator[Any]:
        asking = {**request, "MaxResults": PAGE}
        while True:
            page = await self._calls.call(target, "ec2", operation, asking)
            for each in page[member]:
                yield each
            if not page.get("NextToken"):
                return
            asking["NextToken"] = page["NextToken"]


def _cut(names: Collection[str]) -> list[list[str]]:
    ordered = sorted(names)
    return [ordered[start : start + NAMES_A_CALL] for start in range(0, len(ordered), NAMES_A_CALL)]


def _source_server(described: Mapping[str, Any]) -> SourceServer:
    system = (described.get("sourceProperties") or {}).get("os") or {}
    return SourceServer(
        system.get("fullString") or "", described.get("recoveryInstanceId"), dict(described.get("tags") or {})
    )


def _subnets(described: list[Any]) -> dict[str, Subnet]:
    return {
        each["SubnetId"]: Subnet(each["VpcId"], IPv4Network(each["CidrBlock"]) if each.get("CidrBlock") else None)
        for each in described
    }
