"""Being told, over the twin: whatever dies, who listens or waits hears how it ended, and the same thing each time."""

import asyncio
from collections.abc import MutableMapping
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import structlog

from tests.fakes.twin.listeners import Answer
from tests.fakes.twin.world import Trouble
from tests.faults.scenarios import CONFIG, OTHER, WITHIN, A, B, Story, token_of
from tests.faults.test_traces import once, told
from tests.faults.test_watch import make_ready
from workers.core.model.group_parse import parse_group
from workers.core.requests import NotFound, Requester
from workers.core.runs.selection import ApplyRequest
from workers.core.store.writes import decode

ALL_NOT_READY = ApplyRequest()


def left(story: Story) -> list[str]:
    """Name what is still to be told, and who still waits, as our tables have it."""
    items = map(decode, story.fleet.world.tables.every("runs"))
    return [str(item["item"]) for item in items if item["item"].startswith(("untold#", "token#"))]


def answer(story: Story, name: str) -> Answer:
    return story.fleet.world.listeners.answers[token_of(name)]


async def apply(story: Story, group_id: str, name: str, request: ApplyRequest = ALL_NOT_READY) -> None:
    """Ask for an apply, for whose end a task waits."""
    await story.ask(name, lambda services, who: services.submission.apply(group_id, request, who), waits=True)


def test_a_group_that_settles_is_told_once_with_how_it_stands() -> None:
    """One event of the detail-type that the documents name, and nothing left to tell."""

    async def story(story: Story) -> None:
        group_id = await story.create("web", A, B)
        await story.settle()
        (entry,), (detail,) = story.fleet.world.listeners.entries, story.fleet.world.listeners.told()
        status = story.fleet.statuses()[group_id]
        assert (entry["Source"], entry["DetailType"]) == ("prelaunch", "Launch Config Status Settled")
        assert entry["EventBusName"] == story.fleet.settings.event_bus
        assert entry["Time"].isoformat().replace("+00:00", "Z") == status["lastApplied"]
        assert detail == {
            "eventId": f"{group_id}#1",
            "stack": "twin",
            "groupId": group_id,
            "groupName": "web",
            "accountId": "111122223333",
            "region": "us-east-1",
            "runId": status["runId"],
            "generation": 1,
            "status": "ready",
            "lastApplied": status["lastApplied"],
            "appliedBy": "alice",
            "appliedServers": 2,
            "failedServers": 0,
            "pendingServers": 0,
            "errors": [],
        }
        assert answer(story, "web") == Answer(True, detail)
        assert left(story) == []

    told(story)


def test_a_failure_is_told_with_its_errors_and_fails_the_task_by_its_code() -> None:
    """The event names each source server that failed; SendTaskFailure has the code, and the same JSON as its cause."""

    async def story(story: Story) -> None:
        story.fleet.world.queues.loses = True
        group_id = await story.create("web", A, B)
        await story.settle()
        (detail,) = story.fleet.world.listeners.told()
        assert (detail["status"], detail["failedServers"]) == ("failed", 2)
        assert [(each["sourceServerId"], each["code"]) for each in detail["errors"]] == [
            (A, "DEADLINE_EXCEEDED"),
            (B, "DEADLINE_EXCEEDED"),
        ]
        assert story.fleet.statuses()[group_id]["errors"][0]["message"] == detail["errors"][0]["message"]
        assert answer(story, "web") == Answer(False, detail, "DEADLINE_EXCEEDED")

    told(story, time_scale=0.1)


def test_the_task_of_a_superseded_run_is_answered_when_the_group_settles() -> None:
    """It hears of the newer run, which carries its source servers over: by that run's id and generation."""

    async def story(story: Story) -> None:
        group_id = await story.create("web", A, B)
        await story.update(group_id, {A: OTHER, B: CONFIG})
        assert story.fleet.world.listeners.answers == {}
        await story.settle()
        (detail,) = story.fleet.world.listeners.told()
        assert detail["generation"] == 2
        assert answer(story, "web") == answer(story, f"put {group_id} over 1") == Answer(True, detail)
        assert left(story) == []

    told(story)


