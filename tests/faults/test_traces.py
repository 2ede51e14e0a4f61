"""Interleavings that broke earlier designs, each told once over the twin, to the call."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tests.fakes.twin.dynamodb import Item, refuse
from tests.fakes.twin.fleet import Fleet
from tests.fakes.twin.sqs import Message
from tests.fakes.twin.world import Call, Trouble, World
from tests.fakes.virtual_time import run_virtually
from tests.faults.scenarios import CONFIG, OTHER, THIRD, A, B, Story
from workers.core.model.group_parse import parse_group_update
from workers.core.queries import Page
from workers.core.requests import NotFound, Requester
from workers.core.runs.selection import ApplyRequest

CREATE, PROMOTE = "create_launch_template_version", "modify_launch_template"


def told(story: Callable[[Story], Awaitable[None]], *servers: str, time_scale: float = 1.0) -> None:
    """Tell a story in virtual time; at its end no promise was broken."""

    async def tell() -> None:
        world = World(seed=3)
        telling = Story(Fleet(world, time_scale))
        world.servers.add(*servers)
        await story(telling)
        telling.watch.check()

    run_virtually(tell)


def instance_type(story: Story, server_id: str) -> str:
    return str(story.fleet.world.servers.template_of(server_id).data["InstanceType"])


def once(operation: str, trouble: Trouble) -> Callable[[Call], Trouble | None]:
    """Make the next call of an operation go wrong, and no other."""
    left = [trouble]
    return lambda call: left.pop() if left and call.operation == operation else None


def test_trace_02_a_run_over_one_server_forgets_no_other() -> None:
    """A forced apply of A while B's change is not claimed yet: both come right, by the newest generation."""

    async def story(story: Story) -> None:
        group_id = await story.create("web", A, B)
        await story.settle()
        await story.update(group_id, {A: CONFIG, B: OTHER})
        story.fleet.world.queues.messages.clear()
        request = ApplyRequest(force=True, source_server_ids=(A,))
        await story.ask("A", lambda services, who: services.submission.apply(group_id, request, who))
        await story.settle()
        story.watch.check_end(story.wanted)
        assert story.fleet.statuses()[group_id]["generation"] == 3
        assert instance_type(story, B) == "r5.large"

    told(story)


def test_trace_03_a_moved_server_waits_for_the_call_on_the_wire() -> None:
    """A server is moved while its job is in an EC2 call: the new group's config is written last, and verified."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        group_id = await story.create("web", A, B)
        slow = [15.0]
        world.choose_delay = lambda call: slow.pop() if slow and call.operation == CREATE else 0.0
        process, use_cases = await story.fleet.start_worker()
        first = [asyncio.create_task(story.fleet.deliver(m, process, use_cases)) for m in story.fleet.visible()]
        await asyncio.sleep(5)
        story.fleet.world.queues.messages.clear()
        await story.update(group_id, {B: CONFIG})
        other_id = await story.create("db", A)
        await story.update(other_id, {A: OTHER})
        (message,) = story.fleet.visible()[:1]
        await story.fleet.deliver(message, *await story.fleet.start_worker())
        assert story.fleet.results[-1] == "again", "the lease is held"
        await asyncio.wait(first)
        await story.settle()
        story.watch.check_end(story.wanted)
        assert instance_type(story, A) == "r5.large"

    told(story)


def test_trace_08_a_version_that_was_made_is_promoted_by_the_next_run() -> None:
    """Killed after Create and before Modify, then forced anew with the same payload: that version, never two."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        world.on_call = once(PROMOTE, Trouble.CRASH_BEFORE)
        group_id = await story.create("web", A)
        process, use_cases = await story.fleet.start_worker()
        await asyncio.gather(*(story.fleet.deliver(m, process, use_cases) for m in story.fleet.visible()))
        assert (process.life.dead, world.servers.template_of(A).newest) == (True, 2)
        await story.apply(group_id)
        await story.settle()
        story.watch.check_end(story.wanted)
        template = world.servers.template_of(A)
        assert (template.default, len(template.made)) == (2, 1)

    told(story)


def test_trace_09_a_version_that_somebody_demoted_is_really_promoted_again() -> None:
    """Our version is the default, somebody promotes an older one, repair: no new version, and no success of a token."""

    async def story(story: Story) -> None:
        group_id = await story.create("web", A)
        await story.settle()
        template = story.fleet.world.servers.template_of(A)
        template.promote(1, story.fleet.world.seconds())
        await story.apply(group_id)
        await story.settle()
        story.watch.check_end(story.wanted)
        assert (template.default, len(template.made)) == (2, 1)

    told(story)


