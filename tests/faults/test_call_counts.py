"""
What a source server costs in calls to AWS, counted over the twin: never in seconds, which a busy machine changes.

AWS's token buckets are the limit of this work, so a call more a source server is what makes every run slower. A change
that needs one more breaks a law here, and says why in it.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence

from tests.fakes.twin.fleet import Fleet
from tests.fakes.twin.world import Call, World
from tests.fakes.virtual_time import run_virtually
from tests.faults.scenarios import Story

MEMBERS = tuple(f"s-{number:017d}" for number in range(12))
READ, UPDATE = "get_launch_configuration", "update_launch_configuration"
READ_TEMPLATE, CREATE, PROMOTE = (
    "describe_launch_template_versions",
    "create_launch_template_version",
    "modify_launch_template",
)
MOST_FOR_A_CHANGE = {READ: 1, UPDATE: 1, READ_TEMPLATE: 2, CREATE: 1, PROMOTE: 1}
"""Calls a source server whose settings differ in DRS and in its template: read, written, and read back once."""
MOST_FOR_NO_CHANGE = {READ: 1, READ_TEMPLATE: 1}
"""Calls a source server that is right."""
LONG_AGO_SECONDS = 60
"""By when an observation is old enough to be believed."""


def count(story: Callable[[Story], Awaitable[Sequence[Call]]]) -> list[Call]:
    """Tell a story in which nothing goes wrong, and answer the calls to DRS and EC2 that it is about."""

    async def tell() -> list[Call]:
        world = World(seed=5)
        telling = Story(Fleet(world))
        world.servers.add(*MEMBERS)
        calls = await story(telling)
        telling.watch.check_end(telling.wanted)
        return [call for call in calls if call.service in {"drs", "ec2"}]

    return run_virtually(tell)


async def create(story: Story) -> Sequence[Call]:
    """Create a group of source servers, all of which have to be changed."""
    await story.create("web", *MEMBERS)
    await story.settle()
    return story.fleet.world.calls


async def apply_again(story: Story) -> Sequence[Call]:
    """Apply a group with force whose source servers are all right."""
    group_id = await story.create("web", *MEMBERS)
    await story.settle()
    await asyncio.sleep(LONG_AGO_SECONDS)
    begun = len(story.fleet.world.calls)
    await story.apply(group_id)
    await story.settle()
    return story.fleet.world.calls[begun:]


def find_excess(calls: Sequence[Call], most: dict[str, int]) -> Iterator[str]:
    """Find the APIs that were called more often than so many times a source server."""
    for operation, made in Counter(call.operation for call in calls).items():
        allowed = most.get(operation, 0) * len(MEMBERS)
        if made > allowed:
            yield f"{made} {operation} for {len(MEMBERS)} source servers, which may take {allowed}"


def test_a_changed_source_server_costs_at_most_six_calls() -> None:
    """One Get, one Update, the template read before and after, one version, promoted once; and nothing else."""
    calls = count(create)
    assert list(find_excess(calls, MOST_FOR_A_CHANGE)) == []
    # Each was written: a story in which nothing is done would keep every bound.
    for written in (UPDATE, CREATE, PROMOTE):
        assert sum(call.operation == written for call in calls) == len(MEMBERS)


def test_no_source_server_is_read_after_an_update_that_answered() -> None:
    """An update's own answer holds the whole launch configuration: a Get after it would say the same again."""
    updated, reads_after = set(), []
    for call in count(create):
        server = call.request.get("sourceServerID")
        if call.operation == UPDATE:
            updated.add(server)
        elif call.operation == READ and server in updated:
            reads_after.append(server)
    assert len(updated) == len(MEMBERS)
    assert reads_after == []


def test_what_is_right_is_not_written() -> None:
    """A forced apply over source servers that are right reads each once, and writes nothing."""
    calls = count(apply_again)
    assert list(find_excess(calls, MOST_FOR_NO_CHANGE)) == []
    assert not any(call.is_target_write for call in calls)
    assert calls, "nothing was observed"
