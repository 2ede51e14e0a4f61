"""A field that is named no more is put back, once, to what was there before us; whoever dies over it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.fakes.twin.servers import NEW_CONFIGURATION, NEW_TEMPLATE
from tests.fakes.twin.world import Call, Trouble
from tests.faults.scenarios import BARE, CONFIG, EVERYWHERE, OTHER, WIDE, A, B, Story, check_put_back
from tests.faults.test_traces import CREATE, PROMOTE, instance_type, once, told
from workers.core.outcome import Acknowledge
from workers.core.preview import ServerPlan

READ = "get_launch_configuration"
LONG_AGO = 60.0
"""Longer than a read of EC2 may lag behind our own writes."""


async def make_wide(story: Story, *members: str) -> str:
    group_id = await story.create("web", *(members or (A, B)), launchConfig=WIDE)
    await story.settle()
    return group_id


async def name(story: Story, group_id: str, config: Mapping[str, Any], *members: str) -> None:
    await story.define(group_id, members or (A, B), config)
    await story.settle()


async def deliver_all(story: Story) -> None:
    process, use_cases = await story.fleet.start_worker()
    await asyncio.gather(*(story.fleet.deliver(each, process, use_cases) for each in story.fleet.visible()))


def template_data(story: Story, server_id: str) -> Mapping[str, Any]:
    return story.fleet.world.servers.template_of(server_id).data


def writes(story: Story, begun: int) -> list[Call]:
    return [call for call in story.fleet.world.calls[begun:] if call.is_target_write]


async def preview(story: Story, group_id: str) -> list[ServerPlan]:
    plan = await story.ask("plan", lambda services, _who: services.preview.plan(group_id, 100, None))
    return plan.servers


def test_what_is_named_no_more_is_put_back_once() -> None:
    """Both halves are as before us; what others set there afterwards is theirs, and neither drift nor undone."""

    async def story(story: Story) -> None:
        group_id = await make_wide(story)
        await name(story, group_id, BARE)
        check_put_back(story)
        story.watch.check_end(story.wanted)
        await asyncio.sleep(LONG_AGO)
        story.fleet.world.servers.edit(A, InstanceType="t3.micro")
        story.fleet.world.servers.configurations[A]["copyTags"] = True
        begun = len(story.fleet.world.calls)
        assert await story.look_for_drift() == Acknowledge("drifted 0")
        await story.apply(group_id)
        await story.settle()
        assert writes(story, begun) == []
        assert instance_type(story, A) == "t3.micro"

    told(story)


def test_the_plan_shows_what_is_put_back() -> None:
    """What a run will put back is planned field by field, from what is there to what was; then nothing is to do."""

    async def story(story: Story) -> None:
        group_id = await make_wide(story, A)
        await story.define(group_id, [A], BARE)
        (planned,) = await preview(story, group_id)
        shown = {(item.field, item.observed, item.desired) for step in planned.steps for item in step.drift}
        assert shown == {
            ("copyTags", True, False),
            ("targetInstanceTypeRightSizingMethod", "NONE", "BASIC"),
            ("instanceType", "m5.xlarge", "c5.large"),
        }
        await story.settle()
        (head, *_) = (await history(story, group_id)).runs
        run = await story.ask("run", lambda services, _who: services.history.run(group_id, head.run_id))
        (change,) = run.changes
        assert {(item.field, item.observed, item.desired) for item in change.fields} == shown
        assert [server.steps for server in await preview(story, group_id)] == [()]

    told(story)


async def history(story: Story, group_id: str) -> Any:
    return await story.ask("history", lambda services, _who: services.history.runs(group_id, 10, None))


def test_only_who_had_the_field_is_applied_again() -> None:
    """An override that is taken away is a change of its server alone: the others are not read, and keep their run."""

    async def story(story: Story) -> None:
        group_id = await make_wide(story)
        await story.define(group_id, (A, B), WIDE, {A: {"instanceType": "r5.large"}})
        await story.settle()
        begun = len(story.fleet.world.calls)
        await name(story, group_id, WIDE)
        asked = [call.request for call in story.fleet.world.calls[begun:] if call.service == "drs"]
        assert {request["sourceServerID"] for request in asked} == {A}
        assert story.fleet.heads(group_id)[-1]["listed"] == 1
        # Named by the group all the while: what was there before us is still known, and not put back.
        assert instance_type(story, A) == "m5.xlarge"
        await name(story, group_id, BARE)
        check_put_back(story)

    told(story)


@pytest.mark.parametrize("operation", ["update_launch_configuration", CREATE, PROMOTE])
@pytest.mark.parametrize("trouble", [Trouble.CRASH_BEFORE, Trouble.CRASH_AFTER, Trouble.LATE])
def test_a_try_that_died_is_put_back_by_a_generation_that_never_wrote_it(operation: str, trouble: Trouble) -> None:
    """Generation 1 wrote, in part, and died; generation 2 names nothing of it: all is as before us."""

    async def story(story: Story) -> None:
        story.fleet.world.on_call = once(operation, trouble)
        group_id = await story.create("web", A, launchConfig=WIDE)
        await deliver_all(story)
        await name(story, group_id, BARE, A)
        story.watch.check_end(story.wanted)
        assert template_data(story, A) == NEW_TEMPLATE
        assert story.fleet.world.servers.configurations[A] == NEW_CONFIGURATION

    told(story)


def test_what_a_second_try_observes_is_not_what_was_before_us() -> None:
    """Killed when all was written, done again: what the second worker reads is ours, and not what is put back."""

    async def story(story: Story) -> None:
        story.fleet.world.on_call = once(PROMOTE, Trouble.CRASH_AFTER)
        group_id = await make_wide(story)
        await name(story, group_id, BARE)
        check_put_back(story)

    told(story)


def test_what_a_failed_server_was_given_is_put_back() -> None:
    """DRS was told and EC2 refused: failed. Named no more, the half that was written is put back, and it is ready."""

    async def story(story: Story) -> None:
        story.fleet.world.on_call = lambda call: Trouble.REFUSED if call.operation == CREATE else None
        group_id = await make_wide(story, A)
        assert story.fleet.statuses()[group_id]["status"] == "failed"
        assert story.fleet.world.servers.configurations[A]["copyTags"] is True
        story.fleet.world.on_call = lambda _call: None
        await name(story, group_id, BARE, A)
        assert story.fleet.statuses()[group_id]["status"] == "ready"
        assert story.fleet.world.servers.configurations[A] == NEW_CONFIGURATION

    told(story)


def test_who_leaves_keeps_what_it_has_and_comes_back_as_it_is() -> None:
    """Nothing is written at a leave; who joins again is taken over as it is then, and not as it was long ago."""

    async def story(story: Story) -> None:
        group_id = await make_wide(story)
        begun = len(story.fleet.world.calls)
        await name(story, group_id, WIDE, B)
        assert writes(story, begun) == []
        story.fleet.world.servers.edit(A, InstanceType="t3.micro")
        await name(story, group_id, BARE, B)
        await name(story, group_id, BARE)
        assert (instance_type(story, A), instance_type(story, B)) == ("t3.micro", "c5.large")
        assert story.fleet.world.servers.configurations[A]["copyTags"] is True
        await name(story, group_id, OTHER)
        await name(story, group_id, BARE)
        assert (instance_type(story, A), instance_type(story, B)) == ("t3.micro", "c5.large")
        story.watch.check_end(story.wanted)

    told(story)


def test_another_group_takes_over_what_it_finds() -> None:
    """What the group before had left is what was there before the next one, which puts that back."""

    async def story(story: Story) -> None:
        group_id = await make_wide(story)
        await name(story, group_id, WIDE, B)
        other_id = await story.create("db", A, launchConfig=OTHER)
        await story.settle()
        assert instance_type(story, A) == "r5.large"
        await name(story, other_id, BARE, A)
        assert instance_type(story, A) == "m5.xlarge"
        assert story.fleet.world.servers.configurations[A]["copyTags"] is True
        story.watch.check_end(story.wanted)

    told(story)


def test_a_deleted_group_puts_nothing_back() -> None:
    """Its source servers keep what they have."""

    async def story(story: Story) -> None:
        group_id = await make_wide(story)
        begun = len(story.fleet.world.calls)
        await story.delete(group_id)
        await story.settle()
        assert writes(story, begun) == []

    told(story)


def test_a_group_that_is_deleted_under_a_worker_stays_deleted() -> None:
    """Read from before the deletion, and taken over after it: nothing is written to AWS, and no item is left."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        group_id = await story.create("web", A, launchConfig=WIDE)
        slow = [10.0]
        world.choose_delay = lambda call: slow.pop() if slow and call.operation == READ else 0.0
        working = asyncio.create_task(deliver_all(story))
        await asyncio.sleep(5)
        await story.delete(group_id)
        await working
        assert world.tables.peek("runs", group_id, f"server#{A}") is None
        assert writes(story, 0) == []

    told(story)


