"""Rollback at the doors: as an apply is answered, refused as an update is, and the same from every door."""

import re
from typing import Any

import pytest

from tests.integration.databases import over_every_database
from tests.integration.product import Product, problem_of
from tests.integration.stack.test_requests import Requests

pytestmark = [pytest.mark.asyncio(loop_scope="session"), over_every_database]

LARGE = {"instanceType": "m5.2xlarge", "targetInstanceTypeRightSizingMethod": "NONE", "copyTags": True}
NOTHING = {"launchDisposition": "STARTED"}


async def roll_back(product: Product, group_id: str, to_run: object, **headers: str) -> tuple[int, dict[str, Any]]:
    path = f"/protection-groups/{group_id}/rollback"
    answer = await product.api.post(path, json={"toRun": to_run}, headers=headers)
    return answer.status_code, answer.json()


async def test_a_group_gets_back_what_a_run_was_for(product: Product) -> None:
    """202 with the run; then ready, with each member's digest, template and DRS settings as in that run."""
    members = product.add_servers(2)
    override = {"sourceServerId": members[0], "launchConfig": {"staticPrivateIp": "172.31.9.9"}}
    group_id = await product.create_ready(members, launchConfig=LARGE, servers=[override])
    then, data = await product.status(group_id), [product.template(each)["LaunchTemplateData"] for each in members]
    await product.update(group_id, {"launchConfig": NOTHING, "servers": []})
    await product.drain()
    emptied = product.template(members[0])["LaunchTemplateData"]
    assert "PrivateIpAddress" not in emptied.get("NetworkInterfaces", [{}])[0]
    assert product.client("drs").get_launch_configuration(sourceServerID=members[1])["copyTags"] is False
    status, answer = await roll_back(product, group_id, 1)
    assert (status, answer["status"], answer["pendingServers"]) == (202, "pending", 2)
    assert (answer["version"], answer["toRunId"], answer["keptSourceServerIds"]) == (3, then["runId"], [])
    await product.drain()
    after = await product.status(group_id)
    assert (after["status"], after["runId"], after["digest"]) == ("ready", answer["runId"], then["digest"])
    hashes = [[status["serverConfigs"][each]["configHash"] for each in members] for status in (then, after)]
    assert hashes[0] == hashes[1]
    assert [product.template(each)["LaunchTemplateData"] for each in members] == data
    view = (await product.api.get(f"/protection-groups/{group_id}")).json()
    assert (view["version"], view["launchConfig"]) == (3, LARGE)
    assert view["servers"] == [{**override, "useGroupDefaults": True}]
    run = (await product.api.get(f"/protection-groups/{group_id}/apply-runs/3")).json()
    assert (run["runId"], run["reason"]) == (answer["runId"], "rollback to generation 1")


async def test_back_to_what_is_there_is_no_run(product: Product) -> None:
    """200 with the run that made it so; nothing is stored or sent."""
    group_id = await product.create_ready(product.add_servers(1))
    before = await product.status(group_id)
    product.count_anew()
    status, answer = await roll_back(product, group_id, before["runId"])
    assert (status, answer["runId"], answer["status"], answer["version"]) == (200, before["runId"], "ready", 1)
    assert product.writes() == {}
    assert await product.status(group_id) == before


