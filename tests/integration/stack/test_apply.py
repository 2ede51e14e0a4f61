"""Applying: what a job does, does not do, and leaves behind, whatever comes twice, late or not at all."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.integration.databases import over_every_database
from tests.integration.product import CONFIG_CALLS, REGION, Product, Sent
from workers.core.contract import APPLY_ACTOR
from workers.core.outcome import Acknowledge, Redeliver
from workers.core.runs.settle import Aggregator
from workers.core.status import Status
from workers.core.store.records import RunHead
from workers.core.store.runs import RunStore

pytestmark = pytest.mark.asyncio(loop_scope="session")


def job(group_id: str, source_server_id: str, generation: int = 1) -> Sent:
    arguments = {"groupId": group_id, "sourceServerId": source_server_id, "generation": generation}
    return Sent(APPLY_ACTOR, arguments)


async def test_every_field_arrives_and_nothing_of_the_users_is_lost(product: Product) -> None:
    """Ready means that DRS and the template hold what was asked; every other member of the template is as it was."""
    (member,) = product.add_servers(1)
    before = product.template(member)["LaunchTemplateData"]
    config = {
        "instanceType": "r5.2xlarge",
        "targetInstanceTypeRightSizingMethod": "NONE",
        "subnetId": product.subnet_id,
        "securityGroupIds": [product.security_group_id],
        "associatePublicIp": False,
        "monitoring": True,
        "disableApiTermination": True,
        "metadataOptions": {"httpPutResponseHopLimit": 3},
        "tenancy": "host",
        "tags": {"Application": "web"},
        "copyTags": True,
        "launchDisposition": "STOPPED",
        "licensing": {"osByol": True},
        "name": "web-1",
    }
    override = {"sourceServerId": member, "launchConfig": {"staticPrivateIp": "172.31.7.7", "copyPrivateIp": False}}
    group_id = await product.create([member], launchConfig=config, servers=[override])
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"

    drs = product.client("drs").get_launch_configuration(sourceServerID=member)
    for name in ("copyTags", "launchDisposition", "licensing", "name", "targetInstanceTypeRightSizingMethod"):
        assert drs[name] == config[name]
    assert drs["copyPrivateIp"] is False
    after = product.template(member)["LaunchTemplateData"]
    (was_first, was_second), (first, second) = before["NetworkInterfaces"], after["NetworkInterfaces"]
    assert second == was_second
    ours_of_first = {"SubnetId", "Groups", "AssociatePublicIpAddress", "PrivateIpAddress"}
    assert rest(first, ours_of_first) == rest(was_first, ours_of_first)
    assert first["SubnetId"] == product.subnet_id
    assert first["Groups"] == [product.security_group_id]
    assert (first["AssociatePublicIpAddress"], first["PrivateIpAddress"]) == (False, "172.31.7.7")
    assert after["MetadataOptions"] == {**before["MetadataOptions"], "HttpPutResponseHopLimit": 3}
    assert after["Placement"] == {"Tenancy": "host"}
    assert (after["InstanceType"], after["Monitoring"], after["DisableApiTermination"]) == (
        "r5.2xlarge",
        {"Enabled": True},
        True,
    )
    for resource in ("instance", "volume"):
        assert tags(after, resource) == {**tags(before, resource), "Application": "web"}
    ours = {
        "NetworkInterfaces",
        "MetadataOptions",
        "Placement",
        "InstanceType",
        "Monitoring",
        "DisableApiTermination",
        "TagSpecifications",
    }
    assert rest(after, ours) == rest(before, ours)
    assert {"BlockDeviceMappings", "IamInstanceProfile", "EbsOptimized"} <= after.keys()


def rest(data: dict[str, Any], ours: set[str]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in ours}


def tags(data: dict[str, Any], resource: str) -> dict[str, str]:
    (found,) = (each["Tags"] for each in data["TagSpecifications"] if each["ResourceType"] == resource)
    return {tag["Key"]: tag["Value"] for tag in found}


async def test_what_drs_writes_into_the_template_is_kept(product: Product) -> None:
    """`copyPrivateIp` makes DRS write the template: our version is made from that one, and drops nothing of it."""
    (member,) = product.add_servers(1)
    before = product.template(member)["LaunchTemplateData"]
    config = {"copyPrivateIp": True, "instanceType": "m5.2xlarge", "targetInstanceTypeRightSizingMethod": "NONE"}
    group_id = await product.create([member], launchConfig=config)
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"
    after = product.template(member)["LaunchTemplateData"]
    assert after["InstanceType"] == "m5.2xlarge"
    first, second = after["NetworkInterfaces"]
    assert first.pop("PrivateIpAddress")
    assert [first, second] == before["NetworkInterfaces"]
    assert rest(after, {"InstanceType", "NetworkInterfaces"}) == rest(before, {"InstanceType", "NetworkInterfaces"})


async def test_what_is_right_already_is_not_written(product: Product) -> None:
    """A forced apply of what is right observes and verifies anew, and writes nothing to AWS."""
    members = product.add_servers(3)
    group_id = await product.create_ready(members)
    verified = (await product.status(group_id))["verifiedAt"]
    product.clock.advance(timedelta(minutes=1))
    product.count_anew()
    assert (await product.apply(group_id, force=True)).status_code == 202
    await product.drain()
    status = await product.status(group_id)
    assert (status["status"], status["generation"]) == ("ready", 2)
    assert status["verifiedAt"] > verified
    assert product.aws_writes() == {}
    assert product.calls()["drs.GetLaunchConfiguration"] >= 3


async def test_an_apply_of_what_is_ready_sends_nothing(product: Product) -> None:
    """Ready and no force: 200 with the state that there is, no generation, no job, no write."""
    members = product.add_servers(2)
    group_id = await product.create_ready(members)
    product.count_anew()
    for body in ({}, {"onlyFailed": True}, {"sourceServerIds": members[:1]}):
        answer = await product.apply(group_id, **body)
        assert (answer.status_code, answer.json()["status"], answer.json()["appliedServers"]) == (200, "ready", 2)
    assert product.writes() == {}
    assert (await product.status(group_id))["generation"] == 1


async def test_an_apply_of_what_is_in_progress_answers_with_that_run(product: Product) -> None:
    """In progress: 202 with the same run, which is not sent again; force opens a newer one."""
    group_id = await product.create(product.add_servers(2))
    run_id = (await product.status(group_id))["runId"]
    product.count_anew()
    answer = await product.apply(group_id)
    assert (answer.status_code, answer.json()["runId"]) == (202, run_id)
    assert product.writes() == {}
    forced = await product.apply(group_id, force=True)
    assert (forced.status_code, forced.json()["pendingServers"]) == (202, 2)
    assert forced.json()["runId"] != run_id


async def test_only_the_failed_server_is_applied_again(product: Product) -> None:
    """`onlyFailed` makes jobs and calls for the failed server and for no other."""
    members = product.add_servers(5)
    refused = members[3]
    product.faults(
        {
            "service": "drs",
            "operation": "UpdateLaunchConfiguration",
            "code": "ValidationException",
            "sourceServerId": refused,
        }
    )
    group_id = await product.create(members)
    await product.drain()
    status = await product.status(group_id)
    assert (status["status"], status["appliedServers"], status["failedServers"]) == ("failed", 4, 1)
    (error,) = status["errors"]
    assert error["sourceServerId"] == refused
    assert (error["code"], error["operation"]) == ("ValidationException", "drs.UpdateLaunchConfiguration")
    assert (error["attempt"], bool(error["message"]), bool(error["requestId"])) == (1, True, True)

    product.faults()
    product.count_anew()
    answer = await product.apply(group_id, onlyFailed=True)
    assert (answer.status_code, answer.json()["pendingServers"]) == (202, 1)
    (sent,) = product.take_jobs()
    assert sent.arguments["sourceServerId"] == refused
    await product.drain([sent])
    assert (await product.status(group_id))["status"] == "ready"
    calls = {name: count for name, count in product.calls().items() if name in CONFIG_CALLS}
    assert calls == {
        "drs.GetLaunchConfiguration": 1,
        "drs.UpdateLaunchConfiguration": 1,
        "ec2.DescribeLaunchTemplateVersions": 2,
        "ec2.CreateLaunchTemplateVersion": 1,
        "ec2.ModifyLaunchTemplate": 1,
    }


async def test_a_job_with_nothing_to_do_touches_nothing(product: Product) -> None:
    """Delivered twice, late, for a stranger or for no group: acknowledged, and AWS is not even asked."""
    members = product.add_servers(3)
    (stranger,) = product.add_servers(1)
    group_id = await product.create_ready(members[:2])
    unconfigured = await product.create([members[2]], launchConfig=None)
    await product.apply(group_id, force=True, sourceServerIds=[members[0]])
    await product.drain()
    product.count_anew()
    outcomes = {
        "twice": await product.run(job(group_id, members[0], 2)),
        "late": await product.run(job(group_id, members[0], 1)),
        "ready, of an older run": await product.run(job(group_id, members[1], 1)),
        "from the future": await product.run(job(group_id, members[1], 99)),
        "a stranger": await product.run(job(group_id, stranger)),
        "no server at all": await product.run(job(group_id, "x")),
        "no group": await product.run(job("pg-none", members[0])),
        "no launch config": await product.run(job(unconfigured, members[2])),
    }
    assert all(isinstance(outcome, Acknowledge) for outcome in outcomes.values()), outcomes
    assert not CONFIG_CALLS & product.calls().keys()
    assert product.writes() == {}


async def test_a_member_that_the_run_does_not_list_is_left_alone(product: Product) -> None:
    """A job for a member that is ready and not on the pending run's list is acknowledged without a call."""
    members = product.add_servers(2)
    group_id = await product.create_ready(members)
    await product.apply(group_id, force=True, sourceServerIds=[members[0]])
    product.count_anew()
    assert isinstance(await product.run(job(group_id, members[1], 2)), Acknowledge)
    assert not CONFIG_CALLS & product.calls().keys()
    await product.drain()
    assert (await product.status(group_id))["appliedServers"] == 2


