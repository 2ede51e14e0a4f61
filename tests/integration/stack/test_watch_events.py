"""From a hand on a launch template to the status: CloudTrail's event, the request, the watch, the run."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from producer.ask import Operations
from producer.requests import RequestsDoor
from tests.integration.product import REGION, Product, Sent
from workers.core.contract import WATCH_ACTOR, Queue

pytestmark = pytest.mark.asyncio(loop_scope="session")
CONFIG = {"instanceType": "m5.2xlarge", "targetInstanceTypeRightSizingMethod": "NONE", "copyTags": True}
ACCOUNT = "123456789012"
WHO = f"arn:aws:iam::{ACCOUNT}:root"
POLLS = 100


@pytest.fixture(autouse=True)
def _events(product: Product) -> Iterator[None]:
    yield
    product.local.control("PUT", "events", {"on": False})


def edit(product: Product, member: str, **data: Any) -> None:
    """Write a new default version, as somebody else does."""
    version, template_id, ec2 = product.template(member)["VersionNumber"], product.template_id(member), "ec2"
    product.client(ec2).create_launch_template_version(
        LaunchTemplateId=template_id, SourceVersion=str(version), LaunchTemplateData=data
    )
    product.client(ec2).modify_launch_template(LaunchTemplateId=template_id, DefaultVersion=str(version + 1))


async def deliver_events(product: Product) -> None:
    """Do what events ask for until a watch has come of them."""
    door = RequestsDoor(Operations(product.app), product.services.requests, product.settings)
    watches = []
    for _ in range(POLLS):
        for delivery in await product.services.requests.receive():
            await door.take(delivery)
        watches += [job for job in product.take_jobs() if job.actor == WATCH_ACTOR]
        if watches:
            break
    await product.drain(watches)
    await product.drain(product.take_jobs(Queue.BULK))


async def make_ready(product: Product, auto_repair: bool) -> tuple[str, str, str]:
    first, second = product.add_servers(2)
    group_id = await product.create_ready([first, second], launchConfig=CONFIG, autoRepair=auto_repair)
    product.clock.advance(product.settings.settle_time + timedelta(seconds=1))
    product.local.control("PUT", "events", {"on": True})
    return group_id, first, second


async def test_what_somebody_promoted_is_reported_with_his_name(product: Product) -> None:
    """The field, what is there and what was applied, who did it by which call; nothing is written to AWS."""
    group_id, first, second = await make_ready(product, auto_repair=False)
    edit(product, first, InstanceType="t3.nano")
    product.count_anew()
    await deliver_events(product)
    status = await product.status(group_id)
    assert (status["status"], status["failedServers"], status["appliedServers"]) == ("failed", 1, 1)
    (error,) = status["errors"]
    assert (error["sourceServerId"], error["code"]) == (first, "DRIFT_FOUND")
    assert "instanceType = 't3.nano' instead of 'm5.2xlarge'" in error["message"]
    assert f"ModifyLaunchTemplate by {WHO}" in error["message"]
    assert product.aws_writes() == {}
    runs = (await product.api.get(f"/protection-groups/{group_id}/apply-runs")).json()["applyRuns"]
    assert [(run["mode"], run["reason"], run["listedServers"]) for run in runs] == [
        ("report", "drift", 1),
        ("apply", "requested", 2),
    ]
    assert runs[0]["changedBy"].startswith(f"ModifyLaunchTemplate by {WHO} at ")
    assert status["serverConfigs"][second]["status"] == "ready"


async def test_what_somebody_changed_in_drs_is_put_back(product: Product) -> None:
    """With autoRepair the group is ready again, as it was applied."""
    group_id, first, _ = await make_ready(product, auto_repair=True)
    product.client("drs").update_launch_configuration(sourceServerID=first, copyTags=False)
    await deliver_events(product)
    status = await product.status(group_id)
    assert (status["status"], status["generation"]) == ("ready", 2)
    assert product.client("drs").get_launch_configuration(sourceServerID=first)["copyTags"] is True
    assert product.version_count(first) == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [({"state": "DISCONNECTED"}, "LAUNCH_TEMPLATE_MISSING"), (None, "ResourceNotFoundException")],
)
async def test_what_is_gone_is_reported(product: Product, change: dict[str, Any] | None, code: str) -> None:
    """A source server that was disconnected or deleted after it was ready: named, with what to look at."""
    group_id, first, _ = await make_ready(product, auto_repair=True)
    method = ("PATCH", f"servers/{first}", change) if change is not None else ("DELETE", f"servers/{first}")
    product.local.control(*method)
    await product.drain([Sent(WATCH_ACTOR, {"accountId": ACCOUNT, "region": REGION, "sourceServerId": first})])
    await product.drain(product.take_jobs(Queue.BULK))
    (error,) = (await product.status(group_id))["errors"]
    assert (error["sourceServerId"], error["code"]) == (first, code)