def test_what_a_repair_finds_is_not_what_was_before_us() -> None:
    """A field that was right when it was named, then changed and repaired, is put back to what it was named over."""

    async def story(story: Story) -> None:
        members = {"autoRepair": True, "launchConfig": {**CONFIG, "instanceType": "c5.large"}}
        group_id = await story.create("web", A, **members)
        await story.settle()
        await asyncio.sleep(LONG_AGO)
        story.fleet.world.servers.edit(A, InstanceType="t3.micro")
        assert await story.look_for_drift(EVERYWHERE) == Acknowledge("drifted 1")
        await name(story, group_id, BARE, A)
        assert template_data(story, A) == NEW_TEMPLATE

    told(story)


def test_a_reading_of_the_state_before_is_neither_taken_over_nor_written_over() -> None:
    """Put back, then named again while EC2 still answers the state before: what is taken over is what was put back."""

    async def story(story: Story) -> None:
        group_id = await make_wide(story, A)
        await story.define(group_id, [A], BARE)
        await deliver_all(story)
        assert template_data(story, A) == NEW_TEMPLATE
        story.fleet.world.servers._choose_lag = lambda: 4.0
        await story.define(group_id, [A], OTHER)
        await deliver_all(story)
        assert story.fleet.results[-1] == "again"
        await story.settle()
        assert instance_type(story, A) == "r5.large"
        await name(story, group_id, BARE, A)
        assert template_data(story, A) == NEW_TEMPLATE

    told(story)
