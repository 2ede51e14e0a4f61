"""Calls of a wave to DRS that go wrong, several in a row: nothing is started twice, and nobody waits in vain."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from producer.services import Services
from tests.fakes.twin.dynamodb import refuse
from tests.fakes.twin.world import LATE_SECONDS, Call, Trouble
from tests.faults.scenarios import OTHER, A, B, Story
from tests.faults.test_traces import once, told
from tests.faults.test_waves import START, calls, named, read, ready, start, work
from workers.aws.calls import THROTTLED_TRIES
from workers.core.model.waves import Verify
from workers.core.requests import Requester
from workers.core.store.wave_records import WaveStatus, WaveView

OVER_AT_ONCE, GOES_ON = 5.0, 90.0
"""How long a recovery job takes: over before anybody looks, or still running."""
DESCRIBE = "describe_jobs"
REPEATED_AFTER = 34.0
"""Seconds after which a call that was not answered is surely over, before one takes effect late."""
SWEPT_AFTER = 61.0
"""Seconds after which the sweeper looks after a wave that is started."""


def calls_of(story: Story, operation: str) -> int:
    return sum(call.operation == operation for call in story.fleet.world.calls)


async def sweep_and_work(story: Story, *, rounds: int) -> None:
    """Let time pass, sweep, and do every message that is visible, once; as often as is said."""
    process, use_cases = await story.fleet.start_worker()
    for _ in range(rounds):
        await asyncio.sleep(SWEPT_AFTER)
        await story.fleet.sweep(process, use_cases)
        await work(story)


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
        await work(story)
        await asyncio.sleep(REPEATED_AFTER)
        await work(story)
        assert calls_of(story, START) > 1, "the second call was refused"
        await story.settle()
        view = await read(story, view)
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


def jobs_are_hidden(code: str) -> Callable[[Call], Exception | None]:
    """Refuse every DescribeJobs."""
    error = refuse(code, "DescribeJobs")
    return lambda call: error if call.operation == DESCRIBE else None


@pytest.mark.parametrize("code", ["AccessDeniedException", "InternalServerException", "ThrottlingException"])
def test_a_job_that_cannot_be_followed_is_said_and_kept(code: str) -> None:
    """DRS does not tell how far the jobs are: the wave says so, its groups stay held, and it is followed later on."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        group_id = await ready(story)
        view = await start(story, group_id)
        await work(story)
        world.on_call = jobs_are_hidden(code)
        await sweep_and_work(story, rounds=4)
        view = await read(story, view)
        assert view.wave.status is WaveStatus.STARTED
        assert (view.wave.waiting_for or "").startswith("launches: drs.DescribeJobs does not tell how far they are")
        assert story.fleet.statuses()[group_id]["launching"] is True
        assert calls_of(story, DESCRIBE) <= 4 * THROTTLED_TRIES, "it is asked once a sweep"
        world.on_call = lambda _call: None
        await story.settle()
        view = await read(story, view)
        assert (view.wave.status, view.wave.waiting_for) == (WaveStatus.FINISHED, None)
        story.watch.check_end(story.wanted)

    told(story)


def test_nothing_waits_for_jobs_that_cannot_be_followed() -> None:
    """One part is started, DescribeJobs fails since, and a quota gets free: the other part starts all the same."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        members = [f"s-{number:017d}" for number in range(101)]
        world.servers.add(*members)
        world.servers.most_jobs, world.servers.job_seconds = 1, 3000.0
        view = await start(story, await ready(story, "web", *members))
        await work(story)
        world.on_call = jobs_are_hidden("InternalServerException")
        world.servers.most_jobs = 2
        await sweep_and_work(story, rounds=2)
        view = await read(story, view)
        assert (view.wave.status, len(world.servers.jobs)) == (WaveStatus.STARTED, 2)
        world.on_call = lambda _call: None
        await story.settle()

    told(story)


def test_what_is_not_known_to_be_started_is_not_started_again_where_jobs_are_hidden() -> None:
    """The answer is lost, and the role may not list jobs: nothing is started until it may, and the wave says why."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        view = await start(story, await ready(story))
        lost, hidden = [Trouble.LOST], jobs_are_hidden("AccessDeniedException")
        world.on_call = lambda call: lost.pop() if lost and call.operation == START else hidden(call)
        await sweep_and_work(story, rounds=4)
        view = await read(story, view)
        assert view.wave.waiting_for == "drs.DescribeJobs: AccessDeniedException"
        assert calls_of(story, START) == 1
        world.on_call = lambda _call: None
        await story.settle()
        assert (await read(story, view)).wave.status is WaveStatus.FINISHED
        assert len(world.servers.jobs) == 1
        story.watch.check_end(story.wanted)

    told(story)


def test_a_job_that_is_not_listed_yet_is_not_over() -> None:
    """Another part waits, so that the first job is followed at once, before DRS lists it: its group stays held."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        members = [f"s-{number:017d}" for number in range(101)]
        world.servers.add(*members)
        world.servers.most_jobs, world.servers.job_lag = 1, 60.0
        view = await start(story, await ready(story, "web", *members))
        await work(story)
        await sweep_and_work(story, rounds=1)
        assert not any(part.job_over for part in (await read(story, view)).parts)
        await story.settle()
        view = await read(story, view)
        assert (view.wave.status, named(view)) == (WaveStatus.FINISHED, {})
        story.watch.check_end(story.wanted)

    told(story)


def test_a_job_that_drs_knows_no_more_ends() -> None:
    """Minutes after its start DRS does not list it: nobody waits for it until the wave's time is over."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.servers.job_lag = timedelta(hours=9).total_seconds()
        group_id = await ready(story)
        view = await start(story, group_id)
        await story.settle()
        view = await read(story, view)
        assert (view.wave.status, {code for code, _ in named(view).values()}) == (WaveStatus.FAILED, {"LAUNCH_FAILED"})
        assert world.now() - view.wave.accepted_at < timedelta(minutes=10)
        assert "heldBy" not in story.fleet.statuses()[group_id]

    told(story)


