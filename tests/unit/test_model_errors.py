"""What is wrong with a request, as people and programs read it."""

import pytest

from workers.core.model.errors import (
    INVALID_BODY,
    INVALID_LAUNCH_CONFIG,
    LONGEST_SHOWN,
    FieldError,
    InvalidBody,
    show,
)

_SERVER = "s-" + "a" * 17


def _error(pointer: str) -> FieldError:
    return FieldError(pointer, INVALID_BODY, f"wrong at {len(pointer)}.", None)


@pytest.mark.parametrize("server", [None, _SERVER])
def test_an_error_is_rendered_whole(server: str | None) -> None:
    """A program finds the place, the server, the code and the sentence under names that stay."""
    error = FieldError("/launchConfig/name", INVALID_LAUNCH_CONFIG, "name is wrong.", server)
    assert error.to_json() == {
        "pointer": "/launchConfig/name",
        "sourceServerId": server,
        "code": "INVALID_LAUNCH_CONFIG",
        "message": "name is wrong.",
    }


@pytest.mark.parametrize(
    ("pointers", "text"),
    [
        (["/a"], "/a: wrong at 2."),
        (["", "/ab", "/a"], "/: wrong at 0.; /ab: wrong at 3.; /a: wrong at 2."),
        (["/a", "", "/ab", "/abc"], "/a: wrong at 2.; /: wrong at 0.; /ab: wrong at 3."),
    ],
)
def test_a_refusal_names_its_first_errors(pointers: list[str], text: str) -> None:
    """Where only one line is shown it tells three places at most, the whole body as /; all of them are carried."""
    errors = tuple(map(_error, pointers))
    refused = InvalidBody(errors)
    assert str(refused) == text
    assert refused.errors == errors


_LONGEST = "x" * LONGEST_SHOWN


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-1.5, "-1.5"),
        (10**18, "1000000000000000000"),
        (-(10**18), "-1000000000000000000"),
        (10**18 + 1, "a number as large as that"),
        (-(10**18) - 1, "a number as large as that"),
        ("", '""'),
        ('é"\n', '"\\u00e9\\"\\n"'),
        (_LONGEST, f'"{_LONGEST}"'),
        (f"{_LONGEST}x", f'"{_LONGEST[1:]}…'),
        ("\ud800", '"\\ud800"'),
        ({"a": 1}, "an object"),
        ([1], "a list"),
        (b"x", "a value of another kind"),
    ],
)
def test_a_refused_value_is_shown_as_json(value: object, shown: str) -> None:
    """In ASCII, text up to eighty characters and then its beginning; objects and lists by their kind alone."""
    assert show(value) == shown
