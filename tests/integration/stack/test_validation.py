"""What a launch config names is looked up in the group's account before anything is stored."""

from ipaddress import IPv4Network
from typing import Any

import pytest

from tests.integration.product import REGION, Product, problem_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

GROUPS = "/protection-groups"
ACCOUNT = "123456789012"
WHERE = f"account {ACCOUNT}, {REGION}"
NO_SUBNET, NO_GROUP, NO_SERVER = "subnet-0123456789abcdef0", "sg-0123456789abcdef0", "s-0123456789abcdefg"
PROFILE = "AWSElasticDisasterRecoveryRecoveryInstanceProfile"
POLICY = "AWSElasticDisasterRecoveryRecoveryInstancePolicy"


def check_nothing_is_done(product: Product) -> None:
    # The turns to ask are reserved, one item a bucket.
    assert product.writes().keys() <= {"dynamodb.UpdateItem", "sts.AssumeRole"}, "something was stored or sent"


async def refuse(product: Product, body: dict[str, Any], status: int = 400) -> dict[str, Any]:
    """Ask for a group that must be refused, and answer the problem."""
    product.count_anew()
    answer = await product.api.post(GROUPS, json=body)
    assert answer.status_code == status, answer.text
    check_nothing_is_done(product)
    return problem_of(answer)


def places(problem: dict[str, Any]) -> list[tuple[str, str | None, str]]:
    return [(error["pointer"], error["sourceServerId"], error["code"]) for error in problem["errors"]]


def asked(product: Product) -> dict[str, int]:
    """Count the calls to the target account."""
    return {name: n for name, n in product.calls().items() if name.startswith(("drs.", "ec2.", "iam."))}


def override(member: str, **config: Any) -> dict[str, Any]:
    return {"sourceServerId": member, "launchConfig": config}


async def test_everything_that_is_wrong_is_told_at_once(product: Product) -> None:
    """Each error has its place, its source server and a sentence; nothing is stored and nothing sent."""
    first, second = product.add_servers(2)
    config = {"subnetId": NO_SUBNET, "securityGroupIds": [NO_GROUP], "instanceProfileName": "nobodys"}
    servers = [
        override(first, instanceType="m5.3xlarge", subnetId=product.subnet_id, staticPrivateIp="192.0.2.7"),
        override(second, launchIntoInstanceProperties={"launchIntoEC2InstanceID": "i-0123456789abcdef0"}),
    ]
    problem = await refuse(product, product.body([first, second, NO_SERVER], launchConfig=config, servers=servers))
    assert problem["code"] == "INVALID_BODY"
    assert places(problem) == [
        ("/sourceServerIds/2", NO_SERVER, "INVALID_BODY"),
        ("/launchConfig/securityGroupIds", None, "INVALID_LAUNCH_CONFIG"),
        ("/launchConfig/instanceProfileName", None, "INVALID_LAUNCH_CONFIG"),
        ("/launchConfig/subnetId", None, "INVALID_LAUNCH_CONFIG"),
        ("/servers/0/launchConfig/instanceType", first, "INVALID_LAUNCH_CONFIG"),
        ("/servers/0/launchConfig/staticPrivateIp", first, "INVALID_LAUNCH_CONFIG"),
        ("/servers/1/launchConfig/launchIntoInstanceProperties", second, "INVALID_LAUNCH_CONFIG"),
    ]
    assert f"There is no subnet {NO_SUBNET} in {WHERE}. Name one that is there." in str(problem)


