"""
YAML from outside, read strictly, with the line that each value stands on; and written so that it reads back the same.

A text stays a text: only `null`, `true`, `false` and whole numbers as JSON writes them are anything else, so that
neither 1e3 nor 2026-01-01, `on` or 012345678901 becomes what nobody meant.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from workers.core.model.errors import FieldError, InvalidBody, show
from workers.core.model.launch_config import Json

DEEPEST = 50
"""How many lists and objects may stand in each other."""
MOST_VALUES = 2_000_000
"""So many values a file may come to, those that aliases repeat counted each time."""

WIDEST = 1_000_000
"""Long texts stay on one line: broken, one changed word changes many lines."""

_WORDS: Mapping[str, bool | None] = {"null": None, "~": None, "": None, "true": True, "false": False}
_WHOLE = re.compile("-?(0|[1-9][0-9]{0,17})")
_NUMBER_ELSEWHERE = re.compile(r"[-+.]?[0-9][0-9a-fA-FxXoO_.:eE+-]*")
"""What a reader of YAML other than ours may take for a number or a time."""
# libyaml's, where PyYAML was built with it: ten times as fast.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SafeDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(slots=True)
class Node:
    """A value of a file, and where it stands."""

    line: int
    """From 1."""
    value: "bool | int | str | list[Node] | dict[str, Node] | None"
    keys: dict[str, int] = field(default_factory=dict)
    """Of an object: the line of each member's name."""
    size: int = 1
    """How many values it comes to."""

    def to_json(self) -> Json:
        """Answer the value alone."""
        match self.value:
            case dict() as members:
                return {name: each.to_json() for name, each in members.items()}
            case list() as items:
                return [each.to_json() for each in items]
            case scalar:
                return scalar

    def find_line(self, pointer: str) -> int:
        """
        Find where a part of the value stands.

        Parameters:
            pointer: RFC 6901 JSON pointer; what it names may be missing.

        Returns:
            The line of the part, or of the innermost one around it that there is.
        """
        node, line = self, self.line
        for part in (each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]):
            match node.value:
                case dict() as members if part in members:
                    node, line = members[part], node.keys[part]
                case list() as items if part.isdecimal() and int(part) < len(items):
                    node = items[int(part)]
                    line = node.line
                case _:
                    break
        return line


@dataclass(slots=True)
class _Open:
    """A list or an object that is being read."""

    node: Node
    anchor: str | None
    name: tuple[str, int] | None = None
    """Of an object: the name whose value comes next, and its line."""


def parse_yaml(text: bytes) -> Node:
    """
    Read one YAML document, of which JSON is a part.

    Parameters:
        text: UTF-8.

    Returns:
        Its value, with lines.

    Raises:
        InvalidBody: It is no YAML, says one thing twice, or holds what has no place in a file of settings.
    """
    try:
        return _Reader().read(yaml.parse(text.decode("utf-8-sig"), Loader=_Loader))
    except UnicodeDecodeError as error:
        raise _refuse(f"The file is no UTF-8: {error.reason} at byte {error.start}.", None) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _refuse(f"The file is no YAML: {error.problem}.", mark.line + 1 if mark else None) from error
    except yaml.YAMLError as error:
        raise _refuse(f"The file is no YAML: {' '.join(str(error).split())}.", None) from error


class _Reader:
    """Builds values from the events of PyYAML's parser; on a stack of its own, which no nesting exhausts."""

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._root: Node | None = None

    def read(self, events: Iterator[Any]) -> Node:
        for event in events:
            self._take(event)
        if self._root is None:
            raise _refuse("The file is empty.", None)
        return self._root

    def _take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        match event:
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._check_tag(event, line)
                self._begin(event, line)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                ended = self._open.pop()
                self._add(ended.node, ended.anchor)
            case yaml.ScalarEvent():
                self._check_tag(event, line)
                self._take_scalar(event, line)
            case yaml.AliasEvent():
                known = self._anchors.get(event.anchor)
                if known is None:
                    raise _refuse(f"The alias *{event.anchor} repeats nothing that ends before it.", line)
                self._add(known, None)
            case yaml.DocumentStartEvent() if self._root is not None:
                raise _refuse("The file holds a second document. Put everything into one.", line)

    def _begin(self, event: Any, line: int) -> None:
        if self._open and self._wants_name():
            raise _refuse("The name of a member is a list or an object; it has to be a text.", line)
        if len(self._open) >= DEEPEST:
            raise _refuse(f"Lists and objects stand in each other more than {DEEPEST} deep.", line)
        node = Node(line, {} if isinstance(event, yaml.MappingStartEvent) else [])
        self._open.append(_Open(node, event.anchor))

    def _wants_name(self) -> bool:
        inner = self._open[-1]
        return isinstance(inner.node.value, dict) and inner.name is None

    def _take_scalar(self, event: Any, line: int) -> None:
        if self._open and self._wants_name():
            inner = self._open[-1]
            if event.value in inner.node.keys:
                first = inner.node.keys[event.value]
                raise _refuse(f"{show(event.value)} stands here a second time; the first is on line {first}.", line)
            inner.name = (event.value, line)
            inner.node.keys[event.value] = line
            return
        is_plain = event.implicit[0]
        self._add(Node(line, _read_plain(event.value) if is_plain else event.value), event.anchor)

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self._root = node
            return
        inner = self._open[-1]
        match inner.node.value:
            case list() as items:
                items.append(node)
            case dict() as members if inner.name is not None:
                members[inner.name[0]] = node
                inner.name = None
            case _:
                raise _refuse("An alias cannot be the name of a member.", node.line)
        inner.node.size += node.size
        if inner.node.size > MOST_VALUES:
            raise _refuse(f"The file comes to more than {MOST_VALUES} values.", inner.node.line)

    def _check_tag(self, event: Any, line: int) -> None:
        if event.tag is not None:
            raise _refuse(f"The tag {show(event.tag)} says what kind of value follows; leave it out.", line)


def dump_yaml(value: Mapping[str, Json]) -> str:
    """
    Write an object as YAML that every reader takes for the same: what could be read as a number or a date is quoted.

    Parameters:
        value: The object; its members are written in their order.

    Returns:
        The text, with a line end at its end.
    """
    return str(
        yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=WIDEST)
    )


class _Dumper(_SafeDumper):  # type: ignore[misc, valid-type]  # which of the two it is, is known at run time
    def ignore_aliases(self, _data: object) -> bool:
        """Write out what stands in several places: a reader sees each value where it counts."""
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    style = "'" if _NUMBER_ELSEWHERE.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _read_plain(text: str) -> bool | int | str | None:
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _WHOLE.fullmatch(text) else text


def _refuse(message: str, line: int | None) -> InvalidBody:
    return InvalidBody((FieldError("", "INVALID_BODY", message, None, line),))


def locate(errors: Sequence[FieldError], root: Node) -> tuple[FieldError, ...]:
    """Give each error the line of the file that its pointer leads to."""
    return tuple(
        FieldError(each.pointer, each.code, each.message, each.source_server_id, root.find_line(each.pointer))
        for each in errors
    )