def test_a_task_waits_for_the_run_that_is_in_hand() -> None:
    """A request that is answered by a run in progress is told of that run's end."""

    async def story(story: Story) -> None:
        group_id = await story.create("web", A, B)
        await apply(story, group_id, "again")
        assert len(story.fleet.heads(group_id)) == 1
        await story.settle()
        assert answer(story, "again") == answer(story, "web")
        assert len(story.fleet.world.listeners.entries) == 1

    told(story)


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_task_does_not_wait_for_what_settled_just_before(is_deleted: bool) -> None:
    """Back to what is under way, which settles, or whose group goes, between look and write: it hears of that."""

    async def story(story: Story) -> None:
        group_id = await story.create("web", A, B)
        world, token = story.fleet.world, token_of("back")
        world.listeners.waiting.add(token)
        process, services = await story.fleet.start_producer()
        requester = Requester("alice", "http", "requested", task_token=token)
        going = asyncio.create_task(process.run(lambda: services.rollback.roll_back(group_id, "1", requester)))
        mine = process.life.name, "query"
        while [(each.process, each.operation) for each in world.calls].count(mine) < 2:  # noqa: ASYNC110  # virtual
            await asyncio.sleep(0.001)
        # The definition was read, and now what is recorded: the group is pending, as far as it knows.
        process.life.stop(world.seconds())
        if is_deleted:
            await story.delete(group_id)
        await story.settle()
        process.life.cont()
        if is_deleted:
            with pytest.raises(NotFound):
                await going
        else:
            await going
        await story.settle()
        assert left(story) == []
        assert (token in world.listeners.answers) is not is_deleted

    told(story)


def test_a_task_whose_request_left_nothing_to_do_is_answered_by_what_there_is() -> None:
    """No event is sent; the task hears where the group stands, and so does one whose request only removes."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story)
        (before,) = story.fleet.world.listeners.told()
        await apply(story, group_id, "nothing to do")
        assert [message.queue for message in story.fleet.visible()] == ["jobs"]
        await story.settle()
        assert answer(story, "nothing to do") == Answer(True, before)
        assert story.fleet.world.listeners.told() == [before]
        await story.update(group_id, {A: CONFIG})
        await story.settle()
        removed = answer(story, f"put {group_id} over 1")
        assert removed.succeeded
        assert (removed.document["generation"], removed.document["appliedServers"]) == (2, 1)
        await story.update(group_id, {A: CONFIG})
        await story.settle()
        assert answer(story, f"put {group_id} over 2") == removed
        assert left(story) == []

    told(story)


def test_a_task_of_a_group_without_launch_config_is_answered() -> None:
    """There is nothing to apply: created, applied and changed, its tasks hear `not_configured`."""

    async def story(story: Story) -> None:
        body = {"groupName": "bare", "region": "us-east-1", "sourceServerIds": [A]}
        definition = parse_group(body)
        head = await story.ask(
            "bare", lambda services, who: services.submission.create_group(definition, who), waits=True
        )
        await apply(story, head.group_id, "apply it")
        await story.settle()
        for name in ("bare", "apply it"):
            assert answer(story, name).succeeded
            assert answer(story, name).document["status"] == "not_configured"
        assert story.fleet.world.listeners.entries == []
        assert left(story) == []

    told(story)


def test_the_task_of_a_group_that_is_deleted_meanwhile_fails() -> None:
    """Nobody waits for what cannot come: GROUP_DELETED, and an event that says so too."""

    async def story(story: Story) -> None:
        group_id = await story.create("web", A, B)
        await story.delete(group_id)
        await story.settle()
        (detail,) = story.fleet.world.listeners.told()
        assert (detail["groupId"], detail["status"]) == (group_id, "failed")
        assert answer(story, "web") == Answer(False, detail, "GROUP_DELETED")
        assert left(story) == []

    told(story)


def test_a_newer_runs_task_is_not_answered_by_an_older_notice() -> None:
    """A notice that is told late answers who waits for its generation or an older one, and nobody else."""

    async def story(story: Story) -> None:
        group_id = await story.create("web", A, B)
        story.fleet.world.on_call = lambda call: Trouble.REFUSED if call.service == "events" else None
        process, workers = await story.fleet.start_worker()
        for message in story.fleet.visible():
            await story.fleet.deliver(message, process, workers)
        assert answer(story, "web").succeeded
        await story.apply(group_id)
        story.fleet.world.on_call = lambda _call: None
        await asyncio.sleep(60)
        await story.fleet.sweep(process, workers)
        assert [each["generation"] for each in story.fleet.world.listeners.told()] == [1]
        assert token_of(f"apply {group_id}") in story.fleet.world.listeners.waiting
        await story.settle()
        assert answer(story, f"apply {group_id}").document["generation"] == 2

    told(story)


def test_a_wave_that_is_over_is_told_with_its_jobs() -> None:
    """One event, and the same to the task that waits for the wave; the group's own tasks hear nothing more."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story)
        await story.start_wave(group_id)
        await story.settle()
        _, entry = story.fleet.world.listeners.entries
        _, detail = story.fleet.world.listeners.told()
        assert entry["DetailType"] == "Wave Settled"
        assert detail["status"] == "finished"
        assert detail["eventId"] == f"{detail['waveId']}#finished"
        assert detail["groups"] == [{"groupId": group_id, "path": "fast"}]
        assert [(job["groupId"], job["sourceServers"]) for job in detail["jobs"]] == [(group_id, 2)]
        assert answer(story, "wave") == Answer(True, detail)
        assert left(story) == []

    told(story)


