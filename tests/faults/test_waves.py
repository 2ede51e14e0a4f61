"""Waves over the twin: what is not ready, what DRS refuses, what others do meanwhile, each told once, to the call."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from producer.services import Services
from tests.fakes.twin.dynamodb import refuse
from tests.fakes.twin.fleet import Fleet
from tests.fakes.twin.process import ACCOUNT
from tests.fakes.twin.world import Call, Trouble, World
from tests.fakes.virtual_time import run_virtually
from tests.faults.scenarios import CONFIG, EVERYWHERE, OTHER, THIRD, A, B, C, Story
from tests.faults.test_traces import instance_type, once, told
from workers.core.clock import say_time
from workers.core.contract import APPLY_ACTOR, Queue, WatchWork
from workers.core.model.bodies import MAX_WAVE_GROUPS
from workers.core.model.waves import OnNotReady, Verify
from workers.core.outcome import Acknowledge
from workers.core.queries import Page
from workers.core.queue.job import decode_job
from workers.core.requests import Conflict, NotFound, Requester, RequestRefused
from workers.core.runs.waiting import BELIEVED
from workers.core.store.wave_records import WaveStatus, WaveView, find_errors
from workers.core.store.writes import decode
from workers.core.wave_plan import PART_SIZE, WaveRequest

CONFIG_CALLS = frozenset({"get_launch_configuration", "describe_launch_template_versions", "describe_launch_templates"})
START = "start_recovery"
PAGE = Page(limit=0)


async def start(story: Story, *group_ids: str, name: str = "wave", **more: Any) -> WaveView:
    """Start a wave."""
    request = WaveRequest(group_ids, **more)
    return await story.ask(name, lambda services, who: services.waves.accept(request, who))


async def read(story: Story, view: WaveView) -> WaveView:
    return await story.ask("see", lambda services, _who: services.waves.get(view.wave.wave_id))


async def work(story: Story) -> None:
    """Let one worker do every message that is visible, once."""
    process, use_cases = await story.fleet.start_worker()
    await asyncio.gather(*(story.fleet.deliver(m, process, use_cases) for m in story.fleet.visible()))


def calls(story: Story, since: int, *operations: str) -> int:
    return sum(call.operation in operations for call in story.fleet.world.calls[since:])


def named(view: WaveView) -> Mapping[str, tuple[str, str]]:
    return {server: (error.code, error.message) for error in find_errors(view) for server in error.source_server_ids}


def refuse_changes_of(server_id: str) -> Any:
    """Make every change of one source server in DRS fail."""

    def strike(call: Call) -> Trouble | Exception | None:
        hit = call.operation == "get_launch_configuration" and call.request["sourceServerID"] == server_id
        return refuse("ValidationException", "GetLaunchConfiguration") if hit else None

    return strike


async def ready(story: Story, name: str = "web", *members: str, **more: Any) -> str:
    group_id = await story.create(name, *(members or (A, B)), **more)
    await story.settle()
    return group_id


def test_a_ready_group_takes_the_fast_path_and_is_followed_to_the_end() -> None:
    """No config call; held until every launch is final; finished only then."""

    async def story(story: Story) -> None:
        group_id = await ready(story)
        since = len(story.fleet.world.calls)
        view = await start(story, group_id)
        status = story.fleet.statuses()[group_id]
        assert (status["heldBy"], status["launching"]) == (view.wave.wave_id, True)
        await work(story)
        view = await read(story, view)
        assert (view.wave.status, view.groups[0].path) == (WaveStatus.STARTED, "fast")
        assert story.fleet.statuses()[group_id]["launching"] is True
        await story.settle()
        view = await read(story, view)
        assert view.wave.status is WaveStatus.FINISHED
        assert view.parts[0].launch_statuses == {A: "LAUNCHED", B: "LAUNCHED"}
        assert calls(story, since, *CONFIG_CALLS) == 0
        assert calls(story, since, START) == 1
        story.watch.check_end(story.wanted)

    told(story)


def test_the_parts_of_a_wave_start_at_the_same_time() -> None:
    """Parts do not wait for one another: all are under way before the first of them is answered."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        groups = [await ready(story, member, member) for member in (A, B, C)]
        since = len(world.calls)
        world.choose_delay = lambda call: 2.0 if call.operation == START else 0.0
        await start(story, *groups)
        await work(story)
        begun = [call.at for call in world.calls[since:] if call.operation == START]
        assert len(begun) == 3
        assert max(begun) - min(begun) < 2.0
        await story.settle()
        assert len(world.servers.jobs) == 3

    told(story)


