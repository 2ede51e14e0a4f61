"""Members of an object by their types: what is said of a wrong one, and where."""

from typing import Annotated, Any

import pytest
from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from workers.core.model.errors import FieldError, Place
from workers.core.model.shape import (
    Mark,
    find_unsendable_text,
    find_wrong_members,
    members_of,
    read_object,
    unknown_member,
)

_AT = Place("/at")


@with_config(ConfigDict(extra="forbid"))
class _Options(TypedDict, total=False):
    speed: Annotated[int, Field(description="a whole number")]


class _Body(TypedDict, total=False):
    table: Annotated[list[list[int]], Field(description="a list of rows")]
    names: Annotated[list[str], Field(description="a list of names")]
    limits: Annotated[dict[str, int], Field(description="an object of limits")]
    options: Annotated[_Options, Field(description="an object of options")]
    secret: Annotated[str, Field(description="a text"), Mark.CONFIDENTIAL]


_MEMBERS = members_of(_Body)


def _said(errors: list[FieldError]) -> list[tuple[str, str]]:
    return [(error.pointer.removeprefix("/at"), error.message) for error in errors]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("names", "x", [("", 'names must be a list of names, not "x".')]),
        ("names", None, [("", "names must be a list of names, not null.")]),
        ("names", ["a", 7], [("/1", "7 does not belong here: names must be a list of names.")]),
        ("names", [None], [("/0", "null does not belong here: names must be a list of names.")]),
        ("table", [[1], [2, "x"]], [("/1/1", '"x" does not belong here: table must be a list of rows.')]),
        ("limits", {"a/b": "x"}, [("/a~1b", 'limits.a/b must be an object of limits, not "x".')]),
        ("options", {"speed": "x"}, [("/speed", 'options.speed must be a whole number, not "x".')]),
        ("options", {"Speed": 1}, [("/Speed", '"Speed" is not known here; did you mean speed?')]),
        ("options", {"height": 1}, [("/height", '"height" is not known here; accepted are speed.')]),
        ("secret", 4711, [("", "secret must be a text.")]),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(name: str, value: Any, said: list[tuple[str, str]]) -> None:
    """However deep: what it must be and what was given, but for what is confidential."""
    read, errors = _MEMBERS[name].read(value, _AT)
    assert read is None
    assert _said(errors) == said


def test_a_reason_against_null_is_given_for_null_alone() -> None:
    """Another wrong value has nothing to do with it."""
    read = _MEMBERS["names"].read
    assert _said(read(None, _AT, null_reason="there is always one.")[1]) == [
        ("", "names cannot be null: there is always one.")
    ]
    assert _said(read(0, _AT, null_reason="there is always one.")[1]) == [
        ("", "names must be a list of names, not 0."),
    ]


def test_what_is_known_and_refused_has_its_own_sentence() -> None:
    """As have null, what is unknown and what is missing."""
    raw = {"size": 1, "names": None, "colour": 1, 3: 1}
    values, errors = read_object(raw, _MEMBERS, frozenset({"table"}), _AT, refused={"size": "size comes later."})
    assert values == {}
    assert _said(errors) == [
        ("", "The member name 3 is no text that AWS or JSON can hold."),
        ("/size", "size comes later."),
        ("/names", "names cannot be null: leave it out if there is nothing to say."),
        ("/colour", '"colour" is not known here; accepted are table, names, limits, options, secret.'),
        ("", "table is missing; it must be a list of rows."),
    ]


_LONG = "n" * 63


@pytest.mark.parametrize(
    ("name", "known", "advice"),
    [
        ("subnetID", ["subnetId"], "did you mean subnetId?"),
        ("NAME", ["name", "tags"], "did you mean name?"),
        ("instanceTyp", ["tags", "instanceType"], "did you mean instanceType?"),
        ("tag", ["tags", "TAG"], "did you mean TAG?"),
        # Seven of ten characters alike: less than three of four, and nobody's slip.
        ("abcdefgxyz", ["abcdefguvw"], "accepted are abcdefguvw."),
        ("x", ["tags", "name"], "accepted are tags, name."),
        # Likeness takes time with the square of a name's length: of a long one only capitals are compared.
        (f"{_LONG}x", [_LONG], f"did you mean {_LONG}?"),
        (f"{_LONG}xx", [_LONG], f"accepted are {_LONG}."),
        (f"{_LONG}XX", [f"{_LONG}xx"], f"did you mean {_LONG}xx?"),
    ],
)
def test_an_unknown_name_is_guessed_at(name: str, known: list[str], advice: str) -> None:
    """By its letters whatever their case, else by likeness; where nothing is near, all that is accepted is named."""
    error = unknown_member(_AT, name, known)
    assert _said([error]) == [(f"/{name}", f'"{name}" is not known here; {advice}')]


def test_a_wrong_member_is_the_one_that_was_meant() -> None:
    """Wrong itself, or in something inside; of an unknown name what it is like. Other objects' are not its own."""
    known = ["name", "subnetId", "tags", "version"]
    pointers = ["/a/name", "/a/tags/x/y", "/a/subnetID", "/a/nobody", "/a", "/ab/version", "/b/version"]
    errors = [FieldError(pointer, "INVALID_BODY", "wrong.", None) for pointer in pointers]
    assert find_wrong_members(errors, "/a", known) == {"name", "subnetId", "tags"}
    assert find_wrong_members([], "/a", known) == set()


def test_of_very_many_unknown_members_any_may_be_meant() -> None:
    """To compare each of a hundred thousand with what is known would take as long again as to refuse them."""
    errors = [FieldError(f"/{number}", "INVALID_BODY", "wrong.", None) for number in range(51)]
    assert find_wrong_members(errors, "", ["name", "tags"]) == {"name", "tags"}
    assert find_wrong_members(errors[:50], "", ["name", "tags"]) == set()


def test_text_that_nothing_can_hold_is_found_wherever_it_stands() -> None:
    """Each one, in lists and objects beside and below each other."""
    value = {
        "a": {"b": ["\x00", "right"], "c\x01": "right"},
        "d": ["\ud800", {"e": "\uffff"}],
        "f": {"g": {"h": "x\x1fy"}},
        "i": ["tab\tand line\n", ["\x0b"]],
    }
    found = {(error.pointer, error.message) for error in find_unsendable_text(value, Place(""))}
    unsendable = "The text holds U+{:04X}, which AWS or JSON cannot hold; remove it.".format
    assert found == {
        ("/a/b/0", unsendable(0)),
        ("/a", 'The member name "c\\u0001" is no text that AWS or JSON can hold.'),
        ("/d/0", unsendable(0xD800)),
        ("/d/1/e", unsendable(0xFFFF)),
        ("/f/g/h", unsendable(0x1F)),
        ("/i/1/0", unsendable(0x0B)),
    }
