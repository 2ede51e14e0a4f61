"""Fields that cannot stand together, within a config and in a group, and where the errors point."""

from typing import Any

import pytest

from workers.core.model.conflicts import Conflict, find_conflicts, find_shared_addresses
from workers.core.model.errors import INVALID_LAUNCH_CONFIG, FieldError
from workers.core.model.group import InvalidBody
from workers.core.model.group_parse import parse_group
from workers.core.model.launch_config import Json, LaunchConfig

_A, _B, _C = (f"s-{letter * 17}" for letter in "abc")
_SUBNET = "subnet-0123456789abcdef0"
_GROUPS: list[Json] = ["sg-0123456789abcdef0"]
_INTO: dict[str, Json] = {"launchIntoEC2InstanceID": "i-0123456789abcdef0"}
_IP = "10.0.0.9"

_CLASHES: list[tuple[dict[str, Json], str]] = [
    ({"instanceType": "t3.micro", "targetInstanceTypeRightSizingMethod": "BASIC"}, "instanceType"),
    ({"instanceType": "t3.micro", "targetInstanceTypeRightSizingMethod": "IN_AWS"}, "instanceType"),
    # Right-sizing writes a type where none may be.
    ({"instanceType": None, "targetInstanceTypeRightSizingMethod": "BASIC"}, "instanceType"),
    ({"staticPrivateIp": _IP, "copyPrivateIp": True}, "staticPrivateIp"),
    ({"staticPrivateIp": None, "copyPrivateIp": True}, "staticPrivateIp"),
    ({"securityGroupIds": _GROUPS}, "securityGroupIds"),
    ({"securityGroupIds": _GROUPS, "subnetId": None}, "securityGroupIds"),
    ({"launchIntoInstanceProperties": _INTO, "copyPrivateIp": True}, "launchIntoInstanceProperties"),
    ({"launchIntoInstanceProperties": _INTO, "copyTags": True}, "launchIntoInstanceProperties"),
    ({"tags": {f"key{n}": "" for n in range(51)}}, "tags"),
]

_HARMLESS: list[dict[str, Json]] = [
    {},
    {"instanceType": "t3.micro", "targetInstanceTypeRightSizingMethod": "NONE"},
    {"instanceType": "t3.micro"},
    {"targetInstanceTypeRightSizingMethod": "BASIC"},
    {"staticPrivateIp": _IP, "copyPrivateIp": False},
    {"copyPrivateIp": True, "copyTags": True},
    {"securityGroupIds": _GROUPS, "subnetId": _SUBNET},
    {"securityGroupIds": None},
    {"subnetId": _SUBNET},
    {"launchIntoInstanceProperties": _INTO, "copyPrivateIp": False, "copyTags": False},
    # As DRS reports it where nothing is set: configs are judged over observed values too.
    {
        "launchIntoInstanceProperties": {"launchIntoEC2InstanceID": ""},
        "copyPrivateIp": True,
        "copyTags": True,
    },
    {"tags": {**{f"key{n}": "" for n in range(50)}, "gone": None}},
]


@pytest.mark.parametrize(("values", "field"), _CLASHES)
def test_a_conflict_is_found_with_its_way_out(values: dict[str, Json], field: str) -> None:
    """Each documented conflict is found once, and its message names every field that takes part."""
    [conflict] = find_conflicts(LaunchConfig(values))
    assert conflict.field == field
    assert all(name in conflict.message for name in (conflict.field, *conflict.others))


@pytest.mark.parametrize("values", _HARMLESS)
def test_what_goes_together_is_no_conflict(values: dict[str, Json]) -> None:
    """Neither half of a conflict is one alone, nor are values that do not clash."""
    assert find_conflicts(LaunchConfig(values)) == []


def test_all_conflicts_are_found_at_once() -> None:
    """One conflict hides no other."""
    everything: dict[str, Json] = {
        "instanceType": "t3.micro",
        "targetInstanceTypeRightSizingMethod": "BASIC",
        "staticPrivateIp": _IP,
        "copyPrivateIp": True,
        "copyTags": True,
        "securityGroupIds": _GROUPS,
        "launchIntoInstanceProperties": _INTO,
    }
    assert [conflict.others for conflict in find_conflicts(LaunchConfig(everything))] == [
        ("targetInstanceTypeRightSizingMethod",),
        ("copyPrivateIp",),
        ("subnetId",),
        ("copyPrivateIp",),
        ("copyTags",),
    ]


