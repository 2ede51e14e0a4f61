"""A protection group's body: what is taken, what is refused, and what of it is shown."""

import hashlib
import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from workers.core.model.digest import digest_group, digest_launch_config
from workers.core.model.errors import INVALID_BODY, INVALID_LAUNCH_CONFIG
from workers.core.model.group import MAX_SERVERS, GroupBody, GroupDefinition, GroupTooLarge, InvalidBody
from workers.core.model.group_body import read_group
from workers.core.model.group_parse import parse_group, parse_group_update
from workers.core.model.launch_config import FIELDS, LaunchConfig

_A, _B = "s-" + "a" * 17, "s-" + "b" * 17


def _body(**members: Any) -> dict[str, Any]:
    body = {"groupName": "payroll", "region": "eu-central-1", "sourceServerIds": [_A, _B], **members}
    return {name: value for name, value in body.items() if value is not ...}


def _refusal(body: Any) -> list[tuple[str, str, str | None]]:
    with pytest.raises(InvalidBody) as refused:
        parse_group(body)
    assert all(error.message for error in refused.value.errors), "an error that says nothing"
    return [(error.pointer, error.code, error.source_server_id) for error in refused.value.errors]


def test_the_least_body_is_enough() -> None:
    """Name, Region and servers make a group; everything else has a default."""
    group = parse_group(_body())
    assert (group.name, group.description, group.auto_repair) == ("payroll", "", False)
    assert group.source_server_ids == (_A, _B)
    assert (group.target.region, group.target.account_id) == ("eu-central-1", None)
    assert not group.has_launch_config()
    assert group.effective(_A) == LaunchConfig()


def test_a_full_body_is_taken_whole() -> None:
    """Every member arrives where it belongs, and overrides lie over the defaults."""
    group = parse_group(
        _body(
            groupName="  payroll EU ",
            description="first line\n\tsecond",
            accountId="012345678901",
            assumeRoleName="DrsRole",
            externalId="ab:/x",
            autoRepair=True,
            launchConfig={"monitoring": True, "tags": {"team": "pay", "stage": "prod"}},
            servers=[
                {"sourceServerId": _A, "launchConfig": {"tags": {"team": None}}},
                {"sourceServerId": _B, "useGroupDefaults": False, "launchConfig": {"copyTags": True}},
            ],
        )
    )
    assert (group.name, group.description, group.auto_repair) == ("payroll EU", "first line\n\tsecond", True)
    target = group.target
    assert (target.account_id, target.assume_role_name, target.external_id) == (
        "012345678901",
        "DrsRole",
        "ab:/x",
    )
    assert group.effective(_A).values == {"monitoring": True, "tags": {"stage": "prod", "team": None}}
    assert group.effective(_B).values == {"copyTags": True}
    assert group.has_launch_config()


def test_defaults_that_no_server_uses_ask_for_nothing() -> None:
    """A group whose servers all ignore its defaults has no launch config."""
    alone = [{"sourceServerId": each, "useGroupDefaults": False} for each in (_A, _B)]
    assert not parse_group(_body(launchConfig={"monitoring": True}, servers=alone)).has_launch_config()
    assert parse_group(_body(launchConfig={"monitoring": True}, servers=alone[:1])).has_launch_config()


@pytest.mark.parametrize(
    "region", ["us-gov-west-1", "cn-north-1", "us-isob-east-1", "ap-southeast-4", "eusc-de-east-1"]
)
def test_every_shape_of_region_is_taken(region: str) -> None:
    """Regions of all partitions are accepted."""
    assert parse_group(_body(region=region)).target.region == region


@pytest.mark.parametrize(
    ("region", "told"),
    [
        ("us-east-99", "Did you mean us-east-1 or us-east-2?"),
        ("eu-cenrtal-1", "Did you mean eu-central-1?"),
        ("xx-moon-7", "is none that this installation knows. One that is newer"),
    ],
)
def test_a_region_that_nobody_knows_is_refused_with_its_like(region: str, told: str) -> None:
    """What only looks like a Region is refused with all else that is wrong; those that are like it are named."""
    known = ["eu-central-1", "us-east-1", "us-east-2"]
    with pytest.raises(InvalidBody) as refused:
        parse_group(_body(region=region, autoRepair="true"), regions=known)
    found = {error.pointer: error for error in refused.value.errors}
    assert found.keys() == {"/region", "/autoRepair"}
    error = found["/region"]
    assert (error.code, error.source_server_id) == (INVALID_BODY, None)
    assert told in error.message
    assert "PRELAUNCH_EXTRA_REGIONS" in error.message
    assert parse_group(_body(region=region), regions=[*known, region]).target.region == region


