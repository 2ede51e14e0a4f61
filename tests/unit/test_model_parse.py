"""The rules of AWS that a launch config is checked against, one by one."""

from typing import Any

import pytest

from workers.core.model.errors import INVALID_LAUNCH_CONFIG, FieldError
from workers.core.model.launch_config import FIELDS, MANAGED_BY_DRS, Half, LaunchConfig
from workers.core.model.parse import parse_launch_config

_SERVER = "s-0123456789abcdefg"


def _parse(raw: object, server: str | None = _SERVER) -> tuple[LaunchConfig, list[FieldError]]:
    return parse_launch_config(raw, pointer="/servers/3/launchConfig", source_server_id=server)


_SG = "sg-0123456789abcdef0"

_RIGHT: list[tuple[str, Any]] = [
    *[("instanceType", each) for each in ("t3.micro", "u7i-12tb.224xlarge", "m7i.metal-24xl", "mac2-m2.metal")],
    ("subnetId", "subnet-1a2b3c4d"),
    ("subnetId", "subnet-0123456789abcdef0"),
    ("securityGroupIds", ["sg-1a2b3c4d", _SG]),
    ("staticPrivateIp", "10.0.1.17"),
    ("staticPrivateIp", "100.64.0.9"),
    ("instanceProfileName", "a+b=c,d.e@f-g_h" + "x" * 113),
    *[(name, value) for name in ("associatePublicIp", "monitoring", "copyTags") for value in (True, False)],
    ("metadataOptions", {"httpTokens": "required", "httpPutResponseHopLimit": 64, "httpEndpoint": None}),
    (
        "metadataOptions",
        {"httpPutResponseHopLimit": 1, "httpProtocolIpv6": "enabled", "instanceMetadataTags": "disabled"},
    ),
    ("creditSpecification", {"cpuCredits": "unlimited"}),
    ("tenancy", "host"),
    ("tags", {"k" * 128: "v" * 256, "Größe": "", "空 間/a:b": "\U0001f4a1", "awsome": None}),
    ("tags", {f"key{n}": "" for n in range(50)}),
    ("launchDisposition", "STOPPED"),
    ("targetInstanceTypeRightSizingMethod", "IN_AWS"),
    ("licensing", {"osByol": True}),
    ("name", "n" * 128),
    ("launchIntoInstanceProperties", {"launchIntoEC2InstanceID": "i-0123456789abcdef0"}),
]


@pytest.mark.parametrize(("name", "value"), _RIGHT)
def test_a_right_value_is_taken(name: str, value: Any) -> None:
    """What AWS allows is accepted and kept as it is."""
    config, errors = _parse({name: value})
    assert errors == []
    assert config.to_json() == {name: sorted(value) if isinstance(value, list) else value}