def test_trace_10_a_version_that_was_deleted_before_it_was_promoted_is_made_anew() -> None:
    """EC2 remembers the token and answers the number that is gone: another salt, another version, settled."""

    async def story(story: Story) -> None:
        world = story.fleet.world

        def vanish(call: Call) -> Trouble | None:
            template = world.servers.template_of(A)
            if call.operation == PROMOTE and 2 in template.versions:
                del template.versions[2]
                template.made.clear()
            return None

        world.on_call = vanish
        await story.create("web", A)
        await story.settle()
        story.watch.check_end(story.wanted)
        template = world.servers.template_of(A)
        assert (template.default, len(template.made)) == (3, 1)

    told(story)


def test_trace_16_transactions_that_meet_others_three_times_in_four_end() -> None:
    """Three transactions in four are cancelled: both servers ready, after a bounded number of tries."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        tries = {"refused": 0, "made": 0}

        def conflict(call: Call) -> Trouble | None:
            if call.operation != "transact_write_items":
                return None
            refused = world.dice.random() < 0.75
            tries["refused" if refused else "made"] += 1
            return Trouble.REFUSED if refused else None

        world.on_call = conflict
        await story.create("web", A, B)
        await story.settle()
        story.watch.check_end(story.wanted)
        assert tries["refused"] >= tries["made"] > 0
        assert tries["refused"] + tries["made"] <= 12 * 8 * 4, "no more than the tries of four transactions"

    told(story)


def test_trace_18_a_job_that_kills_its_process_is_given_up() -> None:
    """Five workers die of A: WORKER_LOST, B is ready, and the group settles."""

    async def story(story: Story) -> None:
        world = story.fleet.world

        def kill(call: Call) -> Trouble | None:
            about_a = call.request.get("sourceServerID") == A
            return Trouble.CRASH_BEFORE if about_a and call.operation == "update_launch_configuration" else None

        world.on_call = kill
        group_id = await story.create("web", A, B)
        await story.settle()
        status = story.fleet.statuses()[group_id]
        assert (status["status"], status["counts"]) == ("failed", {"applied": 1, "failed": 1, "pending": 0})
        assert [(error["sourceServerId"], error["code"]) for error in status["errors"]] == [(A, "WORKER_LOST")]

    told(story)


def read_whole(calls: Sequence[Call]) -> int:
    """Count the reads of all of a group's source servers."""
    return sum(call.operation == "query" and "server#" in str(call.request) for call in calls)


def test_repeated_jobs_of_a_pending_group_are_over_at_once() -> None:
    """Fifty jobs of a recorded server while another is pending: none of them stays, and the group is read once.

    Nor do they count: the last one to record looks, and no one before.
    """

    async def story(story: Story) -> None:
        world = story.fleet.world
        group_id = await story.create("web", A, B)
        process, use_cases = await story.fleet.start_worker()
        first, _ = story.fleet.visible()
        copies = [Message(first.queue, first.body, world.seconds()) for _ in range(50)]
        await story.fleet.deliver(first, process, use_cases)
        world.queues.messages.extend(copies)
        before = len(world.calls)
        for message in copies:
            await story.fleet.deliver(message, process, use_cases)
        # One look is enough for all of them: B was pending after A was recorded.
        assert read_whole(world.calls[before:]) == 1
        assert story.fleet.results[-50:] == ["acknowledged"] * 50
        (head,) = story.fleet.heads(group_id)
        assert head["done"] == 1
        await story.settle()
        story.watch.check_end(story.wanted)

    told(story)


