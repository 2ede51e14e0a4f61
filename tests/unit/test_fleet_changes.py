"""What a file changes, field by field: what is the same is nothing, and no secret is shown."""

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.runs import OPENED_AT
from workers.core.fleet.changes import FieldChange, Kind, compare, remove
from workers.core.model.group import GroupDefinition
from workers.core.model.group_parse import parse_group
from workers.core.store.records import GroupHead

A, B, C = (f"s-{letter * 17}" for letter in "abc")
HEAD = GroupHead("pg-1", "web", "us-east-1", "1" * 12, 4, OPENED_AT, OPENED_AT)
BODY: dict[str, Any] = {
    "groupName": "web",
    "region": "us-east-1",
    "accountId": "1" * 12,
    "assumeRoleName": "role",
    "externalId": "secret-1",
    "sourceServerIds": [A, B],
    "launchConfig": {"monitoring": True, "tags": {"a.b": "x", "Owner": None}, "instanceType": None},
    "servers": [{"sourceServerId": A, "useGroupDefaults": False, "launchConfig": {"tags": {"Owner": "bo"}}}],
}


def read(**members: Any) -> GroupDefinition:
    return parse_group({**BODY, **members})


STORED = read()


@pytest.mark.parametrize(
    ("wanted", "changed"),
    [
        (read(description="of all"), [FieldChange("description", False, None, True, "of all")]),
        (read(autoRepair=True), [FieldChange("autoRepair", False, None, True, True)]),
        (read(assumeRoleName="other"), [FieldChange("assumeRoleName", True, "role", True, "other")]),
        (
            read(externalId="secret-2"),
            [FieldChange("externalId", True, "(not shown)", True, "(not shown)")],
        ),
        (
            read(launchConfig={"monitoring": None, "tags": {"a.b": "x"}, "instanceType": None}),
            [
                FieldChange("launchConfig.monitoring", True, True, True, None),
                FieldChange("launchConfig.tags.Owner", True, None, False, None),
            ],
        ),
        (
            read(launchConfig={"monitoring": True, "tags": None, "instanceType": None}),
            [
                FieldChange("launchConfig.tags", False, None, True, None),
                FieldChange("launchConfig.tags.Owner", True, None, False, None),
                FieldChange("launchConfig.tags.a.b", True, "x", False, None),
            ],
        ),
        (
            read(servers=[{"sourceServerId": A, "launchConfig": {"tags": {"Owner": "bo"}}}]),
            [FieldChange(f"servers.{A}.useGroupDefaults", True, False, False, None)],
        ),
        (
            read(servers=[]),
            [
                FieldChange(f"servers.{A}.useGroupDefaults", True, False, False, None),
                FieldChange(f"servers.{A}.launchConfig.tags.Owner", True, "bo", False, None),
            ],
        ),
    ],
)
def test_each_field_that_differs_is_named(wanted: GroupDefinition, changed: list[FieldChange]) -> None:
    """With what is stored and what the file says; null is something that is said."""
    change = compare(wanted, 3, HEAD, STORED)
    assert (change.kind, change.index, change.joining, change.leaving) == (Kind.UPDATE, 3, (), ())
    assert sorted(change.fields, key=lambda each: each.field) == sorted(changed, key=lambda each: each.field)
    assert "secret" not in repr(change)


@pytest.mark.parametrize(
    "same",
    [
        STORED,
        read(description="", autoRepair=False),
        read(sourceServerIds=[B, A]),
        read(servers=[*BODY["servers"], {"sourceServerId": B, "launchConfig": {}}]),
    ],
)
def test_what_means_the_same_is_no_change(same: GroupDefinition) -> None:
    """Whatever order it has, and whether what says nothing is written or left out."""
    assert compare(same, 0, HEAD, STORED).kind is Kind.NONE


def test_who_joins_and_leaves_is_named() -> None:
    """Without a word of who stays."""
    change = compare(replace(STORED, source_server_ids=(C, A)), 0, HEAD, STORED)
    assert (change.kind, change.joining, change.leaving) == (Kind.UPDATE, (C,), (B,))


def test_a_group_that_is_not_there_is_created_whole() -> None:
    """Every field and every member of it; a group that goes lets all of them go."""
    created = compare(STORED, 0)
    assert (created.kind, created.joining, created.place) == (Kind.CREATE, (A, B), ("1" * 12, "us-east-1"))
    assert FieldChange("launchConfig.tags.a.b", False, None, True, "x") in created.fields
    assert FieldChange("externalId", False, None, True, "(not shown)") in created.fields
    deleted = remove(HEAD, STORED)
    assert (deleted.kind, deleted.leaving, deleted.place) == (Kind.DELETE, (A, B), ("1" * 12, "us-east-1"))
