"""The watch over the twin: what others changed is found, named, repaired or reported; and nothing else is."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes.twin.dynamodb import refuse
from tests.fakes.twin.fleet import Fleet
from tests.fakes.twin.process import ACCOUNT
from tests.fakes.twin.store import TwinStore
from tests.fakes.twin.world import Call, Trouble, World
from tests.fakes.virtual_time import run_virtually
from tests.faults.scenarios import CONFIG, EVERYWHERE, OTHER, A, B, C, Story
from tests.faults.test_traces import instance_type, told
from workers.core.contract import WatchWork
from workers.core.drift_checks import DriftCheck
from workers.core.outcome import Acknowledge, Redeliver
from workers.core.queries import Page, StatusView
from workers.core.runs.selection import ApplyRequest
from workers.watch.standing import Standings

HOURS = 60 * 60.0
LONG_AGO = 60.0
"""Longer than a read of EC2 may lag behind our own writes."""
READ, PAGE = "get_launch_configuration", "describe_launch_template_versions"


async def make_ready(story: Story, *members: str, **more: Any) -> str:
    group_id = await story.create("web", *(members or (A, B)), **more)
    await story.settle()
    await asyncio.sleep(LONG_AGO)
    return group_id


async def status_of(story: Story, group_id: str) -> StatusView:
    return await story.ask("see", lambda services, _who: services.queries.status(group_id, Page(limit=1000)))


def aws_calls(story: Story, begun: int) -> dict[str, int]:
    calls = story.fleet.world.calls[begun:]
    return dict(Counter(call.operation for call in calls if call.service in {"drs", "ec2"}))


def test_what_is_right_is_left_alone_and_verified_anew() -> None:
    """No run, no write; `verifiedAt` is from then on when the watch began."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story)
        before = (await status_of(story, group_id)).status
        begun, at = len(story.fleet.world.calls), story.fleet.world.now()
        assert await story.look_for_drift() == Acknowledge("drifted 0")
        assert aws_calls(story, begun) == {READ: 2, PAGE: 2}
        after = (await status_of(story, group_id)).status
        assert before is not None
        assert after is not None
        assert after.generation == before.generation
        assert before.verified_at is not None
        assert after.verified_at is not None
        assert before.verified_at < at <= after.verified_at
        story.watch.check_end(story.wanted)

    told(story)


def test_what_the_watch_verified_counts_after_the_next_run() -> None:
    """Trace 23 beside the watch: the oldest member's last reading is the watch's, and does not go back."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story)
        watched_at = story.fleet.world.now()
        await story.look_for_drift()
        await story.update(group_id, {A: OTHER, B: CONFIG})
        await story.settle()
        status = (await status_of(story, group_id)).status
        assert status is not None
        assert status.verified_at is not None
        assert status.status.value == "ready"
        assert timedelta(0) <= status.verified_at - watched_at < timedelta(seconds=1)

    told(story)


def test_drift_is_repaired_where_the_group_wants_it() -> None:
    """Only the drifted source servers are in the run; what is not ours of their settings stays as it was changed."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story, autoRepair=True)
        story.fleet.world.servers.edit(A, InstanceType="t3.micro", KeyName="theirs")
        story.fleet.world.servers.configurations[A]["targetInstanceTypeRightSizingMethod"] = "BASIC"
        assert await story.look_for_drift() == Acknowledge("drifted 1")
        assert instance_type(story, A) == "m5.xlarge"
        assert story.fleet.world.servers.template_of(A).data["KeyName"] == "theirs"
        (_, head) = story.fleet.heads(group_id)
        assert (head["reason"], head["mode"], head["listed"]) == ("drift", "apply", 1)
        assert head["outcome"] == "ready"
        story.watch.check_end(story.wanted)

    told(story)


