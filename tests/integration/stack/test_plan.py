"""The plan: what an apply run would do, from what AWS holds now; nothing is written, anywhere."""

from typing import Any

import pytest

from tests.integration.product import Product, problem_of
from tests.integration.stack.test_history import fields, newest
from workers.core.preview import PAGED_FROM

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONFIG = {
    "instanceType": "m5.2xlarge",
    "targetInstanceTypeRightSizingMethod": "NONE",
    "copyTags": True,
    "tags": {"Owner": "bo"},
}
TABLES = ("groups", "runs", "keys", "waves")


async def ask(product: Product, group_id: str, **query: Any) -> dict[str, Any]:
    answer = await product.api.get(f"/protection-groups/{group_id}/launch-config-plan", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def steps(plan: dict[str, Any]) -> dict[str, list[str]]:
    return {member: [step["step"] for step in each["steps"]] for member, each in plan["serverPlans"].items()}


def planned_fields(plan: dict[str, Any]) -> dict[str, dict[str, tuple[Any, Any]]]:
    return {
        member: {
            each["field"]: (each["observed"], each["desired"]) for step in server["steps"] for each in step["fields"]
        }
        for member, server in plan["serverPlans"].items()
        if server["steps"]
    }


def every_item(product: Product) -> list[str]:
    """Everything that our tables hold, but the turns of the fleet's buckets."""
    dynamodb, stack = product.client("dynamodb"), product.settings.stack
    pages = [
        page
        for table in TABLES
        for page in dynamodb.get_paginator("scan").paginate(TableName=f"{stack}-{table}", ConsistentRead=True)
    ]
    return sorted(repr(item) for page in pages for item in page["Items"])


async def test_the_plan_is_what_apply_then_does(product: Product) -> None:
    """Each field of the history is the plan's, observed and desired; afterwards there is nothing to do."""
    members = product.add_servers(3)
    group_id = await product.create(members, launchConfig=CONFIG)
    plan = await ask(product, group_id)
    both = ["drs.UpdateLaunchConfiguration", "ec2.CreateLaunchTemplateVersion"]
    assert steps(plan) == dict.fromkeys(sorted(members), both)
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"
    assert fields(await newest(product, group_id)) == planned_fields(plan)
    after = await ask(product, group_id)
    assert after["serverPlans"] == {member: {"steps": [], "errors": []} for member in sorted(members)}


async def test_a_plan_writes_nothing(product: Product) -> None:
    """Two reads a source server, no write at AWS, no message, and nothing in our tables but turns to call."""
    members = product.add_servers(5)
    group_id = await product.create(members, launchConfig=CONFIG)
    product.take_jobs()
    before = every_item(product)
    product.count_anew()
    assert len((await ask(product, group_id))["serverPlans"]) == 5
    calls = product.calls()
    assert calls["drs.GetLaunchConfiguration"] == calls["ec2.DescribeLaunchTemplateVersions"] == 5
    assert product.writes().keys() <= {"dynamodb.UpdateItem"}
    assert product.aws_writes() == {}
    assert every_item(product) == before
    assert product.take_jobs() == []


async def test_what_somebody_else_changed_is_planned_back(product: Product) -> None:
    """The plan is of what AWS holds now, not of what is recorded: a ready group's drift is in it."""
    first, second = product.add_servers(2)
    group_id = await product.create_ready([first, second], launchConfig=CONFIG)
    version = product.template(first)["VersionNumber"]
    ec2, template_id = product.client("ec2"), product.template_id(first)
    ec2.create_launch_template_version(
        LaunchTemplateId=template_id, SourceVersion=str(version), LaunchTemplateData={"InstanceType": "t3.nano"}
    )
    ec2.modify_launch_template(LaunchTemplateId=template_id, DefaultVersion=str(version + 1))
    plan = await ask(product, group_id)
    assert planned_fields(plan) == {first: {"instanceType": ("t3.nano", "m5.2xlarge")}}
    (step,) = plan["serverPlans"][first]["steps"]
    assert (step["launchTemplateId"], step["sourceVersion"]) == (template_id, version + 1)


async def test_one_that_fails_says_so_in_its_row(product: Product) -> None:
    """A source server that DRS refuses, or whose launch config it would undo, says why; the others are planned."""
    good, gone, undone = product.add_servers(3)
    override = {"sourceServerId": undone, "launchConfig": {"instanceType": "m5.2xlarge"}, "useGroupDefaults": False}
    group_id = await product.create([good, gone, undone], launchConfig=CONFIG, servers=[override])
    product.local.control("DELETE", f"servers/{gone}")
    plan = await ask(product, group_id)
    assert planned_fields(plan).keys() == {good}
    (missing,) = plan["serverPlans"][gone]["errors"]
    assert (missing["code"], missing["operation"]) == ("ResourceNotFoundException", "drs.GetLaunchConfiguration")
    assert missing["requestId"]
    (conflict,) = plan["serverPlans"][undone]["errors"]
    assert conflict["code"] == "INVALID_LAUNCH_CONFIG"
    assert "targetInstanceTypeRightSizingMethod" in conflict["message"]


@pytest.mark.parametrize(
    ("aws_code", "code"),
    [("UninitializedAccountException", "ACCOUNT_NOT_INITIALIZED"), ("AccessDeniedException", "ACCESS_DENIED")],
)
async def test_an_account_that_lets_nobody_read_is_one_error(product: Product, aws_code: str, code: str) -> None:
    """Not one error a source server: one problem that names account, Region, the call and AWS's code."""
    group_id = await product.create(product.add_servers(40), launchConfig=CONFIG)
    product.faults({"service": "drs", "operation": "GetLaunchConfiguration", "code": aws_code})
    answer = await product.api.get(f"/protection-groups/{group_id}/launch-config-plan")
    document = problem_of(answer)
    assert (answer.status_code, document["code"]) == (409, code)
    for told in ("123456789012", "us-east-1", "drs.GetLaunchConfiguration", aws_code):
        assert told in document["detail"]


async def test_many_members_are_compared_with_pages(product: Product) -> None:
    """Above fifty members no template is read by itself: pages of 200 default versions, and the same plan."""
    members = product.add_servers(PAGED_FROM + 1)
    group_id = await product.create(members, launchConfig=CONFIG)
    product.count_anew()
    plan = await ask(product, group_id)
    in_account = product.client("ec2").get_paginator("describe_launch_templates").paginate()
    templates = sum(len(page["LaunchTemplates"]) for page in in_account)
    calls = product.calls()
    assert calls["ec2.DescribeLaunchTemplateVersions"] == -(-templates // 200)
    assert calls["drs.GetLaunchConfiguration"] == len(members)
    one_by_one = await ask(product, group_id, limit=PAGED_FROM)
    assert one_by_one["serverPlans"].items() < plan["serverPlans"].items()


async def test_a_plan_comes_in_pages_of_one_definition(product: Product) -> None:
    """Every member once, in order; after an update the next page is refused."""
    members = sorted(product.add_servers(3))
    group_id = await product.create(members, launchConfig=CONFIG)
    first = await ask(product, group_id, limit=2)
    second = await ask(product, group_id, limit=2, nextToken=first["nextToken"])
    assert [*first["serverPlans"], *second["serverPlans"]] == members
    assert "nextToken" not in second
    await product.update(group_id, {"launchConfig": {**CONFIG, "copyTags": False}})
    answer = await product.api.get(
        f"/protection-groups/{group_id}/launch-config-plan", params={"limit": 2, "nextToken": first["nextToken"]}
    )
    assert (answer.status_code, problem_of(answer)["code"]) == (409, "STATUS_CHANGED")


async def test_a_live_status_says_what_is_not_as_it_is_wanted(product: Product) -> None:
    """Each field, observed and desired, beside what is recorded; nothing is written; without `live` nothing is read."""
    first, second = product.add_servers(2)
    group_id = await product.create_ready([first, second], launchConfig=CONFIG)
    product.client("drs").update_launch_configuration(sourceServerID=first, copyTags=False)
    product.count_anew()
    found = await product.status(group_id, live="true")
    assert (found["status"], found["serverConfigs"][first]["status"]) == ("ready", "ready")
    drift = [{"field": "copyTags", "observed": False, "desired": True}]
    assert found["serverConfigs"][first]["live"] == {"drift": drift, "errors": []}
    assert found["serverConfigs"][second]["live"] == {"drift": [], "errors": []}
    assert product.aws_writes() == {}
    product.count_anew()
    assert "live" not in (await product.status(group_id))["serverConfigs"][first]
    assert not any(name.startswith(("drs.", "ec2.")) for name in product.calls())
    product.count_anew()
    one = await product.status(group_id, live="true", limit=1)
    assert [*one["serverConfigs"]] == [min(first, second)]
    assert product.calls()["drs.GetLaunchConfiguration"] == 1
