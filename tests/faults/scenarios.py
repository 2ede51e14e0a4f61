"""What is done again and again with one thing going wrong each time: a few whole stories, from request to end."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from producer.services import Services
from tests.fakes.twin.dynamodb import refuse
from tests.fakes.twin.fleet import Fleet
from tests.fakes.twin.process import ACCOUNT
from tests.fakes.twin.promises import Watch, digests_of
from tests.fakes.twin.servers import NEW_CONFIGURATION, NEW_TEMPLATE
from tests.fakes.twin.world import Call, Trouble
from workers.core.contract import WatchWork
from workers.core.errors import RetryableError, SetupError
from workers.core.letters.dead_letters import WORKED_ON_FOR
from workers.core.letters.letter import Selection
from workers.core.model.group import GroupDefinition
from workers.core.model.group_parse import parse_group, parse_group_update
from workers.core.model.waves import OnNotReady
from workers.core.requests import Conflict, Requester, RequestKey, RequestRefused
from workers.core.runs.rollback import RolledBack
from workers.core.runs.selection import ApplyRequest
from workers.core.wave_plan import WaveRequest

A, B, C = (f"s-{letter * 17}" for letter in "abc")
CONFIG: Mapping[str, Any] = {"instanceType": "m5.xlarge", "targetInstanceTypeRightSizingMethod": "NONE"}
OTHER: Mapping[str, Any] = {**CONFIG, "instanceType": "r5.large"}
THIRD: Mapping[str, Any] = {**CONFIG, "instanceType": "c6i.large"}
WIDE: Mapping[str, Any] = {**CONFIG, "copyTags": True}
BARE: Mapping[str, Any] = {"launchDisposition": "STARTED"}
"""What DRS holds anyway: of a source server that had more it leaves nothing but what was there before us."""
NOBODY: Mapping[str, Mapping[str, Any]] = {}
WITHIN = timedelta(hours=1)
MOST_REDRIVES = 4
EVERYWHERE = WatchWork(ACCOUNT, "us-east-1")
_T = TypeVar("_T")


class Story:
    """
    One installation, and somebody who asks again under the same key until there is an answer.

    With every request that changes a group a task of Step Functions waits for its end.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.watch = Watch(fleet)
        self.watch.sweeps_always = True
        self.watch.configs = digests_of(CONFIG, OTHER, THIRD, WIDE, BARE)
        self.wanted: dict[str, dict[str, Mapping[str, Any]]] = {}
        fleet.world.servers.add(A, B, C)

    async def ask(
        self, name: str, request: Callable[[Services, Requester], Awaitable[_T]], *, waits: bool = False
    ) -> _T:
        """Ask until there is an answer: of a producer that died, or could not, the same is asked again."""
        token = token_of(name) if waits else None
        if token is not None:
            self.fleet.world.listeners.waiting.add(token)
        requester = Requester("alice", "http", "requested", key=RequestKey(name, name), task_token=token)
        for _ in range(5):
            process, services = await self.fleet.start_producer()
            try:
                answer = await process.run(partial(request, services, requester))
            except (RetryableError, SetupError):
                continue
            except RequestRefused:
                # Its task has failed with the request, and waits for nothing.
                self.fleet.world.listeners.waiting.discard(token or "")
                raise
            if not process.life.dead:
                assert answer is not None
                return answer
        raise AssertionError(f"no answer to {name}")

    async def create(self, name: str, *members: str, **more: Any) -> str:
        """Create a group."""
        definition = parse_group({**_body(name, *members), **more})
        head = await self.ask(name, lambda services, who: services.submission.create_group(definition, who), waits=True)
        self._want(head.group_id, definition)
        return head.group_id

    async def update(self, group_id: str, members: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace a group's members, each with its launch config, laid over the usual one."""
        own = {each: config for each, config in members.items() if config != CONFIG}
        await self.define(group_id, members, CONFIG, own)
        self.wanted[group_id] = dict(members)

    async def define(
        self,
        group_id: str,
        members: Iterable[str],
        defaults: Mapping[str, Any],
        own: Mapping[str, Mapping[str, Any]] = NOBODY,
        **more: Any,
    ) -> None:
        """Replace a group's members, their launch config, what is said of single ones, and what is said beside."""
        view = await self.ask("see", lambda services, _who: services.queries.group(group_id))
        body = {
            "groupName": view.head.name,
            "region": "us-east-1",
            "sourceServerIds": list(members),
            "launchConfig": defaults,
            "servers": [{"sourceServerId": each, "launchConfig": config} for each, config in own.items()],
            "version": view.head.version,
            **more,
        }
        update = parse_group_update(body)
        name = f"put {group_id} over {view.head.version}"
        await self.ask(name, lambda services, who: services.changes.update_group(group_id, update, who), waits=True)
        self._want(group_id, update.definition)

    def _want(self, group_id: str, definition: GroupDefinition) -> None:
        wanted = {each: definition.effective(each).values for each in definition.source_server_ids}
        self.wanted[group_id] = dict(wanted)
        self.watch.configs |= digests_of(*wanted.values())

    async def roll_back(self, group_id: str, to_run: str) -> RolledBack:
        """Go back to a run of a group."""
        name = f"roll {group_id} back to {to_run} after {self.fleet.heads(group_id)[-1]['generation']}"
        went = await self.ask(
            name, lambda services, who: services.rollback.roll_back(group_id, to_run, who), waits=True
        )
        self._want(group_id, went.updated.definition)
        return went

    async def apply(self, group_id: str) -> None:
        """Apply a group with force."""
        request = ApplyRequest(force=True)
        name = f"apply {group_id}"
        await self.ask(name, lambda services, who: services.submission.apply(group_id, request, who), waits=True)

    async def delete(self, group_id: str) -> None:
        """Delete a group; one that is gone already was deleted by the request that was not answered."""

        async def delete(services: Services, who: Requester) -> bool:
            if await services.submission._with.groups.read_head(group_id) is not None:  # as a reader
                await services.removal.delete_group(group_id, who)
            return True

        await self.ask(f"delete {group_id}", delete)
        self.wanted.pop(group_id)

    async def redrive(self) -> None:
        """Redrive every dead letter; of one that stays, again, once nobody holds it any more."""
        letters, pauses = self.fleet.world.queues.letters, 0
        while letters:
            assert pauses < MOST_REDRIVES, "a letter that nobody can redrive"
            await self.ask(
                f"redrive {pauses}",
                lambda services, who: services.dead_letters.redrive(Selection(), who),
            )
            pauses += 1
            if letters:
                await asyncio.sleep(WORKED_ON_FOR.total_seconds())

    async def start_wave(self, group_id: str, on_not_ready: OnNotReady = OnNotReady.APPLY) -> None:
        """Start a wave over a group."""
        request = WaveRequest((group_id,), on_not_ready=on_not_ready)
        await self.ask("wave", lambda services, who: services.waves.accept(request, who), waits=True)

    async def look_for_drift(self, work: WatchWork = EVERYWHERE) -> Any:
        """Let a worker look for drift, and everything that follows settle; answer what the look came to."""
        process, use_cases = await self.fleet.start_worker()
        outcome = await process.run(lambda: use_cases.watch(work))
        await self.settle()
        return outcome

    async def settle(self) -> None:
        """Let workers do their work until everything has settled."""
        await self.fleet.settle(WITHIN)


def token_of(name: str) -> str:
    """Tell with which token a task of Step Functions waits for the end of a request."""
    return f"the token of {name}"


async def _ask_back(group_id: str, to_run: str, services: Services, who: Requester) -> RolledBack:
    return await services.rollback.roll_back(group_id, to_run, who)


def _body(name: str, *members: str) -> dict[str, Any]:
    return {"groupName": name, "region": "us-east-1", "sourceServerIds": list(members), "launchConfig": CONFIG}


@dataclass(frozen=True, slots=True)
class Scenario:
    """What there is before, and what is then done; the end of it is settled."""

    name: str
    prepare: Callable[[Story], Awaitable[str]]
    act: Callable[[Story, str], Awaitable[None]]
    generations: int
    """How many runs the group has had at the end."""
    versions: int = 1
    """How many versions each template was given at most."""
    ends: str = "ready"
    """What every group is at the end."""
    jobs: int = 0
    """How many recovery jobs were started."""
    time_scale: float = 1.0
    check: Callable[[Story], None] = lambda _story: None
    """Looks at the end of it, beside all that holds of every story."""


async def _nothing(_story: Story) -> str:
    return ""


async def _ready(story: Story) -> str:
    group_id = await story.create("web", A, B)
    await story.settle()
    return group_id


async def _never_sent(story: Story) -> str:
    """A producer dies before its first message: committed, and never sent."""
    world = story.fleet.world
    world.on_call = lambda call: Trouble.CRASH_BEFORE if call.service == "sqs" else None
    definition = parse_group(_body("web", A, B))
    process, services = await story.fleet.start_producer()
    await process.run(lambda: services.submission.create_group(definition, Requester("alice", "http", "requested")))
    (group_id,) = story.fleet.statuses()
    story.wanted[group_id] = dict.fromkeys((A, B), CONFIG)
    return group_id


async def _dead_letters(story: Story) -> str:
    """One server was done, and the message of another was dead-lettered."""
    group_id = await story.create("web", A, B)
    (message, *_) = story.fleet.visible()
    story.fleet.world.queues.bury(message)
    for other in story.fleet.visible():
        await story.fleet.deliver(other, *await story.fleet.start_worker())
    return group_id


async def _lost(story: Story) -> str:
    """One server was done, and the message of another is gone."""
    group_id = await _dead_letters(story)
    story.fleet.world.queues.letters.clear()
    return group_id


async def _nobody_works(story: Story) -> str:
    """Every message is lost, however often it is sent."""
    story.fleet.world.queues.loses = True
    return ""


async def _only_time_passes(_story: Story, _group_id: str) -> None:
    return


async def _create(story: Story, _group_id: str) -> None:
    await story.create("web", A, B)


async def _change(story: Story, group_id: str) -> None:
    await story.update(group_id, {A: OTHER, C: CONFIG})


async def _change_under_way(story: Story, _group_id: str) -> None:
    group_id = await story.create("web", A, B)
    await story.update(group_id, {A: OTHER, B: CONFIG})


async def _wide(story: Story) -> str:
    group_id = await story.create("web", A, B, launchConfig=WIDE)
    await story.settle()
    return group_id


async def _name_nothing(story: Story, group_id: str) -> None:
    await story.define(group_id, (A, B), BARE)


async def _name_nothing_under_way(story: Story, _group_id: str) -> None:
    group_id = await story.create("web", A, B, launchConfig=WIDE)
    process, use_cases = await story.fleet.start_worker()
    await asyncio.gather(*(story.fleet.deliver(each, process, use_cases) for each in story.fleet.visible()))
    await story.define(group_id, (A, B), BARE)


async def _bare(story: Story) -> str:
    group_id = await _wide(story)
    await _name_nothing(story, group_id)
    await story.settle()
    return group_id


async def _roll_back(story: Story, group_id: str) -> None:
    await story.roll_back(group_id, "1")


def check_put_back(story: Story) -> None:
    """Check that DRS and the launch templates hold what they held before us, in every field."""
    for server_id in (A, B):
        assert story.fleet.world.servers.template_of(server_id).data == NEW_TEMPLATE
        assert story.fleet.world.servers.configurations[server_id] == NEW_CONFIGURATION


async def _force(story: Story, group_id: str) -> None:
    story.fleet.world.servers.edit(A, InstanceType="t3.micro", KeyName="theirs")
    await story.apply(group_id)


async def _delete(story: Story, _group_id: str) -> None:
    await story.delete(await story.create("web", A, B))


async def _move(story: Story, group_id: str) -> None:
    await story.update(group_id, {A: CONFIG})
    await story.create("db", B, C)


async def _redrive(story: Story, _group_id: str) -> None:
    await story.redrive()


async def _wave(story: Story, group_id: str) -> None:
    await story.start_wave(group_id)


async def _wave_beside_a_run(story: Story, group_id: str) -> None:
    """A is to be changed, and a wave that skips what is pending comes first."""
    await story.update(group_id, {A: OTHER, B: CONFIG})
    jobs = story.fleet.visible()
    await story.start_wave(group_id, OnNotReady.SKIP)
    process, use_cases = await story.fleet.start_worker()
    for message in story.fleet.visible():
        if message not in jobs:
            await story.fleet.deliver(message, process, use_cases)


def check_one_is_left_out(story: Story) -> None:
    """Check that B was launched, and A too only where it was changed before."""
    (job,) = story.fleet.world.servers.jobs
    members = {each["sourceServerID"] for each in job["participatingServers"]}
    assert members in ({B}, {A, B})


async def _failed(story: Story) -> str:
    """A is not what it is to be, as DRS could not be read."""
    world = story.fleet.world

    def strike(call: Call) -> Exception | None:
        of_a = call.operation == "get_launch_configuration" and call.request["sourceServerID"] == A
        return refuse("ValidationException", "GetLaunchConfiguration") if of_a else None

    world.on_call = strike
    group_id = await _ready(story)
    world.on_call = lambda _call: None
    return group_id


async def _unrecoverable(story: Story) -> str:
    """DRS refuses every job that B is in."""
    story.fleet.world.servers.unrecoverable.add(B)
    return await _ready(story)


async def _change_while_launched(story: Story, group_id: str) -> None:
    await story.start_wave(group_id)
    await story.update(group_id, {A: OTHER, B: CONFIG})


async def _leave_while_launched(story: Story, group_id: str) -> None:
    await story.start_wave(group_id)
    await story.update(group_id, {A: CONFIG})
    try:
        await story.create("db", B, launchConfig=OTHER)
    except Conflict:
        return
    raise AssertionError("a source server that a wave launches joined another group")


SCENARIOS = (
    Scenario("create", _nothing, _create, generations=1),
    Scenario("change, remove and add a member", _ready, _change, generations=2, versions=2),
    Scenario("change while the run before is under way", _nothing, _change_under_way, generations=2, versions=2),
    Scenario("name fields no more", _wide, _name_nothing, generations=2, check=check_put_back),
    Scenario(
        "name fields no more while the run before is under way",
        _nothing,
        _name_nothing_under_way,
        generations=2,
        versions=2,
        check=check_put_back,
    ),
    Scenario("go back to an earlier run", _bare, _roll_back, generations=3),
    Scenario("apply with force over somebody's change", _ready, _force, generations=2, versions=2),
    Scenario("delete while the run is under way", _nothing, _delete, generations=1),
    Scenario("move a server to another group", _ready, _move, generations=2),
    Scenario("start a wave", _ready, _wave, generations=1, jobs=1),
    Scenario("start a wave over what failed", _failed, _wave, generations=2, jobs=1),
    Scenario("start a wave of which one is refused", _unrecoverable, _wave, generations=1, jobs=1),
    Scenario(
        "start a wave beside a run that it skips",
        _ready,
        _wave_beside_a_run,
        generations=2,
        jobs=1,
        check=check_one_is_left_out,
    ),
    Scenario("change what a wave launches", _ready, _change_while_launched, generations=2, versions=1, jobs=1),
    Scenario("take a member out of what a wave launches", _ready, _leave_while_launched, generations=2, jobs=1),
    Scenario("redrive a dead letter", _dead_letters, _redrive, generations=2),
    Scenario("sweep what was never sent", _never_sent, _only_time_passes, generations=1),
    Scenario("revive what was lost", _lost, _only_time_passes, generations=1),
    Scenario("give up at the deadline", _nobody_works, _create, generations=1, ends="failed", time_scale=0.1),
)