def test_a_region_of_the_wrong_form_is_one_error() -> None:
    """What is no name of a Region at all is not looked for among those that there are."""
    with pytest.raises(InvalidBody) as refused:
        parse_group(_body(region="Frankfurt"), regions=["eu-central-1"])
    assert [error.pointer for error in refused.value.errors] == ["/region"]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("groupName", ""),
        ("groupName", "   "),
        ("groupName", "n" * 129),
        ("groupName", "a\tb"),
        ("groupName", "a\ud800"),
        ("groupName", 7),
        ("groupName", None),
        ("description", "d" * 1001),
        ("description", None),
        ("accountId", 123456789012),
        ("accountId", "12345678901"),
        ("accountId", "\u0661" * 12),
        ("region", "eu-central"),
        ("region", "EU-CENTRAL-1"),
        ("region", "eu-central-1.example.com"),
        ("region", "eu-central-1\n"),
        ("assumeRoleName", "arn:aws:iam::123456789012:role/x"),
        ("assumeRoleName", "r" * 65),
        ("sourceServerIds", []),
        ("sourceServerIds", {}),
        ("sourceServerIds", _A),
        ("servers", {}),
        ("servers", None),
        ("autoRepair", "true"),
        ("autoRepair", 1),
        ("serverSelectionTags", {"team": "pay"}),
        ("version", 3),
    ],
)
def test_a_wrong_member_is_one_error_at_its_place(member: str, value: object) -> None:
    """A wrong or unknown member is INVALID_BODY at the member."""
    assert _refusal(_body(**{member: value})) == [(f"/{member}", INVALID_BODY, None)]


def test_missing_members_point_at_their_parent() -> None:
    """What is missing has no place of its own: the pointer is the object that lacks it."""
    assert _refusal({}) == [("", INVALID_BODY, None)] * 3
    assert _refusal(_body(servers=[{"launchConfig": {}}])) == [("/servers/0", INVALID_BODY, None)]


def test_the_longest_name_is_taken() -> None:
    """To the character, what stands around it not counted; of a wrong one the message shows what was given."""
    assert parse_group(_body(groupName=f" {'n' * 128}\n")).name == "n" * 128
    with pytest.raises(InvalidBody) as refused:
        parse_group(_body(groupName="a\tb"))
    assert str(refused.value) == '/groupName: groupName must have 1 to 128 printable characters, not "a\\tb".'


def test_tags_select_for_a_whole_group_only() -> None:
    """An entry names one source server."""
    entry = {"sourceServerId": _A, "serverSelectionTags": {"team": "pay"}}
    assert _refusal(_body(servers=[entry])) == [("/servers/0/serverSelectionTags", INVALID_BODY, _A)]


@pytest.mark.parametrize(
    ("update", "missing"), [({}, []), ({"update": False}, []), ({"update": True}, ["version is missing"])]
)
def test_only_an_update_names_a_version(update: dict[str, bool], missing: list[str]) -> None:
    """What is not said to be an update is a new group."""
    values, errors = read_group(_body(), **update)
    assert values == _body()
    assert [error.message.partition(";")[0] for error in errors] == missing


@pytest.mark.parametrize("body", [None, [], "x", 1, True])
def test_a_body_is_an_object(body: object) -> None:
    """Anything else is one error for the whole body."""
    assert _refusal(body) == [("", INVALID_BODY, None)]


def test_server_ids_are_right_and_unique() -> None:
    """A bad id and a repeated one are each an error at their index."""
    ids = [_A, "s-1", _B, _A, None, "i-0123456789abcdef0"]
    assert sorted(_refusal(_body(sourceServerIds=ids))) == [
        ("/sourceServerIds/1", INVALID_BODY, None),
        ("/sourceServerIds/3", INVALID_BODY, _A),
        ("/sourceServerIds/4", INVALID_BODY, None),
        ("/sourceServerIds/5", INVALID_BODY, None),
    ]


def test_a_wrong_id_is_no_repetition() -> None:
    """That it stands there twice is not said besides: each is to be put right."""
    assert _refusal(_body(sourceServerIds=["x", "x"])) == [
        ("/sourceServerIds/0", INVALID_BODY, None),
        ("/sourceServerIds/1", INVALID_BODY, None),
    ]


