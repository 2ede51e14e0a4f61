"""Who matches a group's tags by now and is no member: found by the watch, or at once, and shown in the status."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.product import REGION, Product
from workers.core.contract import WatchWork
from workers.core.outcome import Acknowledge

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("unlisted")]

TAGS = {"team": "pay", "tier": "web"}
_accounts: Iterator[int] = itertools.count(510_000_000_000)


class Place:
    """An account that nobody has used, and groups of it that tags select."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.account_id = str(next(_accounts))
        product.local.control("PUT", f"accounts/{self.account_id}", {"roles": [{"roleName": "recovery"}]})

    def add(self, count: int, **tags: str) -> list[str]:
        return sorted(self.product.add_servers(count, accountId=self.account_id, tags={**TAGS, **tags}))

    async def create(self, **tags: str) -> str:
        access = {"accountId": self.account_id, "assumeRoleName": "recovery"}
        group_id = await self.product.create([], sourceServerIds=None, serverSelectionTags={**TAGS, **tags}, **access)
        await self.product.drain()
        return group_id

    async def watch(self) -> None:
        """Let the watch look at all of the account, later than at any time before."""
        self.product.clock.advance(self.product.settings.watch_period)
        outcome = await self.product.workers.watch(WatchWork(self.account_id, REGION))
        assert outcome == Acknowledge("drifted 0")

    def calls(self) -> dict[str, int]:
        counted = self.product.local.control("GET", f"calls?accountId={self.account_id}")
        return {name: counts["count"] for name, counts in counted.items()}


@pytest.fixture
def place(product: Product) -> Place:
    return Place(product)


async def unlisted(place: Place, group_id: str, **query: Any) -> tuple[int, list[str]] | None:
    found = (await place.product.status(group_id, **query))["unlistedServers"]
    return found and (found["count"], found["sourceServerIds"])


async def test_what_the_watch_found_is_shown_until_an_update_takes_it_in(place: Place) -> None:
    """The first twenty by name and the count of all, without a call to AWS; an apply keeps it, an update ends it."""
    place.add(1)
    group_id = await place.create()
    late = place.add(22)
    assert await unlisted(place, group_id) is None
    await place.watch()
    place.product.count_anew()
    assert await unlisted(place, group_id) == (22, late[:20])
    assert place.calls() == {}
    await place.product.apply(group_id, force=True)
    assert await unlisted(place, group_id) == (22, late[:20])
    await place.product.drain()
    assert await unlisted(place, group_id) == (22, late[:20])
    await place.product.update(group_id, {"sourceServerIds": None})
    assert await unlisted(place, group_id) is None
    await place.product.drain()
    await place.watch()
    assert await unlisted(place, group_id) is None


async def test_who_does_not_match_any_more_is_forgotten(place: Place) -> None:
    """A source server that was deleted since is named no more after the next watch."""
    place.add(1)
    group_id = await place.create()
    first, second = place.add(2)
    await place.watch()
    assert await unlisted(place, group_id) == (2, [first, second])
    for gone, left in ((first, (1, [second])), (second, None)):
        place.product.local.control("DELETE", f"servers/{gone}")
        await place.watch()
        assert await unlisted(place, group_id) == left


async def test_a_live_status_asks_the_account_now(place: Place) -> None:
    """Also before any watch, and nothing is stored by it."""
    place.add(1)
    group_id = await place.create()
    late = place.add(1)
    place.product.count_anew()
    assert await unlisted(place, group_id, live="true") == (1, late)
    assert place.calls()["drs.DescribeSourceServers"] == 1
    assert await unlisted(place, group_id) is None


async def test_two_groups_cost_one_look_and_a_list_none(place: Place) -> None:
    """The watch reads the source servers of an account once, and only where tags select; each group hears its own."""
    for name in ("a", "b"):
        place.add(1, group=name)
    first, second = await place.create(group="a"), await place.create(group="b")
    late = place.add(1, group="b")
    place.product.count_anew()
    await place.watch()
    assert place.calls()["drs.DescribeSourceServers"] == 1
    assert (await unlisted(place, first), await unlisted(place, second)) == (None, (1, late))
    for group_id in (first, second):
        members = (await place.product.services.queries.group(group_id)).definition.source_server_ids
        await place.product.update(group_id, {"serverSelectionTags": None, "sourceServerIds": list(members)})
    await place.product.drain()
    place.product.count_anew()
    await place.watch()
    assert "drs.DescribeSourceServers" not in place.calls()
    assert await unlisted(place, second) is None


async def test_a_watch_that_may_not_list_still_finds_drift(place: Place) -> None:
    """What is denied is the look at tags: the comparison goes on, and what was found before stays shown."""
    place.add(1)
    group_id = await place.create()
    late = place.add(1)
    await place.watch()
    place.product.faults({"service": "drs", "operation": "DescribeSourceServers", "code": "AccessDeniedException"})
    place.product.count_anew()
    await place.watch()
    assert place.calls()["drs.GetLaunchConfiguration"] == 1
    assert await unlisted(place, group_id) == (1, late)