def test_drift_is_reported_where_the_group_does_not_want_it_repaired() -> None:
    """Each drifted field is named, observed and desired; nothing is written; the others stay ready."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story)
        story.fleet.world.servers.edit(A, InstanceType="t3.micro")
        story.fleet.world.servers.configurations[A]["targetInstanceTypeRightSizingMethod"] = "BASIC"
        begun = len(story.fleet.world.calls)
        await story.look_for_drift()
        assert not any(call.is_target_write for call in story.fleet.world.calls[begun:])
        view = await status_of(story, group_id)
        assert view.status is not None
        assert (view.status.status.value, view.status.counts.failed) == ("failed", 1)
        (error,) = view.status.errors
        assert (error.source_server_id, error.code) == (A, "DRIFT_FOUND")
        for told_of in ("instanceType = 't3.micro' instead of 'm5.xlarge'", "'BASIC' instead of 'NONE'"):
            assert told_of in error.message
        assert view.servers[B][0].value == "ready"
        (_, head) = story.fleet.heads(group_id)
        assert head["mode"] == "report"
        run = await story.ask("run", lambda services, _who: services.history.run(group_id, head["runId"]))
        assert {each.field: (each.observed, each.desired) for each in run.changes[0].fields} == {
            "instanceType": ("t3.micro", "m5.xlarge"),
            "targetInstanceTypeRightSizingMethod": ("BASIC", "NONE"),
        }
        story.watch.check()

    told(story)


@pytest.mark.parametrize("repairs", [True, False])
def test_whether_drift_is_repaired_is_as_the_group_says_now(repairs: bool) -> None:
    """An update of `autoRepair` alone opens no run, and counts from then on all the same."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story, autoRepair=not repairs)
        await story.define(group_id, (A, B), CONFIG, autoRepair=repairs)
        await story.settle()
        assert len(story.fleet.heads(group_id)) == 1
        story.fleet.world.servers.edit(A, InstanceType="t3.micro")
        begun = len(story.fleet.world.calls)
        await story.look_for_drift()
        assert story.fleet.heads(group_id)[-1]["mode"] == ("apply" if repairs else "report")
        assert any(call.is_target_write for call in story.fleet.world.calls[begun:]) is repairs
        assert (instance_type(story, A) == "m5.xlarge") is repairs

    told(story)


def test_an_account_is_entered_by_the_role_that_the_group_names_now() -> None:
    """An update of the role alone opens no run; the one before may be gone by the time of the next watch."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story, assumeRoleName="former")
        await story.define(group_id, (A, B), CONFIG, assumeRoleName="present")
        assert len(story.fleet.heads(group_id)) == 1
        store = TwinStore(story.fleet.world)
        (standing,) = await Standings(store.tables, store.groups, store.runs).find(ACCOUNT, "us-east-1")
        assert standing.definition.target.assume_role_name == "present"

    told(story)


async def make_reporting(story: Story) -> str:
    """Of A somebody changed the launch template, and a run that reports it is under way."""
    group_id = await make_ready(story)
    story.fleet.world.servers.edit(A, InstanceType="t3.micro")
    process, use_cases = await story.fleet.start_worker()
    await process.run(lambda: use_cases.watch(EVERYWHERE))
    assert [head["mode"] for head in story.fleet.heads(group_id)] == ["apply", "report"]
    return group_id


def test_who_asks_for_an_apply_does_not_wait_for_a_report() -> None:
    """A run that only reads would never bring the source server to its launch config: another one follows it."""

    async def story(story: Story) -> None:
        group_id = await make_reporting(story)
        answer = await story.ask(
            "apply", lambda services, who: services.submission.apply(group_id, ApplyRequest(), who)
        )
        assert answer.run_id == story.fleet.heads(group_id)[-1]["runId"]
        assert [head["mode"] for head in story.fleet.heads(group_id)] == ["apply", "report", "apply"]
        await story.settle()
        assert instance_type(story, A) == "m5.xlarge"
        story.watch.check_end(story.wanted)

    told(story)


def test_an_update_does_not_leave_what_is_not_ready_to_a_report() -> None:
    """It answers with the run that applies, also where it changes no launch config."""

    async def story(story: Story) -> None:
        group_id = await make_reporting(story)
        await story.define(group_id, (A, B), CONFIG, description="other")
        assert [head["mode"] for head in story.fleet.heads(group_id)] == ["apply", "report", "apply"]
        await story.settle()
        assert instance_type(story, A) == "m5.xlarge"
        story.watch.check_end(story.wanted)

    told(story)


def test_a_lost_job_of_a_report_is_sent_again_and_writes_nothing() -> None:
    """Its dead letter is redriven: the report goes on, and does not become an apply."""

    async def story(story: Story) -> None:
        group_id = await make_reporting(story)
        (job,) = story.fleet.visible()
        story.fleet.world.queues.bury(job)
        begun = len(story.fleet.world.calls)
        await story.redrive()
        await story.settle()
        assert [head["mode"] for head in story.fleet.heads(group_id)] == ["apply", "report"]
        assert not any(call.is_target_write for call in story.fleet.world.calls[begun:])
        (error,) = (await status_of(story, group_id)).status.errors  # type: ignore[union-attr]  # it has one
        assert error.code == "DRIFT_FOUND"

    told(story)


def test_what_was_reported_is_put_back_by_an_apply() -> None:
    """A person's apply of what failed writes it; and the watch finds nothing more."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story)
        story.fleet.world.servers.edit(A, InstanceType="t3.micro")
        await story.look_for_drift()
        begun = len(story.fleet.world.calls)
        assert await story.look_for_drift(WatchWork(ACCOUNT, "us-east-1", source_server_id=A)) == Acknowledge(
            "drifted 0"
        )
        assert aws_calls(story, begun) == {}, "what is known to have failed is looked at again"
        await story.apply(group_id)
        await story.settle()
        story.watch.check_end(story.wanted)
        assert story.fleet.statuses()[group_id]["status"] == "ready"

    told(story)


