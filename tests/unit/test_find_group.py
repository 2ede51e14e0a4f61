"""What a person calls a group, and which group that is."""

from typing import Any

import pytest

from tests.fakes.runs import OPENED_AT
from workers.core.clock import read_clock
from workers.core.errors import ServiceUnavailable
from workers.core.queries import GROUP_ID, Queries
from workers.core.requests import NotFound, group_not_found, require_groups
from workers.core.runs.submission import new_group_id
from workers.core.store.records import GroupHead

LONGEST = "n" * 128
NAMES = {"web": "pg-1", "pg-1": "pg-2", "pg-9": "pg-3", "Zürich 東京": "pg-4", LONGEST: "pg-5"}


class NamedGroups:
    """Five groups, two of which are named like an id; keys that DynamoDB would refuse fail the test."""

    async def read_head(self, group_id: str) -> GroupHead | None:
        assert 0 < len(group_id.encode()) <= 2048
        names = {found: name for name, found in NAMES.items()}
        name = names.get(group_id)
        return GroupHead(group_id, name, "us-east-1", "1" * 12, 1, OPENED_AT, OPENED_AT) if name else None

    async def find_named(self, name: str) -> str | None:
        return NAMES.get(name)


@pytest.fixture
def queries() -> Queries:
    groups: Any = NamedGroups()
    return Queries(groups, groups, read_clock)


@pytest.mark.parametrize(
    ("called", "group_id"),
    [
        ("pg-4", "pg-4"),
        ("web", "pg-1"),
        (" web ", "pg-1"),
        ("Zürich 東京", "pg-4"),
        (LONGEST, "pg-5"),
        # A name that looks like an id is a name, unless it is an id: then that one is meant.
        ("pg-9", "pg-3"),
        ("pg-1", "pg-1"),
    ],
)
async def test_a_group_is_found_by_its_id_else_by_its_name(queries: Queries, called: str, group_id: str) -> None:
    """Ids and names of any script, with the blanks that a name is stored without."""
    assert await queries.find(called) == group_id


@pytest.mark.parametrize("called", ["nobody", "", "  ", "n" * 129, "n" * 3000, "a\x00b", "\udcff", "we\nb"])
async def test_what_is_neither_is_not_found(queries: Queries, called: str) -> None:
    """Whatever is typed: no key is looked up that DynamoDB or its wire cannot take."""
    with pytest.raises(NotFound) as refused:
        await queries.find(called)
    assert refused.value.code == "GROUP_NOT_FOUND"
    assert len(refused.value.detail) < 150
    assert repr(called[:80]) in refused.value.detail


DELETED = "pg-0123456789abcdef0"


@pytest.mark.parametrize(
    ("called", "group_id"), [("web", "pg-1"), ("pg-1", "pg-1"), (DELETED, DELETED), (f" {DELETED} ", DELETED)]
)
async def test_a_deleted_group_is_found_by_its_id_alone(queries: Queries, called: str, group_id: str) -> None:
    """Text of the form of an id that no group has any more is the id; what a group has is found as always."""
    assert await queries.find_also_deleted(called) == group_id


@pytest.mark.parametrize("called", ["nobody", "pg-", f"{DELETED}1", DELETED[:-1], DELETED.upper(), f"x{DELETED}", ""])
async def test_what_can_be_no_id_is_no_deleted_group(queries: Queries, called: str) -> None:
    """A misspelt name must not become a question about nothing."""
    with pytest.raises(NotFound):
        await queries.find_also_deleted(called)


def test_every_new_group_has_an_id_of_this_form() -> None:
    """Or its letters could not be asked for once it is deleted."""
    assert GROUP_ID.fullmatch(new_group_id())


def test_of_many_groups_those_that_are_not_there_are_named_together() -> None:
    """One that cannot be read just now is told before: who is missing is not known then. What is there is taken."""
    missing, busy = group_not_found("pg-2"), ServiceUnavailable("DynamoDB does not answer.")
    assert require_groups(["pg-1", "pg-3"], "/groupIds") == ["pg-1", "pg-3"]
    with pytest.raises(NotFound) as refused:
        require_groups(["pg-1", missing], "/groupIds")
    assert [error.pointer for error in refused.value.errors] == ["/groupIds/1"]
    with pytest.raises(NotFound) as alone:
        require_groups([missing], "/groupIds")
    assert alone.value is missing
    with pytest.raises(ServiceUnavailable):
        require_groups([missing, "pg-1", busy], "/groupIds")