def test_a_conflict_with_what_drs_holds_is_found_by_merging() -> None:
    """A config laid over observed values is judged with them."""
    observed: dict[str, Json] = {"copyPrivateIp": True, "targetInstanceTypeRightSizingMethod": "NONE"}
    asked = LaunchConfig({"staticPrivateIp": _IP})
    assert find_conflicts(asked) == []
    together = LaunchConfig({**observed, **asked.values})
    assert [conflict.field for conflict in find_conflicts(together)] == ["staticPrivateIp"]
    assert isinstance(find_conflicts(together)[0], Conflict)


def _errors(
    defaults: dict[str, Any], *servers: dict[str, Any], ids: tuple[str, ...] = (_A, _B, _C)
) -> list[FieldError]:
    body = {
        "groupName": "payroll",
        "region": "eu-central-1",
        "sourceServerIds": list(ids),
        "launchConfig": defaults,
        "servers": list(servers),
    }
    try:
        parse_group(body)
    except InvalidBody as refused:
        return list(refused.errors)
    return []


def _places(errors: list[FieldError]) -> list[tuple[str, str | None]]:
    return [(error.pointer, error.source_server_id) for error in errors]


def _server(server_id: str, *, defaults: bool = True, **config: Any) -> dict[str, Any]:
    return {"sourceServerId": server_id, "useGroupDefaults": defaults, "launchConfig": config}


def test_a_conflict_of_the_defaults_is_said_once() -> None:
    """Three hundred servers that inherit a conflict are one error, at the defaults."""
    ids = tuple(f"s-{n:017d}" for n in range(300))
    errors = _errors({"securityGroupIds": _GROUPS}, ids=ids)
    assert _places(errors) == [("/launchConfig/securityGroupIds", None)]
    assert errors[0].code == INVALID_LAUNCH_CONFIG
    assert "needs a subnetId" in errors[0].message


def test_it_is_said_once_also_if_every_server_has_an_override() -> None:
    """Overrides of other fields make no difference to whose conflict it is."""
    servers = [_server(each, name=f"name {each}") for each in (_A, _B, _C)]
    assert _places(_errors({"securityGroupIds": _GROUPS}, *servers)) == [("/launchConfig/securityGroupIds", None)]


def test_it_is_said_once_also_if_some_servers_cure_it() -> None:
    """Servers that complete the defaults for themselves do not turn one error into one for each other server."""
    errors = _errors({"securityGroupIds": _GROUPS}, _server(_A, subnetId=_SUBNET), _server(_B, monitoring=True))
    assert _places(errors) == [("/launchConfig/securityGroupIds", None)]


def test_defaults_that_every_server_completes_are_right() -> None:
    """Only effective configs are judged: defaults need not stand alone."""
    servers = [_server(each, subnetId=_SUBNET) for each in (_A, _B, _C)]
    assert _errors({"securityGroupIds": _GROUPS}, *servers) == []


def test_a_server_that_does_not_complete_the_defaults_is_named() -> None:
    """Where all have overrides and one leaves the gap, the error names it and points at the default."""
    servers = [_server(_A, subnetId=_SUBNET), _server(_B, subnetId=_SUBNET), _server(_C, monitoring=True)]
    errors = _errors({"securityGroupIds": _GROUPS}, *servers)
    assert errors[0].code == INVALID_LAUNCH_CONFIG
    assert "needs a subnetId" in errors[0].message
    assert _places(errors) == [("/launchConfig/securityGroupIds", _C)]


def test_an_override_that_clashes_with_the_defaults_is_pointed_at() -> None:
    """The offending value is the one in the override, whichever field of the two it is."""
    defaults = {"instanceType": "t3.micro", "subnetId": _SUBNET, "securityGroupIds": _GROUPS}
    errors = _errors(
        defaults,
        _server(_B, targetInstanceTypeRightSizingMethod="BASIC"),
        _server(_C, subnetId=None),
    )
    assert _places(errors) == [
        ("/servers/0/launchConfig/targetInstanceTypeRightSizingMethod", _B),
        ("/servers/1/launchConfig/subnetId", _C),
    ]
    assert {error.code for error in errors} == {INVALID_LAUNCH_CONFIG}


def test_without_group_defaults_nothing_is_inherited() -> None:
    """useGroupDefaults false takes neither conflicts nor cures from the defaults."""
    errors = _errors(
        {"copyPrivateIp": True, "subnetId": _SUBNET},
        _server(_A, defaults=False, staticPrivateIp=_IP),
        _server(_B, defaults=False, securityGroupIds=_GROUPS),
    )
    assert _places(errors) == [("/servers/1/launchConfig/securityGroupIds", _B)]


