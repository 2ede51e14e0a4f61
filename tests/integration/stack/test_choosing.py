"""What it costs `prelaunch reapply` to find out which groups and source servers are meant."""

from collections.abc import Sequence

import pytest

from producer.cli.reapply.choosing import choose
from producer.cli.reapply.outcome import Asked
from tests.integration.product import Product
from workers.core.model.errors import InvalidBody

pytestmark = pytest.mark.asyncio(loop_scope="session")
ONLY_FAILED = Asked(only_failed=True)


async def make_ready(product: Product, count: int) -> list[tuple[str, list[str]]]:
    """Make groups that are ready, of two source servers each."""
    made = []
    for _ in range(count):
        members = product.add_servers(2)
        made.append((await product.create(members), members))
    await product.drain()
    return made


async def choose_servers(product: Product, groups: Sequence[str], asked: Asked) -> dict[str, frozenset[str]]:
    return {each.group_id: each.servers for each in await choose(product.services, groups, asked)}


async def test_nothing_more_is_read_of_ready_groups_where_failed_ones_are_asked_for(product: Product) -> None:
    """Their status says that nobody failed: beside the look for the names, two items of a group, a hundred a call."""
    groups = [group_id for group_id, _ in await make_ready(product, 4)]
    product.count_anew()
    assert await choose_servers(product, groups, ONLY_FAILED) == {}
    assert product.calls() == {"dynamodb.GetItem": 4, "dynamodb.BatchGetItem": 1}


async def test_who_failed_is_found_also_in_a_group_that_is_pending(product: Product) -> None:
    """The others of its source servers are not asked for, nor is a group that was never applied."""
    members = product.add_servers(2)
    product.faults(
        {"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ValidationException"}
        | {"sourceServerId": members[0]}
    )
    group_id = await product.create(members)
    bare = await product.create(product.add_servers(1), launchConfig={})
    first, second = sorted(product.take_jobs(), key=lambda job: job.arguments["sourceServerId"] != members[0])
    await product.drain([first])
    assert (await product.status(group_id))["status"] == "pending"
    chosen = {group_id: frozenset(members[:1])}
    assert await choose_servers(product, [group_id, bare], ONLY_FAILED) == chosen
    await product.drain([second])
    assert (await product.status(group_id))["status"] == "failed"
    assert await choose_servers(product, [group_id, bare], ONLY_FAILED) == chosen


async def test_a_source_server_of_a_ready_group_is_known(product: Product) -> None:
    """Asked for among the failed ones it is none, and no error; one that is in no group is."""
    ((group_id, members),) = await make_ready(product, 1)
    assert await choose_servers(product, [group_id], Asked(only_failed=True, servers=frozenset(members))) == {}
    with pytest.raises(InvalidBody, match="s-nobody"):
        await choose_servers(product, [group_id], Asked(only_failed=True, servers=frozenset({"s-nobody"})))