_WRONG: list[tuple[str, Any, str]] = [
    *[
        ("instanceType", each, "")
        for each in ("m7i", "M7I.large", "m7i.", ".large", "t3 .micro", "t3.micro\n", "", 3, ["t3.micro"])
    ],
    *[
        ("subnetId", each, "")
        for each in ("subnet-", "subnet-123", "subnet-0123456789ABCDEF0", "sg-1a2b3c4d", "subnet-1a2b3c4d\n")
    ],
    ("securityGroupIds", [], ""),
    ("securityGroupIds", "sg-1a2b3c4d", ""),
    ("securityGroupIds", {"sg-1a2b3c4d": 1}, ""),
    ("securityGroupIds", ["sg-1a2b3c4d", "nonsense"], "/1"),
    ("securityGroupIds", [None], "/0"),
    ("securityGroupIds", [f"sg-{n:08x}" for n in range(17)], ""),
    *[
        ("staticPrivateIp", each, "")
        for each in (
            "10.0.0",
            "10.0.0.256",
            "010.0.0.1",
            "10.0.0.1/24",
            " 10.0.0.1",
            "::1",
            "\u0661.2.3.4",
            167772161,
            True,
        )
    ],
    *[
        ("staticPrivateIp", each, "")
        for each in ("127.0.0.1", "224.0.0.1", "169.254.1.1", "0.0.0.0", "255.255.255.255")
    ],
    ("instanceProfileName", "arn:aws:iam::123456789012:instance-profile/x", ""),
    ("instanceProfileName", "x" * 129, ""),
    ("instanceProfileName", "größe", ""),
    *[("monitoring", each, "") for each in (0, 1, "true", 1.0)],
    *[("copyPrivateIp", each, "") for each in (0, 1, "false")],
    ("metadataOptions", "required", ""),
    ("metadataOptions", {"httpTokens": "REQUIRED"}, "/httpTokens"),
    *[
        ("metadataOptions", {"httpPutResponseHopLimit": each}, "/httpPutResponseHopLimit")
        for each in (0, 65, True, 2.0, "2")
    ],
    ("metadataOptions", {"httpToken": "required"}, "/httpToken"),
    ("creditSpecification", {"cpuCredits": "none"}, "/cpuCredits"),
    ("tenancy", "shared", ""),
    ("tags", [], ""),
    ("tags", {"": "x"}, "/"),
    ("tags", {"k" * 129: "x"}, "/" + "k" * 129),
    ("tags", {"k": "v" * 257}, "/k"),
    ("tags", {"k": 1}, "/k"),
    ("tags", {"aws:k": "v"}, "/aws:k"),
    ("tags", {"AWS:k": "v"}, "/AWS:k"),
    ("tags", {"AWSElasticDisasterRecoveryManaged": "drs"}, "/AWSElasticDisasterRecoveryManaged"),
    ("tags", {"a/b~c": 1}, "/a~1b~0c"),
    ("tags", {"k": "a\x00"}, "/k"),
    ("tags", {"k": "a\ud800"}, "/k"),
    ("tags", {"k\ud800": "a"}, ""),
    ("tags", {f"key{n}": "" for n in range(51)}, ""),
    ("launchDisposition", "started", ""),
    ("targetInstanceTypeRightSizingMethod", "none", ""),
    ("licensing", {"osByol": "yes"}, "/osByol"),
    ("name", "", ""),
    ("name", "n" * 129, ""),
    ("name", "a\nb", ""),
    ("name", "a\uffff", ""),
    ("name", "a\ud800", ""),
    ("launchIntoInstanceProperties", {"launchIntoEC2InstanceID": ""}, "/launchIntoEC2InstanceID"),
    ("launchIntoInstanceProperties", {"launchIntoEC2InstanceID": "i-12"}, "/launchIntoEC2InstanceID"),
]


@pytest.mark.parametrize(("name", "value", "rest"), _WRONG)
def test_a_wrong_value_is_one_error_at_its_place(name: str, value: Any, rest: str) -> None:
    """What AWS refuses is one error that points at the value and names the server; nothing is kept."""
    config, errors = _parse({name: value})
    assert config == LaunchConfig()
    assert [(error.pointer, error.code, error.source_server_id) for error in errors] == [
        (f"/servers/3/launchConfig/{name}{rest}", INVALID_LAUNCH_CONFIG, _SERVER)
    ]


@pytest.mark.parametrize("name", FIELDS)
def test_null_is_taken_or_refused_with_the_reason(name: str) -> None:
    """Null asks for emptiness where AWS can hold nothing; elsewhere the error says why it cannot."""
    spec = FIELDS[name]
    config, errors = _parse({name: None})
    if spec.nullable:
        assert (config.values, errors) == ({name: None}, [])
        assert spec.null_reason == ""
    else:
        assert config.values == {}
        assert [error.pointer for error in errors] == [f"/servers/3/launchConfig/{name}"]
        assert spec.null_reason
        assert spec.null_reason in errors[0].message


def test_what_drs_cannot_empty() -> None:
    """Everything of the template can be emptied; of DRS's own settings only the name."""
    assert {spec.name for spec in FIELDS.values() if not spec.nullable} == {
        "copyPrivateIp",
        "copyTags",
        "launchDisposition",
        "targetInstanceTypeRightSizingMethod",
        "licensing",
        "postLaunchEnabled",
        "launchIntoInstanceProperties",
    }
    assert {spec.name for spec in FIELDS.values() if spec.half is Half.DRS and spec.nullable} == {"name"}