def test_one_address_serves_one_server() -> None:
    """The second server with an address in a subnet is refused; the message names the first."""
    errors = _errors(
        {"subnetId": _SUBNET},
        _server(_A, staticPrivateIp=_IP),
        _server(_C, staticPrivateIp=_IP),
        _server(_B, staticPrivateIp=_IP, subnetId="subnet-1a2b3c4d"),
    )
    assert _places(errors) == [("/servers/1/launchConfig/staticPrivateIp", _C)]
    assert _A in errors[0].message


def test_a_server_without_an_address_hides_no_shared_one() -> None:
    """Whichever server comes first."""
    shared = find_shared_addresses(
        {_A: LaunchConfig(), _B: LaunchConfig({"staticPrivateIp": _IP}), _C: LaunchConfig({"staticPrivateIp": _IP})}
    )
    assert [(server, conflict.field, conflict.others) for server, conflict in shared] == [
        (_C, "staticPrivateIp", ("subnetId",))
    ]


def test_without_a_subnet_the_same_one_is_taken() -> None:
    """Two servers with one address and no subnet named are refused: most likely it is one subnet."""
    errors = _errors({}, _server(_A, staticPrivateIp=_IP), _server(_B, staticPrivateIp=_IP))
    assert _places(errors) == [("/servers/1/launchConfig/staticPrivateIp", _B)]


def test_a_wrong_field_makes_no_conflict_besides() -> None:
    """What a wrong value would clash with cannot be told, so it is not guessed at."""
    errors = _errors({"securityGroupIds": _GROUPS, "subnetId": "subnet-?"})
    assert _places(errors) == [("/launchConfig/subnetId", None)]
    errors = _errors({"securityGroupIds": _GROUPS}, *[_server(each, subnetId=1) for each in (_A, _B, _C)])
    assert _places(errors) == [(f"/servers/{n}/launchConfig/subnetId", each) for n, each in enumerate((_A, _B, _C))]
    # Whether two servers have one subnet cannot be told either.
    errors = _errors({"subnetId": "x"}, *[_server(each, staticPrivateIp=_IP) for each in (_A, _B)])
    assert _places(errors) == [("/launchConfig/subnetId", None)]


def test_a_wrong_field_is_wrong_for_every_server_that_inherits_it() -> None:
    """Also for one of which something else is said."""
    errors = _errors({"securityGroupIds": _GROUPS, "subnetId": "x"}, _server(_A, monitoring=True))
    assert _places(errors) == [("/launchConfig/subnetId", None)]


def test_a_field_with_something_wrong_inside_is_wrong() -> None:
    """The default that it was to replace is not judged in its place."""
    errors = _errors({"securityGroupIds": _GROUPS}, _server(_A, securityGroupIds=[*_GROUPS, "x"]), ids=(_A,))
    assert _places(errors) == [("/servers/0/launchConfig/securityGroupIds/1", _A)]


def test_a_wrong_default_that_an_override_replaces_hides_nothing() -> None:
    """A server that replaces the wrong default is judged by its own value."""
    errors = _errors({"copyPrivateIp": "yes"}, _server(_A, copyPrivateIp=True, staticPrivateIp=_IP))
    assert _places(errors) == [
        ("/launchConfig/copyPrivateIp", None),
        ("/servers/0/launchConfig/staticPrivateIp", _A),
    ]


def test_a_wrong_default_hides_no_conflict_of_a_server_without_defaults() -> None:
    """A server that ignores the defaults is judged as if they were right."""
    errors = _errors({"subnetId": "x"}, _server(_A, defaults=False, securityGroupIds=_GROUPS))
    assert _places(errors) == [("/launchConfig/subnetId", None), ("/servers/0/launchConfig/securityGroupIds", _A)]


def test_an_entry_that_cannot_be_read_makes_no_conflict_besides() -> None:
    """Whether it would inherit, or what more it would say, is unknown: only what it says itself can clash."""
    server = {"sourceServerId": _A, "useGroupDefaults": "no", "launchConfig": {"securityGroupIds": _GROUPS}}
    assert _places(_errors({"subnetId": _SUBNET}, server)) == [("/servers/0/useGroupDefaults", _A)]
    sized = {"instanceType": "t3.micro", "targetInstanceTypeRightSizingMethod": "BASIC"}
    assert _places(_errors({}, {"sourceServerId": _A, "comment": "", "launchConfig": sized})) == [
        ("/servers/0/comment", _A),
        ("/servers/0/launchConfig/instanceType", _A),
    ]
    servers = [{"sourceServerId": each, "launchConfig": []} for each in (_A, _B, _C)]
    assert [place for place, _ in _places(_errors({"securityGroupIds": _GROUPS}, *servers))] == [
        f"/servers/{n}/launchConfig" for n in range(3)
    ]


