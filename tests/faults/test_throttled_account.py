"""An account in which AWS throttles everything, through whole runs over the twin: it waits and never spins."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from tests.fakes.twin.fleet import Fleet
from tests.fakes.twin.world import Call, Trouble, World
from tests.fakes.virtual_time import run_virtually
from tests.faults.scenarios import CONFIG, Story
from workers.core.model.group_parse import parse_group
from workers.core.queries import Page
from workers.core.store.writes import decode

TEN_MINUTES = 600.0
FOR_EVER = 1e9
MOST_IN_THE_FIRST_MINUTE, MOST_IN_A_MINUTE = 60, 15
"""Calls to AWS, of forty source servers in ten minutes of refusals."""
MOST_TABLE_CALLS_A_SERVER_AND_MINUTE = 15
READY_AFTER_SECONDS = 180
"""In the time of the tale, not of this machine."""
SWEPT_EVERY_SECONDS = 60.0
STUCK = tuple(f"s-{number:017d}" for number in range(40))
HEALTHY = tuple(f"s-{number:017d}" for number in range(100, 140))
ACCOUNTS = {"stuck": "222233334444", "healthy": "333344445555"}


def told(story: Callable[[Story], Awaitable[None]], throttled_seconds: float) -> None:
    """Tell a story in which AWS refuses every call about some source servers for so long; no promise may be broken."""

    async def tell() -> None:
        world = World(seed=7)
        telling = Story(Fleet(world))
        world.servers.add(*STUCK, *HEALTHY)
        world.on_call = lambda call: (
            Trouble.REFUSED if is_about(telling, call, STUCK) and world.seconds() < throttled_seconds else None
        )
        await story(telling)
        telling.watch.check_end(telling.wanted)

    run_virtually(tell)


def is_about(story: Story, call: Call, servers: tuple[str, ...]) -> bool:
    """Tell whether a call to DRS or EC2 is about one of these source servers."""
    if call.service not in {"drs", "ec2"}:
        return False
    server_id = call.request.get("sourceServerID")
    if server_id is None:
        server_id = story.fleet.world.servers.templates[call.request["LaunchTemplateId"]].server_id
    return server_id in servers


async def create(story: Story, name: str, members: tuple[str, ...]) -> str:
    """Create a group in an account of its own."""
    access = {"accountId": ACCOUNTS[name], "assumeRoleName": "DrsRole"}
    body = {"groupName": name, "region": "us-east-1", "sourceServerIds": [*members], "launchConfig": CONFIG, **access}
    head = await story.ask(name, lambda services, who: services.submission.create_group(parse_group(body), who))
    story.wanted[head.group_id] = dict.fromkeys(members, CONFIG)
    return head.group_id


async def work(story: Story) -> None:
    """Work as an installation does: what can be received is at work at once, and the sweeper waits for no job."""
    fleet = story.fleet
    process, use_cases = await fleet.start_worker()
    at_work: set[asyncio.Task[None]] = set()
    swept_at = 0.0
    while fleet.pending() or fleet.world.queues.messages:
        for message in fleet.visible():
            task = asyncio.create_task(fleet.deliver(message, process, use_cases))
            at_work.add(task)
            task.add_done_callback(at_work.discard)
        if fleet.world.seconds() >= swept_at + SWEPT_EVERY_SECONDS:
            swept_at = fleet.world.seconds()
            await fleet.sweep(process, use_cases)
        await asyncio.sleep(1)
    await asyncio.gather(*at_work)


def read_error(story: Story, group_id: str, server_id: str) -> dict[str, Any]:
    """Read the one error of a source server."""
    item = story.fleet.world.tables.peek("runs", group_id, f"server#{server_id}")
    assert item is not None
    (error,) = decode(item)["errors"]
    return dict(error)


async def ask_why(story: Story, group_id: str) -> str | None:
    """Ask what a group waits for, as a person does."""
    _, services = await story.fleet.start_producer("reader")
    return (await services.queries.status(group_id, Page())).waiting_for


def test_ten_minutes_of_throttles_are_waited_out_and_harm_no_other_account() -> None:
    """The group says what it waits for, asks ever more rarely, and is ready soon after; no other account notices.

    Ten minutes at AWS's assumed rate would be 6,000 calls for each API.
    """

    async def story(story: Story) -> None:
        world = story.fleet.world
        stuck = await create(story, "stuck", STUCK)
        working = asyncio.create_task(work(story))
        await asyncio.sleep(60)
        healthy = await create(story, "healthy", HEALTHY)
        await asyncio.sleep(30)
        assert story.fleet.statuses()[healthy]["status"] == "ready"
        assert story.fleet.statuses()[stuck]["counts"] == {"applied": 0, "failed": 0, "pending": len(STUCK)}
        assert (await ask_why(story, stuck)) in {
            "tokens: AWS throttles drs.GetLaunchConfiguration",
            "tokens: drs.GetLaunchConfiguration is called as often as the account may",
        }
        await asyncio.sleep(TEN_MINUTES - world.seconds())
        refused = [call.at for call in world.calls if is_about(story, call, STUCK)]
        by_minute = [sum(begin <= at < begin + 60 for at in refused) for begin in range(0, int(TEN_MINUTES), 60)]
        assert all(by_minute)
        # The least that the law leaves of the assumed ten a second is 0.2: twelve a minute, and some of before.
        assert max(by_minute) <= MOST_IN_THE_FIRST_MINUTE
        assert max(by_minute[1:]) <= MOST_IN_A_MINUTE
        tables = sum(call.service == "dynamodb" for call in world.calls)
        assert tables / len(STUCK) / (TEN_MINUTES / 60) <= MOST_TABLE_CALLS_A_SERVER_AND_MINUTE
        await working
        assert story.fleet.statuses()[stuck]["status"] == "ready"
        assert world.seconds() <= TEN_MINUTES + READY_AFTER_SECONDS

    told(story, TEN_MINUTES)


def test_an_account_that_throttles_for_ever_ends_at_its_deadline_with_one_error_a_server() -> None:
    """Nobody waits longer than the run said when it opened, and each source server says what AWS answered."""

    async def story(story: Story) -> None:
        stuck = await create(story, "stuck", STUCK)
        (opened,) = story.fleet.heads(stuck)
        await work(story)
        (head,) = story.fleet.heads(stuck)
        assert head["deadline"] == opened["deadline"]
        late = datetime.fromisoformat(head["settledAt"]) - datetime.fromisoformat(head["deadline"])
        assert timedelta(0) <= late <= timedelta(seconds=SWEPT_EVERY_SECONDS)
        status = story.fleet.statuses()[stuck]
        assert (status["status"], status["counts"]) == ("failed", {"applied": 0, "failed": len(STUCK), "pending": 0})
        errors = [read_error(story, stuck, server_id) for server_id in STUCK]
        assert {error["code"] for error in errors} <= {"DEADLINE_EXCEEDED", "ThrottlingException"}
        for error in errors:
            assert "drs.GetLaunchConfiguration" in f"{error.get('operation')} {error['message']}"
            assert "deadline" in error["message"]

    told(story, FOR_EVER)