async def test_what_is_wrong_in_itself_does_not_hide_what_the_account_lacks(product: Product) -> None:
    """One list; nothing is told of what a wrong field leaves open, and nothing twice. Two may be wrong at one place."""
    first, second = product.add_servers(2)
    config = {"monitoring": 7, "subnetId": NO_SUBNET, "instanceProfileName": "nobodys", "imageId": "ami-1"}
    servers = [
        # Whether these groups are of its VPC cannot be told without a subnet, and that there is none of them can.
        override(first, subnetId=5, securityGroupIds=[product.security_group_id, NO_GROUP]),
        override(second, instanceType="m5.3xlarge", targetInstanceTypeRightSizingMethod="BASIC"),
    ]
    body = product.body([first, second, NO_SERVER, "s-1"], launchConfig=config, servers=servers)
    # Places are those of the list as it was given, with all that is wrong in it.
    twice = {**body, "sourceServerIds": [7, *body["sourceServerIds"][:2], first, NO_SERVER]}
    told = [place for place in places(await refuse(product, twice)) if place[1] in {NO_SERVER, first}]
    assert ("/sourceServerIds/3", first, "INVALID_BODY") in told
    assert ("/sourceServerIds/4", NO_SERVER, "INVALID_BODY") in told
    problem = await refuse(product, body)
    assert sorted(places(problem)) == sorted(
        [
            ("/sourceServerIds/3", None, "INVALID_BODY"),
            ("/launchConfig/monitoring", None, "INVALID_LAUNCH_CONFIG"),
            ("/launchConfig/imageId", None, "INVALID_LAUNCH_CONFIG"),
            ("/servers/0/launchConfig/subnetId", first, "INVALID_LAUNCH_CONFIG"),
            # It is neither offered nor goes with right-sizing.
            ("/servers/1/launchConfig/instanceType", second, "INVALID_LAUNCH_CONFIG"),
            ("/servers/1/launchConfig/instanceType", second, "INVALID_LAUNCH_CONFIG"),
            ("/sourceServerIds/2", NO_SERVER, "INVALID_BODY"),
            ("/launchConfig/instanceProfileName", None, "INVALID_LAUNCH_CONFIG"),
            ("/launchConfig/subnetId", None, "INVALID_LAUNCH_CONFIG"),
            ("/servers/0/launchConfig/securityGroupIds", first, "INVALID_LAUNCH_CONFIG"),
        ]
    )
    assert asked(product)["drs.DescribeSourceServers"] == 1


async def test_of_a_wrong_update_what_it_brings_is_looked_up(product: Product) -> None:
    """Of whom it leaves alone nothing is told, also if that is gone; a group that is not there has no account."""
    first, second, third = members = product.add_servers(3)
    (gone,) = product.add_security_groups(1)
    apart = {"subnetId": product.subnet_id, "securityGroupIds": [gone]}
    own = [{**override(each, **apart), "useGroupDefaults": False} for each in (first, second)]
    group_id = await product.create_ready(members, launchConfig={"ebsOptimized": True}, servers=own)
    product.local.control("DELETE", f"servers/{first}")
    product.local.control("DELETE", f"servers/{third}")
    product.client("ec2").delete_security_group(GroupId=gone)
    config = {"ebsOptimized": "yes", "instanceProfileName": "nobodys"}
    body = {**product.body([*members, NO_SERVER], launchConfig=config, servers=own), "version": 1}
    answer = await product.api.put(f"{GROUPS}/{group_id}", json=body)
    assert answer.status_code == 400
    assert places(problem_of(answer)) == [
        ("/launchConfig/ebsOptimized", None, "INVALID_LAUNCH_CONFIG"),
        ("/sourceServerIds/2", third, "INVALID_BODY"),
        ("/sourceServerIds/3", NO_SERVER, "INVALID_BODY"),
        ("/launchConfig/instanceProfileName", None, "INVALID_LAUNCH_CONFIG"),
    ]
    answer = await product.api.put(f"{GROUPS}/pg-0123456789abcdef0", json=body)
    assert (answer.status_code, len(problem_of(answer)["errors"])) == (400, 1)


