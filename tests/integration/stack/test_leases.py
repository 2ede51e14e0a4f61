"""The lease keeps two workers from one source server: to the instant of the send, and past an answer that was lost."""

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.databases import over_every_database
from tests.integration.product import REGION, TESTER, Product
from workers.core.outcome import Acknowledge, Redeliver
from workers.core.settings import Settings

pytestmark = [pytest.mark.asyncio(loop_scope="session"), over_every_database]

TAGS = {"copyTags": True}
NONE = {"targetInstanceTypeRightSizingMethod": "NONE"}
UPDATE = {"service": "drs", "operation": "UpdateLaunchConfiguration"}
UNHEARD = {**UPDATE, "kind": "reset", "times": 1}


async def test_trace_11_a_lease_that_runs_out_while_a_call_is_signed_stops_the_call(product: Product) -> None:
    """Trace 11: the check stands behind the SDK's own preparations, so nothing is sent that begins too late."""
    (member,) = product.add_servers(1)
    group_id = await product.create([member], launchConfig=TAGS)
    (job,) = product.take_jobs()
    worker = product.workers._apply
    taken: list[Any] = []
    take = worker._leases.take

    async def remembered(*arguments: str, **more: str) -> Any:
        taken.append(await take(*arguments, **more))
        return taken[-1]

    target = (await product.services.queries.group(group_id)).definition.target
    client = await worker._bring._configurations._calls._clients.target("drs", target)  # type: ignore[attr-defined]  # the adapter behind the port

    def stop(**_: Any) -> None:
        # The process stands still for longer than lease and visibility, between check and send as it once was.
        taken[-1].ends_at -= 3600

    product.count_anew()
    client.meta.events.register("before-sign.drs.UpdateLaunchConfiguration", stop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker._leases, "take", remembered)
        try:
            outcome = await product.run(job)
        finally:
            client.meta.events.unregister("before-sign.drs.UpdateLaunchConfiguration", stop)
    assert isinstance(outcome, Redeliver)
    assert outcome.reason == "LEASE_LOST"
    assert product.aws_writes() == {}
    await product.drain([job])
    assert (await product.status(group_id))["status"] == "ready"


@pytest.mark.parametrize("heard", [True, False])
async def test_trace_12_nobody_works_on_a_server_while_a_write_may_still_come(product: Product, heard: bool) -> None:
    """Trace 12: a write's answer is lost and it takes effect 40 s later; the newer generation verifies after that."""
    (member,) = product.add_servers(1)
    group_id = await product.create([member], launchConfig=TAGS)
    # Heard again or not at all: whether the worker's own next try is answered makes no difference.
    product.faults({**UNHEARD, "effectDelaySeconds": 40, **({} if heard else {"times": 3})})
    (job,) = product.take_jobs()
    await product.run(job)
    product.faults()
    await product.update(group_id, {"launchConfig": {"copyTags": False}})
    (newer,) = product.take_jobs()
    held = await product.run(newer)
    assert isinstance(held, Redeliver)
    assert held.reason == "LEASE_HELD"
    product.local.control("PUT", "clock", {"advanceSeconds": 41})
    product.clock.advance(product.settings.unanswered_hold + product.settings.lease_grace)
    await product.drain([newer])
    status = await product.status(group_id)
    assert (status["status"], status["generation"]) == ("ready", 2)
    assert product.client("drs").get_launch_configuration(sourceServerID=member)["copyTags"] is False


async def test_an_answer_that_came_keeps_nobody_away(product: Product) -> None:
    """Also a refusal is an answer: the next worker takes the server at once."""
    (member,) = product.add_servers(1)
    product.faults(
        {"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ConflictException", "times": 1}
    )
    group_id = await product.create([member], launchConfig=TAGS)
    (job,) = product.take_jobs()
    await product.run(job)
    lease = await product.workers._apply._leases.take("123456789012", REGION, member)
    await product.workers._apply._leases.give_back(lease, last_write_at=None, outcome=True)
    product.clock.advance(timedelta(seconds=1))
    assert isinstance(await product.run(job), Acknowledge)
    assert (await product.status(group_id))["status"] == "ready"


async def test_trace_07_a_write_is_remembered_when_the_server_changes_its_group(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trace 7 across groups: what EC2 still shows from before another group's write is not taken for right."""
    (member,) = product.add_servers(1)
    before = product.template(member)["LaunchTemplateData"]["InstanceType"]
    first = await product.create_ready([member], launchConfig={**NONE, "instanceType": "m5.4xlarge"})
    await product.services.removal.delete_group(first, TESTER)
    # EC2 answers the state before for a while, and no machine is too slow to see it.
    monkeypatch.setattr(product.workers._apply._bring, "_settings", Settings(time_scale=10))
    product.local.control("PUT", "consistency", {"seconds": 60})
    second = await product.create([member], launchConfig={**NONE, "instanceType": before})
    (job,) = product.take_jobs()
    outcome = await product.run(job)
    product.local.control("PUT", "consistency", {"seconds": 0})
    assert isinstance(outcome, Redeliver)
    await product.drain([job])
    assert (await product.status(second))["status"] == "ready"
    assert product.template(member)["LaunchTemplateData"]["InstanceType"] == before


async def test_claims_are_counted_for_one_generation(product: Product) -> None:
    """Workers that died over an earlier generation cost a later one none of its five attempts."""
    (member,) = product.add_servers(1)
    leases = product.workers._apply._leases
    where = ("123456789012", REGION, member)
    for attempt in range(1, 5):
        lease = await leases.take(*where, work="pg-1#1")
        assert lease.attempt == attempt
        product.clock.advance(product.settings.lease + product.settings.lease_grace + timedelta(seconds=1))
    for attempt in (1, 2):
        lease = await leases.take(*where, work="pg-1#2")
        assert lease.attempt == attempt
        product.clock.advance(product.settings.lease + product.settings.lease_grace + timedelta(seconds=1))


@pytest.mark.parametrize("how", ["removed", "deleted", "superseded"])
async def test_trace_04_what_is_over_starts_no_write(
    product: Product, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Trace 4: a job that has observed its server writes nothing once the server or the group is gone meanwhile."""
    kept, member = product.add_servers(2)
    group_id = await product.create([kept, member], launchConfig=TAGS)
    jobs = {job.arguments["sourceServerId"]: job for job in product.take_jobs()}
    configurations = product.workers._apply._bring._configurations
    read = configurations.read

    async def change_meanwhile(*arguments: Any) -> Any:
        observed = await read(*arguments)
        monkeypatch.setattr(configurations, "read", read)
        if how == "deleted":
            await product.services.removal.delete_group(group_id, TESTER)
        else:
            change = {"sourceServerIds": [kept]} if how == "removed" else {"launchConfig": {"copyTags": False}}
            await product.update(group_id, change)
        return observed

    monkeypatch.setattr(configurations, "read", change_meanwhile)
    product.count_anew()
    assert await product.run(jobs[member]) == Acknowledge("SUPERSEDED")
    assert product.aws_writes() == {}
