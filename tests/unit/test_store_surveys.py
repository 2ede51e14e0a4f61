"""Surveys over the twin's tables: made by one process at a time, kept for all, and no longer than a day."""

import asyncio
from datetime import UTC, datetime, timedelta

from tests.fakes.twin.store import TwinStore, over_the_twin
from workers.core.store.surveys import CLAIMED_FOR, KEPT, Surveyed

GROUP, KEY = "pg-1", "survey#0000000007"
BEGUN_AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SURVEY = {each: Surveyed(each, version, BEGUN_AT) for each, version in (("lt-1", 3), ("lt-2", 12))}


@over_the_twin
async def test_a_survey_is_read_as_it_was_kept(store: TwinStore) -> None:
    """To the microsecond, for it is believed by when it was begun; every other generation has none."""
    await store.surveys.keep(GROUP, 7, SURVEY)
    assert await store.surveys.read(GROUP, 7) == SURVEY
    assert await store.surveys.read(GROUP, 8) is None
    assert await store.surveys.read("pg-2", 7) is None


@over_the_twin
async def test_an_empty_survey_is_one(store: TwinStore) -> None:
    """Nothing was right, or nothing could be read: nobody makes it again."""
    await store.surveys.keep(GROUP, 7, {})
    assert await store.surveys.read(GROUP, 7) == {}
    assert not await store.surveys.claim(GROUP, 7, store.world.now())


@over_the_twin
async def test_one_makes_it(store: TwinStore) -> None:
    """Whoever comes while it is made is told so; once its maker must have died somebody else is let in."""
    began = store.world.now()
    assert await store.surveys.claim(GROUP, 7, began)
    assert not await store.surveys.claim(GROUP, 7, began + CLAIMED_FOR)
    assert await store.surveys.read(GROUP, 7) is None
    assert await store.surveys.claim(GROUP, 8, began)
    taken_over = began + CLAIMED_FOR + timedelta(milliseconds=1)
    assert await store.surveys.claim(GROUP, 7, taken_over)
    assert not await store.surveys.claim(GROUP, 7, taken_over)


@over_the_twin
async def test_what_is_made_is_not_made_again(store: TwinStore) -> None:
    """However long ago: the claim is gone, and the survey stands."""
    began = store.world.now()
    assert await store.surveys.claim(GROUP, 7, began)
    await store.surveys.keep(GROUP, 7, SURVEY)
    item = store.item("runs", GROUP, KEY)
    assert item is not None
    assert set(item) == {"groupId", "item", "templates", "expiresAt"}
    assert item["expiresAt"] == int((began + KEPT).timestamp())
    await asyncio.sleep(3600)
    assert not await store.surveys.claim(GROUP, 7, store.world.now())
    assert await store.surveys.read(GROUP, 7) == SURVEY


@over_the_twin
async def test_two_that_come_at_once_are_one(store: TwinStore) -> None:
    """One write decides."""
    claims = [store.surveys.claim(GROUP, 7, store.world.now()) for _ in range(5)]
    assert sum(await asyncio.gather(*claims)) == 1
