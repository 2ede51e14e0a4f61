"""What a launch config names and somebody deletes after the group was ready: the watch finds it and says so."""

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.product import REGION, Product, Sent
from workers.core.contract import WATCH_ACTOR, Queue

pytestmark = pytest.mark.asyncio(loop_scope="session")
ACCOUNT = "123456789012"
POLICY = "arn:aws:iam::aws:policy/service-role/AWSElasticDisasterRecoveryRecoveryInstancePolicy"
DESCRIBES = ("ec2.DescribeSubnets", "ec2.DescribeSecurityGroups", "iam.ListInstanceProfiles")


async def watch(product: Product) -> None:
    """Let the whole account be looked at, whenever it was before."""
    # Another test's clock may have been ahead of this one's.
    key = {"key": {"S": f"watched#{ACCOUNT}#{REGION}"}}
    product.client("dynamodb").delete_item(TableName=f"{product.settings.stack}-keys", Key=key)
    product.clock.advance(product.settings.settle_time)
    product.count_anew()
    await product.drain([Sent(WATCH_ACTOR, {"accountId": ACCOUNT, "region": REGION})])


async def work(product: Product, group_id: str) -> None:
    """Do what the watch led to for a group: other tests' groups are in the same account."""
    jobs = product.take_jobs(Queue.BULK)
    product.count_anew()
    await product.drain([job for job in jobs if job.arguments["groupId"] == group_id])


def make_subnet(product: Product) -> str:
    ec2 = product.client("ec2")
    (subnet,) = ec2.describe_subnets(SubnetIds=[product.subnet_id])["Subnets"]
    made = ec2.create_subnet(VpcId=subnet["VpcId"], CidrBlock="172.31.240.0/24")
    return str(made["Subnet"]["SubnetId"])


def make_profile(product: Product) -> str:
    iam = product.client("iam")
    iam.create_role(RoleName="short-lived", AssumeRolePolicyDocument="{}")
    iam.attach_role_policy(RoleName="short-lived", PolicyArn=POLICY)
    iam.create_instance_profile(InstanceProfileName="short-lived")
    iam.add_role_to_instance_profile(InstanceProfileName="short-lived", RoleName="short-lived")
    return "short-lived"


def delete_profile(product: Product) -> None:
    iam = product.client("iam")
    iam.remove_role_from_instance_profile(InstanceProfileName="short-lived", RoleName="short-lived")
    iam.delete_instance_profile(InstanceProfileName="short-lived")
    if iam.list_attached_role_policies(RoleName="short-lived")["AttachedPolicies"]:
        iam.detach_role_policy(RoleName="short-lived", PolicyArn=POLICY)
    iam.delete_role(RoleName="short-lived")


async def make_ready(product: Product, members: list[str], **named: Any) -> str:
    config = {"instanceType": "m5.xlarge", "targetInstanceTypeRightSizingMethod": "NONE", **named}
    return await product.create_ready(members, launchConfig=config, autoRepair=True)


@pytest.mark.parametrize("field", ["subnetId", "securityGroupIds", "instanceProfileName"])
async def test_what_was_deleted_after_ready_is_reported_with_its_name(product: Product, field: str) -> None:
    """Each source server that names it fails, also with autoRepair; asked once for all of them; nothing is written."""
    members = product.add_servers(30)
    match field:
        case "subnetId":
            gone = make_subnet(product)
            group_id = await make_ready(product, members, subnetId=gone)
            product.client("ec2").delete_subnet(SubnetId=gone)
        case "securityGroupIds":
            (gone,) = product.add_security_groups(1)
            group_id = await make_ready(product, members, subnetId=product.subnet_id, securityGroupIds=[gone])
            product.client("ec2").delete_security_group(GroupId=gone)
        case _:
            gone = make_profile(product)
            group_id = await make_ready(product, members, instanceProfileName=gone)
            delete_profile(product)
    await watch(product)
    await work(product, group_id)
    calls, writes = product.calls(), product.aws_writes()
    status = await product.status(group_id)
    assert (status["status"], status["failedServers"]) == ("failed", 30)
    error = status["serverConfigs"][members[7]]["errors"][0]
    assert error["code"] == "DRIFT_FOUND"
    assert error["message"].startswith(f"{members[7]} is not fit to be launched any more: There is no")
    assert gone in error["message"]
    assert "update the group" in error["message"]
    assert writes == {}
    # Once for all that the run lists: one call for each kind that they name.
    assert sum(calls.get(name, 0) for name in DESCRIBES) == (2 if field == "securityGroupIds" else 1)


async def test_a_profile_that_lost_its_policy_after_ready_is_reported(product: Product) -> None:
    """The instance would start and could not talk to DRS; the role and the policy are named."""
    group_id = await make_ready(product, product.add_servers(1), instanceProfileName=make_profile(product))
    try:
        product.client("iam").detach_role_policy(RoleName="short-lived", PolicyArn=POLICY)
        await watch(product)
        await work(product, group_id)
        (error,) = (await product.status(group_id))["errors"]
    finally:
        delete_profile(product)
    assert error["code"] == "DRIFT_FOUND"
    assert f"{POLICY.rpartition('/')[2]} is not attached to the role short-lived of the instance profile" in str(error)


async def test_what_an_account_tells_counts_where_it_does_not_tell_all(product: Product) -> None:
    """Who may not ask for the policy's roles is told of a subnet that is gone all the same."""
    gone = make_subnet(product)
    named = {"subnetId": gone, "instanceProfileName": make_profile(product)}
    group_id = await make_ready(product, product.add_servers(2), **named)
    product.client("ec2").delete_subnet(SubnetId=gone)
    product.faults({"service": "iam", "operation": "ListEntitiesForPolicy", "code": "AccessDenied"})
    try:
        await watch(product)
        await work(product, group_id)
    finally:
        product.faults()
        delete_profile(product)
    status = await product.status(group_id)
    assert (status["status"], status["failedServers"]) == ("failed", 2)
    assert gone in str(status["errors"])


async def test_what_is_there_is_no_finding(product: Product) -> None:
    """Asked for and found: the group stays ready, and its verification moves on."""
    group_id = await make_ready(product, product.add_servers(2), subnetId=product.subnet_id)
    before = (await product.status(group_id))["verifiedAt"]
    await watch(product)
    after = await product.status(group_id)
    assert (after["status"], after["generation"]) == ("ready", 1)
    assert after["verifiedAt"] > before
    assert product.calls().get("ec2.DescribeSubnets", 0) >= 1


async def test_an_account_that_does_not_say_is_no_finding(product: Product) -> None:
    """The role may not describe subnets: what is not known is not reported, and the rest of the watch goes on."""
    group_id = await make_ready(product, product.add_servers(2), subnetId=product.subnet_id)
    product.faults({"service": "ec2", "operation": "DescribeSubnets", "code": "UnauthorizedOperation"})
    await watch(product)
    product.faults()
    product.clock.advance(timedelta(seconds=1))
    assert (await product.status(group_id))["status"] == "ready"
