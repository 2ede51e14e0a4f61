"""Who leaves a group that a wave launches: no other group has them, and nobody writes for them, until that is over."""

import asyncio

import pytest

from tests.fakes.twin.world import Call, Trouble
from tests.faults.scenarios import CONFIG, OTHER, A, B, C, Story
from tests.faults.test_traces import instance_type, told
from tests.faults.test_wave_calls import sweep_and_work
from tests.faults.test_waves import read, ready, refuse_changes_of, start, work
from workers.core.clock import say_time
from workers.core.requests import Conflict
from workers.core.store.wave_records import WaveStatus, WaveView

SHARDS_READ = "batch_get_item"


async def launch(story: Story) -> tuple[str, WaveView]:
    """Let DRS launch a group of A and B, for a good while."""
    story.fleet.world.servers.job_seconds = 1500.0
    group_id = await ready(story)
    view = await start(story, group_id)
    await work(story)
    return group_id, view


async def nobody_writes(story: Story) -> None:
    """Check that nothing is written to DRS or EC2 while DRS launches A."""
    world = story.fleet.world
    since = len(world.calls)
    await sweep_and_work(story, rounds=3)
    assert world.servers.find_launching(A) is not None
    assert not [call for call in world.calls[since:] if call.is_target_write]


def test_who_left_joins_another_group_when_its_launch_is_over() -> None:
    """Until then that is a conflict, which says why and until when; then the other group's launch config is applied."""

    async def story(story: Story) -> None:
        group_id, view = await launch(story)
        await story.update(group_id, {B: CONFIG})
        with pytest.raises(Conflict) as refused:
            await story.create("db", A, C, launchConfig=OTHER)
        (error,) = refused.value.errors
        assert (refused.value.code, error.code, error.source_server_id) == ("SERVER_CONFLICT", "SERVER_CONFLICT", A)
        assert f"has left protection group {group_id}, which {view.wave.wave_id} is launching" in error.message
        assert f"by {say_time(view.wave.deadline)} at the latest" in error.message
        await nobody_writes(story)
        await story.settle()
        assert (await read(story, view)).wave.status is WaveStatus.FINISHED
        await story.create("db", A, C, launchConfig=OTHER)
        await story.settle()
        assert [instance_type(story, each) for each in (A, B, C)] == ["r5.large", "m5.xlarge", "r5.large"]
        story.watch.check_end(story.wanted)

    told(story)


def test_who_stays_in_a_group_that_is_launched_is_no_leaver() -> None:
    """Another member of it conflicts as ever: nobody has to wait for a wave to be told to choose another."""

    async def story(story: Story) -> None:
        group_id, _ = await launch(story)
        await story.update(group_id, {B: CONFIG})
        with pytest.raises(Conflict) as refused:
            await story.create("db", A, B)
        told_of = {error.source_server_id: error.message for error in refused.value.errors}
        assert told_of[B] == f"{B} belongs to protection group {group_id} already; a source server is in one at most."
        assert told_of[A].startswith(f"{A} has left protection group {group_id}")
        await story.settle()
        story.watch.check_end(story.wanted)

    told(story)


def test_a_group_is_not_deleted_while_it_is_launched() -> None:
    """Its source servers would be free to be written to: who asks is told which wave it is, and until when."""

    async def story(story: Story) -> None:
        group_id, view = await launch(story)
        with pytest.raises(Conflict) as refused:
            await story.delete(group_id)
        assert refused.value.code == "NOT_READY"
        assert f"{group_id} is being launched by {view.wave.wave_id}" in refused.value.detail
        assert f"by {say_time(view.wave.deadline)} at the latest" in refused.value.detail
        with pytest.raises(Conflict):
            await story.create("db", A, launchConfig=OTHER)
        await nobody_writes(story)
        await story.settle()
        assert (await read(story, view)).wave.status is WaveStatus.FINISHED
        await story.delete(group_id)
        await story.create("db", A, launchConfig=OTHER)
        await story.settle()
        assert instance_type(story, A) == "r5.large"
        story.watch.check_end(story.wanted)

    told(story)


