"""The sweeper: whatever died, an accepted run is sent, goes on, settles, and at its deadline is given up; once each."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.integration.databases import over_every_database
from tests.integration.product import Product
from tests.integration.stack.test_opening import runs_of
from workers.core.errors import LeaseLost
from workers.core.outcome import Acknowledge, Redeliver
from workers.core.store.runs import RunStore

pytestmark = [pytest.mark.asyncio(loop_scope="session"), over_every_database]

CONFLICT = {"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ConflictException"}
UNSENT = {"service": "sqs", "operation": "SendMessageBatch", "code": "AccessDenied"}


async def create_unsent(product: Product, count: int) -> str:
    """Create a group whose producer dies between the transaction and the first batch."""
    product.faults(UNSENT)
    group_id = await product.create(product.add_servers(count))
    product.faults()
    return group_id


async def sweep(product: Product) -> str:
    outcome = await product.workers.sweep()
    assert isinstance(outcome, Acknowledge)
    return outcome.result


async def test_trace_13_what_was_never_sent_is_sent_once(product: Product) -> None:
    """Trace 13: the producer died after the opening transaction; half a minute later one of four sends the jobs."""
    group_id = await create_unsent(product, 25)
    assert await sweep(product) == "looked after 0"
    product.clock.advance(product.settings.run_periods.send_after)
    results = await asyncio.gather(*(sweep(product) for _ in range(4)))
    assert sorted(results) == ["looked after 0"] * 3 + ["looked after 1"]
    jobs = product.take_jobs()
    assert len({job.arguments["sourceServerId"] for job in jobs}) == len(jobs) == 25
    assert await sweep(product) == "looked after 0"
    await product.drain(jobs)
    assert (await product.status(group_id))["status"] == "ready"


async def test_trace_13_who_dies_while_sending_is_followed(product: Product) -> None:
    """Trace 13: a sweeper that dies after its claim, before or between batches, is followed by the next one."""
    group_id = await create_unsent(product, 3)
    product.faults(UNSENT)
    for _ in range(2):
        product.clock.advance(product.settings.run_periods.send_after)
        await sweep(product)
        assert product.take_jobs() == []
    product.faults()
    product.clock.advance(product.settings.run_periods.send_after)
    await sweep(product)
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"


async def test_trace_17_a_run_that_gets_on_is_not_sent_again(product: Product) -> None:
    """Trace 17: with an outcome in the last ten minutes nothing is sent, however much is still unclaimed."""
    periods = product.settings.run_periods
    await product.create(product.add_servers(4))
    job = product.take_jobs()[0]
    product.clock.advance(periods.stall_after / 2)
    await product.run(job)
    product.clock.advance(periods.stall_after / 2)
    assert await sweep(product) == "looked after 1"
    assert product.take_jobs() == []
    product.clock.advance(periods.stall_after / 4)
    assert await sweep(product) == "looked after 0"
    product.clock.advance(periods.stall_after / 4 - timedelta(seconds=1))
    assert await sweep(product) == "looked after 0"


async def test_a_run_that_stands_still_is_revived(product: Product) -> None:
    """No outcome at all: each look sends the unsettled members again, each time after twice as long."""
    periods = product.settings.run_periods
    members = product.add_servers(3)
    group_id = await product.create(members)
    product.take_jobs()  # lost
    product.clock.advance(periods.stall_after)
    assert await sweep(product) == "looked after 1"
    assert {job.arguments["sourceServerId"] for job in product.take_jobs()} == set(members)
    assert runs_of(product, group_id)["1"]["stalls"]["N"] == "1"
    # Lost again: the deadline comes before twice ten minutes are over.
    product.clock.advance(periods.stall_after)
    assert await sweep(product) == "looked after 1"
    status = await product.status(group_id)
    assert status["status"] == "failed"
    assert {error["code"] for error in status["errors"]} == {"DEADLINE_EXCEEDED"}
    assert all("`prelaunch dlq list`" in error["message"] for error in status["errors"])
    assert (await product.apply(group_id, onlyFailed=True)).status_code == 202
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"


async def test_a_late_outcome_after_the_deadline_changes_nothing(product: Product) -> None:
    """What was given up stays so at its generation, also when its job ends well a moment later."""
    (member,) = product.add_servers(1)
    group_id = await product.create([member])
    (job,) = product.take_jobs()
    bring = product.workers._apply._bring
    whole = bring.bring

    async def given_up_meanwhile(*arguments: Any) -> Any:
        brought = await whole(*arguments)
        for _ in range(2):
            product.clock.advance(product.settings.run_periods.stall_after)
            await sweep(product)
        return brought

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bring, "bring", given_up_meanwhile)
        await product.drain([job])
    status = await product.status(group_id)
    assert (status["status"], status["errors"][0]["code"]) == ("failed", "DEADLINE_EXCEEDED")


@pytest.mark.parametrize("dies_at", ["count_done", "settle"])
async def test_trace_15_a_worker_that_dies_after_its_record_is_no_loss(
    product: Product, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    """Trace 15: killed between record and hint, or between hint and settle: the sweeper settles, without a job."""
    group_id = await product.create(product.add_servers(2))

    async def die(*_: object, **__: object) -> None:
        raise LeaseLost("killed")

    with monkeypatch.context() as dying:
        if dies_at == "count_done":
            dying.setattr(RunStore, "count_done", die)
        else:
            dying.setattr(product.workers._apply._aggregator, "settle_if_complete", die)
        for job in product.take_jobs():
            await product.run(job)
    assert (await product.status(group_id))["status"] == "pending"
    product.clock.advance(product.settings.run_periods.stall_after)
    await sweep(product)
    assert (await product.status(group_id))["status"] == "ready"
    assert product.take_jobs() == []


async def test_a_run_that_gets_on_outlives_its_deadline(product: Product) -> None:
    """The deadline moves while servers settle, and the run that stops then is given up."""
    periods = product.settings.run_periods
    members = product.add_servers(3)
    group_id = await product.create(members)
    jobs = product.take_jobs()
    deadline = datetime.fromisoformat((await product.status(group_id))["deadline"])
    await product.run(jobs[0])
    product.clock.advance(deadline - product.clock() + timedelta(seconds=1))
    await sweep(product)
    assert (await product.status(group_id))["status"] == "pending"
    product.clock.advance(periods.stall_after)
    await sweep(product)
    product.clock.advance(periods.base_deadline)
    await sweep(product)
    status = await product.status(group_id)
    assert (status["status"], status["appliedServers"], status["failedServers"]) == ("failed", 1, 2)


async def test_trace_17_a_look_that_somebody_else_took_is_left_alone(product: Product) -> None:
    """Trace 17: who comes later with the same list of due runs sends nothing again, however the run gets on."""
    group_id = await create_unsent(product, 3)
    product.clock.advance(product.settings.run_periods.send_after)
    look_after = product.workers._sweep._look_after
    assert await look_after(group_id, 1)
    jobs = product.take_jobs()
    assert len(jobs) == 3
    assert not await look_after(group_id, 1)
    product.clock.advance(product.settings.run_periods.stall_after / 2)
    await product.run(jobs[0])
    product.clock.advance(product.settings.run_periods.stall_after / 2)
    assert [await look_after(group_id, 1), await look_after(group_id, 1)] == [True, False]
    assert product.take_jobs() == []


async def test_a_revival_that_fails_is_tried_again_soon(product: Product) -> None:
    """The long wait begins once the jobs are sent: until then the next look comes in half a minute."""
    members = product.add_servers(2)
    group_id = await product.create(members)
    product.take_jobs()  # lost
    product.clock.advance(product.settings.run_periods.stall_after)
    product.faults(UNSENT)
    await sweep(product)
    product.faults()
    product.clock.advance(product.settings.run_periods.send_after)
    await sweep(product)
    assert {job.arguments["sourceServerId"] for job in product.take_jobs()} == set(members)
    assert runs_of(product, group_id)["1"]["stalls"]["N"] == "1"


@pytest.mark.parametrize("sent", [True, False])
async def test_an_outage_prolongs_a_run_by_its_own_length(product: Product, sent: bool) -> None:
    """Nobody swept for half an hour: what was accepted is not given up for that, but sent and settled."""
    group_id = await product.create(product.add_servers(2)) if sent else await create_unsent(product, 2)
    product.take_jobs()  # lost
    stated = datetime.fromisoformat((await product.status(group_id))["deadline"])
    product.clock.advance(timedelta(minutes=30))
    await sweep(product)
    status = await product.status(group_id)
    assert status["status"] == "pending"
    assert datetime.fromisoformat(status["deadline"]) > max(stated, product.clock())
    jobs = product.take_jobs()
    assert len(jobs) == 2
    await product.drain(jobs)
    assert (await product.status(group_id))["status"] == "ready"


async def test_a_moved_deadline_is_the_one_that_is_shown_and_kept(product: Product) -> None:
    """A job that is handed back after the deadline was moved is no failure: its worker read the run long before."""
    (first, second) = product.add_servers(2)
    group_id = await product.create([first, second], launchConfig={"copyTags": True})
    jobs = {job.arguments["sourceServerId"]: job for job in product.take_jobs()}
    await product.run(jobs[first])
    stated = datetime.fromisoformat((await product.status(group_id))["deadline"])
    product.clock.advance(stated - product.clock() + timedelta(seconds=1))
    await sweep(product)
    assert datetime.fromisoformat((await product.status(group_id))["deadline"]) > product.clock()
    product.faults({**CONFLICT, "times": 1})
    await product.drain([jobs[second]])
    assert (await product.status(group_id))["status"] == "ready"


def set_in_head(product: Product, group_id: str, name: str, value: str) -> str:
    """Set a member of the head of a group's first run, and answer what it was."""
    before = product.client("dynamodb").update_item(
        TableName=f"{product.settings.stack}-runs",
        Key={"groupId": {"S": group_id}, "item": {"S": "head#0000000001"}},
        UpdateExpression="SET #name = :value",
        ExpressionAttributeNames={"#name": name},
        ExpressionAttributeValues={":value": {"S": value}},
        ReturnValues="UPDATED_OLD",
    )
    return str(before["Attributes"][name]["S"])


