"""YAML from outside: a text stays a text, nothing is said twice, nothing grows, and each value knows its line."""

import pytest

from producer import strict_yaml
from producer.strict_yaml import DEEPEST, dump_yaml, locate, parse_yaml
from workers.core.model.errors import FieldError, InvalidBody
from workers.core.model.launch_config import Json

FILE = b"""# a comment
groups:
  - groupName: web
    launchConfig:
      tags: {a/b: one, "c~d": two}
  - groupName:
      db
"""


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1e3", "1e3"),
        ("1_000", "1_000"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("12:30:45", "12:30:45"),
        ("012345678901", "012345678901"),
        ("0x1f", "0x1f"),
        ("1.0", "1.0"),
        (".inf", ".inf"),
        ("on", "on"),
        ("No", "No"),
        ("True", "True"),
        ("NULL", "NULL"),
        ('"true"', "true"),
        ("'12'", "12"),
        ("12345678901234567890", "12345678901234567890"),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("64", 64),
        ("-1", -1),
        ("0", 0),
    ],
)
def test_only_words_and_whole_numbers_of_json_are_no_texts(written: str, read: Json) -> None:
    """What YAML's older readers make numbers, dates and booleans of is the text that stands there."""
    assert parse_yaml(f"value: {written}\n".encode()).to_json() == {"value": read}
    assert type(parse_yaml(f"- {written}\n".encode()).to_json()[0]) is type(read)  # type: ignore[index]


def test_a_name_is_a_text_whatever_it_looks_like() -> None:
    """Tags may be named by numbers and words."""
    assert parse_yaml(b'{1: a, true: b, null: c, 1.5: d, "": e}').to_json() == {
        "1": "a",
        "true": "b",
        "null": "c",
        "1.5": "d",
        "": "e",
    }


def test_json_is_read_too() -> None:
    """An export as JSON is a file like any other."""
    assert parse_yaml(b'{"a": [1, "2", null, true, {"b": "\\u00fc"}]}').to_json() == {
        "a": [1, "2", None, True, {"b": "ü"}]
    }


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        (b"a: 1\nb: 2\na: 3\n", 3, "second time; the first is on line 1"),
        (b"a:\n  b: {c: 1, c: 2}\n", 2, "second time"),
        (b"a: 1\n  b: 2\n", 2, "no YAML"),
        (b"a: [1, 2\n", 2, "no YAML"),
        (b"a: 1\n---\nb: 2\n", 2, "second document"),
        (b"a: !!python/object/apply:os.system ['true']\n", 1, "python/object/apply"),
        (b"a: !!int '5'\n", 1, "leave it out"),
        (b"a: !x {b: 1}\n", 1, "leave it out"),
        (b"a: &x [*x]\n", 1, "repeats nothing"),
        (b"a: *x\n", 1, "repeats nothing"),
        (b"? [a]\n: 1\n", 1, "has to be a text"),
        (b"a: &x b\n*x : 1\n", 1, "cannot be the name"),
        (b"", None, "empty"),
        (b"# nothing\n", None, "empty"),
        (b"a: \xff\n", None, "UTF-8"),
        (b"a: \x00\n", None, "no YAML"),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), 1, "deep"),
        (b"[" * 500_000, 1, "deep"),
    ],
)
def test_what_is_no_file_of_settings_is_refused(text: bytes, line: int | None, told: str) -> None:
    """With the line, before anything of it is made."""
    with pytest.raises(InvalidBody) as refused:
        parse_yaml(text)
    (error,) = refused.value.errors
    assert error.line == line
    assert told in error.message


def test_aliases_repeat_and_do_not_explode(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value may be written once and used often; what a few lines blow up to millions is refused."""
    assert parse_yaml(b"a: &x {b: [1]}\nc: *x\nd: [*x, *x]\n").to_json() == {
        "a": {"b": [1]},
        "c": {"b": [1]},
        "d": [{"b": [1]}, {"b": [1]}],
    }
    bomb = b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n".encode() for n in range(1, 10)
    )
    with pytest.raises(InvalidBody, match="more than 2000000 values"):
        parse_yaml(bomb)
    monkeypatch.setattr(strict_yaml, "MOST_VALUES", 5)
    assert parse_yaml(b"[1, 2, 3, 4]").to_json() == [1, 2, 3, 4]
    with pytest.raises(InvalidBody, match="more than 5 values"):
        parse_yaml(b"[1, 2, 3, 4, 5]")


@pytest.mark.parametrize(
    ("pointer", "line"),
    [
        ("", 2),
        ("/groups", 2),
        ("/groups/0", 3),
        ("/groups/0/groupName", 3),
        ("/groups/0/launchConfig", 4),
        ("/groups/0/launchConfig/tags/a~1b", 5),
        ("/groups/0/launchConfig/tags/c~0d", 5),
        ("/groups/0/launchConfig/missing", 4),
        ("/groups/1/groupName", 6),
        ("/groups/9", 2),
        ("/groups/0/groupName/deeper", 3),
        ("/nothing", 2),
    ],
)
def test_a_pointer_leads_to_its_line(pointer: str, line: int) -> None:
    """To the name of a member, or to the innermost thing around what is missing."""
    root = parse_yaml(FILE)
    (error,) = locate([FieldError(pointer, "INVALID_BODY", "wrong", "s-1")], root)
    assert error == FieldError(pointer, "INVALID_BODY", "wrong", "s-1", line)


def test_what_others_could_take_for_a_number_is_quoted() -> None:
    """Also where PyYAML's own reader would not need it."""
    written = dump_yaml({"a": "1e3", "b": "012345678901", "c": "on", "d": "web", "e": "2026-01-01", "f": [], "g": None})
    assert written == "a: '1e3'\nb: '012345678901'\nc: 'on'\nd: web\ne: '2026-01-01'\nf: []\ng: null\n"


def test_what_stands_twice_is_written_twice() -> None:
    """No anchors: who reads the file sees each value where it counts."""
    shared: dict[str, Json] = {"b": 1}
    assert dump_yaml({"a": shared, "c": shared}) == "a:\n  b: 1\nc:\n  b: 1\n"