def test_what_is_not_ready_is_applied_first_urgently() -> None:
    """A group that failed is applied, by messages on the urgent queue, before its recovery starts (property 7)."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.on_call = refuse_changes_of(A)
        group_id = await ready(story)
        assert story.fleet.statuses()[group_id]["status"] == "failed"
        world.on_call = lambda _call: None
        since = len(world.calls)
        view = await start(story, group_id)
        assert (view.wave.status, view.groups[0].path) == (WaveStatus.APPLYING, "fallback")
        await work(story)
        assert {message.queue for message in world.queues.messages} == {Queue.URGENT.value}
        await story.settle()
        view = await read(story, view)
        assert (view.wave.status, named(view)) == (WaveStatus.FINISHED, {})
        operations = [call.operation for call in world.calls[since:]]
        assert operations.index("modify_launch_template") < operations.index(START)
        assert calls(story, since, "get_launch_configuration") == 1, "only what needs it is applied"
        story.watch.check_end(story.wanted)

    told(story)


def test_what_fails_even_so_is_left_out_and_named() -> None:
    """The apply fails again for one: the others are recovered, and the wave says which one is not, and why."""

    async def story(story: Story) -> None:
        story.fleet.world.on_call = refuse_changes_of(A)
        view = await start(story, await ready(story))
        await story.settle()
        view = await read(story, view)
        assert view.wave.status is WaveStatus.FAILED
        ((server, (code, message)),) = named(view).items()
        assert (server, code) == (A, "NOT_READY")
        assert message.startswith(f"{A} is failed: ValidationException")
        (job,) = story.fleet.world.servers.jobs
        assert [each["sourceServerID"] for each in job["participatingServers"]] == [B]

    told(story)


@pytest.mark.parametrize("choice", [OnNotReady.SKIP, OnNotReady.FAIL])
def test_what_is_not_ready_can_be_left_out_or_keep_all_from_starting(choice: OnNotReady) -> None:
    """`skip` starts what is ready without applying; `fail` refuses the wave and names each source server."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.on_call = refuse_changes_of(A)
        group_id = await ready(story)
        since = len(world.calls)
        if choice is OnNotReady.FAIL:
            with pytest.raises(Conflict) as refused:
                await start(story, group_id, on_not_ready=choice)
            assert [error.source_server_id for error in refused.value.errors] == [A]
            return
        view = await start(story, group_id, on_not_ready=choice)
        await story.settle()
        view = await read(story, view)
        assert named(view).keys() == {A}
        assert len(world.servers.jobs) == 1
        assert calls(story, since, *CONFIG_CALLS) == 0

    told(story)


async def skip_one_that_is_pending(story: Story, name: str = "skip", **more: Any) -> tuple[str, WaveView]:
    """Start a wave over a group while A is still to be changed, and let a worker do what it can once."""
    group_id = await ready(story)
    await story.update(group_id, {A: OTHER, B: CONFIG})
    (job,) = story.fleet.visible()
    view = await start(story, group_id, name=name, on_not_ready=OnNotReady.SKIP, **more)
    process, use_cases = await story.fleet.start_worker()
    for message in story.fleet.visible():
        if message is not job:
            await story.fleet.deliver(message, process, use_cases)
    return group_id, await read(story, view)


def launched(story: Story) -> list[list[str]]:
    """Tell which source servers are in each recovery job."""
    jobs = story.fleet.world.servers.jobs
    return [sorted(each["sourceServerID"] for each in job["participatingServers"]) for job in jobs]


def test_one_that_is_pending_keeps_none_of_the_others_when_it_is_skipped() -> None:
    """`skip` leaves out what is not ready, each source server by its own state: a run over one is no reason for all."""

    async def story(story: Story) -> None:
        group_id, view = await skip_one_that_is_pending(story)
        assert launched(story) == [[B]]
        assert (view.wave.status, view.groups[0].generation) == (WaveStatus.STARTED, 2)
        ((server, (code, message)),) = named(view).items()
        assert (server, code) == (A, "NOT_READY")
        assert message.startswith(f"{A} is pending: generation 2 of {group_id} was not applied to it yet")
        assert story.fleet.statuses()[group_id]["status"] == "pending"
        await story.settle()
        assert story.fleet.statuses()[group_id]["status"] == "ready"
        assert (instance_type(story, A), launched(story)) == ("r5.large", [[B]])
        story.watch.check_end(story.wanted)

    told(story)


def test_where_all_are_pending_none_is_started_when_they_are_skipped() -> None:
    """Each is named, nothing is started, and the run goes on at once."""

    async def story(story: Story) -> None:
        group_id = await story.create("web", A, B)
        view = await start(story, group_id, on_not_ready=OnNotReady.SKIP)
        (message,) = (each for each in story.fleet.visible() if each.queue == Queue.URGENT.value)
        await story.fleet.deliver(message, *await story.fleet.start_worker())
        view = await read(story, view)
        assert (view.wave.status, set(named(view)), len(story.fleet.world.servers.jobs)) == (
            WaveStatus.FAILED,
            {A, B},
            0,
        )
        assert "heldBy" not in story.fleet.statuses()[group_id]
        since = story.fleet.world.now()
        await story.settle()
        assert story.fleet.statuses()[group_id]["status"] == "ready"
        assert story.fleet.world.now() - since < timedelta(minutes=5)
        story.watch.check_end(story.wanted)

    told(story)


