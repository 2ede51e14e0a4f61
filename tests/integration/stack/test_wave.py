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


async def test_waiting_for_a_wave_ends_when_it_has_started(product: Product) -> None:
    """`wait` answers 200 with the started wave; without a worker it answers 202 and starting when time is over."""
    first, second = [await product.create_ready([member]) for member in product.add_servers(2)]
    early = await product.api.post(f"{WAVES}?wait=0.2", json={"groupIds": [first]})
    assert (early.status_code, early.json()["status"]) == (202, "starting")
    await product.drain()
    waiting = asyncio.create_task(product.api.post(f"{WAVES}?wait=20", json={"groupIds": [second]}))
    while not (jobs := product.take_jobs(Queue.URGENT)):  # noqa: ASYNC110  # another process holds them
        await asyncio.sleep(0)
    await product.drain(jobs)
    answer = await waiting
    assert (answer.status_code, answer.json()["status"]) == (200, "started")


async def test_a_group_without_launch_config_takes_the_fast_path(product: Product) -> None:
    """Nothing to apply is nothing to wait for."""
    group_id = await product.create(product.add_servers(1), launchConfig=None)
    answer = await accept(product, group_id)
    assert answer.json()["groups"] == [{"groupId": group_id, "path": "fast", "state": "launching", "generation": 0}]
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
    answer = await accept(product, *groups, onNotReady="fail")
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
    assert (await accept(product, *groups[1:], onNotReady="fail")).status_code == 202


async def test_what_was_verified_too_long_ago_is_not_ready(product: Product) -> None:
    """A day after the oldest member was verified the group is refused; verified anew it is taken."""
    group_id = await product.create_ready(product.add_servers(2))
    product.clock.advance(timedelta(hours=24, minutes=1))
    product.count_anew()
    answer = await accept(product, group_id, onNotReady="fail")
    assert (answer.status_code, problem_of(answer)["code"]) == (409, "NOT_READY")
    assert product.writes() == {}
    await product.apply(group_id, force=True)
    await product.drain()
    product.clock.advance(timedelta(hours=23, minutes=59))
    assert (await accept(product, group_id, onNotReady="fail")).json()["groups"][0]["path"] == "fast"


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


@pytest.mark.parametrize("step", ["read", "claim_part", "record_part", "note"])
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
    # The second delivery followed the job to its end.
    assert (wave["status"], len(wave["jobs"])) == ("finished", 1)
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
    assert wave["status"] == "finished"
    assert len(jobs_of(product, wave["waveId"])) == 3
    assert {part["jobId"] for part in wave["jobs"]} == {job["jobID"] for job in jobs_of(product, wave["waveId"])}


async def test_a_worker_that_dies_in_a_start_leaves_a_wave_that_starts_once(product: Product) -> None:
    """Cancelled while StartRecovery is on the wire: the next delivery looks for the job before it repeats the call."""
    for effect in ({"afterEffect": True}, {}):
        group_id = await product.create_ready(product.add_servers(1))
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
    assert wave["status"] == "started"
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
        answer = await accept(product, group_id, onNotReady="fail")
    assert (answer.status_code, problem_of(answer)["code"]) == (409, "NOT_READY")
    assert product.take_jobs(Queue.URGENT) == []
    await product.drain()
    assert (await accept(product, group_id)).json()["groups"][0]["generation"] == 2


async def test_a_wave_that_could_not_be_sent_is_accepted_and_started(product: Product) -> None:
    """The urgent message could not be sent: the sweeper sends it, and the wave starts once."""
    for code in ("AccessDenied", "AWS.SimpleQueueService.NonExistentQueue"):
        group_id = await product.create_ready(product.add_servers(1))
        product.faults({"service": "sqs", "operation": "SendMessageBatch", "code": code})
        answer = await accept(product, group_id)
        assert (answer.status_code, answer.json()["status"]) == (202, "starting")
        product.faults()
        assert product.take_jobs(Queue.URGENT) == []
        product.clock.advance(product.settings.run_periods.send_after)
        await product.workers.sweep()
        await product.drain()
        assert (await read(product, answer))["status"] == "started"
        assert len(jobs_of(product, answer.json()["waveId"])) == 1