@pytest.mark.parametrize("dies_at", ["before", "after"])
def test_whichever_count_is_lost_the_last_one_looks(dies_at: str) -> None:
    """A's worker dies between its record and its count, and its job comes again before B's does or after: settled."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        group_id = await story.create("web", A, B)
        process, use_cases = await story.fleet.start_worker()
        first, second = story.fleet.visible()

        def die(call: Call) -> Trouble | None:
            return (
                Trouble.CRASH_BEFORE if "done" in str(call.request.get("UpdateExpression")) or is_count(call) else None
            )

        def is_count(call: Call) -> bool:
            names = call.request.get("ExpressionAttributeNames") or {}
            return call.operation == "update_item" and "done" in names.values()

        world.on_call = die
        await story.fleet.deliver(first, process, use_cases)
        assert story.fleet.results == ["killed"]
        world.on_call = lambda _call: None
        process, use_cases = await story.fleet.start_worker()
        for message in (first, second) if dies_at == "before" else (second, first):
            await story.fleet.deliver(message, process, use_cases)
        assert story.fleet.statuses()[group_id]["status"] == "ready"
        assert story.fleet.results[1:] == ["acknowledged", "acknowledged"]
        story.watch.check_end(story.wanted)

    told(story)


@pytest.mark.parametrize("what", ["apply", "update", "delete"])
def test_trace_19_a_request_in_the_middle_of_a_deletion_is_refused_like_all_that_come_later(what: str) -> None:
    """The group's definition is cleared between two reads of the request: no such group, and no error of ours."""

    async def story(story: Story) -> None:
        group_id = await story.create("web", A)
        await story.settle()
        process, services = await story.fleet.start_producer()
        who = Requester("alice", "http", "requested")
        view = await services.queries.group(group_id)
        body = {**view.definition.to_body(), "version": view.head.version, "force": True}
        requests = {
            "apply": lambda other: other.submission.apply(group_id, ApplyRequest(force=True), who),
            "update": lambda other: other.changes.update_group(group_id, parse_group_update(body), who),
            "delete": lambda other: other.removal.delete_group(group_id, who),
        }
        _, late = await story.fleet.start_producer("late")
        # It finds the group, and reads what it wants when it is gone.
        story.fleet.world.choose_delay = lambda call: (
            60.0 if call.process.startswith("late") and call.operation == "query" else 0.0
        )
        asking = asyncio.create_task(requests[what](late))
        await asyncio.sleep(5)
        await process.run(lambda: services.removal.delete_group(group_id, who))
        with pytest.raises(NotFound):
            await asking

    told(story)


READERS, EVERY = 6, 2
"""So many are under way at most, each begun at every second change."""
SERVERS = tuple(f"s-{number:017d}" for number in range(300))


@pytest.mark.parametrize("members", [SERVERS], ids=["300"])
def test_trace_22_no_reader_ever_mixes_two_moments(members: tuple[str, ...]) -> None:
    """Three overlapping runs of 300 servers; readers begin whenever something is recorded: each answer is whole."""

    async def story(story: Story) -> None:
        world = story.fleet.world
        _, reader = await story.fleet.start_producer("reader")
        readers: set[asyncio.Task[None]] = set()
        lies: list[str] = []
        seen: list[tuple[int, str]] = []
        changes = [0]

        async def read(group_id: str) -> None:
            view = await reader.queries.status(group_id, Page(limit=1000))
            assert view.status is not None
            found = [status.value for status, _, _ in view.servers.values()]
            counts = [found.count(each) for each in ("ready", "failed", "pending")]
            said = view.status.counts
            whole = counts == [said.applied, said.failed, said.pending]
            if not whole or (view.status.status == "ready") > (counts == [300, 0, 0]):
                lies.append(f"{view.status} beside {counts}")
            seen.append((view.status.generation, view.status.status.value))

        watch = world.tables.on_store

        def begin(table: str, key: tuple[str, str], before: Item | None, after: Item | None) -> None:
            watch(table, key, before, after)
            changed = key[1] == "status" or key[1].startswith("server#")
            changes[0] += changed and after is not None
            if changed and after is not None and changes[0] % EVERY == 0 and len(readers) < READERS:
                task = asyncio.create_task(read(key[0]))
                readers.add(task)
                task.add_done_callback(readers.discard)

        group_id = await story.create("web", *members)
        world.tables.on_store = begin
        working = asyncio.create_task(story.settle())
        for config in (OTHER, THIRD):
            await asyncio.sleep(35)
            await story.update(group_id, dict.fromkeys(members, config))
        await working
        await asyncio.wait(readers) if readers else None
        world.tables.on_store = watch
        story.watch.check_end(story.wanted)
        assert not lies
        assert {generation for generation, _ in seen} == {1, 2, 3}
        assert len(seen) > 300
        assert not [each for each in seen if each[0] < 3 and each[1] == "ready"]

    told(story, *members)


def test_trace_29_a_template_that_may_not_be_written_fails_alone() -> None:
    """One template lost DRS's tag, so that its write is denied: that source server fails, 299 are ready."""
    members = [f"s-{number:017d}" for number in range(300)]
    denied = members[17]

    async def story(story: Story) -> None:
        template_id = story.fleet.world.servers.template_of(denied).template_id

        def strike(call: Call) -> Exception | None:
            hit = call.operation == CREATE and call.request["LaunchTemplateId"] == template_id
            return refuse("UnauthorizedOperation", "CreateLaunchTemplateVersion") if hit else None

        story.fleet.world.on_call = strike
        group_id = await story.create("web", *members)
        await story.settle()
        status = story.fleet.statuses()[group_id]
        assert (status["status"], status["counts"]) == ("failed", {"applied": 299, "failed": 1, "pending": 0})
        ((server_id, code),) = [(error["sourceServerId"], error["code"]) for error in status["errors"]]
        assert (server_id, code) == (denied, "UnauthorizedOperation")
        story.watch.check_end(story.wanted)

    told(story, *members)