def test_what_is_put_right_between_look_and_run_is_ready() -> None:
    """A run that reports reads again: what is as it was applied by then is no drift."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story)
        story.fleet.world.servers.edit(A, InstanceType="t3.micro")
        process, use_cases = await story.fleet.start_worker()
        await process.run(lambda: use_cases.watch(EVERYWHERE))
        story.fleet.world.servers.edit(A, InstanceType="m5.xlarge")
        await story.settle()
        assert story.fleet.statuses()[group_id]["status"] == "ready"
        story.watch.check_end(story.wanted)

    told(story)


def test_trace_33_pages_older_than_an_update_find_no_drift() -> None:
    """The pages were read, then an update came and was applied; the rest is read: no run follows from it."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story, autoRepair=True)
        gate = asyncio.Event()
        world = story.fleet.world
        watcher, use_cases = await story.fleet.start_worker()

        async def hold() -> None:
            """Hold the watch once it has read its first launch template."""
            read = (watcher.life.name, PAGE)
            while read not in {(each.process, each.operation) for each in world.calls}:  # noqa: ASYNC110  # virtual
                await asyncio.sleep(0.01)
            watcher.life.stop(world.seconds())
            await gate.wait()
            watcher.life.cont()

        holding = asyncio.create_task(hold())
        watching = asyncio.create_task(watcher.run(lambda: use_cases.watch(EVERYWHERE)))
        while watcher.life.going.is_set():  # noqa: ASYNC110  # virtual
            await asyncio.sleep(0.01)
        await story.update(group_id, {A: OTHER, B: OTHER})
        await story.settle()
        gate.set()
        # What it found is nobody's any more, and what else there may be is looked at again: the message comes again.
        assert isinstance(await watching, Redeliver)
        await holding
        await story.settle()
        assert [head["reason"] for head in story.fleet.heads(group_id)] == ["requested", "requested"]
        story.watch.check_end(story.wanted)

    told(story)