async def test_of_wrong_groups_by_tags_those_who_match_are_looked_up(product: Product) -> None:
    """Who matches nothing, and who does not match, is told beside what is wrong in itself."""
    (member,) = product.add_servers(1, tags={"validation": "partly"})
    config = {"monitoring": 7, "instanceProfileName": "nobodys"}
    body = product.body([], launchConfig=config, servers=[override(NO_SERVER, ebsOptimized=True)])
    del body["sourceServerIds"]
    problem = await refuse(product, {**body, "serverSelectionTags": {"validation": "partly"}})
    assert places(problem) == [
        ("/launchConfig/monitoring", None, "INVALID_LAUNCH_CONFIG"),
        ("/servers/0/sourceServerId", NO_SERVER, "INVALID_BODY"),
        ("/launchConfig/instanceProfileName", None, "INVALID_LAUNCH_CONFIG"),
    ]
    problem = await refuse(product, {**body, "serverSelectionTags": {"validation": "nobody"}})
    assert places(problem)[:2] == [
        ("/launchConfig/monitoring", None, "INVALID_LAUNCH_CONFIG"),
        ("/serverSelectionTags", None, "INVALID_BODY"),
    ]
    assert member not in str(problem)


async def test_what_is_wrong_in_itself_is_told_where_the_account_cannot_be_asked(product: Product) -> None:
    """A refusal or a failure of AWS hides nothing of it, and the body is no less wrong."""
    members = product.add_servers(1)
    product.faults({"service": "drs", "operation": "DescribeSourceServers", "code": "AccessDeniedException"})
    try:
        problem = await refuse(product, product.body(members, launchConfig={"monitoring": 7}))
    finally:
        product.faults()
    assert places(problem) == [("/launchConfig/monitoring", None, "INVALID_LAUNCH_CONFIG")]


@pytest.mark.parametrize("name", ["u7i-12tb.224xlarge", "m7i.metal-24xl", "mac2-m2.metal"])
async def test_every_type_that_ec2_offers_passes(product: Product, name: str) -> None:
    """EC2 is asked, no list is kept: types of any spelling are right as soon as it offers them."""
    config = {"instanceType": name, "targetInstanceTypeRightSizingMethod": "NONE"}
    await product.create(product.add_servers(1), launchConfig=config)


async def test_an_address_in_use_is_refused_and_free_ones_are_not(product: Product) -> None:
    """An interface that holds it is named; once it is gone the same body is accepted."""
    (member,) = product.add_servers(1)
    ec2 = product.client("ec2")
    (subnet,) = ec2.describe_subnets(SubnetIds=[product.subnet_id])["Subnets"]
    address = subnet["CidrBlock"].rpartition(".")[0] + ".77"
    made = ec2.create_network_interface(SubnetId=product.subnet_id, PrivateIpAddress=address)["NetworkInterface"]
    config = {"subnetId": product.subnet_id, "securityGroupIds": [product.security_group_id]}
    body = product.body([member], launchConfig=config, servers=[override(member, staticPrivateIp=address)])
    (error,) = (await refuse(product, body))["errors"]
    assert made["NetworkInterfaceId"] in error["message"]
    ec2.delete_network_interface(NetworkInterfaceId=made["NetworkInterfaceId"])
    assert (await product.api.post(GROUPS, json=body)).status_code == 201


