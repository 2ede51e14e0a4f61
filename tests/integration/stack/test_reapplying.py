"""What `prelaunch reapply` tells of runs that others opened, and of groups that change while it asks."""

from collections.abc import Sequence
from typing import Any

import pytest

from producer.cli.reapply.applying import Applied, Applying
from producer.cli.reapply.board import Lines
from producer.cli.reapply.choosing import choose
from producer.cli.reapply.following import Following, follow_while
from producer.cli.reapply.interruption import Interruption
from producer.cli.reapply.outcome import Asked, Chosen, GroupOutcome
from tests.integration.product import TESTER, Product, Sent

pytestmark = pytest.mark.asyncio(loop_scope="session")
SILENT = Lines(lambda: 0.0, lambda _line: None)
REFUSAL = {"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ValidationException"}


async def choose_groups(product: Product, groups: Sequence[str], asked: Asked) -> list[Chosen]:
    return await choose(product.services, groups, asked, SILENT)


async def apply_all(product: Product, chosen: Sequence[Chosen], asked: Asked) -> tuple[Applied, Following]:
    interruption = Interruption()
    following = Following(product.services, interruption, SILENT, product.clock)
    applying = Applying(product.services, TESTER, interruption, SILENT, following.add)
    return await applying.apply_all(chosen, asked), following


async def follow(following: Following) -> list[GroupOutcome]:
    async def nothing() -> Any:
        return Applied()

    await follow_while(following, nothing())
    return following.outcomes


async def fail_one_of_two(product: Product) -> tuple[str, list[str], Sent]:
    """Make a group of which one source server has failed while the other one's job is still to be done."""
    members = product.add_servers(2)
    product.faults({**REFUSAL, "sourceServerId": members[0]})
    group_id = await product.create(members, launchConfig={"copyTags": True})
    jobs = sorted(product.take_jobs(), key=lambda job: str(job.arguments["sourceServerId"]) != members[0])
    await product.drain(jobs[:1])
    return group_id, members, jobs[1]


@pytest.mark.parametrize("only_failed", [True, False])
async def test_who_failed_in_a_run_that_goes_on_is_not_called_ready(product: Product, *, only_failed: bool) -> None:
    """Whoever asks for it waits for the run, and is told the failure."""
    group_id, members, left = await fail_one_of_two(product)
    asked = Asked(only_failed=only_failed, servers=None if only_failed else frozenset(members[:1]))
    applied, following = await apply_all(product, await choose_groups(product, [group_id], asked), asked)
    assert (applied.outcomes, len(applied.running)) == ([], 1)
    await product.drain([left])
    (outcome,) = await follow(following)
    assert [(row.server, row.status, row.code) for row in outcome.rows] == [
        (members[0], "failed", "ValidationException")
    ]


async def test_who_is_ready_in_a_run_that_goes_on_is_not_waited_for(product: Product) -> None:
    """The run is for others."""
    members = product.add_servers(2)
    group_id = await product.create(members)
    jobs = sorted(product.take_jobs(), key=lambda job: str(job.arguments["sourceServerId"]) != members[0])
    await product.drain(jobs[:1])
    asked = Asked(servers=frozenset(members[:1]))
    applied, _ = await apply_all(product, await choose_groups(product, [group_id], asked), asked)
    (outcome,) = applied.outcomes
    assert [(row.server, row.status) for row in outcome.rows] == [(members[0], "ready")]
    await product.drain(jobs[1:])


@pytest.mark.parametrize("is_ready", [True, False])
async def test_a_group_is_told_of_with_the_members_that_it_has_by_then(product: Product, *, is_ready: bool) -> None:
    """Who left after the groups were read is not called ready, and who joined is told of."""
    stays, leaves, joins = product.add_servers(3)
    group_id = await product.create([stays, leaves])
    await product.drain()
    (chosen,) = await choose_groups(product, [group_id], Asked())
    await product.update(group_id, {"sourceServerIds": [stays, joins]})
    if is_ready:
        await product.drain()
    applied, following = await apply_all(product, [chosen], Asked())
    await product.drain()
    (outcome,) = applied.outcomes if is_ready else await follow(following)
    assert [(row.server, row.status) for row in outcome.rows] == [
        (server, "ready") for server in sorted([stays, joins])
    ]
