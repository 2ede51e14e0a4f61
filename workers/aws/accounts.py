"""
What a target account holds: source servers, subnets, security groups, instance types, profiles, addresses. Reads only.

Names are asked for by filters and not as ids: an id that does not exist fails the whole call, a filter's value that
matches nothing is left out. A filter takes 200 values, a page of EC2 or IAM holds 1,000 items (EC2's and IAM's API
references); of DRS's source servers 200 ids a call (botocore's model). Where so many are named that the list of all is
shorter than that, the list is read.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from workers.aws.calls import Calls
from workers.core.model.group import Target
from workers.core.validation.holdings import InstanceProfile, Interface, SourceServer, Subnet, build_policy_arn

NAMES_A_CALL = 200
PAGE = 1000
PAGES_OF_SUBNETS = 1
"""An account has five VPCs in a Region and 200 subnets in each, unless it asked for more (AWS, Amazon VPC quotas)."""
PAGES_OF_SECURITY_GROUPS = 3
"""And 2,500 security groups in a Region."""
ENDED = ("shutting-down", "terminated")
"""States of an instance that is no more: EC2 describes it for about an hour all the same (EC2's API reference)."""


@dataclass(frozen=True, slots=True)
class _Asked:
    operation: str
    member: str
    filter_name: str
    key: str


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
        asked = _Asked("DescribeSubnets", "Subnets", "subnet-id", "SubnetId")
        return _subnets(await self._find_or_list(target, asked, subnet_ids, PAGES_OF_SUBNETS))

    async def list_subnets(self, target: Target) -> Mapping[str, Subnet]:
        """List every subnet."""
        return _subnets([each async for each in self._page(target, "DescribeSubnets", "Subnets", {})])

    async def find_security_groups(self, target: Target, group_ids: Collection[str]) -> Mapping[str, str]:
        """Find the VPC of each security group by its id."""
        asked = _Asked("DescribeSecurityGroups", "SecurityGroups", "group-id", "GroupId")
        found = await self._find_or_list(target, asked, group_ids, PAGES_OF_SECURITY_GROUPS)
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

    async def find_instance_profiles(self, target: Target, names: Collection[str]) -> Mapping[str, InstanceProfile]:
        """Find instance profiles by name: a page of all and a page of roles for the most part, not a call a name."""
        profiles = self._list_iam(target, "ListInstanceProfiles", "InstanceProfiles", {})
        found = {each["InstanceProfileName"]: each async for each in profiles if each["InstanceProfileName"] in names}
        partitions = {each["Arn"].split(":")[1] for each in found.values() if each["Roles"]}
        fit = {role for partition in partitions async for role in self._list_fit_roles(target, partition)}
        roles = {name: next((role["RoleName"] for role in each["Roles"]), None) for name, each in found.items()}
        return {name: InstanceProfile(role, role in fit) for name, role in roles.items()}

    async def find_instances(self, target: Target, instance_ids: Collection[str]) -> Collection[str]:
        """Find which of these instances there are."""
        found = await self._find(target, "DescribeInstances", "Reservations", "instance-id", instance_ids)
        instances = [instance for each in found for instance in each["Instances"]]
        return frozenset(each["InstanceId"] for each in instances if each["State"]["Name"] not in ENDED)

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

    async def _find_or_list(self, target: Target, asked: "_Asked", names: Collection[str], pages: int) -> list[Any]:
        found: dict[str, Any] = {}
        missing = set(names)
        if len(_cut(missing)) > pages:
            found, is_all = await self._list(target, asked, pages)
            missing = set() if is_all else missing - found.keys()
        found |= {
            each[asked.key]: each
            for each in await self._find(target, asked.operation, asked.member, asked.filter_name, missing)
        }
        return [found[name] for name in sorted(names) if name in found]

    async def _list(self, target: Target, asked: "_Asked", pages: int) -> tuple[dict[str, Any], bool]:
        """List so many pages at the most, and tell whether that was all."""
        found: dict[str, Any] = {}
        request: dict[str, Any] = {"MaxResults": PAGE}
        for _ in range(pages):
            page = await self._calls.call(target, "ec2", asked.operation, request)
            found |= {each[asked.key]: each for each in page[asked.member]}
            if not page.get("NextToken"):
                return found, True
            request["NextToken"] = page["NextToken"]
        return found, False

    def _list_fit_roles(self, target: Target, partition: str) -> AsyncIterator[str]:
        # Without PolicyUsageFilter also roles that the policy bounds are listed: a boundary grants nothing.
        request = {
            "PolicyArn": build_policy_arn(partition),
            "EntityFilter": "Role",
            "PolicyUsageFilter": "PermissionsPolicy",
        }
        roles = self._list_iam(target, "ListEntitiesForPolicy", "PolicyRoles", request)
        return (role["RoleName"] async for role in roles)

    async def _list_iam(
        self, target: Target, operation: str, member: str, request: Mapping[str, Any]
    ) -> AsyncIterator[Any]:
        asking = {**request, "MaxItems": PAGE}
        while True:
            page = await self._calls.call(target, "iam", operation, asking)
            for each in page[member]:
                yield each
            if not page.get("IsTruncated"):
                return
            asking["Marker"] = page["Marker"]

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
