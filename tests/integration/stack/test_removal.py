"""Deleting a group: gone for every reader at once, its names and servers free, and nothing of it comes back to life."""

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.databases import over_every_database
from tests.integration.product import Product, problem_of
from tests.integration.stack.test_opening import items
from workers.core.contract import Queue
from workers.core.errors import ServiceUnavailable
from workers.core.requests import NotFound, Requester

pytestmark = [pytest.mark.asyncio(loop_scope="session"), over_every_database]

ALICE = Requester("alice", "http", "requested", request_id="req-1")


async def delete(product: Product, group_id: str) -> None:
    await product.services.removal.delete_group(group_id, ALICE)


def left_of(product: Product, group_id: str) -> dict[str, list[str]]:
    """Name the items of a group in each table, by their kind."""
    found = {
        table: [i["item"]["S"].partition("#")[0] for i in items(product, table) if i["groupId"]["S"] == group_id]
        for table in ("groups", "runs")
    }
    owned = [
        key["key"]["S"]
        for key in items(product, "keys")
        if key.get("groupId", {}).get("S") == group_id
        or any(owner["S"] == group_id for owner in key.get("owners", {"M": {}})["M"].values())
    ]
    return {**found, "keys": owned}


async def test_a_deleted_group_is_gone_and_its_history_stays(product: Product) -> None:
    """No reader finds it, its name and servers are free; on record stay its runs, and who deleted it."""
    members = product.add_servers(3)
    group_id = await product.create_ready(members, groupName="payroll")
    await delete(product, group_id)
    left = left_of(product, group_id)
    assert (left["groups"], left["keys"]) == ([], [])
    assert sorted(left["runs"]) == [*["change"] * 3, "clearing", "event", "head", "list"]
    (event,) = (
        i for i in items(product, "runs") if i["groupId"]["S"] == group_id and i["item"]["S"].startswith("event")
    )
    said = {name: event[name]["S"] for name in ("kind", "groupName", "requestedBy", "door", "requestId")}
    assert list(said.values()) == ["deleted", "payroll", "alice", "http", "req-1"]
    with pytest.raises(NotFound):
        await product.services.queries.group(group_id)
    with pytest.raises(NotFound):
        await product.services.history.runs(group_id, 1, None)
    answer = await product.api.get(f"/protection-groups/{group_id}/launch-config-status")
    assert answer.status_code == 404
    with pytest.raises(NotFound):
        await delete(product, group_id)
    await product.create_ready(members, groupName="payroll")


async def test_trace_19_jobs_of_a_deleted_group_are_acknowledged(product: Product) -> None:
    """Trace 19: jobs that come after the deletion write nothing, to AWS or to our tables, and do not come again."""
    members = product.add_servers(2)
    group_id = await product.create(members)
    jobs = product.take_jobs()
    await delete(product, group_id)
    left = left_of(product, group_id)
    product.count_anew()
    await product.drain(jobs)
    assert product.results == ["group_unknown"] * 2
    assert product.aws_writes() == {}
    assert left_of(product, group_id) == left
    (head,) = (i for i in items(product, "runs") if i["groupId"]["S"] == group_id and i["item"]["S"].startswith("head"))
    assert "unsettled" not in head