@pytest.mark.parametrize("is_noted_late", [False, True], ids=["sent before the hold", "noted as sent after it"])
def test_a_run_that_was_sent_waits_for_the_end_of_the_hold_and_its_time_begins_then(is_noted_late: bool) -> None:
    """Hours of a hold count for no run: its jobs come in it and write nothing, are sent again, and it settles ready."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.servers.job_seconds = timedelta(hours=5).total_seconds()
        group_id, view = await skip_one_that_is_pending(story)
        if is_noted_late:
            now = world.now()

            async def note(services: Services, _who: Requester) -> bool:
                await services.submission._with.runs.mark_sent(group_id, 2, now, look_at=now + timedelta(minutes=10))
                return True

            await story.ask("note", note)
        since = len(world.calls)
        process, use_cases = await story.fleet.start_worker()
        released_at = None
        while released_at is None:
            assert not [call for call in world.calls[since:] if call.is_target_write]
            status = await story.ask("status", lambda s, _w: s.queries.status(group_id, PAGE))
            assert status.waiting_for == f"hold: {view.wave.wave_id} is launching this group"
            await asyncio.sleep(600)
            await story.fleet.sweep(process, use_cases)
            await work(story)
            if "heldBy" not in story.fleet.statuses()[group_id]:
                released_at = world.now()
        (*_, head) = story.fleet.heads(group_id)
        assert head["beginsAt"] <= released_at.isoformat()
        assert APPLY_ACTOR in {decode_job(each.body, each.queue).actor_name for each in world.queues.messages}
        await story.settle()
        assert world.now() - released_at < timedelta(minutes=5)
        assert story.fleet.statuses()[group_id]["status"] == "ready"
        assert (instance_type(story, A), launched(story)) == ("r5.large", [[B]])
        story.watch.check_end(story.wanted)

    told(story)


def test_what_is_asked_in_the_hold_of_what_was_pending_comes_after_it() -> None:
    """A PUT over the run that waits supersedes it, for what is launched too: nothing is written before the end."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.servers.job_seconds = 1500.0
        group_id, _ = await skip_one_that_is_pending(story)
        since = len(world.calls)
        await story.update(group_id, {A: OTHER, B: THIRD})
        process, use_cases = await story.fleet.start_worker()
        for _ in range(20):
            await work(story)
            await story.fleet.sweep(process, use_cases)
            await asyncio.sleep(60)
            assert not [call for call in world.calls[since:] if call.is_target_write]
        await story.settle()
        assert (instance_type(story, A), instance_type(story, B)) == ("r5.large", "c6i.large")
        story.watch.check_end(story.wanted)

    told(story)


@pytest.mark.parametrize("choice", [OnNotReady.APPLY, OnNotReady.SKIP])
def test_a_recovery_takes_over_from_a_drill_what_was_pending(choice: OnNotReady) -> None:
    """What the drill kept back is applied first, or is left out and kept back once more; then it settles."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.servers.job_seconds = 600.0
        group_id, drill = await skip_one_that_is_pending(story)
        view = await start(story, group_id, name="recovery", is_drill=False, on_not_ready=choice)
        world.queues.messages[:] = [each for each in world.queues.messages if APPLY_ACTOR not in each.body]
        await story.settle()
        is_whole = choice is OnNotReady.APPLY
        view = await read(story, view)
        assert view.wave.status is (WaveStatus.FINISHED if is_whole else WaveStatus.FAILED)
        assert named(view).keys() == (set() if is_whole else {A})
        assert launched(story) == [[B], *([[A], [B]] if is_whole else [[B]])]
        assert named(await read(story, drill)).keys() == {A}
        assert story.fleet.statuses()[group_id]["status"] == "ready"
        assert world.now() - view.wave.accepted_at < timedelta(minutes=40)
        story.watch.check_end(story.wanted)

    told(story)


@pytest.mark.parametrize("choice", list(OnNotReady))
def test_live_verification_finds_what_somebody_changed(choice: OnNotReady) -> None:
    """A template was edited after `ready`: applied before the start, left out, or nothing starts (property 8)."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        group_id = await ready(story)
        await asyncio.sleep(60)
        world.servers.edit(A, InstanceType="t3.micro")
        view = await start(story, group_id, verify=Verify.LIVE, on_not_ready=choice)
        await story.settle()
        view = await read(story, view)
        jobs = [sorted(each["sourceServerID"] for each in job["participatingServers"]) for job in world.servers.jobs]
        assert jobs == {OnNotReady.APPLY: [[A, B]], OnNotReady.SKIP: [[B]], OnNotReady.FAIL: []}[choice]
        assert (instance_type(story, A) == "m5.xlarge") is (choice is OnNotReady.APPLY)
        told_of = named(view)
        if choice is OnNotReady.SKIP:
            assert told_of.keys() == {A}
            assert "instanceType" in told_of[A][1]
        if choice is OnNotReady.FAIL:
            assert told_of.keys() == {A, B}
            assert "instanceType" in told_of[A][1]
        assert (view.wave.status is WaveStatus.FINISHED) is (choice is OnNotReady.APPLY)

    told(story)


