"""DynamoDB's expressions, as far as our writes and queries speak them: read once, then asked of items."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

Attribute = Mapping[str, Any]
Item = Mapping[str, Attribute]
"""Attributes in DynamoDB's types: {"S": "text"}."""
Holds = Callable[[Item, Mapping[str, str], Item], bool]
"""Tells of an item, under the expression's names and values, whether the condition holds."""

_TOKEN = re.compile(r"\s*([(),]|<=|>=|<>|[=<>]|[#:]?\w+)")
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@cache
def read_condition(text: str) -> Holds:
    """Read a condition; AssertionError where it says more than ours do."""
    tokens = _Tokens(text)
    holds = _either(tokens)
    assert tokens.next is None, f"not understood: {text}"
    return holds


class _Tokens:
    def __init__(self, text: str) -> None:
        self._rest: Iterator[str] = iter(_TOKEN.findall(text))
        self.next: str | None = next(self._rest, None)

    def take(self, wanted: str | None = None) -> str:
        taken = self.next
        assert taken is not None, "the expression ends too early"
        assert wanted in (None, taken), f"{taken} instead of {wanted}"
        self.next = next(self._rest, None)
        return taken


def _either(tokens: _Tokens) -> Holds:
    left = _both(tokens)
    while tokens.next == "OR":
        tokens.take()
        left = _or(left, _both(tokens))
    return left


def _both(tokens: _Tokens) -> Holds:
    left = _one(tokens)
    while tokens.next == "AND":
        tokens.take()
        left = _and(left, _one(tokens))
    return left


def _or(left: Holds, right: Holds) -> Holds:
    return lambda item, names, values: left(item, names, values) or right(item, names, values)


def _and(left: Holds, right: Holds) -> Holds:
    return lambda item, names, values: left(item, names, values) and right(item, names, values)


def _one(tokens: _Tokens) -> Holds:
    token = tokens.take()
    if token == "(":
        inner = _either(tokens)
        tokens.take(")")
        return inner
    if token == "NOT":
        negated = _one(tokens)
        return lambda item, names, values: not negated(item, names, values)
    if token.startswith("#"):
        operator = tokens.take()
        return _among(token, tokens) if operator == "IN" else _comparison(token, operator, tokens.take())
    tokens.take("(")
    name = tokens.take()
    argument = None
    if tokens.next == ",":
        tokens.take()
        argument = tokens.take()
    tokens.take(")")
    return _function(token, name, argument)


def _among(name: str, tokens: _Tokens) -> Holds:
    tokens.take("(")
    values_named = [tokens.take()]
    while tokens.next == ",":
        tokens.take()
        values_named.append(tokens.take())
    tokens.take(")")
    return lambda item, names, values: any(_equals(item.get(names[name]), values[each]) for each in values_named)


def _comparison(name: str, operator: str, value: str) -> Holds:
    if operator in {"=", "<>"}:
        equal = operator == "="
        return lambda item, names, values: _equals(item.get(names[name]), values[value]) is equal
    order = _ORDERS[operator]

    def holds(item: Item, names: Mapping[str, str], values: Item) -> bool:
        found = item.get(names[name])
        # What is missing or of another type is neither less nor more.
        return (
            found is not None and found.keys() == values[value].keys() and order(_plain(found), _plain(values[value]))
        )

    return holds


def _function(function: str, name: str, argument: str | None) -> Holds:
    match function:
        case "attribute_exists":
            return lambda item, names, _: names[name] in item
        case "attribute_not_exists":
            return lambda item, names, _: names[name] not in item
        case "begins_with":
            assert argument is not None
            return lambda item, names, values: item.get(names[name], {}).get("S", "").startswith(values[argument]["S"])
    raise AssertionError(f"no such function: {function}")


def _equals(found: Attribute | None, wanted: Attribute) -> bool:
    return found is not None and found.keys() == wanted.keys() and _plain(found) == _plain(wanted)


def _plain(attribute: Attribute) -> Any:
    ((kind, value),) = attribute.items()
    match kind:
        case "N":
            return Decimal(value)
        case "S":
            # DynamoDB orders text by its bytes.
            return str(value).encode()
        case _:
            return value


@dataclass(frozen=True, slots=True)
class _Change:
    kind: str
    name: str
    value: str | None


_CLAUSE = re.compile(r"(SET|REMOVE|ADD) (.*?)(?= (?:SET|REMOVE|ADD) |$)")
_PART = re.compile(r", (?=#)")
_FIRST = re.compile(r"(#\w+) = if_not_exists\((#\w+), (:\w+)\)")
_SET = re.compile(r"(#\w+) = (:\w+)")
_ADD = re.compile(r"(#\w+) (:\w+)")


@cache
def _read_update(text: str) -> tuple[_Change, ...]:
    said = ((clause, part) for clause, parts in _CLAUSE.findall(text) for part in _PART.split(parts))
    return tuple(_read_change(clause, part) for clause, part in said)


def _read_change(clause: str, part: str) -> _Change:
    if clause == "REMOVE":
        return _Change("REMOVE", part, None)
    if first := _FIRST.fullmatch(part):
        assert first[1] == first[2]
        return _Change("FIRST", first[1], first[3])
    form = _SET if clause == "SET" else _ADD
    said = form.fullmatch(part)
    assert said is not None, f"not understood: {clause} {part}"
    return _Change(clause, said[1], said[2])


def update(text: str, item: Item, names: Mapping[str, str], values: Item) -> dict[str, Attribute]:
    """Answer the item as an update expression leaves it."""
    after = dict(item)
    for change in _read_update(text):
        name = names[change.name]
        match change.kind:
            case "REMOVE":
                after.pop(name, None)
            case "FIRST":
                after.setdefault(name, values[str(change.value)])
            case "ADD":
                sum_ = Decimal(item.get(name, {"N": "0"})["N"]) + Decimal(values[str(change.value)]["N"])
                after[name] = {"N": str(sum_)}
            case _:
                after[name] = values[str(change.value)]
    return after