def test_trace_34_what_somebody_sets_again_each_time_is_put_back_three_times() -> None:
    """Another tool puts its value back after each repair: the fourth time it is reported, and then left alone."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story, autoRepair=True)
        world = story.fleet.world
        work = WatchWork(ACCOUNT, "us-east-1", source_server_id=A, changed_by="ModifyLaunchTemplate by robot")
        for _ in range(3):
            world.servers.edit(A, InstanceType="t3.micro")
            await asyncio.sleep(LONG_AGO)
            await story.look_for_drift(work)
            assert instance_type(story, A) == "m5.xlarge"
            assert story.fleet.statuses()[group_id]["status"] == "ready"
        world.servers.edit(A, InstanceType="t3.micro")
        await asyncio.sleep(LONG_AGO)
        begun = len(world.calls)
        await story.look_for_drift(work)
        status = (await status_of(story, group_id)).status
        assert status is not None
        (error,) = status.errors
        assert (error.source_server_id, error.code) == (A, "DRIFT_RECURS")
        assert "instanceType = 't3.micro' instead of 'm5.xlarge'" in error.message
        assert "ModifyLaunchTemplate by robot" in error.message
        generation = status.generation
        await asyncio.sleep(HOURS)
        await story.look_for_drift(work)
        assert story.fleet.statuses()[group_id]["generation"] == generation
        assert not any(call.is_target_write for call in world.calls[begun:])
        story.watch.check()

    told(story)


@pytest.mark.parametrize("operation", ["modify_launch_template", "transact_write_items"])
def test_a_repair_counts_whose_worker_died_before_its_record(operation: str) -> None:
    """The template is put back and nothing recorded, three times: the journal knows, and the fourth is refused."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story, autoRepair=True)
        world = story.fleet.world
        work = WatchWork(ACCOUNT, "us-east-1", source_server_id=A)
        for _ in range(3):
            world.servers.edit(A, InstanceType="t3.micro")
            await asyncio.sleep(LONG_AGO)
            promoted: list[Call] = []

            def die_once(call: Call, seen: list[Call] = promoted) -> Trouble | None:
                ours = call.process.startswith("worker")
                if ours and call.operation == "modify_launch_template":
                    seen.append(call)
                    if operation == call.operation and len(seen) == 1:
                        return Trouble.CRASH_AFTER
                is_record = call.operation == operation == "transact_write_items" and len(seen) == 1
                if is_record and seen[0].process == call.process:
                    seen.append(call)
                    return Trouble.CRASH_BEFORE
                return None

            world.on_call = die_once
            await story.look_for_drift(work)
            assert "killed" in story.fleet.results
            assert instance_type(story, A) == "m5.xlarge"
            assert story.fleet.statuses()[group_id]["status"] == "ready"
        world.on_call = lambda _call: None
        world.servers.edit(A, InstanceType="t3.micro")
        await asyncio.sleep(LONG_AGO)
        await story.look_for_drift(work)
        status = (await status_of(story, group_id)).status
        assert status is not None
        assert [(error.source_server_id, error.code) for error in status.errors] == [(A, "DRIFT_RECURS")]
        assert instance_type(story, A) == "t3.micro"

    told(story)


def test_repairs_of_long_ago_do_not_count() -> None:
    """Three repairs of a field, each more than eight hours after the last one: the fourth is made too."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story, autoRepair=True)
        for _ in range(4):
            story.fleet.world.servers.edit(A, InstanceType="t3.micro")
            await asyncio.sleep(9 * HOURS)
            await story.look_for_drift()
        assert story.fleet.statuses()[group_id]["status"] == "ready"
        assert instance_type(story, A) == "m5.xlarge"

    told(story)


def test_another_field_is_still_repaired() -> None:
    """Repairs are counted by field: three of one do not keep another from being put back."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story, autoRepair=True)
        for _ in range(3):
            story.fleet.world.servers.edit(A, InstanceType="t3.micro")
            await asyncio.sleep(LONG_AGO)
            await story.look_for_drift(WatchWork(ACCOUNT, "us-east-1", source_server_id=A))
        story.fleet.world.servers.configurations[A]["targetInstanceTypeRightSizingMethod"] = "BASIC"
        await asyncio.sleep(LONG_AGO)
        await story.look_for_drift(WatchWork(ACCOUNT, "us-east-1", source_server_id=A))
        assert story.fleet.statuses()[group_id]["status"] == "ready"
        assert story.fleet.world.servers.configurations[A]["targetInstanceTypeRightSizingMethod"] == "NONE"

    told(story)


