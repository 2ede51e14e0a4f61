"""A launch template answers for any earlier moment, and a listing for any number of pages."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.launch_templates.paging import UnreadableToken, cut_page
from infra.local.launch_templates.template import LaunchTemplate

START = datetime(2026, 1, 1, tzinfo=UTC)


def after(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def template_with(promotions: list[tuple[int, int]], versions: int = 3) -> LaunchTemplate:
    """A template whose nth version is made at second n, with later promotions (second, number)."""
    template = LaunchTemplate("lt-1", "name", {}, after(1), after(1), "me")
    for second in range(1, versions + 1):
        template.add_version({"KeyName": str(second)}, None, after(second), after(second))
    template.defaults = [(after(1), 1), *((after(second), number) for second, number in promotions)]
    return template


@pytest.mark.parametrize(
    ("second", "default", "latest"), [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 1, 3), (5, 3, 3), (9, 2, 3)]
)
def test_default_and_latest_are_those_of_the_moment(second: int, default: int, latest: int) -> None:
    """Each write shows from its own moment on, and no earlier."""
    template = template_with([(5, 3), (7, 2)])
    assert (template.default_at(after(second)), template.latest_at(after(second))) == (default, latest)


def test_a_version_is_there_from_its_making_to_its_deletion() -> None:
    """Before and after, it cannot be found by its number, nor as the latest."""
    template = template_with([])
    template.versions_deleted_at[3] = after(6)
    found = [template.version_at("3", after(second)) is not None for second in (2, 3, 5, 6)]
    assert found == [False, True, True, False]
    assert [template.latest_at(after(second)) for second in (5, 6)] == [3, 2]
    assert list(template.numbers_at(after(6))) == [2, 1]
    assert template.count_versions() == 2


def test_a_number_is_never_used_again() -> None:
    """Deleting the highest version does not free its number."""
    template = template_with([])
    template.versions_deleted_at[3] = after(4)
    assert template.add_version({}, None, after(5), after(5)).number == 4


def test_a_template_is_there_from_its_making_to_its_deletion() -> None:
    """Before and after, it does not exist."""
    template = template_with([])
    template.deleted_at = after(6)
    assert [template.exists_at(after(second)) for second in (0, 1, 5, 6)] == [False, True, True, False]


@given(names=st.sets(st.text(max_size=4)), limit=st.integers(1, 5))
def test_pages_hold_every_item_once_in_order(names: set[str], limit: int) -> None:
    """Whatever the size of a page, all pages together are the sorted listing, and only the last is short."""
    items = [((name, 0), name) for name in names]
    seen: list[str] = []
    token = None
    while True:
        page, token = cut_page(items, token, limit)
        seen += page
        if token is None:
            break
        assert len(page) == limit
    assert seen == sorted(names)


@pytest.mark.parametrize("token", ["", "!", "e30=", "WzEsMl0=", "bm8="])
def test_a_token_of_someone_else_is_refused(token: str) -> None:
    """A token that we did not write is an error, not the first page."""
    with pytest.raises(UnreadableToken):
        cut_page([(("a", 0), "a")], token, 1)
