"""What was changed is on record, from what to what, before AWS is told; once, whoever dies in between."""

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.databases import over_every_database
from tests.integration.product import Product
from tests.integration.stack.test_opening import items
from workers.core.history import RunView
from workers.core.store.runs import RunStore

pytestmark = [pytest.mark.asyncio(loop_scope="session"), over_every_database]

CONFIG = {"instanceType": "m5.2xlarge", "targetInstanceTypeRightSizingMethod": "NONE", "copyTags": True}


async def newest(product: Product, group_id: str) -> RunView:
    (head,) = (await product.services.history.runs(group_id, 1, None)).runs
    return await product.services.history.run(group_id, head.run_id)


def fields(view: RunView) -> dict[str, dict[str, tuple[Any, Any]]]:
    return {
        change.source_server_id: {each.field: (each.observed, each.desired) for each in change.fields}
        for change in view.changes
    }


async def test_a_run_says_what_it_changed_in_each_server(product: Product) -> None:
    """Field by field, observed and desired, of both halves; what a run found right is not among its changes."""
    members = product.add_servers(2)
    group_id = await product.create_ready(members, launchConfig=CONFIG)
    first = await newest(product, group_id)
    changed = fields(first)
    assert set(changed) == set(members)
    for member in members:
        assert changed[member]["copyTags"] == (False, True)
        observed, desired = changed[member]["instanceType"]
        assert (desired, observed) == ("m5.2xlarge", observed)
        assert observed != desired
    assert all(change.outcome is not None and change.completed_at is not None for change in first.changes)
    override = {"sourceServerId": members[1], "launchConfig": {"copyTags": False, "tags": {"Owner": "bo"}}}
    await product.update(group_id, {"servers": [override]})
    await product.drain()
    second = await newest(product, group_id)
    assert fields(second) == {members[1]: {"copyTags": (True, False), "tags.Owner": (None, "bo")}}
    product.clock.advance(product.settings.settle_time)
    await product.apply(group_id, force=True)
    await product.drain()
    assert (await newest(product, group_id)).changes == []


async def test_a_failed_change_is_on_record_too(product: Product) -> None:
    """What was tried and refused is there, and that it failed."""
    (member,) = product.add_servers(1)
    product.faults({"service": "ec2", "operation": "ModifyLaunchTemplate", "code": "UnauthorizedOperation"})
    group_id = await product.create([member], launchConfig=CONFIG)
    await product.drain()
    (change,) = (await newest(product, group_id)).changes
    assert change.outcome is not None
    assert change.outcome.value == "failed"
    assert {each.field for each in change.fields} >= {"instanceType", "copyTags"}


@pytest.mark.parametrize("dies_at", ["record", "second half"])
async def test_trace_38_a_change_is_on_record_once_whoever_dies(
    product: Product, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    """Trace 38: killed between the write to AWS and the record, the change stands there as it was first observed."""
    (member,) = product.add_servers(1)
    group_id = await product.create([member], launchConfig=CONFIG)
    (job,) = product.take_jobs()
    with monkeypatch.context() as dying:
        if dies_at == "record":
            dying.setattr(RunStore, "record", _die)
        else:
            dying.setattr(product.workers._apply._bring._templates, "create_version", _die)
        with pytest.raises(Killed):
            await product.run(job)
    (begun,) = (await newest(product, group_id)).changes
    assert begun.completed_at is None
    product.clock.advance(product.settings.lease + product.settings.lease_grace)
    await product.drain([job])
    assert (await product.status(group_id))["status"] == "ready"
    (change,) = (await newest(product, group_id)).changes
    assert change.completed_at is not None
    assert fields(await newest(product, group_id))[member]["copyTags"] == (False, True)
    assert change.begun_at == begun.begun_at


async def test_a_change_is_completed_whoever_dies_after_the_record(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed right after the record, or given up by the sweeper: no change stays open beside an outcome."""
    first, second = product.add_servers(2)
    group_id = await product.create([first, second], launchConfig=CONFIG)
    jobs = {job.arguments["sourceServerId"]: job for job in product.take_jobs()}
    with monkeypatch.context() as dying:
        dying.setattr(RunStore, "count_done", _die)
        with pytest.raises(Killed):
            await product.run(jobs[first])
        dying.setattr(RunStore, "record", _die)
        with pytest.raises(Killed):
            await product.run(jobs[second])
    product.clock.advance(product.settings.run_periods.stall_after)
    await product.workers.sweep()
    for _ in range(2):
        product.clock.advance(product.settings.run_periods.base_deadline)
        await product.workers.sweep()
    outcomes = {c.source_server_id: c.outcome and c.outcome.value for c in (await newest(product, group_id)).changes}
    assert outcomes == {first: "ready", second: "failed"}


async def test_changes_without_a_run_are_on_record(product: Product) -> None:
    """Promise 12: who made a group without a launch config, who gave another role, when, and through which door."""
    group_id = await product.create(product.add_servers(1), launchConfig=None)
    with product.unchecked():
        await product.update(group_id, {"assumeRoleName": "Another"})
    events = [item for item in own_items(product, group_id) if item["item"]["S"].startswith("event#")]
    told = [(e["kind"]["S"], e["version"]["N"], e["door"]["S"]) for e in sorted(events, key=lambda e: e["item"]["S"])]
    assert told == [("created", "1", "http"), ("updated", "2", "test")]


class Killed(BaseException):
    """SIGKILL, as far as one process can play it."""


async def _die(*_: object, **__: object) -> None:
    raise Killed


async def test_trace_21_nothing_of_the_present_expires(product: Product) -> None:
    """Trace 21: history ends after 90 days; what says where a group stands never does, however it came about."""
    members = product.add_servers(2)
    group_id = await product.create_ready(members, launchConfig=CONFIG)
    await product.update(group_id, {"description": "no run: the definition of the run stays in use"})
    await product.update(group_id, {"description": "and again: the one in between is nobody's"})
    assert expiring(product, group_id) == {"config#0000000002#0000", *changes(1, members)}
    await product.apply(group_id, force=True, sourceServerIds=members[:1])
    await product.drain()
    before = {"config#0000000001#0000", "config#0000000002#0000", "head#0000000001", "list#0000000001"}
    assert expiring(product, group_id) == {*before, *changes(1, members)}
    await product.update(group_id, {"launchConfig": {**CONFIG, "copyTags": False}})
    await product.drain()
    more = {"config#0000000003#0000", "head#0000000002", "list#0000000002", *changes(3, members)}
    assert expiring(product, group_id) == {*before, *more, *changes(1, members)}


def changes(generation: int, members: list[str]) -> set[str]:
    return {f"change#{generation:010d}#{member}" for member in members}


def expiring(product: Product, group_id: str) -> set[str]:
    """Name the items of a group that end, each ninety days after it became history; events are history at once."""
    mine = [item for item in own_items(product, group_id) if not item["item"]["S"].startswith("event#")]
    ending = [item for item in mine if "expiresAt" in item]
    earliest = (product.clock() + timedelta(days=89)).timestamp()
    assert all(earliest < int(item["expiresAt"]["N"]) < earliest + 2 * 86400 for item in ending)
    return {item["item"]["S"] for item in ending}


def own_items(product: Product, group_id: str) -> list[dict[str, Any]]:
    return [item for table in ("groups", "runs") for item in items(product, table) if item["groupId"]["S"] == group_id]
