"""The survey of a large run, over the twin: what it spares, and that it makes nobody believe what is not so."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest

from tests.fakes.runs import OPENED_AT, run_over
from tests.fakes.twin.fleet import Fleet
from tests.fakes.twin.world import Call, Trouble, World
from tests.fakes.virtual_time import now, run_virtually
from tests.faults.scenarios import CONFIG, OTHER, Story
from workers.apply.survey import LOOK_SECONDS, LOOKS, SURVEYED_FROM, Surveys
from workers.aws.calls import TRANSIENT_TRIES
from workers.core.contract import Queue
from workers.core.priority import Priority, read_priority, set_priority
from workers.core.status import Status
from workers.core.store.records import ServerItem
from workers.core.store.surveys import Survey, Surveyed, SurveyStore

MEMBERS = tuple(f"s-{number:017d}" for number in range(SURVEYED_FROM + 10))
SURVEYED = MEMBERS[: SURVEYED_FROM + 1]
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


def test_a_survey_that_hangs_is_cut_short() -> None:
    """EC2 answers nobody who asks for many templates: those who wait for it go on soon, and read one by one."""

    async def hang(story: Story, group_id: str) -> None:
        story.fleet.world.choose_delay = lambda call: 1000.0 if call.operation == LIST else 0.0
        await story.apply(group_id)
        begun = story.fleet.world.seconds()
        await story.settle()
        assert story.fleet.world.seconds() - begun < 60

    assert count(tell(hang)) == {READ: len(MEMBERS), LIST: 1, READ_TEMPLATE: len(MEMBERS)}


def test_what_keeps_a_page_from_being_read_ends_the_survey(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that fails would fail each further page, each time after all tries and waits."""
    monkeypatch.setattr("workers.apply.survey.PAGE", 10)

    async def fail(story: Story, group_id: str) -> None:
        story.fleet.world.on_call = lambda call: Trouble.LOST if call.operation == LIST else None
        await story.apply(group_id)

    assert count(tell(fail))[LIST] == TRANSIENT_TRIES


class Elsewhere:
    """A survey that another process makes, and has made after a while."""

    def __init__(self, survey: Survey, after: float) -> None:
        self.asked: list[float] = []
        self._survey, self._there_at = survey, now() + after

    async def read(self, _group_id: str, _generation: int) -> Survey | None:
        self.asked.append(now())
        return self._survey if now() >= self._there_at else None

    async def claim(self, *_: object) -> bool:
        return False


def test_who_waited_in_vain_for_another_process_looks_again() -> None:
    """A survey that takes longer than anybody waits is used by the jobs that come later, who wait for nothing."""

    async def play() -> tuple[list[float], list[Surveyed | None]]:
        run = run_over(SURVEYED, frozenset(SURVEYED))
        item = ServerItem(
            SURVEYED[0], Status.READY, 2, run.config_hashes[SURVEYED[0]], OPENED_AT, 1,
            launch_template_id="lt-1", launch_template_version=7,
        )  # fmt: skip
        store = Elsewhere({"lt-1": Surveyed("lt-1", 7, OPENED_AT)}, after=8.0)
        nobody: Any = None
        surveys = Surveys(runs=nobody, store=cast("SurveyStore", store), templates=nobody, clock=lambda: OPENED_AT)
        waited, found = [], []
        for _ in range(8):
            begun = now()
            found.append(await surveys.find(run, item))
            waited.append(now() - begun)
            await asyncio.sleep(1)
        return waited, found

    waited, found = run_virtually(play)
    assert LOOKS * LOOK_SECONDS - 1 < waited[0] <= LOOKS * LOOK_SECONDS
    assert waited[1:] == [0.0] * 7
    assert found[0] is None
    assert found[-1] == Surveyed("lt-1", 7, OPENED_AT)


@pytest.mark.parametrize("queue", Queue.__members__.values())
def test_a_survey_has_the_priority_of_the_job_that_makes_it(queue: Queue) -> None:
    """Bulk work leaves its half to others here too; what a wave waits for reads its own, and waits for none."""
    seen: list[Priority] = []

    async def play() -> None:
        class Store:
            async def read(self, *_: object) -> Survey | None:
                seen.append(read_priority())
                return {}

        set_priority(queue)
        run = run_over(SURVEYED, frozenset(SURVEYED))
        item = ServerItem(
            SURVEYED[0], Status.READY, 2, run.config_hashes[SURVEYED[0]], OPENED_AT, 1, launch_template_version=7
        )
        nobody: Any = None
        store = cast("SurveyStore", Store())
        await Surveys(runs=nobody, store=store, templates=nobody, clock=lambda: OPENED_AT).find(run, item)
        assert seen == ([] if queue is Queue.URGENT else [read_priority()])

    run_virtually(play)


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
