"""Whatever a user sends is taken whole or refused whole, with pointers that lead somewhere."""

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.fakes.strategies import any_text, group_definitions, json_values, raw_launch_configs
from workers.core.model.errors import INVALID_BODY, INVALID_LAUNCH_CONFIG, FieldError
from workers.core.model.group import GroupDefinition, InvalidBody
from workers.core.model.group_parse import parse_group
from workers.core.model.launch_config import LaunchConfig
from workers.core.model.parse import parse_launch_config

_SERVER = "s-0123456789abcdefg"
_UNSAID = {"description": "", "launchConfig": {}, "servers": [], "autoRepair": False}
_UNSAID_OF_A_SERVER = {"useGroupDefaults": True, "launchConfig": {}}
_LINKED = re.compile(r"/externalId|/servers/\d+/sourceServerId|(/servers/\d+)?/launchConfig/.+")
"""What can be wrong because of another place: a role that is gone, a server that is no member, a conflict of fields."""


def _resolve(document: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document


def _check(errors: list[FieldError], body: Any, prefix: str = "") -> None:
    assert errors
    for error in errors:
        assert error.code in {INVALID_BODY, INVALID_LAUNCH_CONFIG}
        assert error.message.endswith((".", "?"))
        assert error.pointer.startswith(prefix)
        _resolve(body, error.pointer.removeprefix(prefix))
        # What answers a request must be encodable, whatever was in the request.
        json.dumps(error.to_json(), ensure_ascii=False).encode()


def _check_group(body: Any) -> list[FieldError]:
    """Check what comes of a body, and tell what is wrong with it."""
    before = copy.deepcopy(body)
    errors: list[FieldError] = []
    try:
        group = parse_group(body)
    except InvalidBody as refused:
        errors = list(refused.errors)
        _check(errors, body)
    else:
        assert parse_group(group.to_json()) == group
        # Nothing that was said is dropped, nothing made up. As text, for to Python true is 1.
        assert _text(group.to_json()) == _text(_canonical(body))
    assert repr(body) == repr(before)
    return errors


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _canonical(body: dict[str, Any]) -> dict[str, Any]:
    """Say the same with everything that may be left out, its sets sorted and without duplicates."""
    whole = {**_UNSAID, **body}
    servers = [{**_UNSAID_OF_A_SERVER, **server} for server in whole["servers"]]
    configured = [{**each, "launchConfig": _canonical_config(each["launchConfig"])} for each in servers]
    return {**whole, "launchConfig": _canonical_config(whole["launchConfig"]), "servers": configured}


def _canonical_config(config: dict[str, Any]) -> dict[str, Any]:
    sets = {name: sorted(set(value)) for name, value in config.items() if isinstance(value, list)}
    # An object without members asks for nothing.
    return {name: value for name, value in {**config, **sets}.items() if value != {}}


@dataclass(frozen=True)
class _Place:
    """One place of a body that was spoilt, and how."""

    kind: str
    container: str
    key: str | int

    @property
    def pointer(self) -> str:
        return _at(self.container, self.key)

    def is_hit(self, pointer: str) -> bool:
        """Whether an error there is an error of this place: of the place, of something in it, or of its container."""
        return pointer in (self.pointer, self.container) or pointer.startswith(f"{self.pointer}/")


def _at(container: str, key: str | int) -> str:
    return f"{container}/{str(key).replace('~', '~0').replace('/', '~1')}"


def _spots(value: Any, pointer: str = "") -> Iterator[tuple[Any, str, Any]]:
    """Every (container, its pointer, key) of a document, outside first."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, pointer, key
            yield from _spots(value[key], _at(pointer, key))


@st.composite
def _spoilt(draw: st.DrawFn) -> tuple[Any, _Place | None]:
    """Make a right body in which one to three values, anywhere, are replaced, removed or added; one: tell which."""
    body = copy.deepcopy(draw(group_definitions()).to_json())
    times = draw(st.integers(1, 3))
    for _ in range(times):
        container, pointer, key = draw(st.sampled_from(list(_spots(body))))
        kind = draw(st.sampled_from(["replace", "remove", "add"]))
        match kind:
            case "replace":
                container[key] = draw(json_values)
            case "remove":
                del container[key]
            case "add" if isinstance(container, dict):
                key = draw(any_text)
                container[key] = draw(json_values)
            case _:
                key = len(container)
                container.append(draw(st.one_of(json_values, st.just(container[0]))))
        assume(body)
    return body, _Place(kind, pointer, key) if times == 1 else None


@given(body=json_values)
def test_no_json_breaks_the_parser(body: Any) -> None:
    """Any JSON is a group or an InvalidBody, and the body stays as it was."""
    _check_group(body)


@given(group=group_definitions())
def test_a_right_body_is_taken(group: GroupDefinition) -> None:
    """What keeps every rule is refused nowhere."""
    assert _check_group(group.to_json()) == []


@given(spoilt=_spoilt())
def test_a_spoilt_body_is_refused_at_the_place(spoilt: tuple[Any, _Place | None]) -> None:
    """A nearly right body is taken whole, or refused where it was spoilt; every answer can be sent."""
    body, place = spoilt
    errors = _check_group(body)
    if errors and place is not None and not any(place.is_hit(error.pointer) for error in errors):
        # Right in itself, and something else depended on it.
        assert place.kind != "add"
        assert all(_LINKED.fullmatch(error.pointer) for error in errors)


@given(raw=st.one_of(json_values, st.dictionaries(st.sampled_from(["tags", "name", "subnetId"]), json_values)))
def test_parsing_a_launch_config_never_raises(raw: Any) -> None:
    """Any JSON gives a config of what was right, and an error for whatever was not."""
    config, errors = parse_launch_config(raw, pointer="/x", source_server_id=_SERVER)
    again, none = parse_launch_config(config.to_json(), pointer="", source_server_id=_SERVER)
    assert (again, none) == (config, [])
    if errors:
        _check(errors, raw, "/x")
    else:
        assert config == LaunchConfig(raw)


@given(right=raw_launch_configs(), name=st.text(min_size=1, max_size=12), value=json_values)
def test_one_wrong_field_spoils_no_other(right: dict[str, Any], name: str, value: Any) -> None:
    """An unknown field is an error at its own place; all other fields are read as without it."""
    alone, unknown = parse_launch_config({name: value}, pointer="", source_server_id=_SERVER)
    assume(unknown and not alone.values and name not in right)
    config, errors = parse_launch_config({**right, name: value}, pointer="", source_server_id=_SERVER)
    assert config == LaunchConfig(right)
    assert errors == unknown


@given(
    value=st.text(st.characters(codec="utf-8"), min_size=4, max_size=1300).filter(lambda text: not text.isalnum()),
)
def test_a_wrong_external_id_is_not_echoed(value: str) -> None:
    """A refused external id stands in no message: messages are logged."""
    body = {
        "groupName": "payroll",
        "region": "eu-central-1",
        "sourceServerIds": [_SERVER],
        "assumeRoleName": "role",
        "externalId": f"SeCrEt\x01{value}",
    }
    with pytest.raises(InvalidBody) as refused:
        parse_group(body)
    assert "SeCrEt" not in str(refused.value)
    body["externalId"] = f"SeCrEt {value}"
    with pytest.raises(InvalidBody) as refused:
        parse_group(body)
    assert [error.pointer for error in refused.value.errors] == ["/externalId"]
    assert "SeCrEt" not in str(refused.value)