def test_where_one_group_is_not_ready_no_other_one_starts() -> None:
    """`fail` with `verify: live`: one group is as it was verified, the other is not, and nothing at all is started."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        right, wrong = await ready(story, "web", A), await ready(story, "db", B)
        await asyncio.sleep(60)
        world.servers.edit(B, InstanceType="t3.micro")
        view = await start(story, right, wrong, verify=Verify.LIVE, on_not_ready=OnNotReady.FAIL)
        await story.settle()
        told_of = named(await read(story, view))
        assert world.servers.jobs == []
        assert told_of.keys() == {A, B}
        assert "instanceType" in told_of[B][1]
        assert told_of[A][1].startswith("Another group keeps its wave from starting: ")

    told(story)


def test_a_run_that_is_under_way_is_made_urgent() -> None:
    """Its jobs wait behind others, or are lost: the wave sends one urgent message for each pending source server."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        group_id = await story.create("web", A, B)
        world.queues.messages.clear()
        view = await start(story, group_id)
        await work(story)
        jobs = [each for each in world.queues.messages if decode_job(each.body, each.queue).actor_name == APPLY_ACTOR]
        assert [each.queue for each in jobs] == [Queue.URGENT.value] * 2
        await story.settle()
        view = await read(story, view)
        assert (view.wave.status, view.groups[0].generation) == (WaveStatus.FINISHED, 1)

    told(story)


def test_live_verification_of_what_is_right_only_reads() -> None:
    """Everything is as it was verified: it starts, on the fast path, without a write."""

    async def story(story: Story) -> None:
        group_id = await ready(story)
        await asyncio.sleep(60)
        since = len(story.fleet.world.calls)
        view = await start(story, group_id, verify=Verify.LIVE)
        await story.settle()
        view = await read(story, view)
        assert (view.wave.status, view.groups[0].path) == (WaveStatus.FINISHED, "fast")
        assert calls(story, since, "get_launch_configuration") == 2
        assert not [
            call for call in story.fleet.world.calls[since:] if call.is_target_write and call.operation != START
        ]

    told(story)


def test_live_verification_reaches_the_account_as_the_start_does() -> None:
    """An update named another role and opened no run; the former one is gone: compared and started by the new one."""

    async def story(story: Story) -> None:
        group_id = await ready(story, assumeRoleName="Former")
        await story.define(group_id, (A, B), CONFIG, assumeRoleName="New")
        assert len(story.fleet.heads(group_id)) == 1
        story.fleet.world.roles_gone.add("Former")
        await asyncio.sleep(60)
        view = await start(story, group_id, verify=Verify.LIVE)
        await story.settle()
        view = await read(story, view)
        assert (view.wave.status, named(view)) == (WaveStatus.FINISHED, {})

    told(story)


def test_mixed_groups_go_each_its_own_way() -> None:
    """One group is ready and starts at once; the other is applied first."""

    async def story(story: Story) -> None:
        first = await ready(story, "web", A)
        story.fleet.world.on_call = refuse_changes_of(B)
        second = await ready(story, "db", B)
        story.fleet.world.on_call = lambda _call: None
        view = await start(story, first, second)
        await work(story)
        view = await read(story, view)
        assert [group.path for group in view.groups] == ["fast", "fallback"]
        assert (view.wave.status, len(story.fleet.world.servers.jobs)) == (WaveStatus.APPLYING, 1)
        await story.settle()
        assert (await read(story, view)).wave.status is WaveStatus.FINISHED

    told(story)


def test_what_was_verified_too_long_ago_is_verified_anew() -> None:
    """A day after the last read-back the group is read again before it starts; nothing is written."""

    async def story(story: Story) -> None:
        group_id = await ready(story)
        await asyncio.sleep(timedelta(hours=25).total_seconds())
        since = len(story.fleet.world.calls)
        view = await start(story, group_id)
        assert view.groups[0].path == "fallback"
        await story.settle()
        assert (await read(story, view)).wave.status is WaveStatus.FINISHED
        assert calls(story, since, "get_launch_configuration") == 2
        assert calls(story, since, "create_launch_template_version") == 0

    told(story)