async def test_a_security_group_of_another_vpc_is_refused(product: Product) -> None:
    """Both VPCs are named."""
    ec2 = product.client("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    group_id = ec2.create_security_group(GroupName="foreign", Description="foreign", VpcId=vpc_id)["GroupId"]
    config = {"subnetId": product.subnet_id, "securityGroupIds": [group_id]}
    (error,) = (await refuse(product, product.body(product.add_servers(1), launchConfig=config)))["errors"]
    assert error["pointer"] == "/launchConfig/securityGroupIds"
    assert vpc_id in error["message"]


async def test_300_source_servers_cost_at_most_12_calls(product: Product) -> None:
    """Names are gathered over all of them, and asked for 200 a call."""
    members = product.add_servers(300)
    described = product.client("ec2").describe_subnets()["Subnets"]
    networks = [(each["SubnetId"], IPv4Network(each["CidrBlock"])) for each in described if each["DefaultForAz"]]
    types = ("m5.xlarge", "c5.large", "r5.2xlarge")
    servers = []
    for number, member in enumerate(members):
        subnet_id, network = networks[number % len(networks)]
        config = {
            "subnetId": subnet_id,
            "securityGroupIds": [product.security_group_id],
            "staticPrivateIp": str(network[1024 + number]),
            "instanceType": types[number % len(types)],
        }
        servers.append(override(member, **config))
    defaults = {"targetInstanceTypeRightSizingMethod": "NONE", "instanceProfileName": PROFILE}
    product.count_anew()
    with product.unhurried():
        answer = await product.api.post(GROUPS, json=product.body(members, launchConfig=defaults, servers=servers))
    assert answer.status_code == 201, answer.text
    calls = asked(product)
    assert calls == {
        "drs.DescribeSourceServers": 2,
        "ec2.DescribeSubnets": 1,
        "ec2.DescribeSecurityGroups": 1,
        "ec2.DescribeInstanceTypeOfferings": 1,
        "ec2.DescribeNetworkInterfaces": 2,
        "iam.ListInstanceProfiles": 1,
        "iam.ListEntitiesForPolicy": 1,
    }
    assert sum(calls.values()) <= 12


async def test_300_source_servers_that_share_nothing_cost_12_describe_calls(product: Product) -> None:
    """Each names a subnet, five security groups, a type, an address and an instance that no other names."""
    members, groups = product.add_servers(300), product.add_security_groups(1500)
    ec2 = product.client("ec2")
    (subnet,) = ec2.describe_subnets(SubnetIds=[product.subnet_id])["Subnets"]
    blocks = list(IPv4Network("10.77.0.0/16").subnets(new_prefix=26))[:300]
    vpc_id = subnet["VpcId"]
    ec2.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock="10.77.0.0/16")
    subnets = [ec2.create_subnet(VpcId=vpc_id, CidrBlock=str(each))["Subnet"]["SubnetId"] for each in blocks]
    # Not in the subnet of other tests, whose addresses are to be free.
    apart = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.77.128.0/20")["Subnet"]["SubnetId"]
    made = ec2.run_instances(ImageId="ami-12c6146b", MinCount=300, MaxCount=300, SubnetId=apart)
    offered = ec2.describe_instance_type_offerings(LocationType="region")["InstanceTypeOfferings"]
    servers = [
        override(
            member,
            subnetId=subnets[number],
            securityGroupIds=groups[number * 5 : number * 5 + 5],
            staticPrivateIp=str(blocks[number][20]),
            instanceType=offered[number]["InstanceType"],
            launchIntoInstanceProperties={"launchIntoEC2InstanceID": made["Instances"][number]["InstanceId"]},
        )
        for number, member in enumerate(members)
    ]
    defaults = {
        "targetInstanceTypeRightSizingMethod": "NONE",
        "copyPrivateIp": False,
        "copyTags": False,
        "instanceProfileName": PROFILE,
    }
    product.count_anew()
    with product.unhurried():
        answer = await product.api.post(GROUPS, json=product.body(members, launchConfig=defaults, servers=servers))
    assert answer.status_code == 201, answer.text
    calls = asked(product)
    assert sum(number for name, number in calls.items() if ".Describe" in name) <= 12, calls
    assert calls["ec2.DescribeSecurityGroups"] == 2, "1,500 and few more are two pages of the list"
    assert calls["ec2.DescribeSubnets"] == 1


async def test_an_instance_that_was_terminated_is_none_to_launch_into(product: Product) -> None:
    """EC2 describes it for a while all the same."""
    ec2 = product.client("ec2")
    (made,) = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=product.subnet_id)["Instances"]
    into = {"launchIntoInstanceProperties": {"launchIntoEC2InstanceID": made["InstanceId"]}}
    body = product.body(product.add_servers(1), launchConfig={**into, "copyPrivateIp": False, "copyTags": False})
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    assert ec2.describe_instances(InstanceIds=[made["InstanceId"]])["Reservations"]
    (error,) = (await refuse(product, body))["errors"]
    assert (error["pointer"], error["message"]) == (
        "/launchConfig/launchIntoInstanceProperties",
        f"There is no instance {made['InstanceId']} in {WHERE} to launch into. Name one that is there.",
    )