_NO_SUBNET: dict[str, Any] = {"securityGroupIds": _GROUPS}
_COMPLETE = _server(_A, subnetId=_SUBNET)
_OTHER = "s-" + "o" * 17
_LEFT_OPEN: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a misspelt default": ({"launchConfig": {**_NO_SUBNET, "subnetID": _SUBNET}}, ["/launchConfig/subnetID"]),
    "a misspelt field of a source server": (
        {"launchConfig": _NO_SUBNET, "servers": [_server(_A, subnet_id=_SUBNET)]},
        ["/servers/0/launchConfig/subnet_id"],
    ),
    "defaults that are no object": ({"launchConfig": [], "servers": [_server(_A, **_NO_SUBNET)]}, ["/launchConfig"]),
    "misspelt defaults": (
        {"launchconfig": {"subnetId": _SUBNET}, "servers": [_server(_A, **_NO_SUBNET)]},
        ["/launchconfig"],
    ),
    "servers that are no list": ({"launchConfig": _NO_SUBNET, "servers": {_A: _COMPLETE}}, ["/servers"]),
    "misspelt servers": ({"launchConfig": _NO_SUBNET, "server": [_COMPLETE]}, ["/server"]),
    "an entry that is no object": ({"launchConfig": _NO_SUBNET, "servers": [_A]}, ["/servers/0"]),
    "an entry for nobody": (
        {"launchConfig": _NO_SUBNET, "servers": [{**_COMPLETE, "sourceServerId": "s-1"}]},
        ["/servers/0/sourceServerId"],
    ),
    "an entry for a source server of another group": (
        {"launchConfig": _NO_SUBNET, "servers": [{**_COMPLETE, "sourceServerId": _OTHER}]},
        ["/servers/0/sourceServerId"],
    ),
    "two entries for one": (
        {"servers": [_server(_A, **_NO_SUBNET), _server(_A, monitoring=True), _COMPLETE]},
        ["/servers/1/sourceServerId", "/servers/2/sourceServerId"],
    ),
    "members that are no list": ({"sourceServerIds": _A, "servers": [_COMPLETE]}, ["/sourceServerIds"]),
    "misspelt members": (
        {"sourceServerIds": None, "sourceServersIds": [_A], "servers": [_COMPLETE]},
        ["/sourceServersIds", ""],
    ),
}


@pytest.mark.parametrize("name", _LEFT_OPEN)
def test_of_what_a_wrong_member_leaves_open_nothing_is_told(name: str) -> None:
    """What would be right with it is not called wrong, and sends nobody looking for another mistake."""
    changes, pointers = _LEFT_OPEN[name]
    body = {"groupName": "payroll", "region": "eu-central-1", "sourceServerIds": [_A], **changes}
    with pytest.raises(InvalidBody) as refused:
        parse_group({name: value for name, value in body.items() if value is not None})
    assert [error.pointer for error in refused.value.errors] == pointers


def test_what_a_wrong_entry_cannot_change_is_told() -> None:
    """Of more source servers than there are such entries one has the defaults, and who says nothing changes nothing."""
    for_nobody = _server("s-1", subnetId=_SUBNET)
    assert _places(_errors(_NO_SUBNET, for_nobody, ids=(_A, _B))) == [
        ("/servers/0/sourceServerId", None),
        ("/launchConfig/securityGroupIds", None),
    ]
    assert _places(_errors(_NO_SUBNET, _server(_OTHER, monitoring=True), ids=(_A,))) == [
        ("/servers/0/sourceServerId", _OTHER),
        ("/launchConfig/securityGroupIds", None),
    ]


def test_an_address_in_a_subnet_that_is_wrong_is_not_shared() -> None:
    """Whether another source server has it in the same subnet takes both subnets to be known, whoever comes first."""
    wrong, right = _server(_A, staticPrivateIp=_IP, subnetId="x"), _server(_B, staticPrivateIp=_IP)
    assert _places(_errors({}, wrong, right)) == [("/servers/0/launchConfig/subnetId", _A)]
    assert _places(_errors({}, right, wrong, ids=(_B, _A))) == [("/servers/1/launchConfig/subnetId", _A)]


def test_tags_may_be_too_many_only_together() -> None:
    """Defaults and override may each hold fifty tags, but not together more; null takes one away."""
    tags = {f"key{n}": "" for n in range(50)}
    errors = _errors({"tags": tags}, _server(_A, tags={"more": ""}), _server(_B, tags={"more": "", "key1": None}))
    assert _places(errors) == [("/servers/0/launchConfig/tags", _A)]