def test_trace_28_one_bad_server_and_one_busy_one_keep_none_of_the_others() -> None:
    """DRS refuses the job for both: the other 98 are started, and the two are named, each with its reason."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        members = [f"s-{number:017d}" for number in range(100)]
        world.servers.add(*members)
        bad, busy = members[41], members[77]
        group_id = await ready(story, "web", *members)
        world.servers.unrecoverable.add(bad)
        others = {"isDrill": False, "sourceServers": [{"sourceServerID": busy}], "tags": {"prelaunch:waveId": "wave-x"}}
        world.servers.job_seconds = 9000.0
        theirs = world.servers.start_recovery(**others)["job"]["jobID"]
        view = await start(story, group_id, is_drill=False)
        await work(story)
        view = await read(story, view)
        assert view.wave.status is WaveStatus.STARTED
        assert named(view).keys() == {bad, busy}
        assert named(view)[bad][0] == "ValidationException"
        assert named(view)[busy][0] == "IN_ANOTHER_JOB"
        assert theirs in named(view)[busy][1]
        started = [each["sourceServerID"] for job in world.servers.jobs[1:] for each in job["participatingServers"]]
        assert sorted(started) == sorted(set(members) - {bad, busy})
        tags = [job["tags"]["prelaunch:part"] for job in world.servers.jobs[1:]]
        assert len(set(tags)) == len(tags)
        world.servers.job_seconds = 60.0
        await story.settle()
        assert (await read(story, view)).wave.status is WaveStatus.FAILED

    told(story)


@pytest.mark.parametrize("job_seconds", [90.0, 5.0])
@pytest.mark.parametrize("trouble", [Trouble.CRASH_BEFORE, Trouble.CRASH_AFTER, Trouble.LOST, Trouble.LATE])
def test_trace_30_a_start_that_was_not_heard_of_happens_once(trouble: Trouble, job_seconds: float) -> None:
    """The process dies before, in or after StartRecovery, or its answer is lost; and the message comes twice.

    Also where the job is over before anybody looks: no conflict tells of it then.
    """

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.servers.job_seconds = job_seconds
        group_id = await ready(story)
        view = await start(story, group_id)
        (message,) = story.fleet.visible()
        world.on_call = once(START, trouble)
        process, use_cases = await story.fleet.start_worker()
        await asyncio.gather(*(story.fleet.deliver(message, process, use_cases) for _ in range(2)))
        await story.settle()
        assert (await read(story, view)).wave.status is WaveStatus.FINISHED
        assert len(world.servers.jobs) == 1
        story.watch.check_end(story.wanted)

    told(story)


def test_trace_31_nothing_is_written_until_the_launches_are_final() -> None:
    """A PUT and a drift event between StartRecovery and the launches: the templates stay; applied afterwards."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.servers.job_seconds = 1500.0
        group_id = await ready(story)
        view = await start(story, group_id)
        await work(story)
        since = len(world.calls)
        await story.update(group_id, {A: OTHER, B: CONFIG})
        status = await story.ask("status", lambda s, _w: s.queries.status(group_id, PAGE))
        assert status.waiting_for == f"hold: {view.wave.wave_id} is launching this group"
        process, use_cases = await story.fleet.start_worker()
        world.servers.edit(B, InstanceType="t3.micro")
        story.watch.edited[B] = world.now()
        await process.run(lambda: use_cases.watch(EVERYWHERE))
        for _ in range(20):
            await work(story)
            await story.fleet.sweep(process, use_cases)
            await asyncio.sleep(60)
            assert calls(story, since, "create_launch_template_version", "update_launch_configuration") == 0
        assert instance_type(story, A) == "m5.xlarge"
        await story.settle()
        assert (await read(story, view)).wave.status is WaveStatus.FINISHED
        assert (instance_type(story, A), instance_type(story, B)) == ("r5.large", "t3.micro")
        await asyncio.sleep(timedelta(hours=4).total_seconds())
        await story.look_for_drift()
        errors = story.fleet.statuses()[group_id]["errors"]
        assert [error["code"] for error in errors] == ["DRIFT_FOUND"]
        story.watch.check()

    told(story)


@pytest.mark.parametrize("look", [EVERYWHERE, WatchWork(ACCOUNT, "us-east-1", source_server_id=B)])
def test_trace_31_drift_of_a_ready_group_is_put_back_when_its_launches_are_final(look: WatchWork) -> None:
    """Found in the hold, by schedule or event, also with `autoRepair`: no run and no write; the next look repairs."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.servers.job_seconds = 1500.0
        group_id = await ready(story, autoRepair=True)
        await asyncio.sleep(3600)
        view = await start(story, group_id)
        await work(story)
        since, runs = len(world.calls), len(story.fleet.heads(group_id))
        world.servers.edit(B, InstanceType="t3.micro")
        story.watch.edited[B] = world.now()
        process, use_cases = await story.fleet.start_worker()
        await asyncio.sleep(60)
        assert await process.run(lambda: use_cases.watch(look)) == Acknowledge("drifted 0")
        assert calls(story, since, *CONFIG_CALLS) == 0
        assert len(story.fleet.heads(group_id)) == runs
        await story.settle()
        assert (await read(story, view)).wave.status is WaveStatus.FINISHED
        assert instance_type(story, B) == "t3.micro"
        await asyncio.sleep(timedelta(hours=4).total_seconds())
        await story.look_for_drift()
        assert instance_type(story, B) == "m5.xlarge"
        story.watch.check()

    told(story)


def test_a_job_that_comes_late_writes_nothing_to_what_is_launched() -> None:
    """An old message of the group arrives in the hold, of a run that was opened in it: done with, without a call."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        group_id = await story.create("web", A, B)
        old = list(world.queues.messages)
        await story.settle()
        view = await start(story, group_id)
        await work(story)
        await story.update(group_id, {A: OTHER, B: CONFIG})
        since = len(world.calls)
        process, use_cases = await story.fleet.start_worker()
        for message in old:
            await story.fleet.deliver(message, process, use_cases)
        assert calls(story, since, *CONFIG_CALLS) == 0
        await story.settle()
        assert (await read(story, view)).wave.status is WaveStatus.FINISHED
        story.watch.check_end(story.wanted)

    told(story)