def test_a_person_s_apply_is_no_repair() -> None:
    """After DRIFT_RECURS an apply that somebody asks for writes, and is not counted."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story, autoRepair=True)
        for _ in range(4):
            story.fleet.world.servers.edit(A, InstanceType="t3.micro")
            await asyncio.sleep(LONG_AGO)
            await story.look_for_drift(WatchWork(ACCOUNT, "us-east-1", source_server_id=A))
        assert story.fleet.statuses()[group_id]["status"] == "failed"
        await story.apply(group_id)
        await story.settle()
        assert story.fleet.statuses()[group_id]["status"] == "ready"
        assert instance_type(story, A) == "m5.xlarge"

    told(story)


@pytest.mark.parametrize("named", ["server", "template"])
def test_an_event_is_looked_into_alone(named: str) -> None:
    """What an event names costs one Get and one template, and no page; who made the change is in the report."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story)
        story.fleet.world.servers.edit(A, InstanceType="t3.micro")
        template = story.fleet.world.servers.template_of(A).template_id
        server_id, template_id = (A, None) if named == "server" else (None, template)
        work = WatchWork(ACCOUNT, "us-east-1", server_id, template_id, changed_by="ModifyLaunchTemplate by bo")
        process, use_cases = await story.fleet.start_worker()
        begun = len(story.fleet.world.calls)
        await process.run(lambda: use_cases.watch(work))
        assert aws_calls(story, begun) == {READ: 1, PAGE: 1}
        await story.settle()
        (error,) = (await status_of(story, group_id)).status.errors  # type: ignore[union-attr]  # it has one
        assert "Latest change: ModifyLaunchTemplate by bo." in error.message
        assert story.fleet.heads(group_id)[-1]["changedBy"] == "ModifyLaunchTemplate by bo"

    told(story)


def recorded(story: Story, member: str) -> tuple[str, int]:
    """Answer a source server's launch template and its default version, as they are now."""
    template = story.fleet.world.servers.template_of(member)
    return template.template_id, template.default


def test_the_event_of_our_own_promotion_asks_nothing_of_aws() -> None:
    """The version that it names is the one that was verified; somebody else's is looked at."""

    async def story(story: Story) -> None:
        await make_ready(story)
        template_id, ours = recorded(story, A)
        process, use_cases = await story.fleet.start_worker()
        promoted = WatchWork(ACCOUNT, "us-east-1", launch_template_id=template_id, default_version=ours)
        begun = len(story.fleet.world.calls)
        assert await process.run(lambda: use_cases.watch(promoted)) == Acknowledge("drifted 0")
        assert aws_calls(story, begun) == {}
        story.fleet.world.servers.edit(A, InstanceType="t3.micro")
        _, theirs = recorded(story, A)
        assert theirs != ours
        changed = WatchWork(ACCOUNT, "us-east-1", launch_template_id=template_id, default_version=theirs)
        assert await process.run(lambda: use_cases.watch(changed)) == Acknowledge("drifted 1")

    told(story)


def count_readings(calls: list[Call]) -> int:
    """Count the first pages of all that is recorded of a group's source servers."""
    return sum(
        call.operation == "query" and "server#" in str(call.request) and not call.request.get("ExclusiveStartKey")
        for call in calls
    )


def test_events_do_not_read_every_source_server_each() -> None:
    """All are read by the first that names a launch template, and for what is nobody's once for all who ask."""

    async def tell() -> None:
        world = World(seed=12)
        story = Story(Fleet(world))
        members = [A, B, C, *(f"s-{number:017d}" for number in range(97))]
        world.servers.add(*members[3:])
        await make_ready(story, *members)
        process, use_cases = await story.fleet.start_worker()

        async def look(template_id: str, version: int) -> None:
            work = WatchWork(ACCOUNT, "us-east-1", launch_template_id=template_id, default_version=version)
            assert await process.run(lambda: use_cases.watch(work)) == Acknowledge("drifted 0")

        async def cost(*named: tuple[str, int]) -> int:
            begun = len(world.calls)
            await asyncio.gather(*(look(*each) for each in named))
            return count_readings(world.calls[begun:])

        assert await cost(*(recorded(story, each) for each in members)) == 1
        assert await cost(*(recorded(story, each) for each in members)) == 0
        # The first begins a reading, and who asks while that is under way waits for the next.
        assert await cost(*((f"lt-{number:017x}", 2) for number in range(50))) <= 2

    run_virtually(tell)


