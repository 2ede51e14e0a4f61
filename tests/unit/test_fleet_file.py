"""The file of a fleet: everything wrong with every group is said at once, and nothing secret is written."""

from dataclasses import replace
from typing import Any

import pytest

from workers.core.fleet.file import MAX_GROUPS, parse_fleet, render_fleet
from workers.core.model.errors import InvalidBody
from workers.core.model.group import MAX_SERVERS, ServerOverride
from workers.core.model.group_parse import parse_group
from workers.core.model.launch_config import LaunchConfig

A, B = "s-" + "a" * 17, "s-" + "b" * 17
WEB: dict[str, Any] = {"groupName": "web", "region": "us-east-1", "sourceServerIds": [A]}
DB: dict[str, Any] = {**WEB, "groupName": "db", "sourceServerIds": [B]}


def find_errors(raw: object) -> list[tuple[str, str, str | None]]:
    with pytest.raises(InvalidBody) as refused:
        parse_fleet(raw, regions={"us-east-1"}).require()
    return [(each.pointer, each.message, each.source_server_id) for each in refused.value.errors]


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (None, ""),
        ([], ""),
        ({}, ""),
        ({"groups": {}}, "/groups"),
        ({"groups": None}, "/groups"),
        ({"groups": [WEB], "group": []}, "/group"),
        ({"groups": [WEB], "formatVersion": 2}, "/formatVersion"),
        ({"groups": [WEB], "formatVersion": "1"}, "/formatVersion"),
        ({"groups": [WEB], "notRead": "account 1"}, "/notRead"),
        ({"groups": [WEB, "db"]}, "/groups/1"),
        ({"groups": [WEB, {**DB, "taskToken": "t"}]}, "/groups/1/taskToken"),
        ({"groups": [WEB, {**DB, "version": 3}]}, "/groups/1/version"),
        ({"groups": [WEB, {**DB, "region": "us-east-9"}]}, "/groups/1/region"),
        ({"groups": [WEB, {**DB, "groupName": " web "}]}, "/groups/1/groupName"),
        ({"groups": [WEB, {**DB, "sourceServerIds": [B] * (MAX_SERVERS + 1)}]}, "/groups/1"),
        ({"groups": [WEB] * (MAX_GROUPS + 1)}, "/groups"),
    ],
)
def test_one_thing_that_is_wrong_is_one_error_at_its_place(raw: object, pointer: str) -> None:
    """And the file is refused as a whole."""
    assert [each[0] for each in find_errors(raw)] == [pointer]


def test_all_errors_of_all_groups_come_at_once() -> None:
    """Each with its place in the file and its source server."""
    override = {"sourceServerId": B, "launchConfig": {"instanceType": "m5"}}
    errors = find_errors(
        {
            "groups": [
                {**WEB, "launchConfig": {"imageId": "ami-1"}},
                {**DB, "servers": [override]},
                {**DB, "groupName": "x", "regio": 1, "taskToken": "t"},
            ]
        }
    )
    assert [(pointer, server) for pointer, _, server in errors] == [
        ("/groups/0/launchConfig/imageId", None),
        ("/groups/1/servers/0/launchConfig/instanceType", B),
        ("/groups/2/taskToken", None),
        ("/groups/2/regio", None),
    ]
    assert "taskToken" not in errors[2][1].partition("accepted are")[2]


def test_a_name_that_stands_twice_says_where_it_stands_first() -> None:
    """The second one alone is wrong."""
    ((pointer, message, _),) = find_errors({"groups": [WEB, DB, WEB]})
    assert pointer == "/groups/2/groupName"
    assert "/groups/0 " in message


def test_an_external_id_is_read_and_never_written() -> None:
    """Whoever has the file must not have the key."""
    with_key = {**WEB, "assumeRoleName": "role", "externalId": "the-secret"}
    (group,) = parse_fleet({"groups": [with_key]}).require()
    assert group.target.external_id == "the-secret"
    written = render_fleet([group])
    assert "the-secret" not in str(written)
    assert parse_fleet(written).require()[0] == replace(group, target=replace(group.target, external_id=None))


def test_what_could_not_be_read_stands_in_the_file() -> None:
    """And changes nothing of what the file asks for."""
    (web,) = parse_fleet({"groups": [WEB]}).require()
    written = render_fleet([web], ["account 1: denied"])
    assert written["notRead"] == ["account 1: denied"]
    assert parse_fleet(written).require() == (web,)


def test_what_says_nothing_is_not_written() -> None:
    """And the order is the same, whatever order groups, source servers and overrides came in."""
    web = parse_group({**WEB, "sourceServerIds": [B, A], "autoRepair": True})
    nothing = {member: ServerOverride(member, True, LaunchConfig()) for member in (B, A)}
    both = render_fleet([replace(web, overrides=nothing), parse_group({**DB, "description": "of all"})])
    assert both == {
        "formatVersion": 1,
        "groups": [
            {"groupName": "db", "description": "of all", "region": "us-east-1", "sourceServerIds": [B]},
            {
                "groupName": "web",
                "region": "us-east-1",
                "sourceServerIds": [A, B],
                "servers": [{"sourceServerId": A}, {"sourceServerId": B}],
                "autoRepair": True,
            },
        ],
    }


def test_what_tags_select_is_written_as_tags() -> None:
    """Members of today would make it a list of tomorrow's."""
    raw = {"groupName": "web", "region": "us-east-1", "serverSelectionTags": {"app": "web"}}
    group = replace(parse_group(raw), source_server_ids=(A, B))
    assert render_fleet([group])["groups"] == [raw]