@pytest.mark.parametrize(
    ("name", "member"),
    [("licensing", "osByol"), ("launchIntoInstanceProperties", "launchIntoEC2InstanceID")],
)
def test_null_inside_an_object_of_drs_is_refused_with_the_reason(name: str, member: str) -> None:
    """A member of a DRS object cannot be emptied either, and the error says why."""
    _, [error] = _parse({name: {member: None}})
    assert error.pointer == f"/servers/3/launchConfig/{name}/{member}"
    assert FIELDS[name].null_reason in error.message


@pytest.mark.parametrize("name", ["imageId", "userData", "blockDeviceMappings", "keyName"])
def test_what_drs_manages_is_refused_with_the_reason(name: str) -> None:
    """A field that DRS manages is refused whatever its value is, and the error says why."""
    values: list[object] = ["x", None, {}]
    for value in values:
        config, [error] = _parse({name: value})
        assert config == LaunchConfig()
        assert error.pointer == f"/servers/3/launchConfig/{name}"
        assert MANAGED_BY_DRS[name] in error.message
        assert "managed by DRS" in error.message


def test_accepted_and_managed_fields_do_not_meet() -> None:
    """No field is both accepted and managed by DRS."""
    assert FIELDS.keys().isdisjoint(MANAGED_BY_DRS)


def test_a_static_address_is_no_default() -> None:
    """A field for single servers is refused in a group's defaults, with the way out."""
    config, [error] = _parse({"staticPrivateIp": "10.0.0.1", "monitoring": True}, server=None)
    assert config.values == {"monitoring": True}
    assert (error.pointer, error.source_server_id) == ("/servers/3/launchConfig/staticPrivateIp", None)
    assert "servers[]" in error.message


def test_an_unknown_field_gets_a_guess() -> None:
    """A slip of the pen is answered with the name that was meant."""
    _, [capital, near, far] = _parse({"instancetype": 1, "subnetID": 2, "recoveryMode": "FAST"})
    assert "did you mean instanceType?" in capital.message
    assert "did you mean subnetId?" in near.message
    assert "accepted are instanceType, " in far.message


def test_every_error_of_every_field_comes_at_once() -> None:
    """Errors of all fields and inside objects come in the order of the body; right fields are kept."""
    raw = {
        "tags": {"aws:a": "1", "ok": "1", "b": 2, "c\x00": "x"},
        "imageId": "ami-1",
        "monitoring": True,
        "metadataOptions": {"httpTokens": "x", "httpPutResponseHopLimit": 99},
        "securityGroupIds": ["a", "sg-1a2b3c4d", "b"],
    }
    config, errors = _parse(raw)
    assert config.values == {"monitoring": True}
    assert [error.pointer.removeprefix("/servers/3/launchConfig/") for error in errors] == [
        "tags",
        "tags/aws:a",
        "tags/b",
        "imageId",
        "metadataOptions/httpTokens",
        "metadataOptions/httpPutResponseHopLimit",
        "securityGroupIds/0",
        "securityGroupIds/2",
    ]


@pytest.mark.parametrize("raw", [None, [], "x", 1, True])
def test_a_launch_config_is_an_object(raw: object) -> None:
    """Anything but an object is one error at the launch config itself."""
    config, [error] = _parse(raw)
    assert (config, error.pointer) == (LaunchConfig(), "/servers/3/launchConfig")


def test_values_get_one_canonical_form() -> None:
    """Sets are sorted and without duplicates, objects that name no member ask for nothing, order is fixed."""
    config, errors = _parse(
        {
            "tags": {},
            "metadataOptions": {},
            "copyTags": False,
            "securityGroupIds": ["sg-2a2b3c4d", "sg-1a2b3c4d", "sg-2a2b3c4d"],
            "instanceType": "t3.micro",
        }
    )
    assert errors == []
    assert list(config.to_json().items()) == [
        ("instanceType", "t3.micro"),
        ("securityGroupIds", ["sg-1a2b3c4d", "sg-2a2b3c4d"]),
        ("copyTags", False),
    ]