def test_an_event_just_after_our_own_write_is_looked_into_later() -> None:
    """EC2 may still answer the state before: neither drift nor right can be told, so the message comes again."""

    async def story(story: Story) -> None:
        await story.create("web", A, B)
        await story.settle()
        begun = len(story.fleet.world.calls)
        await story.update(next(iter(story.wanted)), {A: OTHER, B: CONFIG})
        process, use_cases = await story.fleet.start_worker()
        for message in story.fleet.visible():
            await story.fleet.deliver(message, process, use_cases)
        begun = len(story.fleet.world.calls)
        outcome = await process.run(lambda: use_cases.watch(WatchWork(ACCOUNT, "us-east-1", source_server_id=A)))
        assert outcome is not None
        assert outcome.reason == "written_just_now"  # type: ignore[union-attr]  # it comes again
        assert aws_calls(story, begun) == {}

    told(story)


def test_pending_and_held_groups_are_passed_by() -> None:
    """What is being applied is no drift, and what a wave launches from is not touched."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story, autoRepair=True)
        story.fleet.world.servers.edit(A, InstanceType="t3.micro")
        process, use_cases = await story.fleet.start_worker()
        status = story.fleet.world.tables.peek("groups", group_id, "status")
        assert status is not None
        status["heldBy"] = {"S": "wave-1"}
        begun = len(story.fleet.world.calls)
        assert await process.run(lambda: use_cases.watch(EVERYWHERE)) == Acknowledge("drifted 0")
        assert aws_calls(story, begun) == {}
        del status["heldBy"]
        await story.apply(group_id)
        begun = len(story.fleet.world.calls)
        later = WatchWork(ACCOUNT, "us-east-1", source_server_id=A)
        assert await process.run(lambda: use_cases.watch(later)) == Acknowledge("drifted 0")
        assert aws_calls(story, begun) == {}

    told(story)


def test_a_source_server_that_is_gone_is_reported() -> None:
    """Deleted in DRS after it was ready: it fails with what DRS says, also where the group repairs."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story, autoRepair=True)
        del story.fleet.world.servers.configurations[A]
        await story.look_for_drift()
        (error,) = (await status_of(story, group_id)).status.errors  # type: ignore[union-attr]  # it has one
        assert (error.source_server_id, error.code) == (A, "ResourceNotFoundException")

    told(story)


def test_a_run_of_a_later_release_is_left_to_it() -> None:
    """A mode that this release does not know: its run is shown, no job of it is done here, and none is lost."""

    async def story(story: Story) -> None:
        group_id = await story.create("web", A, B)
        head = story.fleet.world.tables.peek("runs", group_id, "head#0000000001")
        assert head is not None
        head["mode"] = {"S": "freeze"}
        process, use_cases = await story.fleet.start_worker()
        messages = story.fleet.visible()
        for message in messages:
            await story.fleet.deliver(message, process, use_cases)
        assert story.fleet.results == ["again", "again"]
        assert not any(call.service in {"drs", "ec2"} for call in story.fleet.world.calls)
        page = await story.ask("runs", lambda services, _who: services.history.runs(group_id, 10, None))
        assert [run.mode.value for run in page.runs] == ["later"]
        head["mode"] = {"S": "apply"}
        await story.settle()
        assert story.fleet.statuses()[group_id]["status"] == "ready"

    told(story)


def test_a_watch_is_sent_for_each_account_and_region_and_made_once() -> None:
    """Without an account: one message for each place; a second one within the period looks at nothing."""

    async def story(story: Story) -> None:
        await make_ready(story)
        process, use_cases = await story.fleet.start_worker()
        assert await process.run(lambda: use_cases.watch(WatchWork())) == Acknowledge("sent 1")
        begun = len(story.fleet.world.calls)
        await story.settle()
        assert aws_calls(story, begun) == {READ: 2, PAGE: 2}
        begun = len(story.fleet.world.calls)
        assert await process.run(lambda: use_cases.watch(EVERYWHERE)) == Acknowledge("watched_lately")
        assert aws_calls(story, begun) == {}
        await asyncio.sleep(6 * HOURS)
        assert await process.run(lambda: use_cases.watch(EVERYWHERE)) == Acknowledge("drifted 0")

    told(story)


def answer_nothing(story: Story, server_id: str, minutes: float) -> None:
    """Let DRS fail every read of a source server for so long."""
    world = story.fleet.world
    until = world.seconds() + minutes * 60

    def strike(call: Call) -> Exception | None:
        is_away = call.operation == READ and call.request["sourceServerID"] == server_id and world.seconds() < until
        return refuse("InternalServerException", "GetLaunchConfiguration") if is_away else None

    world.on_call = strike


