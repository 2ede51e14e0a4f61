"""Groups whose members are selected by tags of DRS, when they are created or updated and at no other time."""

import uuid
from typing import Any

import pytest

from tests.integration.product import Product, problem_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

GROUPS = "/protection-groups"


@pytest.fixture
def tags() -> dict[str, str]:
    """Tags that no other test has given to anything."""
    return {"team": uuid.uuid4().hex, "tier": "web"}


def lookups(product: Product) -> int:
    return product.calls().get("drs.DescribeSourceServers", 0)


async def create(product: Product, tags: dict[str, str], **changes: Any) -> str:
    return await product.create([], sourceServerIds=None, serverSelectionTags=tags, **changes)


async def shown(product: Product, group_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await product.api.get(f"{GROUPS}/{group_id}")).json()
    return answer


async def test_a_group_is_made_of_who_matches(product: Product, tags: dict[str, str]) -> None:
    """Every page is read; those who match are stored beside the tags, shown, and applied."""
    matching = product.add_servers(2, tags={**tags, "more": "x"})
    product.add_servers(1, tags={"team": tags["team"]})
    product.add_servers(200)
    group_id = await create(product, tags)
    group = await shown(product, group_id)
    assert (group["sourceServerIds"], group["serverSelectionTags"]) == (sorted(matching), tags)
    await product.drain()
    assert (await product.status(group_id))["appliedServers"] == 2


async def test_tags_that_nobody_has_are_refused(product: Product, tags: dict[str, str]) -> None:
    """A group without members is none: 400 at the tags, and nothing is stored."""
    body = product.body([], sourceServerIds=None, serverSelectionTags=tags)
    product.count_anew()
    answer = await product.api.post(GROUPS, json=body)
    (error,) = problem_of(answer)["errors"]
    assert (answer.status_code, error["pointer"]) == (400, "/serverSelectionTags")
    assert product.writes().keys() <= {"dynamodb.UpdateItem"}


async def test_who_is_another_groups_is_told_at_the_tags(product: Product, tags: dict[str, str]) -> None:
    """There is no place in a list to point to."""
    (member,) = product.add_servers(1, tags=tags)
    await product.create([member])
    answer = await product.api.post(GROUPS, json=product.body([], sourceServerIds=None, serverSelectionTags=tags))
    (error,) = problem_of(answer)["errors"]
    assert (answer.status_code, error["code"], error["pointer"], error["sourceServerId"]) == (
        409,
        "SERVER_CONFLICT",
        "/serverSelectionTags",
        member,
    )


async def test_an_update_selects_anew_and_nothing_else_does(product: Product, tags: dict[str, str]) -> None:
    """Who matches since is no member until an update, not even of a wave; `find_unlisted` names it before."""
    (first,) = product.add_servers(1, tags=tags)
    group_id = await create(product, tags)
    await product.drain()
    (second,) = product.add_servers(1, tags=tags)
    definition = (await product.services.queries.group(group_id)).definition
    assert await product.services.validation.find_unlisted(definition) == [second]
    product.count_anew()
    assert (await product.api.post("/waves", json={"groupIds": [group_id]})).status_code == 202
    await product.drain()
    await product.apply(group_id, force=True)
    await product.drain()
    assert (lookups(product), (await shown(product, group_id))["sourceServerIds"]) == (0, [first])
    product.local.control("DELETE", f"servers/{first}")
    updated = await product.update(group_id, {"sourceServerIds": None})
    assert updated.reapply is not None
    assert updated.reapply.source_server_ids == (second,)
    assert (await shown(product, group_id))["sourceServerIds"] == [second]
    definition = (await product.services.queries.group(group_id)).definition
    assert await product.services.validation.find_unlisted(definition) == []


async def test_a_list_can_take_the_place_of_tags(product: Product, tags: dict[str, str]) -> None:
    """And the other way round: an update says which of the two it is."""
    first, second = sorted(product.add_servers(2, tags=tags))
    group_id = await create(product, tags)
    await product.update(group_id, {"serverSelectionTags": None, "sourceServerIds": [first]})
    group = await shown(product, group_id)
    assert (group["sourceServerIds"], "serverSelectionTags" in group) == ([first], False)
    await product.update(group_id, {"serverSelectionTags": tags, "sourceServerIds": None})
    assert (await shown(product, group_id))["sourceServerIds"] == [first, second]
