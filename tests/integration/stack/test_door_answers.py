"""What the HTTP door answers about groups: complete, at one moment, and without secrets."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.product import Product, problem_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

GROUPS = "/protection-groups"
SECRET = "a-secret-between-us"


async def test_a_new_group_is_found_where_the_answer_says(product: Product) -> None:
    """201 shows the group as it was stored, pending, with its address; that address shows the same."""
    members = product.add_servers(3)
    body = product.body(
        members,
        description="all of the web tier",
        servers=[{"sourceServerId": members[1], "useGroupDefaults": False, "launchConfig": {"monitoring": True}}],
    )
    answer = await product.api.post(GROUPS, json=body)
    assert answer.status_code == 201
    shown = answer.json()
    assert answer.headers["location"] == f"{GROUPS}/{shown['groupId']}"
    assert body.items() <= shown.items()
    assert (shown["version"], shown["accountId"]) == (1, "123456789012")
    status = shown["launchConfigStatus"]
    assert (status["status"], status["generation"], status["pendingServers"]) == ("pending", 1, 3)
    assert status["appliedBy"] == "unauthenticated@192.0.2.7"
    assert (await product.api.get(answer.headers["location"])).json() == shown


async def test_the_external_id_is_never_shown(product: Product) -> None:
    """What opens a role stands in no answer: not the group's, not the status's, not a failure's, not a wave's."""
    members = product.add_servers(1)
    body = product.body(members, assumeRoleName="recovery", externalId=SECRET)
    refused = await product.api.post(GROUPS, json=body)
    with product.unchecked():
        created = await product.api.post(GROUPS, json=body)
    assert created.status_code == 201
    group_id = created.json()["groupId"]
    await product.drain()
    answers = [
        refused,
        created,
        await product.api.get(f"{GROUPS}/{group_id}"),
        await product.api.get(f"{GROUPS}/{group_id}/launch-config-status"),
        await product.apply(group_id, force=True),
        await product.api.post("/waves", json={"groupIds": [group_id]}),
        await product.api.post(GROUPS, json=body),
        await product.api.post(GROUPS, json={**body, "externalId": SECRET + "\n"}),
        await product.api.post(GROUPS, json={**body, "assumeRoleName": None}),
    ]
    assert [answer.status_code for answer in answers] == [409, 201, 200, 200, 202, 202, 409, 400, 400]
    for answer in answers:
        assert SECRET not in answer.text
    assert created.json()["assumeRoleName"] == "recovery"


async def test_a_group_without_launch_config_has_nothing_to_apply(product: Product) -> None:
    """Such a group is not_configured everywhere, an apply of it is a 200, and nothing is ever sent."""
    members = product.add_servers(2)
    group_id = await product.create(members, launchConfig=None)
    answers = [
        (await product.api.get(f"{GROUPS}/{group_id}")).json()["launchConfigStatus"],
        await product.status(group_id),
        (await product.apply(group_id)).json(),
        (await product.apply(group_id, force=True)).json(),
    ]
    assert [answer["status"] for answer in answers] == ["not_configured"] * 4
    assert (await product.apply(group_id)).status_code == 200
    assert product.take_jobs() == []


async def test_waiting_ends_when_the_run_settles(product: Product) -> None:
    """`wait` answers with the settled status as soon as there is one, long before its time is over."""
    members = product.add_servers(2)
    begun = time.monotonic()
    waiting = asyncio.create_task(product.api.post(f"{GROUPS}?wait=20", json=product.body(members)))
    while not (jobs := product.take_jobs()):  # noqa: ASYNC110  # another process holds them
        await asyncio.sleep(0)
    await product.drain(jobs)
    answer = await waiting
    assert answer.json()["launchConfigStatus"]["status"] == "ready"
    assert time.monotonic() - begun < 10


async def test_an_apply_names_the_run_that_was_accepted(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that another one replaces while its caller waits is still the caller's; status and counts are of now."""
    group_id = await product.create_ready(product.add_servers(1))

    async def supersede(_services: Any, _group_id: str, _limit: timedelta) -> bool:
        monkeypatch.undo()
        await product.apply(group_id, force=True)
        await product.drain()
        return True

    monkeypatch.setattr(type(product.services), "wait_for_group", supersede)
    answer = (await product.apply(group_id, force=True)).json()
    runs = (await product.api.get(f"{GROUPS}/{group_id}/apply-runs")).json()["applyRuns"]
    assert [run["status"] for run in runs] == ["ready", "superseded", "ready"]
    assert (answer["runId"], answer["status"]) == (runs[1]["runId"], "ready")
    assert (answer["appliedServers"], answer["pendingServers"]) == (1, 0)