def test_a_wave_that_cannot_start_fails_its_task() -> None:
    """Its group, which it has still to apply, is deleted before a worker takes it: told as failed, by GROUP_DELETED."""

    async def story(story: Story) -> None:
        group_id = await make_ready(story)
        await story.apply(group_id)
        await story.start_wave(group_id)
        await story.delete(group_id)
        await story.settle()
        failed = answer(story, "wave")
        assert (failed.succeeded, failed.error) == (False, "GROUP_DELETED")
        (told_of,) = [each for each in story.fleet.world.listeners.told() if "waveId" in each]
        assert failed.document == told_of
        assert failed.document["errors"][0]["groupId"] == group_id
        assert left(story) == []

    told(story)


@pytest.mark.parametrize("service", ["events", "stepfunctions"])
def test_what_is_refused_is_told_again_and_the_other_half_is_not(service: str) -> None:
    """An outage of one keeps nobody from the other, and what was taken before it is not sent twice."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.on_call = lambda call: Trouble.REFUSED if call.service == service else None
        group_id = await story.create("web", A, B)
        process, workers = await story.fleet.start_worker()
        for message in story.fleet.visible():
            await story.fleet.deliver(message, process, workers)
        assert len(world.listeners.entries) == (service != "events")
        assert (token_of("web") in world.listeners.answers) == (service == "events")
        await asyncio.sleep(60)
        await story.fleet.sweep(process, workers)
        assert left(story) != []
        world.on_call = lambda _call: None
        await story.settle()
        assert [each["eventId"] for each in world.listeners.told()] == [f"{group_id}#1"]
        assert answer(story, "web") == Answer(True, world.listeners.told()[0])
        assert left(story) == []

    told(story)


def test_an_entry_that_is_refused_at_http_200_is_told_again() -> None:
    """PutEvents answers 200 and FailedEntryCount: that is no success, whatever the entry's ErrorCode."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.listeners.refusals = ["InternalFailure", "ThrottlingException", "AccessDeniedException"]
        await story.create("web", A, B)
        await story.settle()
        assert len(world.listeners.entries) == 1
        assert len([call for call in world.calls if call.service == "events"]) == 4

    told(story)


