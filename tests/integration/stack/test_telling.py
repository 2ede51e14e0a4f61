"""Being told, over the stand-in's own EventBridge and Step Functions: from the request to who listens or waits."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.product import Product, problem_of
from workers.core.clock import Time
from workers.core.settings import Settings
from workers.main import wire

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("telling")]
BUS = "told"
TOKEN = "a token that no answer may show"  # of a test
PUT, SUCCESS, FAILURE = "events.PutEvents", "states.SendTaskSuccess", "states.SendTaskFailure"


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def heard(product: Product) -> AsyncIterator[list[dict[str, Any]]]:
    """Let the workers tell a bus, of which a rule sends every event of ours to a queue; and read that queue."""
    events, sqs = product.client("events"), product.client("sqs")
    if BUS not in [bus["Name"] for bus in events.list_event_buses()["EventBuses"]]:
        events.create_event_bus(Name=BUS)
    url = sqs.create_queue(QueueName=BUS)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = json.dumps({"source": ["prelaunch"], "detail": {"stack": [product.settings.stack]}})
    events.put_rule(Name=BUS, EventBusName=BUS, EventPattern=pattern)
    events.put_targets(Rule=BUS, EventBusName=BUS, Targets=[{"Id": "queue", "Arn": arn}])
    settings = Settings(stack=product.settings.stack, time_scale=0.1, event_bus=BUS)
    product.workers = await wire(settings, product.database.clients, Time(product.clock))
    product.count_anew()
    yield []
    sqs.delete_queue(QueueUrl=url)


def listen(product: Product) -> list[dict[str, Any]]:
    """Take every event that the queue has."""
    sqs = product.client("sqs")
    url, taken = sqs.get_queue_url(QueueName=BUS)["QueueUrl"], []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages"):
        for message in messages:
            taken.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return taken


async def sweep_later(product: Product) -> None:
    """Sweep once all that was not told is due again."""
    product.clock.advance(timedelta(minutes=2))
    await product.workers.sweep()


async def test_a_rule_gets_the_event_of_a_group_that_settles(product: Product) -> None:
    """By EventBridge, whose rule matches on source and stack; the detail is that of the status."""
    group_id = await product.create_ready(product.add_servers(2))
    (event,) = listen(product)
    status = await product.status(group_id)
    assert (event["source"], event["detail-type"]) == ("prelaunch", "Launch Config Status Settled")
    told = ("groupId", "runId", "generation", "status", "lastApplied", "appliedServers", "failedServers", "errors")
    assert {name: event["detail"][name] for name in told} == {name: status[name] for name in told}
    assert event["detail"]["eventId"] == f"{group_id}#1"
    await sweep_later(product)
    assert listen(product) == []


async def test_an_event_that_eventbridge_does_not_take_comes_later(product: Product) -> None:
    """Denied, it keeps nothing from being ready; a sweep tells it once EventBridge takes it."""
    product.faults({"service": "events", "operation": "PutEvents", "code": "AccessDeniedException", "times": 1})
    await product.create_ready(product.add_servers(1))
    assert (product.calls()[PUT], listen(product)) == (1, [])
    await sweep_later(product)
    assert len(listen(product)) == 1


async def test_the_token_of_each_request_is_answered(product: Product) -> None:
    """Create, update, and an apply that finds nothing to do: SendTaskSuccess for each, and the token is not shown."""
    members = product.add_servers(2)
    created = await product.api.post("/protection-groups", json=product.body(members, taskToken=TOKEN))
    assert created.status_code == 201
    await product.drain()
    assert product.calls()[SUCCESS] == 1
    group_id, shown = created.json()["groupId"], created.text
    applied = await product.apply(group_id, taskToken=TOKEN)
    assert applied.status_code == 200
    (wake,) = product.take_jobs()
    assert wake.actor == "sweep"
    await product.workers.sweep()
    assert product.calls()[SUCCESS] == 2
    group = (await product.api.get(f"/protection-groups/{group_id}")).json()
    kept = {name: group[name] for name in ("groupName", "region", "sourceServerIds", "version")}
    changed = {**kept, "launchConfig": {**group["launchConfig"], "copyTags": True}, "taskToken": TOKEN}
    updated = await product.api.put(f"/protection-groups/{group_id}", json=changed)
    assert updated.status_code == 200, updated.text
    await product.drain()
    assert (product.calls()[SUCCESS], product.calls().get(FAILURE, 0)) == (3, 0)
    assert len(listen(product)) == 2
    for path in ("", "/launch-config-status", "/apply-runs"):
        shown += (await product.api.get(f"/protection-groups/{group_id}{path}")).text
    assert TOKEN not in shown + applied.text + updated.text


async def test_a_failed_group_fails_its_task(product: Product) -> None:
    """SendTaskFailure, and no success beside it."""
    product.faults({"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ValidationException"})
    body = product.body(product.add_servers(1), launchConfig={"copyTags": True}, taskToken=TOKEN)
    await product.api.post("/protection-groups", json=body)
    await product.drain()
    assert (product.calls()[FAILURE], product.calls().get(SUCCESS, 0)) == (1, 0)
    (event,) = listen(product)
    assert [error["code"] for error in event["detail"]["errors"]] == ["ValidationException"]


@pytest.mark.parametrize(
    ("code", "calls"), [("TaskTimedOut", 1), ("TaskDoesNotExist", 1), ("InvalidToken", 1), ("AccessDeniedException", 2)]
)
async def test_only_what_can_change_is_tried_again(product: Product, code: str, calls: int) -> None:
    """Nobody waits with such a token any more: that is final. A missing permission can be given."""
    product.faults({"service": "states", "operation": "SendTaskSuccess", "code": code, "times": 1})
    await product.api.post("/protection-groups", json=product.body(product.add_servers(1), taskToken=TOKEN))
    await product.drain()
    await sweep_later(product)
    await sweep_later(product)
    assert product.calls()[SUCCESS] == calls


@pytest.mark.parametrize("token", ["", "t" * 2049, 7])
async def test_what_can_be_no_token_is_refused_and_not_repeated(product: Product, token: object) -> None:
    """1 to 2048 characters; the error says so, names the member, and shows nothing of what was given."""
    group_id = await product.create_ready(product.add_servers(1))
    body = {**product.body(product.add_servers(1)), "taskToken": token}
    for answer in (
        await product.api.post("/protection-groups", json=body),
        await product.apply(group_id, taskToken=token),
        await product.api.post("/waves", json={"groupIds": [group_id], "taskToken": token}),
    ):
        (error,) = problem_of(answer)["errors"]
        assert (answer.status_code, error["pointer"]) == (400, "/taskToken")
        assert "1 to 2048 characters" in error["message"]
        assert "ttt" not in answer.text