def test_trace_32_a_wave_goes_on_with_the_generation_that_superseded_its_own() -> None:
    """A PUT while the wave's run is under way: the newer run is urgent too, and what starts has its config."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.on_call = refuse_changes_of(A)
        group_id = await ready(story)
        world.on_call = lambda _call: None
        view = await start(story, group_id)
        await work(story)
        await story.update(group_id, {A: OTHER, B: OTHER})
        assert {message.queue for message in world.queues.messages} == {Queue.URGENT.value}
        await story.settle()
        view = await read(story, view)
        assert (view.wave.status, named(view)) == (WaveStatus.FINISHED, {})
        assert view.groups[0].generation == story.fleet.statuses()[group_id]["generation"] == 3
        story.watch.check_end(story.wanted)

    told(story)


def test_trace_36_a_held_run_s_time_begins_when_the_hold_ends() -> None:
    """A PUT in a hold of hours: its deadline is counted from the end of the hold, and it settles as ready."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.servers.job_seconds = timedelta(hours=5).total_seconds()
        group_id = await ready(story)
        view = await start(story, group_id)
        await work(story)
        await story.update(group_id, {A: OTHER, B: CONFIG})
        (*_, head) = story.fleet.heads(group_id)
        assert head["deadline"] > view.wave.deadline.isoformat()
        process, use_cases = await story.fleet.start_worker()
        released_at = None
        while released_at is None:
            await asyncio.sleep(60)
            await story.fleet.sweep(process, use_cases)
            await work(story)
            if "heldBy" not in story.fleet.statuses()[group_id]:
                released_at = world.now()
        (*_, head) = story.fleet.heads(group_id)
        assert head["beginsAt"] <= released_at.isoformat()
        assert world.now() - view.wave.accepted_at < timedelta(hours=5, minutes=10)
        await story.settle()
        assert story.fleet.statuses()[group_id]["status"] == "ready"
        story.watch.check_end(story.wanted)

    told(story)


def test_trace_37_a_recovery_takes_over_from_a_drill() -> None:
    """The drill's job is waited for, and named meanwhile; then the same source servers are recovered."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.servers.job_seconds = 600.0
        group_id = await ready(story)
        drill = await start(story, group_id, name="drill")
        await work(story)
        (drill_job,) = world.servers.jobs
        view = await start(story, group_id, name="recovery", is_drill=False)
        assert story.fleet.statuses()[group_id]["heldBy"] == view.wave.wave_id
        await work(story)
        view = await read(story, view)
        assert view.wave.status is WaveStatus.WAITING
        assert view.wave.waiting_for == f"job: {A}, {B} still in {drill_job['jobID']}, a drill"
        await story.settle()
        assert (await read(story, view)).wave.status is WaveStatus.FINISHED
        assert (await read(story, drill)).wave.status is WaveStatus.FINISHED
        assert [job["initiatedBy"] for job in world.servers.jobs] == ["START_DRILL", "START_RECOVERY"]
        story.watch.check_end(story.wanted)

    told(story)


def test_what_a_drill_kept_back_begins_when_a_recovery_takes_over() -> None:
    """A run was opened in the drill's hold, and its urgent jobs are lost: it is revived in minutes, not hours."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.servers.job_seconds = 600.0
        group_id = await ready(story)
        await start(story, group_id, name="drill")
        await work(story)
        await story.update(group_id, {A: OTHER, B: CONFIG})
        view = await start(story, group_id, name="recovery", is_drill=False)
        await work(story)
        world.queues.messages.clear()
        await story.settle()
        assert (await read(story, view)).wave.status is WaveStatus.FINISHED
        assert world.now() - view.wave.accepted_at < timedelta(minutes=40)
        story.watch.check_end(story.wanted)

    told(story)