@over_every_database
async def test_two_workers_with_one_job_write_once(product: Product) -> None:
    """The same job in many hands at once: one does it, the others are told to come again; one new version."""
    (member,) = product.add_servers(1)
    versions = product.version_count(member)
    group_id = await product.create([member])
    product.take_jobs()
    product.local.control("PUT", "latency", {"seconds": 0.02})
    product.count_anew()
    outcomes = await asyncio.gather(*(product.run(job(group_id, member)) for _ in range(6)))
    assert [o for o in outcomes if isinstance(o, Acknowledge)] == [Acknowledge("ready")]
    held = [o for o in outcomes if isinstance(o, Redeliver)]
    assert {o.reason for o in held} == {"LEASE_HELD"}
    assert all(o.after is not None for o in held)
    assert product.calls()["ec2.CreateLaunchTemplateVersion"] == 1
    assert product.version_count(member) == versions + 1
    await product.drain([job(group_id, member)] * 2)
    status = await product.status(group_id)
    assert (status["status"], status["appliedServers"]) == ("ready", 1)
    assert product.version_count(member) == versions + 1


@over_every_database
async def test_an_outcome_that_was_recorded_unheard_is_recorded_once(product: Product) -> None:
    """The record's answer is lost, by the wire or as a failed condition: recorded once, and the group settles."""
    for fault in ({}, {"code": "TransactionCanceledException", "cancellationReasons": ["ConditionalCheckFailed"] * 2}):
        (member,) = product.add_servers(1)
        versions = product.version_count(member)
        group_id = await product.create([member])
        product.faults(
            {"service": "dynamodb", "operation": "TransactWriteItems", "afterEffect": True, "times": 1, **fault}
        )
        await product.drain()
        status = await product.status(group_id)
        assert (status["status"], status["appliedServers"]) == ("ready", 1)
        assert product.version_count(member) == versions + 1


