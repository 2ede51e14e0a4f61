"""Lists of groups and of runs: every one once, in order, whatever the page's size."""

import asyncio
from typing import Any

import pytest

from tests.integration.databases import over_every_database
from tests.integration.product import TESTER, Product
from workers.core.queries import GroupSummary
from workers.core.requests import NotFound, RequestRefused

pytestmark = [pytest.mark.asyncio(loop_scope="session"), over_every_database]


async def all_groups(product: Product, limit: int) -> list[GroupSummary]:
    found: list[GroupSummary] = []
    token: str | None = None
    while True:
        page = await product.services.queries.groups(limit, token)
        assert len(page.groups) <= limit
        found += page.groups
        token = page.next_token
        if token is None:
            return found


async def create_named(product: Product, names: list[str]) -> list[str]:
    members = product.add_servers(len(names))
    pairs = zip(names, members, strict=True)
    return await asyncio.gather(*(product.create([member], groupName=name) for name, member in pairs))


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
async def test_every_group_is_listed_once_by_name(product: Product, limit: int) -> None:
    """Whatever the page's size and the names' letters, the pages together are all groups, in the order of names."""
    prefix = f"list {limit} "
    names = [prefix + rest for rest in ("Übung", "b", "a", "B", "日本", "🗾" * 100)]
    ids = await create_named(product, names)
    listed = [each for each in await all_groups(product, limit) if each.head.name.startswith(prefix)]
    assert [each.head.name for each in listed] == sorted(names, key=str.encode)
    assert {each.head.group_id for each in listed} == set(ids)


async def test_a_list_tells_where_each_group_stands(product: Product) -> None:
    """A pending group by what is recorded now; one without launch config has no status; a deleted one goes."""
    first, second, third, fourth = product.add_servers(4)
    pending = await product.create([first, second])
    (job, *_) = product.take_jobs()
    await product.run(job)
    bare = await product.create([third], launchConfig=None)
    gone = await product.create([fourth])
    await product.services.removal.delete_group(gone, TESTER)
    listed = {each.head.group_id: each.status for each in await all_groups(product, 100)}
    assert gone not in listed
    assert listed[bare] is None
    status = listed[pending]
    assert status is not None
    assert (status.status.value, status.counts.applied, status.counts.pending) == ("pending", 1, 1)


@pytest.mark.parametrize("token", ["x", "e30=", "WzEsMl0=", "W10=", "WyIiLCIiXQ==", "WyJcdWQ4MDAiLCJhIl0=", "é"])
async def test_a_token_that_is_none_is_refused(product: Product, token: str) -> None:
    """What no page gave is bad input, for both lists; never an error of our own."""
    group_id = await product.create(product.add_servers(1))
    with pytest.raises(RequestRefused) as refused:
        await product.services.queries.groups(10, token)
    assert refused.value.code == "INVALID_BODY"
    with pytest.raises(RequestRefused):
        await product.services.history.runs(group_id, 10, token)


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_runs_are_listed_newest_first(product: Product, limit: int) -> None:
    """Each run of a group once, newest first, with who asked and what came of it."""
    group_id = await product.create_ready(product.add_servers(2))
    await product.apply(group_id, force=True)
    await product.apply(group_id, force=True)
    await product.drain()
    found: list[Any] = []
    token: str | None = None
    while True:
        page = await product.services.history.runs(group_id, limit, token)
        assert len(page.runs) <= limit
        found += page.runs
        token = page.next_token
        if token is None:
            break
    assert [run.generation for run in found] == [3, 2, 1]
    assert [run.outcome.value if run.outcome else None for run in found] == ["ready", None, "ready"]
    assert [run.superseded_by for run in found] == [None, 3, None]
    assert found[0].counts.applied == 2
    assert all(run.settled_at is not None for run in found)


async def test_one_run_is_found_by_its_id(product: Product) -> None:
    """With the source servers that it lists; another group's run, or none, is not found."""
    members = product.add_servers(3)
    group_id, other = await product.create_ready(members[:2]), await product.create_ready(members[2:])
    (run,) = (await product.services.history.runs(group_id, 10, None)).runs
    view = await product.services.history.run(group_id, run.run_id)
    assert (view.head, set(view.source_server_ids)) == (run, set(members[:2]))
    for group, run_id in ((other, run.run_id), (group_id, "run-none")):
        with pytest.raises(NotFound) as missing:
            await product.services.history.run(group, run_id)
        assert missing.value.code == "RUN_NOT_FOUND"
    with pytest.raises(NotFound) as missing:
        await product.services.history.runs("pg-none", 10, None)
    assert missing.value.code == "GROUP_NOT_FOUND"
