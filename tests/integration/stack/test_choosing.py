"""What it costs `prelaunch reapply` to find out which groups and source servers are meant, and what it would do."""

from collections.abc import Sequence
from typing import Any

import pytest

from producer.cli.reapply.board import Lines
from producer.cli.reapply.choosing import choose
from producer.cli.reapply.outcome import Asked
from producer.cli.reapply.planning import plan_all
from tests.integration.product import Product
from workers.core.model.errors import InvalidBody
from workers.core.requests import NotFound

pytestmark = pytest.mark.asyncio(loop_scope="session")
ONLY_FAILED = Asked(only_failed=True)
SILENT = Lines(lambda: 0.0, lambda _line: None)


async def make_ready(product: Product, count: int) -> list[tuple[str, list[str]]]:
    """Make groups that are ready, of two source servers each."""
    made = []
    for _ in range(count):
        members = product.add_servers(2)
        made.append((await product.create(members), members))
    await product.drain()
    return made


async def choose_servers(product: Product, groups: Sequence[str], asked: Asked) -> dict[str, frozenset[str]]:
    return {each.group_id: each.servers for each in await choose(product.services, groups, asked, SILENT)}


async def test_nothing_more_is_read_of_ready_groups_where_failed_ones_are_asked_for(product: Product) -> None:
    """Their status says that nobody failed: beside the look for the ids, two items of a group, a hundred a call."""
    groups = [group_id for group_id, _ in await make_ready(product, 4)]
    product.count_anew()
    assert await choose_servers(product, groups, ONLY_FAILED) == {}
    assert product.calls() == {"dynamodb.BatchGetItem": 2}


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
    said: list[str] = []
    await choose(product.services, [group_id, bare], ONLY_FAILED, Lines(lambda: 0.0, said.append))
    assert said == ["reading which groups there are.", "1 group: finding out which source servers failed."]
    assert await choose_servers(product, [group_id, bare], ONLY_FAILED) == chosen


async def test_a_source_server_of_a_ready_group_is_known(product: Product) -> None:
    """Asked for among the failed ones it is none, and no error; one that is in no group is."""
    ((group_id, members),) = await make_ready(product, 1)
    assert await choose_servers(product, [group_id], Asked(only_failed=True, servers=frozenset(members))) == {}
    with pytest.raises(InvalidBody, match="s-nobody"):
        await choose_servers(product, [group_id], Asked(only_failed=True, servers=frozenset({"s-nobody"})))


async def test_the_members_of_many_groups_are_a_few_reads(product: Product) -> None:
    """Not one a group: two items of each and its definition, a hundred a call, in the order they were named."""
    made = await make_ready(product, 4)
    bare = await product.create(product.add_servers(1), launchConfig={})
    named = [bare, *(group_id for group_id, _ in made)]
    product.count_anew()
    chosen = await choose(product.services, named, Asked(force=True), SILENT)
    assert product.calls() == {"dynamodb.BatchGetItem": 3}
    assert [each.group_id for each in chosen] == named
    assert [each.is_configured for each in chosen] == [False, *[True] * 4]
    assert [each.servers for each in chosen[1:]] == [frozenset(members) for _, members in made]
    assert {each.region for each in chosen} == {"us-east-1"}


async def test_a_group_that_is_deleted_meanwhile_is_not_chosen(product: Product) -> None:
    """Its members are gone with it, whether its head was read before or not."""
    ((group_id, members),) = await make_ready(product, 1)
    progress = product.services.progress
    assert await progress.read_members({group_id: 1, "pg-00000000000000000": 1}) == {group_id: frozenset(members)}
    assert (await product.api.delete(f"/protection-groups/{group_id}")).status_code == 204
    assert await progress.read_standings([group_id]) == {}