async def test_trace_19_an_outcome_that_comes_after_the_deletion_is_taken_back(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trace 19: a job that was at work while its group was deleted leaves no item behind."""
    (member,) = product.add_servers(1)
    group_id = await product.create([member])
    bring = product.workers._apply._bring
    whole = bring.bring

    async def delete_meanwhile(*arguments: Any) -> Any:
        brought = await whole(*arguments)
        await delete(product, group_id)
        return brought

    monkeypatch.setattr(bring, "bring", delete_meanwhile)
    await product.drain()
    assert "server" not in left_of(product, group_id)["runs"]
    assert left_of(product, group_id)["groups"] == []


async def test_trace_19_an_outcome_of_an_older_generation_is_taken_back_too(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trace 19: superseded first, then deleted: also what that generation's job records late leaves no item."""
    (member,) = product.add_servers(1)
    group_id = await product.create([member])
    bring = product.workers._apply._bring
    whole = bring.bring

    async def delete_meanwhile(*arguments: Any) -> Any:
        brought = await whole(*arguments)
        await product.apply(group_id, force=True)
        await delete(product, group_id)
        return brought

    monkeypatch.setattr(bring, "bring", delete_meanwhile)
    await product.drain()
    assert "server" not in left_of(product, group_id)["runs"]


async def test_trace_19_a_wave_over_a_deleted_group_ends(product: Product) -> None:
    """Trace 19: a wave whose group is deleted before its recovery starts says GROUP_DELETED and starts the others."""
    gone, kept = product.add_servers(2)
    gone_id, kept_id = await product.create_ready([gone]), await product.create_ready([kept])
    await product.apply(gone_id, force=True)
    answer = await product.api.post("/waves", json={"groupIds": [gone_id, kept_id]})
    assert answer.status_code == 202
    await delete(product, gone_id)
    await product.drain(product.take_jobs(Queue.URGENT))
    product.clock.advance(product.settings.sweep_period)
    await product.workers.sweep()
    await product.drain(product.take_jobs(Queue.URGENT))
    wave = (await product.api.get(answer.headers["Location"])).json()
    assert wave["status"] == "failed"
    assert [(error["groupId"], error["code"]) for error in wave["errors"]] == [(gone_id, "GROUP_DELETED")]
    assert [job["sourceServerIds"] for job in wave["jobs"]] == [[kept]]


async def test_a_group_that_a_wave_launches_is_deleted_after_that(product: Product) -> None:
    """Until then a 409, which names the wave and says until when; nothing of the group is gone."""
    group_id = await product.create_ready(product.add_servers(1))
    wave = (await product.api.post("/waves", json={"groupIds": [group_id]})).json()
    await product.drain(product.take_jobs(Queue.URGENT))
    before = left_of(product, group_id)
    answer = await product.api.delete(f"/protection-groups/{group_id}")
    document = problem_of(answer)
    assert (answer.status_code, document["code"]) == (409, "NOT_READY")
    assert f"{group_id} is being launched by {wave['waveId']}: until every launch is final, by " in document["detail"]
    assert left_of(product, group_id) == before
    product.clock.advance(timedelta(hours=7))
    assert (await product.api.delete(f"/protection-groups/{group_id}")).status_code == 204
    assert left_of(product, group_id)["keys"] == []


async def test_a_group_without_launch_config_is_deleted_too(product: Product) -> None:
    """There is no status to end."""
    group_id = await product.create(product.add_servers(1), launchConfig=None)
    await delete(product, group_id)
    assert left_of(product, group_id) == {"groups": [], "runs": ["clearing", "event", "event"], "keys": []}


async def test_a_deletion_whose_answer_is_lost_is_a_success(product: Product) -> None:
    """The transaction commits and nobody is told: not a 404 for what the requester just did."""
    group_id = await product.create_ready(product.add_servers(1))
    lost = {"service": "dynamodb", "operation": "TransactWriteItems", "afterEffect": True, "times": 9}
    product.faults({**lost, "code": "InternalServerError"})
    await delete(product, group_id)
    product.faults()
    assert left_of(product, group_id)["groups"] == []


async def test_what_a_dead_producer_left_of_a_group_is_cleared(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The producer dies right after the deletion: the sweeper clears what is left, once, and keeps the history."""
    group_id = await product.create_ready(product.add_servers(2))

    async def die(*_: object) -> None:
        raise ServiceUnavailable("killed")

    with monkeypatch.context() as dying:
        dying.setattr("workers.core.runs.removal.clear_group", die)
        await delete(product, group_id)
    assert {"config", "server", "clearing"} <= {
        *left_of(product, group_id)["groups"],
        *left_of(product, group_id)["runs"],
    }
    await product.workers.sweep()
    assert "server" in left_of(product, group_id)["runs"], "a worker may still be at work on it"
    product.clock.advance(product.settings.run_periods.clear_after)
    await product.workers.sweep()
    left = left_of(product, group_id)
    assert (left["groups"], sorted(left["runs"])) == ([], ["change", "change", "event", "head", "list"])
