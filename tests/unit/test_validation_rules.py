"""What an effective launch config asks for against what its account holds."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import pytest

from workers.core.model.group import GroupDefinition
from workers.core.model.group_parse import parse_group
from workers.core.model.launch_config import Json, LaunchConfig
from workers.core.validation.findings import find_errors
from workers.core.validation.holdings import Holdings, InstanceProfile, Interface, SourceServer, Subnet
from workers.core.validation.names import Names, find_names

A, B, C = (f"s-{letter * 17}" for letter in "abc")
OURS, ODD, FOREIGN, SIX = (f"subnet-{number:017x}" for number in range(4))
GROUP, ELSEWHERE = (f"sg-{number:017x}" for number in range(2))
WHERE = "account 111122223333, eu-central-1"
HELD = Holdings(
    source_servers={A: SourceServer("Linux", "i-0123456789abcdef0"), B: SourceServer("Microsoft Windows Server 2022")},
    subnets={
        OURS: Subnet("vpc-1", IPv4Network("10.0.1.0/24")),
        ODD: Subnet("vpc-1", IPv4Network("100.64.0.16/28")),
        FOREIGN: Subnet("vpc-2", IPv4Network("10.0.1.0/25")),
        SIX: Subnet("vpc-1", None),
    },
    security_groups={GROUP: "vpc-1", ELSEWHERE: "vpc-2"},
    instance_types=frozenset({"m5.xlarge"}),
    instance_profiles={
        "web": InstanceProfile("recovered", has_policy=True),
        "hollow": InstanceProfile(None, has_policy=False),
        "plain": InstanceProfile("app", has_policy=False),
    },
    instances=frozenset({"i-00000000000000001"}),
    interfaces=(
        Interface("eni-1", OURS, "10.0.1.17", None),
        Interface("eni-2", OURS, "10.0.1.18", "i-0123456789abcdef0"),
        Interface("eni-3", FOREIGN, "10.0.1.19", None),
        Interface("eni-4", OURS, "10.0.1.200", "i-0000000000000000f"),
    ),
)


def draw(defaults: Mapping[str, Any] | None = None, /, **own: Mapping[str, Any]) -> GroupDefinition:
    """Write a group of A and B, whose own launch configs are given by their letters."""
    body = {
        "groupName": "web",
        "accountId": "111122223333",
        "region": "eu-central-1",
        "sourceServerIds": [A, B],
        "launchConfig": {**(defaults or {})},
        "servers": [{"sourceServerId": {"a": A, "b": B}[letter], "launchConfig": own[letter]} for letter in own],
    }
    return parse_group(body)


def errors(definition: GroupDefinition, held: Holdings = HELD) -> list[tuple[str, str | None, str]]:
    found = find_errors(definition, definition.source_server_ids, held)
    return [(error.pointer, error.source_server_id, error.message) for error in found]


WRONG: list[tuple[dict[str, Any], str, str]] = [
    (
        {"subnetId": "subnet-0123456789abcdef0"},
        "subnetId",
        f"There is no subnet subnet-0123456789abcdef0 in {WHERE}. Name one that is there.",
    ),
    (
        {"subnetId": OURS, "securityGroupIds": [GROUP, "sg-0123456789abcdef0"]},
        "securityGroupIds",
        f"There is no security group sg-0123456789abcdef0 in {WHERE}. Name one that is there.",
    ),
    (
        {"subnetId": OURS, "securityGroupIds": [ELSEWHERE]},
        "securityGroupIds",
        (
            f"Security group {ELSEWHERE} belongs to vpc-2, and the subnet {OURS} to vpc-1. Name a security group and a"
            " subnet of one VPC."
        ),
    ),
    (
        {"instanceType": "m5.3xlarge"},
        "instanceType",
        f"EC2 offers no instance type m5.3xlarge in {WHERE}. Choose one that it does.",
    ),
    (
        {"instanceProfileName": "wep"},
        "instanceProfileName",
        (
            f"There is no instance profile wep in {WHERE}. Name one that is there; its role needs the policy"
            " AWSElasticDisasterRecoveryRecoveryInstancePolicy."
        ),
    ),
    (
        {"instanceProfileName": "hollow"},
        "instanceProfileName",
        (
            f"The instance profile hollow in {WHERE} holds no role. Put one into it that has the policy"
            " AWSElasticDisasterRecoveryRecoveryInstancePolicy, without which a recovery instance cannot talk to DRS,"
            " or name another."
        ),
    ),
    (
        {"instanceProfileName": "plain"},
        "instanceProfileName",
        (
            "The policy AWSElasticDisasterRecoveryRecoveryInstancePolicy is not attached to the role app of the"
            f" instance profile plain in {WHERE}, and without it a recovery instance cannot talk to DRS. Attach it, or"
            " name another."
        ),
    ),
    (
        {"launchIntoInstanceProperties": {"launchIntoEC2InstanceID": "i-00000000000000002"}},
        "launchIntoInstanceProperties",
        f"There is no instance i-00000000000000002 in {WHERE} to launch into. Name one that is there.",
    ),
]


@pytest.mark.parametrize(("config", "field", "message"), WRONG)
def test_what_the_account_lacks_is_told_once_and_where_it_was_written(
    config: dict[str, Any], field: str, message: str
) -> None:
    """In the defaults it is one error of the group; in a server's own launch config one of that server."""
    assert errors(draw(config)) == [(f"/launchConfig/{field}", None, message)]
    assert errors(draw(b=config)) == [(f"/servers/0/launchConfig/{field}", B, message)]