def test_what_a_drill_has_not_started_when_it_is_taken_over_is_not_started() -> None:
    """It waited for a quota: its part says that it lost the group, and only the recovery starts a job."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        group_id = await ready(story)
        world.servers.most_jobs = 0
        drill = await start(story, group_id, name="drill")
        await work(story)
        view = await start(story, group_id, name="recovery", is_drill=False)
        world.servers.most_jobs = 20
        await story.settle()
        assert {code for code, _ in named(await read(story, drill)).values()} == {"HOLD_LOST"}
        assert (await read(story, view)).wave.status is WaveStatus.FINISHED
        assert [job["initiatedBy"] for job in world.servers.jobs] == ["START_RECOVERY"]
        story.watch.check_end(story.wanted)

    told(story)


def test_a_wave_that_is_stopped_leaves_the_run_that_it_waited_for_as_it_is() -> None:
    """It launched nothing yet, so nothing was kept back: the run's time goes on, and its jobs are not sent again."""

    async def story(story: Story) -> None:
        group_id = await story.create("web", A, B)
        story.fleet.world.queues.messages.clear()
        view = await start(story, group_id)
        await work(story)
        story.fleet.world.queues.messages.clear()
        (before,) = story.fleet.heads(group_id)

        async def stop(services: Services, _who: Requester) -> bool:
            await services.waves.end_purged(view.wave.wave_id)
            return True

        await story.ask("purge", stop)
        process, use_cases = await story.fleet.start_worker()
        await asyncio.sleep(60)
        await process.run(lambda: use_cases.start_wave(view.wave.wave_id))
        assert "heldBy" not in story.fleet.statuses()[group_id]
        (after,) = story.fleet.heads(group_id)
        assert after == before
        assert story.fleet.world.queues.messages == []
        await story.settle()
        story.watch.check_end(story.wanted)

    told(story)


def test_of_a_wave_that_was_stopped_nothing_more_is_started() -> None:
    """Its message was purged: the group is given back, and every source server is named with the reason."""

    async def story(story: Story) -> None:
        group_id = await ready(story)
        view = await start(story, group_id)

        async def stop(services: Services, _who: Requester) -> bool:
            await services.waves.end_purged(view.wave.wave_id)
            return True

        await story.ask("purge", stop)
        await story.settle()
        assert {code for code, _ in named(await read(story, view)).values()} == {"PURGED"}
        assert story.fleet.world.servers.jobs == []
        story.watch.check_end(story.wanted)

    told(story)


def test_a_member_that_left_while_the_wave_waited_is_left_out() -> None:
    """An update takes it out of the group: it is named, and the others are recovered."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.on_call = refuse_changes_of(A)
        group_id = await ready(story)
        view = await start(story, group_id)
        await work(story)
        await story.update(group_id, {B: CONFIG})
        await story.settle()
        view = await read(story, view)
        assert named(view) == {A: ("NOT_READY", f"{A} is no member of the group any more.")}
        (job,) = world.servers.jobs
        assert [each["sourceServerID"] for each in job["participatingServers"]] == [B]

    told(story)


def test_an_account_that_refuses_is_not_asked_again_for_each_half() -> None:
    """StartRecovery is denied: one call, and every source server says so."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        members = [f"s-{number:017d}" for number in range(8)]
        world.servers.add(*members)
        group_id = await ready(story, "web", *members)
        denied = refuse("AccessDeniedException", "StartRecovery")
        world.on_call = lambda call: denied if call.operation == START else None
        since = len(world.calls)
        view = await start(story, group_id)
        await story.settle()
        told_of = named(await read(story, view))
        assert set(told_of) == set(members)
        assert {code for code, _ in told_of.values()} == {"AccessDeniedException"}
        assert calls(story, since, START) == 1

    told(story)


def test_all_groups_that_are_not_there_are_named_at_once() -> None:
    """A list of groups that is older than what was deleted since is mended in one go, and nothing is stored."""

    async def story(story: Story) -> None:
        group_id = await ready(story)
        with pytest.raises(NotFound) as refused:
            await start(story, "pg-gone", group_id, "pg-never")
        assert (refused.value.code, refused.value.detail) == (
            "GROUP_NOT_FOUND",
            "2 of 3 protection groups are not in this stack; see errors.",
        )
        assert [(error.pointer, error.code, error.message) for error in refused.value.errors] == [
            (f"/groupIds/{number}", "GROUP_NOT_FOUND", f"There is no protection group {name!r} in this stack.")
            for number, name in ((0, "pg-gone"), (2, "pg-never"))
        ]
        with pytest.raises(NotFound, match="There is no protection group 'pg-gone'"):
            await start(story, "pg-gone")
        assert "heldBy" not in story.fleet.statuses()[group_id]

    told(story)


def test_no_second_wave_recovers_a_group_beside_another() -> None:
    """Neither a drill nor a second recovery: it is told which wave has the group."""

    async def story(story: Story) -> None:
        group_id = await ready(story)
        view = await start(story, group_id, is_drill=False)
        for is_drill in (True, False):
            with pytest.raises(Conflict) as refused:
                await start(story, group_id, name=f"second {is_drill}", is_drill=is_drill)
            assert view.wave.wave_id in refused.value.errors[0].message
        await story.settle()
        assert len(story.fleet.world.servers.jobs) == 1

    told(story)