async def test_a_repeated_rollback_has_one_effect(product: Product) -> None:
    """Under the same key: the same run and version, also after somebody else's change; another one is 422."""
    group_id = await product.create_ready(product.add_servers(1), launchConfig=LARGE)
    await product.update(group_id, {"launchConfig": NOTHING})
    key = {"Idempotency-Key": f"back {group_id}"}
    first = await roll_back(product, group_id, 1, **key)
    await product.drain()
    await product.update(group_id, {"launchConfig": NOTHING})
    again = await roll_back(product, group_id, 1, **key)
    names = ("runId", "version", "toRunId")
    assert (again[0], [again[1][name] for name in names]) == (first[0], [first[1][name] for name in names])
    assert (await product.status(group_id))["generation"] == 4
    assert (await roll_back(product, group_id, 2, **key))[1]["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_what_the_account_does_not_have_any_more_is_refused(product: Product) -> None:
    """As an update is: 400 with the source server and the field, and nothing is stored."""
    (member,) = product.add_servers(1)
    with product.unchecked():
        subnet = {"subnetId": "subnet-0123456789abcdef0"}
        group_id = await product.create([member], launchConfig=subnet)
    await product.update(group_id, {"launchConfig": NOTHING})
    status, answer = await roll_back(product, group_id, 1)
    assert (status, answer["code"]) == (400, "INVALID_LAUNCH_CONFIG")
    assert [error["pointer"] for error in answer["errors"]] == ["/launchConfig/subnetId"]
    assert (await product.api.get(f"/protection-groups/{group_id}")).json()["version"] == 2


async def test_configs_of_then_and_now_can_be_at_odds(product: Product) -> None:
    """A member that joined later has the address that another one gets back: refused, both named."""
    first, second = product.add_servers(2)
    address = {"staticPrivateIp": "172.31.8.8"}
    group_id = await product.create_ready([first], servers=[{"sourceServerId": first, "launchConfig": address}])
    joined = {"sourceServerIds": [first, second], "servers": [{"sourceServerId": second, "launchConfig": address}]}
    await product.update(group_id, joined)
    answer = await product.api.post(f"/protection-groups/{group_id}/rollback", json={"toRun": 1})
    (error,) = problem_of(answer)["errors"]
    assert (answer.status_code, error["code"], error["sourceServerId"]) == (400, "INVALID_LAUNCH_CONFIG", second)
    assert first in error["message"]


async def test_members_that_tags_selected_stay(product: Product) -> None:
    """Nobody is looked for: the members are those of the latest update, also where another one matches by now."""
    tags = {"team": f"rollback {product.clock().timestamp()}"}
    members = product.add_servers(1, tags=tags)
    group_id = await product.create_ready([], sourceServerIds=None, serverSelectionTags=tags, launchConfig=LARGE)
    await product.update(group_id, {"sourceServerIds": None, "launchConfig": NOTHING})
    await product.drain()
    product.add_servers(1, tags=tags)
    status, _ = await roll_back(product, group_id, 1)
    assert status == 202
    view = (await product.api.get(f"/protection-groups/{group_id}")).json()
    assert (view["sourceServerIds"], view["serverSelectionTags"], view["launchConfig"]) == (members, tags, LARGE)


async def test_a_message_rolls_back_once_however_often_it_comes(product: Product) -> None:
    """The queue of requests knows it too: the same code, and a second delivery has no effect."""
    requests = Requests(product, "admin")
    group_id = await product.create_ready(product.add_servers(1), launchConfig=LARGE)
    await product.update(group_id, {"launchConfig": NOTHING})
    await product.drain()
    requests.send({"operation": "rollback", "body": {"groupId": group_id, "toRun": 1}, "invokedBy": "carol"})
    delivery = await requests.receive_and_do()
    await requests.door.take(delivery)
    await product.drain()
    status = await product.status(group_id)
    assert (status["status"], status["generation"]) == ("ready", 3)
    assert re.fullmatch(r"\S+ on behalf of carol", status["appliedBy"])
    for wrong in ({"groupId": group_id, "toRun": 9}, {"toRun": 1}, {"groupId": group_id}):
        requests.send({"operation": "rollback", **wrong})
        await requests.receive_and_do()
    assert len(requests.take("requests-dlq")) == 3
    assert requests.count() == 0


async def test_the_operations_answer_says_whom_it_leaves(product: Product) -> None:
    """Who joined after that run keeps what it has, and is named in the answer."""
    first, second = product.add_servers(2)
    group_id = await product.create_ready([first])
    await product.update(group_id, {"sourceServerIds": [first, second], "launchConfig": LARGE})
    await product.drain()
    _, answer = await roll_back(product, group_id, "1")
    assert answer["keptSourceServerIds"] == [second]
    await product.drain()
    kinds = [product.template(each)["LaunchTemplateData"]["InstanceType"] for each in (first, second)]
    assert kinds == ["m5.xlarge", "m5.2xlarge"]