async def test_a_wave_is_followed_until_every_launch_is_final(product: Product) -> None:
    """By the sweeper's messages: each launch status is shown, and COMPLETED with one failed is a failed wave."""
    good, bad = product.add_servers(2)
    group_id = await product.create_ready([good, bad])
    product.local.control("PATCH", f"servers/{bad}", {"recoveryPoint": False})
    product.local.control("PUT", "jobs", {"seconds": 3600})
    answer = await accept(product, group_id, isDrill=False)
    await product.drain()
    wave = await read(product, answer)
    assert (wave["status"], wave["jobs"][0]["launchStatuses"]) == ("started", dict.fromkeys((good, bad), "PENDING"))
    assert (await product.status(group_id))["heldBy"] == wave["waveId"]
    product.local.control("PUT", "clock", {"advanceSeconds": 7300})
    product.clock.advance(product.settings.sweep_period)
    await product.workers.sweep()
    await product.drain()
    wave = await read(product, answer)
    assert wave["jobs"][0]["launchStatuses"] == {good: "LAUNCHED", bad: "FAILED"}
    assert (wave["status"], wave["jobs"][0]["isOver"]) == ("failed", True)
    (error,) = wave["errors"]
    assert (error["code"], error["sourceServerIds"]) == ("LAUNCH_FAILED", [bad])
    job_id = wave["jobs"][0]["jobId"]
    assert error["message"] == (
        f"1 of 2 source servers of recovery job {job_id} are not launched (FAILED), and it is followed no more. See"
        f" what became of them: aws drs describe-job-log-items --job-id {job_id}"
    )
    assert (await product.status(group_id))["heldBy"] is None


async def test_a_source_server_is_recovered_to_its_point_in_time(product: Product) -> None:
    """A snapshot that DRS has is taken; of one that it has not the source server is named, and the others start."""
    first, second, third = product.add_servers(3)
    group_id = await product.create_ready([first, second, third])
    snapshots = product.client("drs").describe_recovery_snapshots(sourceServerID=first)["items"]
    asked = {first: snapshots[0]["snapshotID"], second: "pit-" + "0" * 17}
    answer = await accept(product, group_id, isDrill=False, recoverySnapshotIds=asked)
    await product.drain()
    wave = await read(product, answer)
    (error,) = wave["errors"]
    assert (error["sourceServerIds"], error["code"]) == ([second], "ResourceNotFoundException")
    assert sorted(server for job in wave["jobs"] for server in job["sourceServerIds"]) == sorted([first, third])


@pytest.mark.parametrize("snapshot", ["pit-1", "pit-" + "1" * 17])
async def test_a_snapshot_that_cannot_be_meant_is_refused(product: Product, snapshot: str) -> None:
    """One of a wrong form, or of a source server that is in none of the groups: 400 at its place, nothing stored."""
    group_id = await product.create_ready(product.add_servers(1))
    stranger = "s-" + "9" * 17
    product.count_anew()
    answer = await accept(product, group_id, recoverySnapshotIds={stranger: snapshot})
    assert (answer.status_code, problem_of(answer)["errors"][0]["pointer"]) == (
        400,
        f"/recoverySnapshotIds/{stranger}",
    )
    assert product.writes() == {}


async def test_waves_are_listed_newest_first(product: Product) -> None:
    """Page by page, without their groups and jobs."""
    groups = [await product.create_ready([member]) for member in product.add_servers(3)]
    made = []
    for group_id in groups:
        made.append((await accept(product, group_id)).json()["waveId"])
        product.clock.advance(timedelta(seconds=1))
    listed: list[Any] = []
    asked: dict[str, Any] | None = {"limit": 2}
    while asked is not None:
        page = (await product.api.get(WAVES, params=asked)).json()
        assert len(page["waves"]) <= 2
        listed += page["waves"]
        asked = {"limit": 2, "nextToken": page["nextToken"]} if "nextToken" in page else None
    # Other tests' waves stand there too, some of them accepted by a clock that was ahead of this one's.
    assert [wave["waveId"] for wave in listed if wave["waveId"] in made] == made[::-1]
    assert [wave["acceptedAt"] for wave in listed] == sorted((wave["acceptedAt"] for wave in listed), reverse=True)
    assert "jobs" not in listed[0]


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
    refused = await product.api.post("/waves", json={"groupIds": [group_id], "onNotReady": "fail"})
    assert "ValidationException" in problem_of(refused)["errors"][0]["message"]
    await product.apply(group_id, onlyFailed=True)
    refused = await product.api.post("/waves", json={"groupIds": [group_id], "onNotReady": "fail"})
    assert [error["message"] for error in problem_of(refused)["errors"]] == [f"{member} is pending."]
