"""Waves: accepted over what is ready and nothing else, started once, without a single call about settings."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.integration.product import CONFIG_CALLS, Product, problem_of
from workers.core.contract import Queue
from workers.core.outcome import Redeliver
from workers.core.store.waves import WaveStore

pytestmark = pytest.mark.asyncio(loop_scope="session")

WAVES = "/waves"
START = "drs.StartRecovery"


async def accept(product: Product, *group_ids: str, **more: Any) -> httpx.Response:
    return await product.api.post(WAVES, json={"groupIds": list(group_ids), **more})


async def read(product: Product, answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = (await product.api.get(answer.headers["location"])).json()
    return found


def jobs_of(product: Product, wave_id: str) -> list[dict[str, Any]]:
    pages = product.client("drs").get_paginator("describe_jobs").paginate()
    return [job for page in pages for job in page["items"] if job.get("tags", {}).get("prelaunch:waveId") == wave_id]


def members_of(job: dict[str, Any]) -> list[str]:
    return sorted(server["sourceServerID"] for server in job["participatingServers"])


async def test_a_wave_over_ready_groups_starts_and_asks_nothing(product: Product) -> None:
    """At most 100 servers a job, every server in exactly one, tags on each, and no call but StartRecovery."""
    large, small = product.add_servers(101), product.add_servers(2)
    groups = [await product.create(large, launchConfig=None), await product.create_ready(small)]
    product.count_anew()
    answer = await accept(product, *groups)
    assert (answer.status_code, answer.json()["status"]) == (202, "starting")
    await product.drain()
    calls = {name: count for name, count in product.calls().items() if name.startswith(("drs.", "ec2."))}
    assert calls == {START: 3}
    wave = await read(product, answer)
    assert (wave["status"], wave["isDrill"], wave["errors"]) == ("started", True, [])
    assert wave["startedAt"] >= wave["acceptedAt"]
    assert [(g["groupId"], g["path"], g["generation"]) for g in wave["groups"]] == [
        (groups[0], "fast", 0),
        (groups[1], "fast", 1),
    ]
    assert sorted(len(job["sourceServerIds"]) for job in wave["jobs"]) == [1, 2, 100]
    assert sorted(s for job in wave["jobs"] for s in job["sourceServerIds"]) == sorted([*large, *small])
    started = {job["jobID"]: job for job in jobs_of(product, wave["waveId"])}
    assert started.keys() == {job["jobId"] for job in wave["jobs"]}
    assert sorted(job["tags"]["prelaunch:part"] for job in started.values()) == ["0", "1", "2"]
    for job in wave["jobs"]:
        assert members_of(started[job["jobId"]]) == sorted(job["sourceServerIds"])


async def test_a_recovery_is_no_drill(product: Product) -> None:
    """`isDrill: false` reaches DRS; a drill that was meant as a recovery would not fail over."""
    group_id = await product.create_ready(product.add_servers(1))
    wave_id = (await accept(product, group_id, isDrill=False)).json()["waveId"]
    await product.drain()
    (job,) = jobs_of(product, wave_id)
    assert job["initiatedBy"] == "START_RECOVERY"


async def test_the_parts_of_a_wave_start_at_the_same_time(product: Product) -> None:
    """Parts do not wait for one another: three that take half a second each take far less than three together."""
    groups = [await product.create(product.add_servers(1)) for _ in range(3)]
    await product.drain()
    await accept(product, *groups)
    (sent,) = product.take_jobs(Queue.URGENT)
    product.local.control("PUT", "latency", {"seconds": 0.5})
    begun = asyncio.get_running_loop().time()
    await product.drain([sent])
    assert asyncio.get_running_loop().time() - begun < 1.4


async def test_waiting_for_a_wave_ends_when_it_has_started(product: Product) -> None:
    """`wait` answers 200 with the started wave; without a worker it answers 202 and starting when time is over."""
    group_id = await product.create_ready(product.add_servers(1))
    early = await product.api.post(f"{WAVES}?wait=0.2", json={"groupIds": [group_id]})
    assert (early.status_code, early.json()["status"]) == (202, "starting")
    await product.drain()
    waiting = asyncio.create_task(product.api.post(f"{WAVES}?wait=20", json={"groupIds": [group_id]}))
    while not (jobs := product.take_jobs(Queue.URGENT)):  # noqa: ASYNC110  # another process holds them
        await asyncio.sleep(0)
    await product.drain(jobs)
    answer = await waiting
    assert (answer.status_code, answer.json()["status"]) == (200, "started")


async def test_a_group_without_launch_config_takes_the_fast_path(product: Product) -> None:
    """Nothing to apply is nothing to wait for."""
    group_id = await product.create(product.add_servers(1), launchConfig=None)
    answer = await accept(product, group_id)
    assert answer.json()["groups"] == [{"groupId": group_id, "path": "fast", "generation": 0}]
    await product.drain()
    assert (await read(product, answer))["status"] == "started"


async def test_what_is_not_ready_is_refused_server_by_server(product: Product) -> None:
    """409 NOT_READY names each unready server of each group with its reason; nothing is stored or sent."""
    failing, pending, ready = product.add_servers(2), product.add_servers(2), product.add_servers(1)
    product.faults(
        {
            "service": "drs",
            "operation": "GetLaunchConfiguration",
            "code": "ValidationException",
            "sourceServerId": failing[0],
        }
    )
    groups = [await product.create(failing), await product.create(ready)]
    await product.drain()
    groups.insert(1, await product.create(pending))
    jobs = product.take_jobs()
    product.count_anew()
    answer = await accept(product, *groups)
    document = problem_of(answer)
    assert (answer.status_code, document["code"]) == (409, "NOT_READY")
    named = {error["sourceServerId"]: (error["pointer"], error["message"]) for error in document["errors"]}
    assert named.keys() == {failing[0], *pending}
    assert named[failing[0]][0] == "/groupIds/0"
    assert "failed: ValidationException" in named[failing[0]][1]
    assert named[pending[0]] == ("/groupIds/1", f"{pending[0]} is pending.")
    assert product.writes() == {}
    assert product.take_jobs(Queue.URGENT) == []
    product.faults()
    await product.drain(jobs)
    assert (await accept(product, *groups[1:])).status_code == 202


async def test_what_was_verified_too_long_ago_is_not_ready(product: Product) -> None:
    """A day after the oldest member was verified the group is refused; verified anew it is taken."""
    group_id = await product.create_ready(product.add_servers(2))
    product.clock.advance(timedelta(hours=23, minutes=59))
    assert (await accept(product, group_id)).status_code == 202
    product.clock.advance(timedelta(minutes=2))
    product.count_anew()
    answer = await accept(product, group_id)
    assert (answer.status_code, problem_of(answer)["code"]) == (409, "NOT_READY")
    assert product.writes() == {}
    await product.apply(group_id, force=True)
    await product.drain()
    assert (await accept(product, group_id)).status_code == 202


async def test_a_job_that_was_started_unheard_is_adopted(product: Product) -> None:
    """StartRecovery took effect and its answer was lost: the redelivered start finds the job; there is only one."""
    group_id = await product.create_ready(product.add_servers(3))
    answer = await accept(product, group_id)
    product.faults({"service": "drs", "operation": "StartRecovery", "afterEffect": True, "times": 1})
    await product.drain()
    wave = await read(product, answer)
    assert product.results[-1] == "started"
    assert product.results[-2].startswith("again")
    (job,) = jobs_of(product, wave["waveId"])
    assert [part["jobId"] for part in wave["jobs"]] == [job["jobID"]]
    assert product.calls()[START] == 1


@pytest.mark.parametrize("step", ["read", "claim_part", "record_part", "finish"])
async def test_no_lost_answer_of_the_tables_starts_a_wave_twice(
    product: Product, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Each step of the start takes effect unheard, in turn: one job, and the wave is started."""
    group_id = await product.create_ready(product.add_servers(1))
    answer = await accept(product, group_id)
    (sent,) = product.take_jobs(Queue.URGENT)
    heard = getattr(WaveStore, step)

    async def unheard(self: WaveStore, *args: Any) -> Any:
        operation = {"read": "Query", "claim_part": "TransactWriteItems"}.get(step, "UpdateItem")
        product.faults({"service": "dynamodb", "operation": operation, "afterEffect": True, "times": 1})
        return await heard(self, *args)

    product.results.clear()
    with monkeypatch.context() as losing:
        losing.setattr(WaveStore, step, unheard)
        await product.run(sent)
    product.faults()
    await product.drain([sent])
    wave = await read(product, answer)
    assert (wave["status"], len(wave["jobs"])) == ("started", 1)
    assert len(jobs_of(product, wave["waveId"])) == 1
    # A lost answer is no error to be logged as a bug, and no reason to wait: the one delivery is enough.
    assert product.results[0] == "started"