@over_every_database
async def test_a_worker_that_dies_after_its_record_leaves_a_group_that_settles(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dead between record and count, on the last server: the redelivered job settles the group and applies nothing."""
    members = product.add_servers(2)
    group_id = await product.create(members)
    jobs = product.take_jobs()
    await product.run(jobs[0])

    async def die(*_: object) -> int:
        raise asyncio.CancelledError

    with monkeypatch.context() as dying:
        dying.setattr(RunStore, "count_done", die)
        with pytest.raises(asyncio.CancelledError):
            await product.run(jobs[1])
    assert (await product.status(group_id))["status"] == "pending"
    product.count_anew()
    await product.drain([jobs[1]])
    assert (await product.status(group_id))["status"] == "ready"
    assert not CONFIG_CALLS & product.calls().keys()


async def test_a_worker_that_dies_before_it_settles_leaves_a_group_that_settles(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dead between count and settle: any job of the run that comes again settles the group."""
    members = product.add_servers(2)
    group_id = await product.create(members)
    jobs = product.take_jobs()

    async def die(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as dying:
        dying.setattr(Aggregator, "settle_if_complete", die)
        await product.run(jobs[0])
        with pytest.raises(asyncio.CancelledError):
            await product.run(jobs[1])
    await product.drain([jobs[0]])
    assert (await product.status(group_id))["status"] == "ready"


async def test_a_server_that_is_recorded_does_not_wait_for_the_others(product: Product) -> None:
    """A repeated job of a recorded server in a pending group is over at once, and the last one settles the group."""
    members = product.add_servers(2)
    group_id = await product.create(members)
    jobs = product.take_jobs()
    await product.run(jobs[0])
    product.count_anew()
    assert await product.run(jobs[0]) == Acknowledge("recorded")
    assert product.aws_writes() == {}
    assert (await product.status(group_id))["status"] == "pending"
    assert await product.run(jobs[1]) == Acknowledge(Status.READY)
    assert (await product.status(group_id))["status"] == "ready"


async def test_a_worker_that_is_stopped_leaves_the_server_to_the_next(product: Product) -> None:
    """Cancelled in the middle of its calls: the job that comes again brings the server to ready, one version made."""
    (member,) = product.add_servers(1)
    versions = product.version_count(member)
    group_id = await product.create([member])
    (sent,) = product.take_jobs()
    for operation in ("GetLaunchConfiguration", "CreateLaunchTemplateVersion", "ModifyLaunchTemplate"):
        service = "drs" if operation.startswith("Get") else "ec2"
        product.faults({"service": service, "operation": operation, "kind": "hang", "afterEffect": True, "times": 1})
        product.count_anew()
        working = asyncio.create_task(product.run(sent))
        while f"{service}.{operation}" not in product.calls():
            assert not working.done()
            await asyncio.sleep(0.01)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        # What it wrote and heard no more of may come late: nobody else works on the server for a while.
        product.clock.advance(product.settings.unanswered_hold + product.settings.lease_grace + timedelta(seconds=1))
    product.faults()
    await product.drain([sent])
    assert (await product.status(group_id))["status"] == "ready"
    assert product.version_count(member) == versions + 1


@over_every_database
async def test_a_group_is_settled_once(product: Product) -> None:
    """All outcomes at the same moment: the status is written by exactly one of them, once."""
    members = product.add_servers(10)
    group_id = await product.create(members)
    jobs = product.take_jobs()
    settled: list[object] = []
    settle = Aggregator.settle_if_complete

    async def watched(self: Aggregator, *args: Any) -> Any:
        result = await settle(self, *args)
        settled.append(result)
        return result

    with pytest.MonkeyPatch.context() as watching:
        watching.setattr(Aggregator, "settle_if_complete", watched)
        await asyncio.gather(*(product.run(each) for each in jobs * 2), return_exceptions=False)
        await product.drain(jobs)
    assert len([result for result in settled if result is not None]) == 1
    status = await product.status(group_id)
    assert (status["status"], status["appliedServers"], status["generation"]) == ("ready", 10, 1)


@over_every_database
async def test_no_reader_sees_a_group_ready_with_a_member_that_is_not(product: Product) -> None:
    """Read all the while that jobs are done, the group is pending until the one write, and its numbers add up."""
    members = product.add_servers(6)
    group_id = await product.create(members)
    working = asyncio.create_task(product.drain())
    seen = set()
    while not working.done():
        status = await product.status(group_id)
        states = [server["status"] for server in status["serverConfigs"].values()]
        numbers = [status[f"{name}Servers"] for name in ("applied", "failed", "pending")]
        assert numbers == [states.count(name) for name in ("ready", "failed", "pending")]
        assert status["status"] == "pending" or set(states) == {"ready"}
        seen.add(status["status"])
    await working
    assert "pending" in seen
    assert (await product.status(group_id))["status"] == "ready"


class Killed(BaseException):
    """SIGKILL, as far as one process can play it."""


@pytest.mark.parametrize(("end", "claims"), [(RuntimeError("a bug"), 4), (Killed(), 5)])
async def test_five_claims_without_an_outcome_are_enough(
    product: Product, monkeypatch: pytest.MonkeyPatch, end: BaseException, claims: int
) -> None:
    """
    A server whose job kills every worker is failed as WORKER_LOST after five, and its group settles.

    The fifth bug is recorded by the worker that meets it, for the queue gives the message up then; who dies
    records nothing, so the sixth claim finds that out.
    """
    (member,) = product.add_servers(1)
    group_id = await product.create([member])
    (sent,) = product.take_jobs()

    async def die(*_: object) -> None:
        raise end

    product.count_anew()
    with monkeypatch.context() as dying:
        dying.setattr("workers.apply.bring.BringServer.bring", die)
        for _ in range(claims):
            with pytest.raises(type(end)):
                await product.run(sent)
        await product.drain([sent])
    status = await product.status(group_id)
    assert (status["status"], status["errors"][0]["code"]) == ("failed", "WORKER_LOST")
    assert product.aws_writes() == {}
    assert (await product.apply(group_id, onlyFailed=True)).status_code == 202
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"


async def test_a_worker_that_is_told_to_stop_uses_up_no_attempt(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM hands back in order, however often: the source server has its five attempts still."""
    (member,) = product.add_servers(1)
    group_id = await product.create([member])
    (sent,) = product.take_jobs()

    async def stop(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as stopping:
        stopping.setattr("workers.apply.bring.BringServer.bring", stop)
        for _ in range(7):
            with pytest.raises(asyncio.CancelledError):
                await product.run(sent)
    await product.drain([sent])
    assert (await product.status(group_id))["status"] == "ready"


@over_every_database
async def test_an_older_outcome_never_replaces_a_newer_one(product: Product) -> None:
    """Whoever comes late with what an older generation made of a server, lease in hand, changes nothing."""
    (member,) = product.add_servers(1)
    group_id = await product.create_ready([member])
    await product.apply(group_id, force=True)
    await product.drain()
    worker = product.workers._apply
    newest = await worker._runs.read_server(group_id, member)
    assert newest is not None
    for generation in (1, 2):
        lease = await worker._leases.take("123456789012", REGION, member)
        late = replace(newest, generation=generation, status=Status.FAILED)
        assert not await worker._runs.record(group_id, late, lease)
        await worker._leases.give_back(lease, last_write_at=None, outcome=True)
        product.clock.advance(timedelta(seconds=1))
    assert await worker._runs.read_server(group_id, member) == newest


@over_every_database
async def test_a_group_is_pending_until_the_one_write(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    """All members recorded and the group unsettled reads pending, for a wave too; of two who settle one writes."""
    members = product.add_servers(2)
    group_id = await product.create(members)

    async def count_nothing(runs: RunStore, group_id: str, generation: int, _at: datetime) -> RunHead:
        head = await runs.read_head(group_id, generation)
        assert head is not None
        return head

    with monkeypatch.context() as dying:
        dying.setattr(RunStore, "count_done", count_nothing)
        for sent in product.take_jobs():
            await product.run(sent)
    status = await product.status(group_id)
    assert (status["status"], status["appliedServers"]) == ("pending", 2)
    refused = await product.api.post("/waves", json={"groupIds": [group_id], "onNotReady": "fail"})
    assert refused.status_code == 409

    worker = product.workers._apply
    before = await worker._groups.read_status(group_id)
    run = await worker._runs.read_run(group_id, 1)
    assert before is not None
    assert run is not None
    settled = [await worker._aggregator.settle_if_complete(run, before) for _ in range(2)]
    assert [result is None for result in settled] == [False, True]
    assert (await product.status(group_id))["status"] == "ready"
