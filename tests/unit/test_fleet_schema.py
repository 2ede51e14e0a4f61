"""The JSON Schema of a fleet's file says of a file what reading it says."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.fleet_schema import make_fleet_schema
from tests.fakes.strategies import group_definitions
from workers.core.fleet.file import parse_fleet, render_fleet
from workers.core.model.errors import InvalidBody
from workers.core.model.group import GroupDefinition

VALIDATOR = jsonschema_rs.validator_for(make_fleet_schema())
A = "s-" + "a" * 17
WEB: dict[str, Any] = {"groupName": "web", "region": "us-east-1", "sourceServerIds": [A]}


@settings(max_examples=50)
@given(groups=st.lists(group_definitions(), max_size=2))
def test_every_file_that_is_exported_is_valid(groups: list[GroupDefinition]) -> None:
    """Whatever the groups."""
    VALIDATOR.validate(render_fleet(groups))


@pytest.mark.parametrize(
    ("fleet", "is_valid"),
    [
        ({"groups": []}, True),
        ({"groups": [WEB], "formatVersion": 1}, True),
        ({"groups": [WEB], "notRead": ["account 1: denied"]}, True),
        ({"groups": [WEB], "notRead": [1]}, False),
        ({"groups": [{**WEB, "externalId": "secret", "assumeRoleName": "role"}]}, True),
        ({"groups": [WEB], "formatVersion": 2}, False),
        ({"groups": [WEB], "more": 1}, False),
        ({}, False),
        ({"groups": [{**WEB, "taskToken": "t"}]}, False),
        ({"groups": [{**WEB, "version": 1}]}, False),
        ({"groups": [{**WEB, "serverSelectionTags": {"a": "b"}}]}, False),
        ({"groups": [{**WEB, "launchConfig": {"instanceType": 1}}]}, False),
        ({"groups": [{**WEB, "launchConfig": {"imageId": "ami-1"}}]}, False),
    ],
)
def test_the_schema_and_the_reader_agree(fleet: dict[str, Any], *, is_valid: bool) -> None:
    """What the one refuses the other refuses."""
    assert VALIDATOR.is_valid(fleet) is is_valid
    if is_valid:
        assert len(parse_fleet(fleet).require()) == len(fleet["groups"])
    else:
        with pytest.raises(InvalidBody):
            parse_fleet(fleet).require()