async def test_a_run_that_cannot_be_read_hides_no_other(product: Product) -> None:
    """A newer release's head, unreadable to this one, stays in the index; the runs behind it are looked after."""
    first = await create_unsent(product, 1)
    second = await create_unsent(product, 1)
    deadline = set_in_head(product, first, "deadline", "of tomorrow")
    product.clock.advance(product.settings.run_periods.send_after)
    await sweep(product)
    set_in_head(product, first, "deadline", deadline)
    assert [job.arguments["groupId"] for job in product.take_jobs()] == [second]


async def test_a_run_of_a_mode_that_a_later_release_knows_is_sent(product: Product) -> None:
    """A job names a source server only: who knows what is to be done with it may have died before it was sent."""
    group_id = await create_unsent(product, 1)
    set_in_head(product, group_id, "mode", "of tomorrow")
    product.clock.advance(product.settings.run_periods.send_after)
    await sweep(product)
    (job,) = product.take_jobs()
    assert isinstance(await product.run(job), Redeliver)
    assert product.aws_writes() == {}


async def test_trouble_with_one_run_keeps_no_other_from_its_turn(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that cannot be read or sent just now is logged, and the next one is looked after."""
    first = await create_unsent(product, 1)
    second = await create_unsent(product, 1)
    product.clock.advance(product.settings.run_periods.send_after)
    read_head = RunStore.read_head

    async def fail_for_the_first(runs: RunStore, group_id: str, generation: int) -> Any:
        if group_id == first:
            raise LeaseLost("not now")
        return await read_head(runs, group_id, generation)

    monkeypatch.setattr(RunStore, "read_head", fail_for_the_first)
    assert await sweep(product) == "looked after 1"
    assert [job.arguments["groupId"] for job in product.take_jobs()] == [second]


async def test_runs_share_the_tokens_that_their_deadline_counts(product: Product) -> None:
    """A run's deadline leaves time for what other unsettled runs of its account and Region list too."""
    await product.create(product.add_servers(50))
    group_id = await product.create(product.add_servers(1))
    status = await product.status(group_id)
    room = datetime.fromisoformat(status["deadline"]) - datetime.fromisoformat(status["lastApplied"])
    assert room == product.settings.run_periods.base_deadline + timedelta(seconds=4 * 51 * 0.2)