def test_sixteen_groups_named_twice_are_sixteen() -> None:
    """Duplicates do not count toward EC2's sixteen security groups of an interface."""
    ids = [f"sg-{n:08x}" for n in range(16)]
    assert _parse({"securityGroupIds": ids + ids})[1] == []


def test_a_config_shares_nothing_with_what_it_was_made_of() -> None:
    """Changing the request, or what `to_json` gave, changes no config."""
    raw: dict[str, Any] = {"tags": {"a": "1"}, "securityGroupIds": [_SG]}
    config, _ = _parse(raw)
    raw["tags"]["b"] = "2"
    shown: Any = config.to_json()
    shown["tags"]["c"] = "3"
    shown["securityGroupIds"].append("sg-1a2b3c4d")
    assert config.to_json() == {"securityGroupIds": [_SG], "tags": {"a": "1"}}


def test_a_field_of_a_newer_version_is_no_config() -> None:
    """A stored field that this version does not know raises: dropping it would falsify the digest."""
    with pytest.raises(ValueError, match="'recoveryMode'"):
        LaunchConfig.from_json({"recoveryMode": "FAST"})


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (1.5, "no float"),
        ([1], "text only"),
        (b"x", "no bytes"),
        (object(), "no object"),
        ({"a": {"b": 1.5}}, "no float"),
    ],
)
def test_what_to_json_never_writes_is_no_config(value: object, why: str) -> None:
    """A stored value that no config can hold raises, and says of what kind it is."""
    with pytest.raises(ValueError, match=f"holds {why}"):
        LaunchConfig.from_json({"name": value})


def test_a_deeply_nested_value_is_an_error_and_no_crash() -> None:
    """Nesting beyond Python's own stack is refused like any wrong value."""
    deep: Any = "x\x00"
    for _ in range(5_000):
        deep = [deep]
    _, errors = _parse({"name": deep})
    assert errors
    # Unnest by hand: the interpreter would take its own stack to free it.
    while isinstance(deep, list):
        deep = deep.pop()


def test_a_long_value_is_shown_in_part() -> None:
    """A message repeats the beginning of what was sent, in ASCII, and no more."""
    _, [error] = _parse({"instanceType": "é" + "x" * 10_000})
    assert "\\u00e9xxx" in error.message
    assert len(error.message) < 250


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("staticPrivateIp", "10.0.0", 'staticPrivateIp must be an IPv4 address such as 10.0.1.17, not "10.0.0".'),
        ("tags", {"": "v"}, 'The tag key "" must have 1 to 128 characters, no control characters.'),
        ("tags", {"k": "a\tb"}, 'no control characters; "a\\tb" is refused.'),
        ("tags", {"AWSElasticDisasterRecoveryX": ""}, 'The tag "AWSElasticDisasterRecoveryX" is managed by DRS'),
        ("tags", {"k": 1}, "tags.k must be an object of tag keys with text values"),
        ("metadataOptions", {"httpTokens": "x"}, 'metadataOptions.httpTokens must be "optional" or "required"'),
        ("metadataOptions", {"httpToken": "required"}, "did you mean httpTokens?"),
        ("copyTags", 0, "copyTags must be true or false, not 0."),
    ],
)
def test_a_message_shows_what_was_given(name: str, value: Any, said: str) -> None:
    """And what it must be, under its own name."""
    _, (error,) = _parse({name: value})
    assert said in error.message


def test_a_number_too_long_to_print_is_an_error_and_no_crash() -> None:
    """Python refuses to print huge numbers; the message does without."""
    _, [error] = _parse({"metadataOptions": {"httpPutResponseHopLimit": 10**5000}})
    assert "whole number from 1 to 64" in error.message


def test_a_rules_own_words_are_what_is_read() -> None:
    """To the letter, also where what was given looks like a template's field."""
    _, (error,) = _parse({"tags": {"aws:{message}": "v"}})
    assert error.message == (
        'The tag key "aws:{message}" begins with "aws:", which AWS keeps for itself; use another key.'
    )