async def purge(story: Story, view: WaveView) -> None:
    async def end(services: Services, _who: Requester) -> bool:
        await services.waves.end_purged(view.wave.wave_id)
        return True

    await story.ask("purge", end)


def test_what_is_started_of_a_purged_wave_is_held_and_followed_to_its_end() -> None:
    """One group waits for a quota, the other is launched: nothing is written to that one until its launch is final."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        groups = {await ready(story, "web", A): A, await ready(story, "db", B): B}
        world.servers.most_jobs, world.servers.job_seconds = 1, 1500.0
        view = await start(story, *groups)
        await work(story)
        ((launched, waiting), (_, server)) = _tell_apart(await read(story, view), groups)
        await story.update(launched, {groups[launched]: OTHER})
        await purge(story, view)
        since = len(world.calls)
        await sweep_and_work(story, rounds=3)
        assert not [call for call in world.calls[since:] if call.is_target_write]
        statuses = story.fleet.statuses()
        assert ("heldBy" in statuses[launched], "heldBy" in statuses[waiting]) == (True, False)
        await story.settle()
        view = await read(story, view)
        assert {member: code for member, (code, _) in named(view).items()} == {server: "PURGED"}
        assert len(world.servers.jobs) == 1
        story.watch.check_end(story.wanted)

    told(story)


def _tell_apart(view: WaveView, groups: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Tell which group has a job and which has none, and their source servers."""
    parts = sorted(view.parts, key=lambda part: part.job_id is None)
    return [part.group_id for part in parts], [groups[part.group_id] for part in parts]


def test_what_was_waited_for_to_the_end_is_said() -> None:
    """No job may be started for six hours: each source server says that it waited for a quota."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.servers.most_jobs = 0
        group_id = await ready(story)
        view = await start(story, group_id)
        while world.now() <= view.wave.deadline:
            await asyncio.sleep(60)
            await work(story)
        view = await read(story, view)
        assert {code for code, _ in named(view).values()} == {"DEADLINE_EXCEEDED"}
        assert {"job quota: ServiceQuotaExceededException" in message for _, message in named(view).values()} == {True}
        assert "heldBy" not in story.fleet.statuses()[group_id]

    told(story)


def test_why_a_launch_is_followed_no_more_is_said() -> None:
    """A group that nobody holds is deleted while DRS launches: its source servers are not simply called failed."""

    async def story(story: Story) -> None:
        story.fleet.world.servers.job_seconds = 1500.0
        group_id = await ready(story, launchConfig={})
        view = await start(story, group_id)
        await work(story)
        await story.delete(group_id)
        await story.settle()
        for code, message in named(await read(story, view)).values():
            assert code == "LAUNCH_FAILED"
            assert f"followed no more: Protection group {group_id} was deleted" in message

    told(story)


def test_more_parts_than_turns_start_at_the_pace_of_the_account() -> None:
    """32 jobs where ten may be started at once, then one a second: no turn is wasted, and none is taken for a call."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        members = [f"s-{number:017d}" for number in range(32)]
        world.servers.add(*members)
        world.servers.most_jobs = len(members)
        groups = [await story.create(member, member) for member in members]
        await story.settle()
        since = len(world.calls)
        view = await start(story, *groups)
        while not view.wave.status.is_begun:
            await work(story)
            view = await read(story, view)
            await asyncio.sleep(1)
        assert calls(story, since, START) == len(members)
        listed = [call for call in world.calls[since:] if call.operation == DESCRIBE]
        assert not [call for call in listed if "fromDate" in call.request["filters"]], "no call is looked for"
        await story.settle()

    told(story)


def test_a_comparison_that_ec2_refuses_ends_its_group_and_says_so() -> None:
    """`verify: live` reads all launch templates at once and is refused: nothing is started, and each says why."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        members = [f"s-{number:017d}" for number in range(51)]
        world.servers.add(*members)
        group_id = await ready(story, "web", *members)
        await asyncio.sleep(60)
        refused = refuse("InvalidParameterValue", "DescribeLaunchTemplateVersions")
        world.on_call = lambda call: refused if call.operation == "describe_launch_template_versions" else None
        view = await start(story, group_id, verify=Verify.LIVE)
        await story.settle()
        told_of = named(await read(story, view))
        assert (set(told_of), world.servers.jobs) == (set(members), [])
        assert {code for code, _ in told_of.values()} == {"InvalidParameterValue"}

    told(story)


@pytest.mark.parametrize("trouble", [Trouble.LOST, Trouble.CRASH_AFTER])
def test_a_job_that_was_not_heard_of_is_followed_though_its_wave_is_purged(trouble: Trouble) -> None:
    """DRS launches, and nobody knows of it when the wave is stopped: its job is looked for before it is given up."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.servers.job_seconds = 1500.0
        group_id = await ready(story)
        view = await start(story, group_id)
        world.on_call = once(START, trouble)
        await work(story)
        await story.update(group_id, {A: OTHER, B: OTHER})
        await purge(story, view)
        since = len(world.calls)
        await sweep_and_work(story, rounds=3)
        assert not [call for call in world.calls[since:] if call.is_target_write]
        await story.settle()
        view = await read(story, view)
        assert (view.wave.status, named(view)) == (WaveStatus.FINISHED, {})
        story.watch.check_end(story.wanted)

    told(story)