def test_overrides_belong_to_members_once() -> None:
    """An override needs a member of the group, and each has at most one."""
    stranger = "s-" + "c" * 17
    servers = [
        {"sourceServerId": _A},
        {"sourceServerId": stranger},
        {"sourceServerId": _A},
        {"sourceServerId": "x"},
        {"sourceServerId": _B, "useGroupDefaults": "no", "launchconfig": {}},
        "x",
    ]
    assert _refusal(_body(servers=servers)) == [
        ("/servers/1/sourceServerId", INVALID_BODY, stranger),
        ("/servers/2/sourceServerId", INVALID_BODY, _A),
        ("/servers/3/sourceServerId", INVALID_BODY, None),
        ("/servers/4/useGroupDefaults", INVALID_BODY, _B),
        ("/servers/4/launchconfig", INVALID_BODY, _B),
        ("/servers/5", INVALID_BODY, None),
    ]


def test_an_external_id_needs_its_role() -> None:
    """An external id without a role to assume would never be used."""
    assert _refusal(_body(externalId="abc")) == [("/externalId", INVALID_BODY, None)]


def test_a_null_is_told_of_once() -> None:
    """As something to leave out: it stands beside nothing, and needs nothing."""
    for name in ("serverSelectionTags", "externalId"):
        assert _refusal(_body(**{name: None})) == [(f"/{name}", INVALID_BODY, None)]
    selected = _body(serverSelectionTags={"team": "pay"}, sourceServerIds=None)
    assert _refusal(selected) == [("/sourceServerIds", INVALID_BODY, None)]


def test_structure_and_configs_are_refused_together() -> None:
    """Errors of the body, the defaults and each override come in one answer, under one code."""
    with pytest.raises(InvalidBody) as refused:
        parse_group(
            _body(
                region="x",
                launchConfig={"imageId": "ami-1"},
                servers=[{"sourceServerId": _B, "launchConfig": {"staticPrivateIp": "x"}}],
            )
        )
    assert [(error.pointer, error.code, error.source_server_id) for error in refused.value.errors] == [
        ("/region", INVALID_BODY, None),
        ("/launchConfig/imageId", INVALID_LAUNCH_CONFIG, None),
        ("/servers/0/launchConfig/staticPrivateIp", INVALID_LAUNCH_CONFIG, _B),
    ]
    assert refused.value.code == INVALID_BODY


def test_an_override_without_a_usable_id_is_checked_all_the_same() -> None:
    """A wrong id hides no error of the config beside it, and makes none."""
    servers = [{"sourceServerId": "x", "launchConfig": {"staticPrivateIp": "10.0.0.1", "monitoring": 1}}]
    assert _refusal(_body(servers=servers)) == [
        ("/servers/0/sourceServerId", INVALID_BODY, None),
        ("/servers/0/launchConfig/monitoring", INVALID_LAUNCH_CONFIG, None),
    ]


def test_too_many_servers_are_refused_before_anything_else() -> None:
    """The limit counts entries; one more is refused by its own error, the limit itself is not."""
    ids = [f"s-{n:017d}" for n in range(MAX_SERVERS + 1)]
    assert len(parse_group(_body(sourceServerIds=ids[:-1])).source_server_ids) == MAX_SERVERS
    for body in (_body(sourceServerIds=ids), _body(servers=[{}] * (MAX_SERVERS + 1))):
        with pytest.raises(GroupTooLarge) as refused:
            parse_group(body)
        assert (refused.value.count, refused.value.limit) == (MAX_SERVERS + 1, MAX_SERVERS)


def test_the_store_keeps_the_external_id_and_doors_do_not_show_it() -> None:
    """The external id goes to the store alone: not to a body, a representation or a message."""
    group = parse_group(_body(assumeRoleName="r", externalId="hush-hush"))
    assert GroupDefinition.from_json(group.to_json()) == group
    assert group.to_json()["externalId"] == "hush-hush"
    assert "hush-hush" not in json.dumps(group.to_body()) + repr(group)


def test_a_stored_group_that_cannot_be_read_is_a_value_error() -> None:
    """A damaged item raises instead of giving half a group."""
    stored: dict[str, object] = {
        **parse_group(_body(launchConfig={"monitoring": True}, servers=[{"sourceServerId": _A}])).to_json()
    }
    damaged: list[object] = [
        None,
        {},
        {**stored, "future": 1},
        {**stored, "launchConfig": None},
        {**stored, "accountId": 123456789012},
        {**stored, "externalId": None},
        {**stored, "sourceServerIds": _A},
        {**stored, "servers": {}},
        {**stored, "autoRepair": "true"},
        {**stored, "servers": [{"sourceServerId": _A, "useGroupDefaults": 0}]},
        {**stored, "launchConfig": {"future": 1}},
        {**stored, "servers": [{}]},
        {**stored, "servers": [{"sourceServerId": _A, "future": 1}]},
        {**stored, "servers": [None]},
    ]
    for each in damaged:
        with pytest.raises(ValueError, match=r"stored group|another version"):
            GroupDefinition.from_json(each)


