"""The members of a group that tags select."""

from typing import Any

import pytest

from workers.core.model.errors import FieldError, GroupTooLarge, InvalidBody
from workers.core.model.group import MAX_SERVERS, GroupDefinition
from workers.core.model.group_parse import parse_group
from workers.core.model.selection import find_matching, find_places, select_members

A, B, C = (f"s-{letter * 17}" for letter in "abc")
TAGS = {"team": "pay", "aws:cloudformation:stack-name": "web"}


def draw(**changes: Any) -> dict[str, Any]:
    body = {"groupName": "web", "accountId": "111122223333", "region": "eu-central-1", "serverSelectionTags": TAGS}
    return {name: value for name, value in {**body, **changes}.items() if value is not None}


def refuse(body: dict[str, Any]) -> tuple[FieldError, ...]:
    with pytest.raises(InvalidBody) as refused:
        parse_group(body)
    return refused.value.errors


def test_who_has_every_tag_matches() -> None:
    """Keys and values to the letter, whatever other tags there are; the order is that of the ids."""
    tags = {C: {**TAGS, "x": "y"}, A: TAGS, B: {**TAGS, "team": "Pay"}, "s-none": {}}
    assert find_matching(TAGS, tags) == [A, C]


def test_the_selected_are_members_like_listed_ones() -> None:
    """Defaults and overrides make their launch configs, and the definition is stored and read back with both."""
    override = {"sourceServerId": B, "launchConfig": {"copyTags": False}}
    selected = select_members(parse_group(draw(launchConfig={"copyTags": True}, servers=[override])), [A, B])
    assert [selected.effective(each).values["copyTags"] for each in (A, B)] == [True, False]
    assert selected.to_body()["serverSelectionTags"] == TAGS
    assert selected.to_body()["sourceServerIds"] == [A, B]
    assert GroupDefinition.from_json(selected.to_json()) == selected
    assert set(find_places(selected).values()) == {"/serverSelectionTags"}


def test_it_is_either_a_list_or_tags() -> None:
    """Both are refused at the tags, none at the body, and no tags at all select nobody."""
    (both,) = refuse(draw(sourceServerIds=[A]))
    assert both.pointer == "/serverSelectionTags"
    assert "cannot stand beside sourceServerIds" in both.message
    (neither,) = refuse(draw(serverSelectionTags=None))
    assert (neither.pointer, "sourceServerIds is missing" in neither.message) == ("", True)


@pytest.mark.parametrize(
    "tags", [{}, [], "team=pay", {"": "x"}, {"k" * 129: ""}, {"k": "v" * 257}, {"k": 1}, {"k": None}]
)
def test_wrong_tags_are_refused_at_their_place(tags: Any) -> None:
    """They are one to fifty texts, by keys of 1 to 128 characters, of at most 256 each."""
    override = {"sourceServerId": A, "launchConfig": {"copyTags": True}}
    errors = refuse(draw(servers=[override]) | {"serverSelectionTags": tags})
    assert {each.pointer.split("/")[1] for each in errors} == {"serverSelectionTags"}


def test_what_fits_nobody_that_matches_is_told_at_once() -> None:
    """No match, an override of a stranger, and conflicts of the launch configs."""
    override = {"sourceServerId": C, "launchConfig": {"copyTags": False}}
    config = {"instanceType": "m5.xlarge", "targetInstanceTypeRightSizingMethod": "BASIC"}
    definition = parse_group(draw(servers=[override], launchConfig=config))
    with pytest.raises(InvalidBody) as refused:
        select_members(definition, [A, B])
    assert [(each.pointer, each.source_server_id) for each in refused.value.errors] == [
        ("/servers/0/sourceServerId", C),
        ("/launchConfig/instanceType", None),
    ]
    with pytest.raises(InvalidBody) as nobody:
        select_members(parse_group(draw()), [])
    (error,) = nobody.value.errors
    assert error.pointer == "/serverSelectionTags"
    assert "account 111122223333, eu-central-1 has all of these tags: aws:cloudformation:stack-name=web, team=pay" in (
        error.message
    )


def test_more_than_a_group_holds_is_refused() -> None:
    """Tags of everything select too much."""
    ids = [f"s-{number:017d}" for number in range(MAX_SERVERS + 1)]
    definition = parse_group(draw())
    assert len(select_members(definition, ids[1:]).source_server_ids) == MAX_SERVERS
    with pytest.raises(GroupTooLarge):
        select_members(definition, ids)