async def test_waiting_that_runs_out_changes_nothing(product: Product) -> None:
    """When the time is over the answer is pending, and the run goes on to its end."""
    members = product.add_servers(1)
    answer = await product.api.post(f"{GROUPS}?wait=0.2", json=product.body(members))
    assert answer.status_code == 201
    assert answer.json()["launchConfigStatus"]["status"] == "pending"
    group_id = answer.json()["groupId"]
    assert (await product.status(group_id, wait=0.1))["status"] == "pending"
    assert (await product.api.post(f"{GROUPS}/{group_id}/apply-launch-configs?wait=0.1")).status_code == 202
    await product.drain()
    assert (await product.status(group_id, wait=20))["status"] == "ready"


async def test_the_status_is_read_page_by_page(product: Product) -> None:
    """Pages together show every member once and in order; the last one has no token."""
    members = product.add_servers(7)
    group_id = await product.create_ready(members)
    seen: list[str] = []
    query: dict[str, object] = {"limit": 3}
    while True:
        page = await product.status(group_id, **query)
        assert (page["status"], page["appliedServers"]) == ("ready", 7)
        seen += page["serverConfigs"]
        if "nextToken" not in page:
            break
        assert len(page["serverConfigs"]) == 3
        query["nextToken"] = page["nextToken"]
    assert seen == sorted(members)


async def test_a_page_of_another_generation_is_refused(product: Product) -> None:
    """Pages never mix two moments: after a new generation, and after it settled, the old token is STATUS_CHANGED."""
    group_id = await product.create_ready(product.add_servers(3))
    stale = (await product.status(group_id, limit=1))["nextToken"]
    await product.apply(group_id, force=True)
    pending = (await product.status(group_id, limit=1))["nextToken"]
    path = f"{GROUPS}/{group_id}/launch-config-status"
    for token in (stale, pending):
        answer = await product.api.get(path, params={"limit": 1, "nextToken": token})
        if token == pending:
            assert answer.status_code == 200
            await product.drain()
            answer = await product.api.get(path, params={"limit": 1, "nextToken": token})
        assert (answer.status_code, problem_of(answer)["code"]) == (409, "STATUS_CHANGED")


async def test_members_are_shown_by_where_they_stand(product: Product) -> None:
    """`servers` filters by status; numbers stay those of the whole group; a failed member carries its error."""
    members = sorted(product.add_servers(4))
    product.faults(
        {
            "service": "drs",
            "operation": "GetLaunchConfiguration",
            "code": "ValidationException",
            "sourceServerId": members[2],
        }
    )
    group_id = await product.create(members)
    jobs = sorted(product.take_jobs(), key=lambda job: str(job.arguments["sourceServerId"]))
    await product.drain(jobs[:3])
    failed = await product.status(group_id, servers="failed")
    pending = await product.status(group_id, servers="pending")
    assert list(failed["serverConfigs"]) == [members[2]]
    assert list(pending["serverConfigs"]) == [members[3]]
    for answer in (failed, pending):
        numbers = (answer["status"], answer["appliedServers"], answer["failedServers"], answer["pendingServers"])
        assert numbers == ("pending", 2, 1, 1)
        assert answer["deadline"]
    (error,) = failed["serverConfigs"][members[2]]["errors"]
    assert (error["code"], error["sourceServerId"]) == ("ValidationException", members[2])
    await product.drain(jobs[3:])
    settled = await product.status(group_id)
    assert (settled["status"], settled["deadline"]) == ("failed", None)
    assert settled["errors"] == [error]