def test_what_a_stored_group_leaves_out_is_as_in_a_request() -> None:
    """Nothing is said of any server, or of one no more than that it is there: it inherits the defaults."""
    least: dict[str, object] = {**_body()}
    assert GroupDefinition.from_json(least) == parse_group(_body())
    config, servers = {"monitoring": True}, [{"sourceServerId": _A}]
    group = GroupDefinition.from_json({**least, "launchConfig": config, "servers": servers})
    assert group == parse_group(_body(launchConfig=config, servers=servers))
    assert group.effective(_A).values == config


def test_what_was_accepted_stays_readable() -> None:
    """Stricter rules of a newer version leave a stored group readable, so that it can be put right."""
    stored = {**parse_group(_body()).to_json(), "groupName": "a\tb", "region": "moon-1"}
    assert GroupDefinition.from_json(stored).to_json() == stored


def test_the_schema_for_openapi_comes_from_the_same_types() -> None:
    """The published schema names every field and closes every object, launch configs included."""
    schema = TypeAdapter(GroupBody).json_schema()
    config = schema["$defs"]["LaunchConfigBody"]
    assert list(config["properties"]) == list(FIELDS)
    assert "required" not in config
    objects = [schema, *schema["$defs"].values()]
    assert all(each["additionalProperties"] is False for each in objects)
    assert sorted(schema["required"]) == ["groupName", "region"]
    assert schema["oneOf"] == [{"required": ["sourceServerIds"]}, {"required": ["serverSelectionTags"]}]
    assert all(each.get("description") for each in config["properties"].values())


def test_digests_have_a_form_that_stays() -> None:
    """A digest is SHA-256 over these bytes; another form would make every applied server look changed."""
    config = LaunchConfig({"tags": {"é": "\u20ac", "a": None}, "securityGroupIds": ["sg-2", "sg-1"]})
    canonical = '{"launchConfig":{"securityGroupIds":["sg-1","sg-2"],"tags":{"a":null,"é":"\u20ac"}},"schemaVersion":1}'
    assert digest_launch_config(config) == "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
    pairs = '{"schemaVersion":1,"servers":[["s-a","sha256:1"],["s-b","sha256:2"]]}'
    digest = digest_group({"s-b": "sha256:2", "s-a": "sha256:1"})
    assert digest == "sha256:" + hashlib.sha256(pairs.encode()).hexdigest()


def test_a_region_is_one_of_those_that_are_known() -> None:
    """Where anybody says which; one that is written much like some of them is guessed at, and only said once."""
    known = {*(f"eu-central-{number}" for number in range(1, 5)), "us-east-1"}
    assert parse_group(_body(), regions=known).target.region == "eu-central-1"
    assert parse_group(_body(region="eu-central-9")).target.region == "eu-central-9"
    for region, guess in (
        ("eu-central-9", " Did you mean eu-central-2 or eu-central-3 or eu-central-4? "),
        ("xy-abcdefgh-7", "knows. One"),
    ):
        with pytest.raises(InvalidBody) as refused:
            parse_group(_body(region=region), regions=known)
        (error,) = refused.value.errors
        assert (error.pointer, error.code, error.source_server_id) == ("/region", INVALID_BODY, None)
        assert region in error.message
        assert guess in error.message
    with pytest.raises(InvalidBody) as refused:
        parse_group(_body(region="nowhere"), regions=known)
    assert [error.pointer for error in refused.value.errors] == ["/region"]


@pytest.mark.parametrize(("said", "force"), [({}, False), ({"force": False}, False), ({"force": True}, True)])
def test_an_update_says_over_which_version_it_is_laid(said: dict[str, Any], force: bool) -> None:
    """And is a whole group besides; to apply everything has to be asked for."""
    update = parse_group_update(_body(version=7, description="new", **said))
    assert (update.version, update.force) == (7, force)
    assert update.definition == parse_group(_body(description="new"))


@pytest.mark.parametrize(
    ("members", "pointer"),
    [({}, ""), ({"version": 0}, "/version"), ({"version": "7"}, "/version"), ({"version": True}, "/version")],
)
def test_an_update_without_its_version_is_refused(members: dict[str, Any], pointer: str) -> None:
    """Nobody may write over what he has not read; and what an update says is no member of a new group."""
    with pytest.raises(InvalidBody) as refused:
        parse_group_update(_body(**members))
    assert [error.pointer for error in refused.value.errors] == [pointer]
    assert [pointer for pointer, _, _ in _refusal(_body(version=7, force=True))] == ["/version", "/force"]