async def test_a_wave_delivered_twice_starts_once(product: Product) -> None:
    """Two workers with the wave's message at once: one job a part; whoever comes late finds it started."""
    groups = [await product.create(product.add_servers(1)) for _ in range(3)]
    await product.drain()
    answer = await accept(product, *groups)
    (sent,) = product.take_jobs(Queue.URGENT)
    product.local.control("PUT", "latency", {"seconds": 0.05})
    await asyncio.gather(*(product.run(sent) for _ in range(4)))
    await product.drain([sent] * 2)
    wave = await read(product, answer)
    assert wave["status"] == "started"
    assert len(jobs_of(product, wave["waveId"])) == 3
    assert {part["jobId"] for part in wave["jobs"]} == {job["jobID"] for job in jobs_of(product, wave["waveId"])}


async def test_a_worker_that_dies_in_a_start_leaves_a_wave_that_starts_once(product: Product) -> None:
    """Cancelled while StartRecovery is on the wire: the next delivery looks for the job before it repeats the call."""
    group_id = await product.create_ready(product.add_servers(1))
    for effect in ({"afterEffect": True}, {}):
        answer = await accept(product, group_id)
        (sent,) = product.take_jobs(Queue.URGENT)
        product.faults({"service": "drs", "operation": "StartRecovery", "kind": "hang", "times": 1, **effect})
        product.count_anew()
        working = asyncio.create_task(product.run(sent))
        while START not in product.calls():  # noqa: ASYNC110  # another process counts
            await asyncio.sleep(0.01)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        product.faults()
        # At once, while the call may still be under way, nothing is repeated.
        assert isinstance(await product.run(sent), Redeliver)
        assert product.calls()[START] == 1
        await product.drain([sent])
        assert (await read(product, answer))["status"] == "started"
        assert len(jobs_of(product, answer.json()["waveId"])) == 1


