"""Whatever a user sends is taken whole or refused whole, with pointers that lead somewhere."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.fakes.strategies import any_text, group_definitions, json_values, raw_launch_configs, thorough
from workers.core.model.errors import INVALID_BODY, INVALID_LAUNCH_CONFIG, FieldError
from workers.core.model.group import GroupTooLarge, InvalidBody, parse_group
from workers.core.model.launch_config import LaunchConfig
from workers.core.model.parse import parse_launch_config

_SERVER = "s-0123456789abcdefg"


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


def _check_group(body: Any) -> None:
    before = copy.deepcopy(body)
    try:
        group = parse_group(body)
    except InvalidBody as refused:
        _check(list(refused.errors), body)
    except GroupTooLarge as refused:
        assert refused.count > refused.limit  # noqa: PT017 - one of three outcomes
    else:
        assert parse_group(group.to_json()) == group
    assert repr(body) == repr(before)


def _spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a document, outside first."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _spots(value[key])


@st.composite
def _spoilt(draw: st.DrawFn) -> Any:
    """Make a right body in which one to three values, anywhere, are replaced, removed or added."""
    body = copy.deepcopy(draw(group_definitions()).to_json())
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(list(_spots(body))))
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                container[key] = draw(json_values)
            case "remove":
                del container[key]
            case "add" if isinstance(container, dict):
                container[draw(any_text)] = draw(json_values)
            case _:
                container.append(draw(st.one_of(json_values, st.just(container[0]))))
        assume(body)
    return body


@thorough
@given(body=json_values)
def test_no_json_breaks_the_parser(body: Any) -> None:
    """Any JSON is a group or an InvalidBody, and the body stays as it was."""
    _check_group(body)


@thorough
@given(body=_spoilt())
def test_a_spoilt_body_is_refused_at_the_place(body: Any) -> None:
    """A nearly right body is taken or refused; every pointer resolves; every answer can be sent."""
    _check_group(body)


@thorough
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


@thorough
@given(right=raw_launch_configs(), name=st.text(min_size=1, max_size=12), value=json_values)
def test_one_wrong_field_spoils_no_other(right: dict[str, Any], name: str, value: Any) -> None:
    """An unknown field is an error at its own place; all other fields are read as without it."""
    alone, unknown = parse_launch_config({name: value}, pointer="", source_server_id=_SERVER)
    assume(unknown and not alone.values and name not in right)
    config, errors = parse_launch_config({**right, name: value}, pointer="", source_server_id=_SERVER)
    assert config == LaunchConfig(right)
    assert errors == unknown


@thorough
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
