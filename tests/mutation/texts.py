"""
Which mutants change nothing but a text for people: a log event, the message of an error, what is said of a field.

Such a text is no behaviour, and a test of its letters would be a copy of the code. Everything else that an error
carries, its code above all, is behaviour and stays.
"""

import ast
import builtins
from collections.abc import Iterator, Mapping

from pydantic_core import PydanticCustomError

from workers.core.model.conflicts import Conflict
from workers.core.model.errors import FieldError

_LOG_CALLS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
_MESSAGES = ("message", "detail", "event")
"""Names that a message is given by, where it is not given by position."""


def is_text_only(original: ast.AST, mutant: ast.AST, names: Mapping[str, object], owner: object | None = None) -> bool:
    """
    Tell whether a mutant differs from its original in one text for people and nothing else.

    Parameters:
        original: The function as it is.
        mutant: The function as it was mutated; its name makes no difference.
        names: What the names in its module stand for.
        owner: The class whose method it is; None for a function.
    """
    changed = _find_change(original, mutant)
    return changed is not None and _is_literal(changed) and _Texts(original, names, owner).holds(changed)


def _find_change(original: ast.AST, mutant: ast.AST) -> ast.AST | None:
    """Find the smallest part that differs; None where nothing does, or only names of functions do."""
    if type(original) is not type(mutant):
        return original
    parts, others = list(ast.iter_child_nodes(original)), list(ast.iter_child_nodes(mutant))
    if len(parts) != len(others) or _own(original) != _own(mutant):
        return original
    differing = [pair for pair in zip(parts, others, strict=True) if ast.dump(pair[0]) != ast.dump(pair[1])]
    if not differing:
        return None
    return _find_change(*differing[0]) if len(differing) == 1 else original


def _own(node: ast.AST) -> list[object]:
    fields = [value for name, value in ast.iter_fields(node) if name != "name"]
    return [value for value in fields if not isinstance(value, ast.AST | list)]


def _is_literal(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


class _Texts:
    """The texts for people in one function."""

    def __init__(self, function: ast.AST, names: Mapping[str, object], owner: object | None) -> None:
        self._function = function
        self._names = names
        self._owner = owner
        self._parents = {child: node for node in ast.walk(function) for child in ast.iter_child_nodes(node)}

    def holds(self, node: ast.AST) -> bool:  # noqa: PLR0911  # one answer a kind of parent
        """Tell whether this literal, or name of a text, ends in nothing but a text for people."""
        parent = self._parents.get(node)
        match parent:
            case ast.JoinedStr() | ast.FormattedValue() | ast.BinOp(op=ast.Add()):
                return self.holds(parent)
            case ast.IfExp():
                return node is not parent.test and self.holds(parent)
            case ast.Attribute(attr="join"):
                return self.holds(self._parents[parent])
            case ast.keyword():
                call = self._parents[parent]
                return parent.arg in _MESSAGES and isinstance(call, ast.Call) and self._position(call) is not None
            case ast.Call():
                position = self._position(parent)
                return position is not None and parent.args[position : position + 1] == [node]
            case ast.Assign(targets=[ast.Name(id=name)]):
                uses = list(self._uses(name))
                return bool(uses) and all(map(self.holds, uses))
        return False

    def _uses(self, name: str) -> Iterator[ast.Name]:
        for node in ast.walk(self._function):
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
                yield node

    def _position(self, call: ast.Call) -> int | None:
        """Tell which argument of a call is its message; None where it has none."""
        match call.func:
            case ast.Attribute(value=ast.Name(id="log"), attr=attr) if attr in _LOG_CALLS:
                return 0
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__"):
                return _position_in(self._owner)
            case ast.Attribute(attr="error") | ast.Name(id="_refuse"):
                return 0
            case ast.Name(id=name):
                return _position_in(self._names.get(name, getattr(builtins, name, None)))
        return None


def _position_in(called: object | None) -> int | None:
    if called is FieldError:
        return 2
    if called is Conflict or called is PydanticCustomError:
        return 1
    return 0 if isinstance(called, type) and issubclass(called, Exception) else None
