"""The survey of a large run, over the twin: what it spares, and that it makes nobody believe what is not so."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tests.fakes.twin.fleet import Fleet
from tests.fakes.twin.world import Call, Trouble, World
from tests.fakes.virtual_time import run_virtually
from tests.faults.scenarios import CONFIG, OTHER, Story
from workers.apply.survey import SURVEYED_FROM

MEMBERS = tuple(f"s-{number:017d}" for number in range(SURVEYED_FROM + 10))
READ, LIST, READ_TEMPLATE = (
    "get_launch_configuration",
    "describe_launch_templates",
    "describe_launch_template_versions",
)
LONG_AGO_SECONDS = 60


def tell(act: Callable[[Story, str], Awaitable[None]], pause: float = LONG_AGO_SECONDS, scale: float = 1) -> list[Call]:
    """Make a large group ready, let some time pass, do something to it, and answer the calls to AWS that it took."""

    async def told() -> list[Call]:
        world = World(seed=5)
        story = Story(Fleet(world, scale))
        world.servers.add(*MEMBERS)
        group_id = await story.create("web", *MEMBERS)
        await story.settle()
        await asyncio.sleep(pause)
        begun = len(world.calls)
        await act(story, group_id)
        await story.settle()
        assert story.fleet.statuses()[group_id]["status"] == "ready"
        story.watch.check_end(story.wanted)
        return [call for call in world.calls[begun:] if call.service in {"drs", "ec2"}]

    return run_virtually(told)


def count(calls: Sequence[Call]) -> dict[str, int]:
    return dict(Counter(call.operation for call in calls))


async def force(story: Story, group_id: str) -> None:
    await story.apply(group_id)


def test_a_large_run_over_what_is_right_reads_no_template() -> None:
    """One Get a source server, one call for all templates, no write: what was verified before is known."""
    assert count(tell(force)) == {READ: len(MEMBERS), LIST: 1}


def test_only_the_template_that_somebody_wrote_is_read() -> None:
    """A version that is not the one that was verified is read, found to be drift, and repaired."""

    async def drift(story: Story, group_id: str) -> None:
        story.watch.edited[MEMBERS[7]] = story.fleet.world.now()
        story.fleet.world.servers.edit(MEMBERS[7], InstanceType="t3.micro", KeyName="theirs")
        await story.apply(group_id)

    calls = tell(drift)
    assert {call.request["LaunchTemplateId"] for call in calls if call.operation == READ_TEMPLATE} == {
        f"lt-{MEMBERS[7][2:]}"
    }
    assert count(calls)[LIST] == 1
    assert sum(call.is_target_write for call in calls) == 2


def test_a_changed_launch_config_is_not_taken_for_right() -> None:
    """The same version with another config wanted is read and written: what was verified was another config."""

    async def change(story: Story, group_id: str) -> None:
        await story.update(group_id, {**dict.fromkeys(MEMBERS, CONFIG), MEMBERS[3]: OTHER})
        await story.apply(group_id)

    calls = tell(change)
    written = {call.request["LaunchTemplateId"] for call in calls if call.operation == "create_launch_template_version"}
    assert written == {f"lt-{MEMBERS[3][2:]}"}


def test_a_survey_of_right_after_our_own_write_is_not_believed() -> None:
    """EC2 may still answer the state before: until five seconds after its write a template is read by itself."""
    # Ten times as long here: the story takes longer than that from a write to the next run.
    calls = tell(force, pause=0, scale=10)
    assert count(calls).get(READ_TEMPLATE, 0) > 0
    assert not any(call.is_target_write for call in calls)


def test_one_template_that_is_gone_costs_the_others_nothing_but_reads() -> None:
    """EC2 refuses the whole page: its templates are read one by one."""

    async def lose(story: Story, group_id: str) -> None:
        servers = story.fleet.world.servers
        refuse = servers.describe_launch_templates

        def describe(**request: object) -> object:
            servers.templates.pop("lt-gone", None)
            return refuse(LaunchTemplateIds=["lt-gone", *request["LaunchTemplateIds"]])  # type: ignore[misc]  # a list

        servers.describe_launch_templates = describe  # type: ignore[method-assign,assignment]  # for this story
        await story.apply(group_id)

    assert count(tell(lose)) == {READ: len(MEMBERS), LIST: 1, READ_TEMPLATE: len(MEMBERS)}


@pytest.mark.parametrize("trouble", [Trouble.CRASH_BEFORE, Trouble.CRASH_AFTER, Trouble.LOST, Trouble.REFUSED])
@pytest.mark.parametrize("which", ["list", "claim", "keep"])
def test_a_survey_that_comes_to_nothing_keeps_no_run_from_its_end(trouble: Trouble, which: str) -> None:
    """Whatever dies or is refused while a survey is made: the run ends ready, and nothing is written."""
    met: list[Call] = []

    def strikes(call: Call) -> bool:
        key = call.request.get("Key", {}).get("item", {}).get("S", "")
        if which == "list" or not key.startswith("survey#") or call.operation != "update_item":
            return which == "list" and call.operation == LIST
        return ("ConditionExpression" in call.request) is (which == "claim")

    def strike(call: Call) -> Trouble | None:
        if met or not strikes(call):
            return None
        met.append(call)
        return trouble

    async def break_(story: Story, group_id: str) -> None:
        story.fleet.world.on_call = strike
        await story.apply(group_id)

    calls = tell(break_)
    assert met
    assert not any(call.is_target_write for call in calls)


def test_a_small_run_makes_no_survey() -> None:
    """A call for all is not worth it for a few."""

    async def told() -> list[Call]:
        world = World(seed=5)
        story = Story(Fleet(world))
        world.servers.add(*MEMBERS)
        group_id = await story.create("web", *MEMBERS[:SURVEYED_FROM])
        await story.settle()
        await asyncio.sleep(LONG_AGO_SECONDS)
        await story.apply(group_id)
        await story.settle()
        return world.calls

    assert LIST not in count(run_virtually(told))