def test_a_quota_of_jobs_is_waited_for_and_said() -> None:
    """One job at a time: the second part waits, the wave says so, and starts it when there is room."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        first, second = await ready(story, "web", A), await ready(story, "db", B)
        world.servers.most_jobs = 1
        view = await start(story, first, second)
        await work(story)
        view = await read(story, view)
        assert view.wave.status is WaveStatus.WAITING
        assert (view.wave.waiting_for or "").startswith("job quota: ")
        await story.settle()
        assert (await read(story, view)).wave.status is WaveStatus.FINISHED
        assert len(world.servers.jobs) == 2

    told(story)


def test_a_wave_whose_message_is_lost_is_found_by_the_sweeper() -> None:
    """Accepted and never delivered: it starts all the same, once."""

    async def story(story: Story) -> None:
        group_id = await ready(story)
        view = await start(story, group_id)
        story.fleet.world.queues.messages.clear()
        await story.settle()
        assert (await read(story, view)).wave.status is WaveStatus.FINISHED
        assert len(story.fleet.world.servers.jobs) == 1

    told(story)


def test_a_wave_that_nobody_goes_on_with_says_where_to_look() -> None:
    """Without a worker nothing is started: alone and in the list the wave says so, until somebody goes on with it."""

    async def story(story: Story) -> None:
        view = await start(story, await ready(story))
        due = view.wave.look_at
        silent = f"workers: nobody went on since {say_time(due)}: see whether workers run, and `prelaunch dlq list`"

        async def waits_for() -> list[str | None]:
            waves, _ = await story.ask("list", lambda services, _who: services.waves.list_accepted(9, None))
            return [(await read(story, view)).wave.waiting_for, *(wave.waiting_for for wave in waves)]

        await asyncio.sleep((due - story.fleet.world.now() + BELIEVED).total_seconds() - 5)
        assert await waits_for() == [None, None]
        await asyncio.sleep(5)
        assert await waits_for() == [silent, silent]
        await work(story)
        assert (await read(story, view)).wave.status is WaveStatus.STARTED
        await asyncio.sleep(3600)
        assert await waits_for() == [None, None]

    told(story)


def test_what_is_not_over_after_six_hours_is_given_up_and_given_back() -> None:
    """Its jobs never end: the wave has failed, says so, and the group is free."""

    async def story(story: Story) -> None:
        story.fleet.world.servers.job_seconds = timedelta(days=9).total_seconds()
        group_id = await ready(story)
        view = await start(story, group_id)
        process, use_cases = await story.fleet.start_worker()
        for _ in range(37):
            await work(story)
            await asyncio.sleep(600)
            await story.fleet.sweep(process, use_cases)
        await work(story)
        view = await read(story, view)
        assert view.wave.status is WaveStatus.FAILED
        assert {code for code, _ in named(view).values()} == {"LAUNCH_FAILED"}
        assert "heldBy" not in story.fleet.statuses()[group_id]

    told(story)


def test_trace_19_a_group_that_is_deleted_ends_its_wave() -> None:
    """Deleted while the wave waits for its apply: the wave has failed with GROUP_DELETED."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.on_call = refuse_changes_of(A)
        group_id = await ready(story)
        view = await start(story, group_id)
        await story.delete(group_id)
        await story.settle()
        view = await read(story, view)
        assert (view.wave.status, {code for code, _ in named(view).values()}) == (WaveStatus.FAILED, {"GROUP_DELETED"})
        assert world.servers.jobs == []
        items = [decode(item) for item in world.tables.every("waves")]
        assert not [item for item in items if "unfinished" in item]

    told(story)


def test_snapshots_go_with_their_source_servers() -> None:
    """`recoverySnapshotIds` reaches StartRecovery for the servers that it names; others take the latest."""

    async def story(story: Story) -> None:
        group_id = await ready(story)
        snapshot = "pit-" + "1" * 17
        await start(story, group_id, is_drill=False, snapshots={B: snapshot})
        await work(story)
        (call,) = [call for call in story.fleet.world.calls if call.operation == START]
        assert call.request["sourceServers"] == [
            {"sourceServerID": A},
            {"sourceServerID": B, "recoverySnapshotID": snapshot},
        ]
        await story.settle()

    told(story)


def test_a_wave_holds_as_many_groups_as_a_body_may_name() -> None:
    """All of them are accepted, under a key and with a task that waits; more parts than fit are refused in numbers."""

    async def tell() -> None:
        world = World(seed=13)
        story = Story(Fleet(world))
        single = [f"s-{number:017d}" for number in range(MAX_WAVE_GROUPS)]
        many = [f"s-{number:017d}" for number in range(1000, 1000 + 33 * PART_SIZE + 1)]
        world.servers.add(*single, *many)
        groups = [await story.create(f"group {number}", each) for number, each in enumerate(single)]
        large = await story.create("large", *many)
        wave = await story.ask(
            "all", lambda services, who: services.waves.accept(WaveRequest(tuple(groups)), who), waits=True
        )
        assert len(wave.groups) == len(wave.parts) == MAX_WAVE_GROUPS
        with pytest.raises(RequestRefused) as refused:
            await start(story, large, *groups[1:], name="too many")
        assert str(refused.value) == (
            "A wave of 32 groups in 65 parts of at most 100 source servers is too large to be accepted as one: twice"
            " the groups and the parts may come to 97 together, and come to 129. Start it as several waves."
        )

    run_virtually(tell)