def test_a_group_that_begins_to_be_launched_in_the_middle_of_its_deletion_is_kept() -> None:
    """Read as free, launched a moment later: the deletion finds that, and is refused."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        group_id = await ready(story)
        begun = asyncio.Event()

        def hold_up(call: Call) -> float:
            if call.process.startswith("producer") and call.operation == "transact_write_items" and not begun.is_set():
                begun.set()
                return 5.0
            return 0.0

        world.choose_delay = hold_up
        deletion = asyncio.create_task(story.delete(group_id))
        await begun.wait()
        view = await start(story, group_id)
        with pytest.raises(Conflict):
            await deletion
        await story.settle()
        assert (await read(story, view)).wave.status is WaveStatus.FINISHED
        story.watch.check_end(story.wanted)

    told(story)


def test_who_leaves_a_group_that_is_only_claimed_is_free_at_once() -> None:
    """The wave waits for an apply, and has started nothing: whoever left is not recovered by it."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.on_call = refuse_changes_of(A)
        group_id = await ready(story)
        world.on_call = lambda _call: None
        view = await start(story, group_id)
        await story.update(group_id, {B: CONFIG})
        await story.create("db", A, launchConfig=OTHER)
        await story.settle()
        assert [job["participatingServers"] for job in world.servers.jobs] == [[{"sourceServerID": B}]]
        assert (await read(story, view)).wave.status is WaveStatus.FAILED
        assert instance_type(story, A) == "r5.large"
        story.watch.check_end(story.wanted)

    told(story)


def test_who_comes_back_while_the_group_is_launched_stays() -> None:
    """It left and is a member again before the launches end: the end of the hold takes it from nobody."""

    async def story(story: Story) -> None:
        group_id, _ = await launch(story)
        await story.update(group_id, {B: CONFIG})
        await story.update(group_id, {A: OTHER, B: CONFIG})
        await nobody_writes(story)
        await story.settle()
        assert instance_type(story, A) == "r5.large"
        story.watch.check_end(story.wanted)
        with pytest.raises(Conflict, match="belongs to protection group"):
            await story.create("db", A)

    told(story)


def test_who_comes_back_while_the_group_is_given_back_stays() -> None:
    """Its members are read, then it joins again, then the index is read: who is a member by now is not taken out."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        group_id, _ = await launch(story)
        await story.update(group_id, {B: CONFIG})
        reading = asyncio.Event()

        def hold_up(call: Call) -> float:
            is_release = call.operation == SHARDS_READ and "servers#" in str(call.request)
            if call.process.startswith("worker") and is_release and not reading.is_set():
                reading.set()
                return 5.0
            return 0.0

        world.choose_delay = hold_up
        settling = asyncio.create_task(story.settle())
        await reading.wait()
        await story.update(group_id, {A: OTHER, B: CONFIG})
        await settling
        assert instance_type(story, A) == "r5.large"
        story.watch.check_end(story.wanted)

    told(story)


@pytest.mark.parametrize("trouble", [Trouble.CRASH_BEFORE, Trouble.CRASH_AFTER, Trouble.LOST, Trouble.REFUSED])
def test_who_left_is_free_though_the_release_goes_wrong(trouble: Trouble) -> None:
    """Freed in the transaction that gives the group back, or both are done by whoever comes next."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        group_id, _ = await launch(story)
        await story.update(group_id, {B: CONFIG})
        left = [trouble]

        def strike(call: Call) -> Trouble | None:
            is_release = call.operation == "transact_write_items" and "hasLeavers" in str(call.request)
            return left.pop() if left and call.process.startswith("worker") and is_release else None

        world.on_call = strike
        await story.settle()
        assert left == []
        assert "hasLeavers" not in story.fleet.statuses()[group_id]
        await story.create("db", A, launchConfig=OTHER)
        await story.settle()
        story.watch.check_end(story.wanted)

    told(story)


def test_a_group_whose_wave_is_out_of_time_is_deleted_with_its_leavers() -> None:
    """No worker gave it back: what it still kept from others is free with it."""

    async def story(story: Story) -> None:
        group_id, view = await launch(story)
        await story.update(group_id, {B: CONFIG})
        await asyncio.sleep((view.wave.deadline - story.fleet.world.now()).total_seconds())
        await story.delete(group_id)
        await story.create("db", A, launchConfig=OTHER)
        await story.settle()
        assert group_id not in story.fleet.statuses()
        assert instance_type(story, A) == "r5.large"
        story.watch.check_end(story.wanted)

    told(story)