async def test_a_named_group_that_is_deleted_meanwhile_is_unknown(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever names it is told, by the name that he gave, and nothing of the others is done either."""
    (gone, _), (stays, _) = await make_ready(product, 2)
    name = (await product.services.queries.group(gone)).head.name
    find_many = product.services.progress.find_many

    async def find_and_delete(groups: Sequence[str]) -> dict[str, str]:
        found = await find_many(groups)
        assert (await product.api.delete(f"/protection-groups/{gone}")).status_code == 204
        return found

    monkeypatch.setattr(product.services.progress, "find_many", find_and_delete)
    with pytest.raises(InvalidBody) as refused:
        await choose_servers(product, [name, stays], Asked(force=True))
    assert [error.pointer for error in refused.value.errors] == [f"--group {name}"]


async def test_a_definition_of_several_chunks_is_read_whole(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large it is, and none of it in part."""
    monkeypatch.setattr("workers.core.store.groups.CHUNK_BYTES", 60)
    small, large = product.add_servers(1), product.add_servers(20)
    groups = {await product.create(members): frozenset(members) for members in (small, large)}
    product.count_anew()
    assert await product.services.progress.read_members(dict.fromkeys(groups, 1)) == groups
    assert product.calls() == {"dynamodb.BatchGetItem": 2}
    (last,) = [group_id for group_id, members in groups.items() if len(members) > 1]
    dynamodb = product.client("dynamodb")
    chunk: Any = {
        "TableName": f"{product.settings.stack}-groups",
        "Key": {"groupId": {"S": last}, "item": {"S": "config#0000000001#0001"}},
    }
    kept = dynamodb.get_item(**chunk)["Item"]
    dynamodb.delete_item(**chunk)
    read = await product.services.progress.read_members(dict.fromkeys(groups, 1))
    dynamodb.put_item(TableName=chunk["TableName"], Item=kept)
    assert list(read) == [group_id for group_id in groups if group_id != last]


async def test_a_dry_run_reads_a_group_once(product: Product) -> None:
    """What is ready is compared only by force, and where nothing is compared nothing more than the status is read."""
    groups = [group_id for group_id, _ in await make_ready(product, 3)]

    async def count_reads(asked: Asked) -> dict[str, int]:
        chosen = await choose(product.services, groups, asked, SILENT)
        product.count_anew()
        planned = await plan_all(product.services, chosen, asked, SILENT)
        assert [len(each.rows) for each in planned] == ([2, 2, 2] if asked.force else [0, 0, 0])
        return {name: calls for name, calls in product.calls().items() if name != "dynamodb.UpdateItem"}

    idle, forced = await count_reads(Asked()), await count_reads(Asked(force=True))
    assert set(idle) == {"dynamodb.GetItem", "dynamodb.Query"}
    # Two source servers of each, and what is recorded of them.
    assert forced["drs.GetLaunchConfiguration"] == 6
    assert forced["dynamodb.GetItem"] == idle["dynamodb.GetItem"]
    assert forced["dynamodb.Query"] == idle["dynamodb.Query"] + 3


async def test_many_names_are_found_by_two_reads(product: Product) -> None:
    """By id or name, with spaces round it, named twice or not; of others it is said that no group has them."""
    made = [group_id for group_id, _ in await make_ready(product, 3)]
    name = (await product.services.queries.group(made[1])).head.name
    named = [made[0], f" {name} ", name, made[1], made[2], "nobody", "", "\ud800", "x" * 3000]
    product.count_anew()
    found = await product.services.progress.find_many(named)
    assert product.calls() == {"dynamodb.BatchGetItem": 2}
    assert found == {made[0]: made[0], f" {name} ": made[1], name: made[1], made[1]: made[1], made[2]: made[2]}
    for each in named:
        if each in found:
            assert await product.services.queries.find(each) == found[each]
        else:
            with pytest.raises(NotFound):
                await product.services.queries.find(each)
    chosen = await choose_servers(product, [f" {name} ", name, made[1]], Asked(force=True))
    assert list(chosen) == [made[1]]
