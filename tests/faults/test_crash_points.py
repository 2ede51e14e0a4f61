"""
Every call that we make to SQS, DynamoDB, DRS or EC2, going wrong in every way, one at a time.

A clean run of a story is recorded; then the story is told again once for each call and each trouble. However it goes,
it ends settled, with all promises kept and at most one new template version for a source server and a payload.
"""

from functools import partial

import pytest

from tests.fakes.twin.fleet import Fleet
from tests.fakes.twin.world import Call, Trouble, World
from tests.fakes.virtual_time import run_virtually
from tests.faults.scenarios import SCENARIOS, Scenario, Story

READS = ("get_", "batch_get_", "query", "describe_")


def choose_troubles(call: Call) -> tuple[Trouble, ...]:
    """Tell what can go wrong at a call and makes a difference."""
    if call.operation.startswith(READS):
        return (Trouble.CRASH_BEFORE, Trouble.REFUSED)
    always = (Trouble.CRASH_BEFORE, Trouble.CRASH_AFTER, Trouble.LOST, Trouble.REFUSED)
    # The SDK repeats no call to DRS or EC2 for us; and ours to DynamoDB and SQS it waits out.
    return (*always, Trouble.LATE if call.is_target_write else Trouble.REPEATED)


async def tell(scenario: Scenario, point: int | None = None, trouble: Trouble | None = None) -> list[Call]:
    """Tell a story with one trouble, or none, and answer the calls that were made."""
    world = World(seed=7)
    story = Story(Fleet(world, scenario.time_scale))
    group_id = await scenario.prepare(story)
    story.watch.check()
    begun = len(world.calls)
    made = {key: len(template.made) for key, template in world.servers.templates.items()}
    met: list[Call] = []

    def strike(call: Call) -> Trouble | None:
        if point is None or call.number != begun + point:
            return None
        met.append(call)
        return trouble

    world.on_call = strike
    await scenario.act(story, group_id)
    await story.settle()
    assert len(met) == (point is not None), "the story has changed: nothing went wrong in it"
    story.watch.check_end(story.wanted)
    for key, template in world.servers.templates.items():
        assert len(template.made) - made[key] <= scenario.versions, f"{key}: {template.made}"
    for group, status in story.fleet.statuses().items():
        assert status["status"] == scenario.ends, status
        assert len(story.fleet.heads(group)) <= scenario.generations
    assert len(world.servers.jobs) == scenario.jobs
    scenario.check(story)
    return world.calls[begun:]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_whatever_goes_wrong_at_any_call_everything_settles(scenario: Scenario) -> None:
    """One trouble at one call: settled, ready, promises kept, nothing twice."""
    clean = run_virtually(lambda: tell(scenario))
    assert len(clean) > 10  # a story of no calls proves nothing
    broken = []
    for point, call in enumerate(clean):
        for trouble in choose_troubles(call):
            try:
                run_virtually(partial(tell, scenario, point, trouble))
            except AssertionError as error:
                broken.append(f"{trouble.name} at {point} {call.process} {call.service}.{call.operation}: {error}")
    assert not broken, f"{len(broken)} of {len(clean)} calls:\n" + "\n".join(broken)