async def test_every_check_has_its_turn_from_the_fleets_buckets(product: Product) -> None:
    """What the checks call is taken from what workers may call, and never beside it."""
    config = {
        "subnetId": product.subnet_id,
        "securityGroupIds": [product.security_group_id],
        "instanceType": "m5.xlarge",
        "targetInstanceTypeRightSizingMethod": "NONE",
        "instanceProfileName": PROFILE,
    }
    (subnet,) = product.client("ec2").describe_subnets(SubnetIds=[product.subnet_id])["Subnets"]
    (member,) = product.add_servers(1)
    address = str(IPv4Network(subnet["CidrBlock"])[77])
    product.count_anew()
    await product.create([member], launchConfig=config, servers=[override(member, staticPrivateIp=address)])
    pages = (
        product.client("dynamodb").get_paginator("scan").paginate(TableName=f"{product.settings.stack}-rate-buckets")
    )
    reserved = {item["bucket"]["S"] for page in pages for item in page["Items"]}
    assert len(asked(product)) == 7
    assert {f"{ACCOUNT}#{REGION}#{name}" for name in asked(product)} <= reserved


async def test_a_profile_without_the_policy_of_drs_is_refused(product: Product) -> None:
    """A recovery instance that got it could not talk to DRS; attached, the same body is taken."""
    iam, policy_arn = product.client("iam"), f"arn:aws:iam::aws:policy/service-role/{POLICY}"
    # As a permissions boundary the policy grants nothing (IAM user guide).
    iam.create_role(RoleName="app", AssumeRolePolicyDocument="{}", PermissionsBoundary=policy_arn)
    iam.create_instance_profile(InstanceProfileName="app-profile")
    body = product.body(product.add_servers(1), launchConfig={"instanceProfileName": "app-profile"})
    (error,) = (await refuse(product, body))["errors"]
    assert error["pointer"] == "/launchConfig/instanceProfileName"
    assert error["message"] == (
        f"The instance profile app-profile in {WHERE} holds no role. Put one into it that has the policy {POLICY},"
        " without which a recovery instance cannot talk to DRS, or name another."
    )
    iam.add_role_to_instance_profile(InstanceProfileName="app-profile", RoleName="app")
    (error,) = (await refuse(product, body))["errors"]
    assert error["message"] == (
        f"The policy {POLICY} is not attached to the role app of the instance profile app-profile in {WHERE}, and"
        " without it a recovery instance cannot talk to DRS. Attach it, or name another."
    )
    iam.attach_role_policy(RoleName="app", PolicyArn=policy_arn)
    assert (await product.api.post(GROUPS, json=body)).status_code == 201


async def test_an_update_asks_about_what_it_changes(product: Product) -> None:
    """Nothing is asked for what stays as it is, also where that is gone since; what joins or changes is looked up."""
    first, second, third = product.add_servers(3)
    group_id = await product.create_ready([first, second], launchConfig={"monitoring": True})
    product.local.control("DELETE", f"servers/{first}")
    product.count_anew()
    await product.update(group_id, {"description": "another"}, force=True)
    assert asked(product) == {}
    await product.update(group_id, {"servers": [override(second, monitoring=False)]})
    assert asked(product) == {"drs.DescribeSourceServers": 1}
    version = (await product.services.queries.group(group_id)).head.version
    body = product.body([first, second, third, NO_SERVER], launchConfig={"instanceType": "m5.3xlarge"})
    answer = await product.api.put(f"{GROUPS}/{group_id}", json={**body, "version": version})
    assert answer.status_code == 400
    assert [each[:2] for each in places(problem_of(answer))] == [
        ("/sourceServerIds/0", first),
        ("/sourceServerIds/3", NO_SERVER),
        ("/launchConfig/instanceType", None),
    ]
    assert (await product.services.queries.group(group_id)).head.version == version