async def test_one_refused_part_does_not_stop_the_others(product: Product) -> None:
    """DRS refuses one part: the others are started, and the wave is failed with that part's code and request id."""
    members = [product.add_servers(1) for _ in range(3)]
    groups = [await product.create(each) for each in members]
    await product.drain()
    product.local.control("DELETE", f"servers/{members[1][0]}")
    answer = await accept(product, *groups)
    await product.drain()
    wave = await read(product, answer)
    assert wave["status"] == "failed"
    assert sorted(part["groupId"] for part in wave["jobs"]) == sorted([groups[0], groups[2]])
    (error,) = wave["errors"]
    assert (error["groupId"], error["sourceServerIds"], error["code"]) == (
        groups[1],
        members[1],
        "ResourceNotFoundException",
    )
    assert error["requestId"]
    assert error["message"]


async def test_a_quota_of_jobs_is_waited_for(product: Product) -> None:
    """No more jobs at a time than DRS allows: the part is started when there is room, and no earlier part again."""
    groups = [await product.create(product.add_servers(1)) for _ in range(2)]
    await product.drain()
    answer = await accept(product, *groups)
    product.faults(
        {"service": "drs", "operation": "StartRecovery", "code": "ServiceQuotaExceededException", "times": 1}
    )
    await product.drain()
    assert "again: ServiceQuotaExceededException" in product.results
    wave = await read(product, answer)
    assert (wave["status"], len(wave["jobs"])) == ("started", 2)
    assert len(jobs_of(product, wave["waveId"])) == 2


async def test_a_wave_is_never_accepted_over_another_generation(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generation that opens between the look and the acceptance: the wave is refused, and nothing is stored."""
    (member,) = product.add_servers(1)
    group_id = await product.create_ready([member])
    waves = product.services.waves
    check = type(waves)._check_ready

    async def overtaken(self: Any, *args: Any) -> None:
        await check(self, *args)
        await product.apply(group_id, force=True)

    with monkeypatch.context() as between:
        between.setattr(type(waves), "_check_ready", overtaken)
        answer = await accept(product, group_id)
    assert (answer.status_code, problem_of(answer)["code"]) == (409, "NOT_READY")
    assert product.take_jobs(Queue.URGENT) == []
    await product.drain()
    assert (await accept(product, group_id)).json()["groups"][0]["generation"] == 2


async def test_a_wave_that_could_not_be_sent_is_not_started_later(product: Product) -> None:
    """The urgent message could not be sent: 503, and whoever gets it after all starts nothing."""
    group_id = await product.create_ready(product.add_servers(1))
    for code in ("AccessDenied", "AWS.SimpleQueueService.NonExistentQueue"):
        # The messages are taken, and their sender does not learn of it.
        product.faults({"service": "sqs", "operation": "SendMessageBatch", "code": code, "afterEffect": True})
        answer = await accept(product, group_id)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        product.faults()
        product.count_anew()
        sent = product.take_jobs(Queue.URGENT)
        assert sent
        await product.drain(sent)
        assert START not in product.calls()


async def test_an_unknown_wave_is_acknowledged(product: Product) -> None:
    """A message of a wave that is not there is done with."""
    outcome = await product.workers.start_wave("wave-none")
    assert not isinstance(outcome, Redeliver)
    assert not CONFIG_CALLS & product.calls().keys()


async def test_a_pending_server_is_not_refused_for_what_it_met_before(product: Product) -> None:
    """While a new generation is under way the old error is no reason any more: it is pending, and that is all."""
    (member,) = product.add_servers(1)
    product.faults(
        {"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ValidationException", "times": 1}
    )
    group_id = await product.create([member], launchConfig={"copyTags": True})
    await product.drain()
    refused = await product.api.post("/waves", json={"groupIds": [group_id]})
    assert "ValidationException" in problem_of(refused)["errors"][0]["message"]
    await product.apply(group_id, onlyFailed=True)
    refused = await product.api.post("/waves", json={"groupIds": [group_id]})
    assert [error["message"] for error in problem_of(refused)["errors"]] == [f"{member} is pending."]
