"""The adapter of what a target account holds: what is asked for by name, what is read whole, and in how many pages."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any, cast

import pytest

from workers.aws.accounts import AwsTargetAccounts
from workers.aws.calls import Calls
from workers.core.model.group import Target
from workers.core.validation.holdings import InstanceProfile, Subnet

TARGET = Target("us-east-1")
MEMBERS = {"DescribeSubnets": ("Subnets", "SubnetId"), "DescribeSecurityGroups": ("SecurityGroups", "GroupId")}
PAGE = 1000


@dataclass
class HeldCalls:
    """Answers as EC2 does, and notes what each call was: the names that it asks for, or None where it lists all."""

    held: list[str]
    asked: list[int | None] = field(default_factory=list)

    async def call(self, _target: Target, _service: str, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        assert request["MaxResults"] <= PAGE
        names = [name for each in request.get("Filters", []) for name in each["Values"]]
        assert len(names) <= 200
        self.asked.append(len(names) if "Filters" in request else None)
        matching = [name for name in self.held if name in names or "Filters" not in request]
        start = int(request.get("NextToken", 0))
        end = start + request["MaxResults"]
        member, key = MEMBERS[operation]
        page = [{key: name, "VpcId": "vpc-1", "CidrBlock": "10.0.0.0/24"} for name in matching[start:end]]
        return {member: page, **({"NextToken": str(end)} if end < len(matching) else {})}


def hold(count: int) -> tuple[AwsTargetAccounts, HeldCalls, list[str]]:
    names = [f"held-{number:05d}" for number in range(count)]
    calls = HeldCalls(names)
    return AwsTargetAccounts(cast("Calls", calls)), calls, names


@pytest.mark.parametrize(
    ("held", "named", "asked"),
    [
        (5000, 200, [200]),
        # One page is all that an account has, unless it asked for more: 201 names by filters would be two calls.
        (1000, 201, [None]),
        (1000, 1000, [None]),
        # What an account has beyond that is asked for by name, and what it does not have with it.
        (1500, 1200, [None, 200]),
        (1500, 1500, [None, 200, 200, 100]),
    ],
)
async def test_many_subnets_are_read_from_the_list_of_all(held: int, named: int, asked: list[int | None]) -> None:
    """Whatever is named and held is found, in as few calls as there can be."""
    accounts, calls, names = hold(held)
    assert await accounts.find_subnets(TARGET, names[:named]) == dict.fromkeys(
        names[:named], Subnet("vpc-1", IPv4Network("10.0.0.0/24"))
    )
    assert calls.asked == asked


@pytest.mark.parametrize(
    ("held", "named", "asked"),
    [
        (5000, 600, [200] * 3),
        (2500, 601, [None] * 3),
        (1999, 1500, [None] * 2),
        (3200, 3100, [None] * 3 + [100]),
    ],
)
async def test_many_security_groups_are_read_from_the_list_of_all(
    held: int, named: int, asked: list[int | None]
) -> None:
    """Three pages hold 2,500: 601 names by filters would be four calls."""
    accounts, calls, names = hold(held)
    assert await accounts.find_security_groups(TARGET, names[:named]) == dict.fromkeys(names[:named], "vpc-1")
    assert calls.asked == asked


@pytest.mark.parametrize(("held", "asked"), [(300, [None]), (1500, [None, 7])])
async def test_what_is_not_there_is_not_found_and_asked_for_only_where_it_may_be(
    held: int, asked: list[int | None]
) -> None:
    """Of a list that was read to its end nothing has to be asked for again."""
    accounts, calls, names = hold(held)
    missing = [f"gone-{number}" for number in range(7)]
    assert (await accounts.find_subnets(TARGET, [*names[:250], *missing])).keys() == set(names[:250])
    assert calls.asked == asked


@dataclass
class IamCalls:
    """Answers one profile or role a page, as IAM may, and notes the lists that were read."""

    profiles: dict[str, list[str]]
    fit: list[str]
    partition: str = "aws"
    asked: list[tuple[str, Any]] = field(default_factory=list)

    async def call(self, _target: Target, service: str, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        assert service == "iam"
        self.asked.append((operation, request.get("PolicyArn")))
        arn = f"arn:{self.partition}:iam::123456789012:instance-profile/"
        items: list[dict[str, Any]] = [{"RoleName": role} for role in self.fit]
        member = "PolicyRoles"
        if operation == "ListInstanceProfiles":
            member = "InstanceProfiles"
            items = [
                {"InstanceProfileName": name, "Arn": arn + name, "Roles": [{"RoleName": role} for role in roles]}
                for name, roles in self.profiles.items()
            ]
        at = int(request.get("Marker", 0))
        more = {"IsTruncated": True, "Marker": str(at + 1)} if at + 1 < len(items) else {"IsTruncated": False}
        return {member: items[at : at + 1], **more}


async def test_profiles_and_roles_are_read_page_by_page() -> None:
    """To the last one; the policy is that of the partition which the profiles are in."""
    profiles = {"other": ["x"], "good": ["last"], "bad": ["x"], "hollow": []}
    calls = IamCalls(profiles, ["first", "second", "last"], partition="aws-us-gov")
    accounts = AwsTargetAccounts(cast("Calls", calls))
    assert await accounts.find_instance_profiles(TARGET, ["good", "bad", "hollow", "none"]) == {
        "good": InstanceProfile("last", has_policy=True),
        "bad": InstanceProfile("x", has_policy=False),
        "hollow": InstanceProfile(None, has_policy=False),
    }
    arn = "arn:aws-us-gov:iam::aws:policy/service-role/AWSElasticDisasterRecoveryRecoveryInstancePolicy"
    assert calls.asked == [("ListInstanceProfiles", None)] * 4 + [("ListEntitiesForPolicy", arn)] * 3


@pytest.mark.parametrize("profiles", [{}, {"web": []}, {"other": ["x"]}])
async def test_no_roles_are_listed_where_there_is_none_to_judge(profiles: dict[str, list[str]]) -> None:
    """Whoever lacks that permission alone is told of the profile that is missing all the same."""
    calls = IamCalls(profiles, ["x"])
    found = await AwsTargetAccounts(cast("Calls", calls)).find_instance_profiles(TARGET, ["web"])
    assert found.keys() == profiles.keys() & {"web"}
    assert [operation for operation, _ in calls.asked] == ["ListInstanceProfiles"]