async def send(story: Story, *named: str) -> None:
    """Ask the workers to look, at what is named or everywhere, and let all that follows from it settle."""
    check = DriftCheck(ACCOUNT, "us-east-1", source_server_ids=named)
    await story.ask("check", lambda services, who: services.drift_checks.ask(check, who))
    await story.settle()


@pytest.mark.parametrize("named", [(), (A,)])
def test_what_could_not_be_read_is_read_once_that_has_passed(named: tuple[str, ...]) -> None:
    """DRS fails for ten minutes while the watch is under way: the drift is found all the same, and not hours later."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story, autoRepair=True)
        story.fleet.world.servers.edit(A, InstanceType="t3.micro")
        answer_nothing(story, A, minutes=10)
        await send(story, *named)
        assert story.fleet.world.seconds() < HOURS
        assert instance_type(story, A) == "m5.xlarge"
        assert [head["reason"] for head in story.fleet.heads(group_id)] == ["requested", "drift"]

    told(story)


def test_what_cannot_be_read_at_all_costs_a_few_looks_a_period() -> None:
    """One source server that DRS never answers for: five looks, then the next one comes by the schedule."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story)
        verified_at = story.fleet.statuses()[group_id]["verifiedAt"]
        answer_nothing(story, A, minutes=24 * 60)
        begun = len(story.fleet.world.calls)
        await send(story)
        looks = [call for call in story.fleet.world.calls[begun:] if call.operation == READ]
        assert Counter(call.request["sourceServerID"] for call in looks)[B] == 5
        begun = len(story.fleet.world.calls)
        await send(story)
        assert aws_calls(story, begun) == {}
        assert story.fleet.statuses()[group_id]["verifiedAt"] == verified_at
        await asyncio.sleep(6 * HOURS)
        await send(story)
        assert aws_calls(story, begun)[READ] >= 2

    told(story)


def test_what_was_found_is_not_forgotten_because_the_group_was_renamed() -> None:
    """An update without a generation comes between look and run: it is looked at again, and then repaired."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story, autoRepair=True)
        world = story.fleet.world
        world.servers.edit(A, InstanceType="t3.micro")
        watcher, use_cases = await story.fleet.start_worker()
        watching = asyncio.create_task(watcher.run(lambda: use_cases.watch(EVERYWHERE)))
        read = (watcher.life.name, READ)
        while read not in {(each.process, each.operation) for each in world.calls}:  # noqa: ASYNC110  # virtual
            await asyncio.sleep(0.01)
        watcher.life.stop(world.seconds())
        await story.define(group_id, (A, B), CONFIG, autoRepair=True, description="other")
        watcher.life.cont()
        outcome = await watching
        assert isinstance(outcome, Redeliver)
        assert outcome.after is not None
        assert instance_type(story, A) == "t3.micro"
        await asyncio.sleep(outcome.after.total_seconds())
        assert await story.look_for_drift() == Acknowledge("drifted 1")
        assert instance_type(story, A) == "m5.xlarge"

    told(story)


@pytest.mark.unmeasured
def test_a_thousand_source_servers_cost_five_pages_and_a_thousand_reads() -> None:
    """One Get each, 200 templates a page, no write; each read has its turn from the fleet's buckets."""

    async def tell() -> None:
        world = World(seed=11)
        story = Story(Fleet(world))
        members = [A, B, C, *(f"s-{number:017d}" for number in range(997))]
        world.servers.add(*members[3:])
        group_id = await make_ready(story, *members)
        begun = len(world.calls)
        assert await story.look_for_drift() == Acknowledge("drifted 0")
        assert aws_calls(story, begun) == {READ: 1000, PAGE: 5}
        turns = [str(call.request) for call in world.calls[begun:] if "rate-buckets" in str(call.request)]
        assert any("drs.GetLaunchConfiguration" in turn for turn in turns)
        reads = sorted(call.at for call in world.calls[begun:] if call.operation == READ)
        # DRS's bucket holds 100 and gives 10 a second, which climbs slowly while nothing is throttled.
        assert all(at - reads[0] >= (number - 100) / 11 for number, at in enumerate(reads))
        assert story.fleet.statuses()[group_id]["status"] == "ready"

    run_virtually(tell)