def test_what_the_account_holds_is_right() -> None:
    """A launch config whose every name is there has no error."""
    config = {
        "subnetId": OURS,
        "securityGroupIds": [GROUP],
        "instanceType": "m5.xlarge",
        "instanceProfileName": "web",
        "launchIntoInstanceProperties": {"launchIntoEC2InstanceID": "i-00000000000000001"},
    }
    assert errors(draw(config, a={"staticPrivateIp": "10.0.1.20"}, b={"staticPrivateIp": "10.0.1.21"})) == []


def test_what_is_to_be_empty_names_nothing() -> None:
    """null empties a field: there is nothing to look up."""
    nothing = dict.fromkeys(("subnetId", "securityGroupIds", "instanceType", "instanceProfileName"))
    assert errors(draw(nothing, a={"staticPrivateIp": None}), Holdings(HELD.source_servers)) == []


ADDRESSES = [
    # The first four and the last of each subnet are AWS's own, wherever it begins.
    *[(OURS, address, "AWS keeps") for address in ("10.0.1.0", "10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.255")],
    *[(OURS, address, None) for address in ("10.0.1.4", "10.0.1.254")],
    *[(ODD, address, "AWS keeps") for address in ("100.64.0.16", "100.64.0.19", "100.64.0.31")],
    *[(ODD, address, None) for address in ("100.64.0.20", "100.64.0.30")],
    (ODD, "100.64.0.32", "has the addresses 100.64.0.16/28"),
    (OURS, "10.0.2.4", "has the addresses 10.0.1.0/24"),
    (SIX, "10.0.1.4", "has no IPv4 addresses"),
    (OURS, "10.0.1.17", "in use in"),
    (OURS, "10.0.1.200", "of instance i-0000000000000000f"),
    # Another subnet's interface, and the source server's own last launch, are in nobody's way.
    (OURS, "10.0.1.19", None),
    (OURS, "10.0.1.18", None),
    # Without a subnet of ours any may be the template's, and one where it fits is enough.
    (None, "10.0.1.17", None),
    (None, "10.0.1.200", "in use in"),
    (None, "10.9.9.9", "No subnet in"),
    (None, "100.64.0.31", "AWS keeps"),
]


@pytest.mark.parametrize(("subnet_id", "address", "said"), ADDRESSES)
def test_an_address_is_one_that_its_subnet_can_give(subnet_id: str | None, address: str, said: str | None) -> None:
    """It lies in the subnet, is none that AWS keeps, and nobody else has it."""
    found = errors(draw({} if subnet_id is None else {"subnetId": subnet_id}, a={"staticPrivateIp": address}))
    if said is None:
        assert found == []
        return
    ((pointer, server, message),) = found
    assert (pointer, server) == ("/servers/0/launchConfig/staticPrivateIp", A)
    assert said in message
    assert address in message


def test_the_last_launch_of_another_source_server_is_in_the_way() -> None:
    """An address that another source server's drill holds is in use."""
    (error,) = errors(draw({"subnetId": OURS}, b={"staticPrivateIp": "10.0.1.18"}))
    assert "in use in" in error[2]


def test_a_licence_of_windows_needs_a_host() -> None:
    """Bring your own licence is refused without tenancy host, on Windows only."""
    ((pointer, server, message),) = errors(draw({"licensing": {"osByol": True}}, b={"tenancy": "dedicated"}))
    assert (pointer, server) == ("/servers/0/launchConfig/tenancy", B)
    assert "Set tenancy to host, or osByol to false." in message
    assert errors(draw({"licensing": {"osByol": True}}, b={"tenancy": "host"})) == []
    assert errors(draw({"licensing": {"osByol": False}})) == []


def test_a_source_server_that_is_not_there_is_named_by_its_place() -> None:
    """It is an error of the list, beside all that is wrong with the launch configs."""
    held = replace(HELD, source_servers={B: HELD.source_servers[B]})
    found = errors(draw({"instanceType": "m5.3xlarge"}), held)
    assert [each[:2] for each in found] == [("/sourceServerIds/0", A), ("/launchConfig/instanceType", None)]
    assert found[0][2] == f"DRS knows no source server {A} in {WHERE}. Take it out, or correct account and Region."


def test_each_name_is_looked_up_once() -> None:
    """However many source servers name a thing; and subnets are all looked at only for an address without one."""
    config: dict[str, Json] = {"subnetId": OURS, "securityGroupIds": [GROUP], "instanceType": "m5.xlarge"}
    nothing: frozenset[str] = frozenset()
    assert find_names({each: LaunchConfig(config) for each in (A, B, C)}) == Names(
        source_servers=(A, B, C),
        subnets=frozenset({OURS}),
        every_subnet=False,
        security_groups=frozenset({GROUP}),
        instance_types=frozenset({"m5.xlarge"}),
        instance_profiles=nothing,
        instances=nothing,
        addresses=nothing,
    )
    alone = find_names({A: LaunchConfig({"staticPrivateIp": "10.0.1.20"})})
    assert alone.every_subnet
    assert (alone.addresses, alone.subnets) == (frozenset({"10.0.1.20"}), nothing)