async def test_another_way_into_the_account_is_tried(product: Product) -> None:
    """A group whose role changes is looked up anew, by the new role, before that is stored."""
    roles = [{"roleName": "recovery"}]
    product.local.control("PUT", "accounts/400000000001", {"initialised": True, "roles": roles})
    members = product.add_servers(1, accountId="400000000001")
    group_id = await product.create(members, accountId="400000000001", assumeRoleName="recovery")
    version = (await product.services.queries.group(group_id)).head.version
    body = product.body(members, accountId="400000000001", assumeRoleName="nobody", version=version)
    answer = await product.api.put(f"{GROUPS}/{group_id}", json=body)
    assert (answer.status_code, places(problem_of(answer))) == (409, [("/assumeRoleName", None, "ACCESS_DENIED")])


async def test_a_repeated_request_is_not_checked_again(product: Product) -> None:
    """Its answer is that of the first, though what it names is gone since."""
    (member,) = product.add_servers(1)
    body, headers = product.body([member]), {"Idempotency-Key": f"create {member}"}
    first = await product.api.post(GROUPS, json=body, headers=headers)
    product.local.control("DELETE", f"servers/{member}")
    product.count_anew()
    again = await product.api.post(GROUPS, json=body, headers=headers)
    assert (again.status_code, again.json()["groupId"]) == (201, first.json()["groupId"])
    assert asked(product) == {}


async def test_each_denied_read_names_the_permission(product: Product) -> None:
    """All that the role lacks is told at once, as a state of the account and not as an error of the body."""
    operations = ("DescribeSecurityGroups", "DescribeSubnets")
    product.faults(*({"service": "ec2", "operation": each, "code": "UnauthorizedOperation"} for each in operations))
    config = {"subnetId": product.subnet_id, "securityGroupIds": [product.security_group_id]}
    problem = await refuse(product, product.body(product.add_servers(1), launchConfig=config), 409)
    assert places(problem) == [("", None, "ACCESS_DENIED")] * 2
    for operation, error in zip(operations, problem["errors"], strict=True):
        assert f"Allow ec2:{operation} to prelaunch there" in error["message"]


async def test_drs_that_is_not_initialised_is_said(product: Product) -> None:
    """The Region is pointed at."""
    product.local.control(
        "PUT", "accounts/400000000002", {"initialised": False, "roles": [{"roleName": "recovery", "externalId": "xyz"}]}
    )
    access = {"accountId": "400000000002", "assumeRoleName": "recovery", "externalId": "xyz"}
    problem = await refuse(product, product.body([NO_SERVER], **access), 409)
    assert places(problem) == [("/region", None, "ACCOUNT_NOT_INITIALIZED")]


async def test_a_role_that_cannot_be_assumed_is_said(product: Product) -> None:
    """STS's words are repeated, the external id is not."""
    product.local.control(
        "PUT", "accounts/400000000003", {"roles": [{"roleName": "recovery", "externalId": "the-right-one"}]}
    )
    access = {"accountId": "400000000003", "assumeRoleName": "recovery", "externalId": "a-wrong-one"}
    problem = await refuse(product, product.body([NO_SERVER], **access), 409)
    assert places(problem) == [("/assumeRoleName", None, "ACCESS_DENIED")]
    assert "arn:aws:iam::400000000003:role/recovery" in str(problem)
    assert "a-wrong-one" not in str(problem)


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerException"])
async def test_what_passes_is_a_503(product: Product, code: str) -> None:
    """Where the account cannot be asked just now the caller is told to come again, and nothing is stored."""
    product.faults({"service": "drs", "operation": "DescribeSourceServers", "code": code, "retryAfterSeconds": 11})
    product.count_anew()
    answer = await product.api.post(GROUPS, json=product.body([NO_SERVER]))
    assert (answer.status_code, problem_of(answer)["code"]) == (503, code)
    assert int(answer.headers["Retry-After"]) > 0
    check_nothing_is_done(product)
