"""Calls of a wave to DRS that go wrong, several in a row: nothing is started twice, and nobody waits in vain."""

from collections.abc import Callable

import pytest

from tests.fakes.twin.dynamodb import refuse
from tests.fakes.twin.world import LATE_SECONDS, Call, Trouble
from tests.faults.scenarios import A, B, Story
from tests.faults.test_traces import told
from tests.faults.test_waves import START, named, read, ready, start, work
from workers.core.store.wave_records import WaveStatus

OVER_AT_ONCE, GOES_ON = 5.0, 90.0
"""How long a recovery job takes: over before anybody looks, or still running."""


def late_then(code: str, story: Story) -> Callable[[Call], Trouble | Exception | None]:
    """Make the first StartRecovery take effect late, and refuse all others that come before."""
    first: list[float] = []

    def strike(call: Call) -> Trouble | Exception | None:
        now = story.fleet.world.seconds()
        if call.operation != START:
            return None
        first.append(now)
        if len(first) == 1:
            return Trouble.LATE
        return refuse(code, "StartRecovery") if now < first[0] + LATE_SECONDS else None

    return strike


@pytest.mark.parametrize("job_seconds", [OVER_AT_ONCE, GOES_ON])
@pytest.mark.parametrize("code", ["ServiceQuotaExceededException", "ThrottlingException"])
def test_a_refused_repetition_forgets_no_call_that_was_not_answered(code: str, job_seconds: float) -> None:
    """The first call takes effect late, the second is refused: before the third its job is looked for all the same."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.servers.job_seconds = job_seconds
        group_id = await ready(story)
        view = await start(story, group_id)
        world.on_call = late_then(code, story)
        await story.settle()
        view = await read(story, view)
        assert sum(call.operation == START for call in world.calls) > 1, "the second call was refused"
        assert (view.wave.status, named(view)) == (WaveStatus.FINISHED, {})
        assert len(world.servers.jobs) == 1
        story.watch.check_end(story.wanted)

    told(story)


def test_a_job_of_ours_that_is_listed_late_is_adopted_by_the_parts_it_was_for() -> None:
    """Its answer is lost, and DRS lists it after the part was cut in two over the conflict: both halves are its own."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.servers.job_seconds, world.servers.job_lag = 600.0, 600.0
        group_id = await ready(story)
        view = await start(story, group_id)
        (message,) = story.fleet.visible()
        lost = [Trouble.LOST]
        world.on_call = lambda call: lost.pop() if lost and call.operation == START else None
        await story.fleet.deliver(message, *await story.fleet.start_worker())
        while not any(part.is_split for part in view.parts):
            await work(story)
            view = await read(story, view)
        world.servers.job_lag = 0.0
        await story.settle()
        view = await read(story, view)
        assert (view.wave.status, named(view)) == (WaveStatus.FINISHED, {})
        assert [part.launch_statuses for part in view.parts[1:]] == [{A: "LAUNCHED"}, {B: "LAUNCHED"}]
        assert len(world.servers.jobs) == 1
        story.watch.check_end(story.wanted)

    told(story)