@pytest.mark.unmeasured
def test_what_nobody_can_tell_is_given_up_after_a_day_and_said_to_be() -> None:
    """The tries come ever more rarely, end, and leave one line in the log."""
    errors: list[str] = []

    async def story(story: Story) -> None:
        story.fleet.world.on_call = lambda call: Trouble.REFUSED if call.service == "events" else None
        see = story.watch._see_log  # beside what it looks for

        def note(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
            errors.append(event["event"])
            return see(logger, method, event)

        structlog.configure(processors=[note])
        await story.create("web", A, B)
        await story.fleet.settle(timedelta(hours=25))
        calls = [call for call in story.fleet.world.calls if call.service == "events"]
        assert calls[-1].at - calls[0].at <= 24 * 60 * 60
        waits = [later.at - earlier.at for earlier, later in pairwise(calls)]
        assert max(waits) <= 15 * 60 + 2 * 15
        assert len(calls) < 24 * 60 / 15 + 12
        assert errors == ["telling.given_up"]
        assert left(story) == []

    told(story)


def test_a_task_that_waits_no_more_is_let_go_without_another_try() -> None:
    """TaskTimedOut is final: asked once, said once, and nothing of it is left."""

    async def story(story: Story) -> None:
        await story.create("web", A, B)
        story.fleet.world.listeners.waiting.clear()
        await story.settle()
        assert len([call for call in story.fleet.world.calls if call.service == "stepfunctions"]) == 1
        assert left(story) == []

    told(story)


def test_two_sweepers_tell_a_notice_once() -> None:
    """Who tells says so first, by a conditional write."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.on_call = once("put_events", Trouble.REFUSED)
        await story.create("web", A, B)
        process, workers = await story.fleet.start_worker()
        for message in story.fleet.visible():
            await story.fleet.deliver(message, process, workers)
        await asyncio.sleep(60)
        others = [await story.fleet.start_worker() for _ in range(3)]
        await asyncio.gather(*(story.fleet.sweep(*other) for other in others))
        assert len(world.listeners.entries) == 1
        assert left(story) == []

    told(story)


def test_a_token_is_in_no_answer_and_no_log() -> None:
    """Whoever has a token can answer in our place: not when all goes well, not when Step Functions refuses it."""
    lines: list[str] = []

    def note(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
        lines.append(repr(event))
        raise structlog.DropEvent

    async def story(story: Story) -> None:
        structlog.configure(processors=[note], wrapper_class=structlog.make_filtering_bound_logger(0))
        group_id = await story.create("web", A, B)
        story.fleet.world.listeners.waiting.clear()
        await story.settle()
        await apply(story, group_id, "again")
        await story.settle()
        assert "task_gone" in " ".join(lines)
        view = await story.ask("see", lambda services, _who: services.queries.group(group_id))
        runs = await story.ask("runs", lambda services, _who: services.history.runs(group_id, 10, None))
        assert "the token of" not in " ".join([*lines, repr(view), repr(runs)])

    told(story)


@pytest.mark.parametrize("trouble", [Trouble.CRASH_BEFORE, Trouble.CRASH_AFTER, Trouble.LOST])
@pytest.mark.parametrize("operation", ["put_events", "send_task_success"])
def test_whoever_dies_over_telling_is_followed_with_the_same_words(operation: str, trouble: Trouble) -> None:
    """At least once, and each time the same event: by its `eventId` who heard it twice knows."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.on_call = once(operation, trouble)
        group_id = await story.create("web", A, B)
        await story.fleet.settle(WITHIN)
        events = world.listeners.told()
        assert 1 <= len(events) <= 2
        assert all(event == events[0] for event in events)
        assert events[0]["eventId"] == f"{group_id}#1"
        assert world.listeners.waiting == set()
        assert left(story) == []

    told(story)
