"""
Read the members of a JSON object by the types of a TypedDict, and say everything that is wrong at once.

It never raises for what a user sent, whatever it is, and never echoes a member that is marked confidential.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from typing_extensions import is_typeddict

from workers.core.model.errors import FieldError, Place, show

_LONGEST_GUESSED = 64
_MOST_MISSPELT = 50
_LEAVE_OUT = "leave it out if there is nothing to say."
_NOTHING: Mapping[str, str] = {}

# Lone surrogates cannot be written as UTF-8, the rest cannot stand in the XML that EC2 answers with.
_UNSENDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Mark(Enum):
    """What an annotation can say of a member beyond its type."""

    CONFIDENTIAL = auto()
    """Its value must not stand in a message."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an object that a user sends."""

    name: str
    adapter: TypeAdapter[object]
    descriptions: Mapping[str, str]
    """What it must be, in words: its own under "", those of its members under their names."""
    confidential: bool

    def read(self, value: object, place: Place, *, null_reason: str = "") -> tuple[object, list[FieldError]]:
        """
        Check a value.

        Parameters:
            value: What the user gave.
            place: Where it stands.
            null_reason: What to say of a null where none is allowed.

        Returns:
            The value in its checked form (None if it is wrong) and everything that is wrong with it.
        """
        errors = list(find_unsendable_text(value, place))
        if errors and not isinstance(value, dict):
            return None, errors
        # What is left of an object is checked all the same: everything wrong is said at once.
        sendable = _without_unsendable(value, place) if errors and isinstance(value, dict) else value
        try:
            read = self.adapter.validate_python(sendable, strict=True)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False)
            return None, errors + [self._explain(item, place, null_reason) for item in found]
        return (None, errors) if errors else (read, [])

    def _explain(self, found: ErrorDetails, place: Place, null_reason: str) -> FieldError:
        loc, value = found["loc"], found["input"]
        # pydantic marks a wrong key by a second part; the pointer must resolve to the member itself.
        parts = loc[:1] if loc[1:] == ("[key]",) else loc
        at = place.at(*parts)
        if found["type"] == "extra_forbidden":
            return unknown_member(place, str(parts[-1]), [*filter(None, self.descriptions)])
        if found["type"] == "prelaunch":
            return at.error(found["msg"])
        name = ".".join(str(part) for part in (self.name, *parts))
        if value is None and null_reason:
            return at.error(f"{name} cannot be null: {null_reason}")
        inner = str(parts[0]) if parts else ""
        description = self.descriptions.get(inner, self.descriptions[""])
        if loc and isinstance(loc[-1], int):
            return at.error(f"{show(value)} does not belong here: {self.name} must be {description}.")
        shown = "" if self.confidential else f", not {show(value)}"
        return at.error(f"{name} must be {description}{shown}.")


def members_of(body: type) -> Mapping[str, Member]:
    """
    List the members of a TypedDict, in order of declaration.

    Parameters:
        body: A TypedDict of which each member is `Annotated[type, Field(description=…), …]`.

    Returns:
        Member names to how they are read.
    """
    hints = get_type_hints(body, include_extras=True)
    return {
        name: Member(name, TypeAdapter(hint), _descriptions(hint), Mark.CONFIDENTIAL in hint.__metadata__)
        for name, hint in hints.items()
    }


def _descriptions(hint: object) -> Mapping[str, str]:
    descriptions = {"": _description(hint)}
    origin = getattr(hint, "__origin__", hint)
    for part in (origin, *get_args(origin)):
        if is_typeddict(part):
            inner = get_type_hints(part, include_extras=True)
            descriptions |= {name: _description(each) for name, each in inner.items()}
    return descriptions


def _description(hint: object) -> str:
    notes = getattr(hint, "__metadata__", ())
    return next(note.description for note in notes if isinstance(note, FieldInfo) and note.description)


def unknown_member(place: Place, name: str, known: Sequence[str]) -> FieldError:
    """
    Refuse a member that is not known, with a guess at what was meant.

    Parameters:
        place: The object that holds it.
        name: The member's name; text that can be sent.
        known: The names that are accepted there.

    Returns:
        The error at that member.
    """
    meant = _guess(name, known)
    advice = f"did you mean {meant}?" if meant else f"accepted are {', '.join(known)}."
    return place.at(name).error(f"{show(name)} is not known here; {advice}")


def find_wrong_members(errors: Iterable[FieldError], pointer: str, known: Sequence[str]) -> frozenset[str]:
    """
    Find members of an object of which nobody knows what was meant by them.

    Parameters:
        errors: What is wrong.
        pointer: Where the object stands.
        known: The names that are accepted there.

    Returns:
        The known members that are wrong somewhere, and those that unknown ones were probably to be; all of them where
        so many are unknown that it is another thing altogether.
    """
    below = (error.pointer.removeprefix(f"{pointer}/") for error in errors if error.pointer.startswith(f"{pointer}/"))
    names = {each.split("/")[0] for each in below}
    unknown = names.difference(known)
    if len(unknown) > _MOST_MISSPELT:
        return frozenset(known)
    meant = {_guess(name, known) for name in unknown}
    return frozenset(name for name in known if name in names or name in meant)


def _guess(name: str, known: Sequence[str]) -> str | None:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.75) if len(name) <= _LONGEST_GUESSED else []
    # A capital is the commonest slip, and too far for a guess by likeness in short names.
    return next((each for each in known if each.lower() == name.lower()), close[0] if close else None)


def read_object(
    raw: Mapping[object, object],
    members: Mapping[str, Member],
    required: frozenset[str],
    place: Place,
    *,
    apart: frozenset[str] = frozenset(),
    refused: Mapping[str, str] = _NOTHING,
) -> tuple[dict[str, object], list[FieldError]]:
    """
    Read the members of an object, and say everything that is wrong with them at once.

    Parameters:
        raw: The object that the user sent.
        members: How each accepted member is read.
        required: The names that must be there.
        place: Where the object stands.
        apart: Members that are handed on as they are, for whoever reads them.
        refused: Names that are known and not accepted, with what to say of them.

    Returns:
        The members that are right, and everything that is wrong.
    """
    given, errors = readable_members(raw, place)
    values: dict[str, object] = {}
    for name, value in given.items():
        if name in apart and name in members:
            values[name] = value
        elif name in members:
            read, wrong = members[name].read(value, place.at(name), null_reason=_LEAVE_OUT)
            errors += wrong
            if not wrong:
                values[name] = read
        elif name in refused:
            errors.append(place.at(name).error(refused[name]))
        else:
            errors.append(unknown_member(place, name, list(members)))
    missing = [name for name in members if name in required and name not in given]
    errors += [place.error(f"{name} is missing; it must be {members[name].descriptions['']}.") for name in missing]
    return values, errors


def readable_members(raw: Mapping[object, object], place: Place) -> tuple[dict[str, object], list[FieldError]]:
    """
    Set aside members whose names no answer could repeat.

    Parameters:
        raw: The object that the user sent.
        place: Where it stands.

    Returns:
        The members with usable names, and an error at the object itself for each other one.
    """
    members: dict[str, object] = {}
    errors = []
    for name, value in raw.items():
        if isinstance(name, str) and not _UNSENDABLE.search(name):
            members[name] = value
        else:
            errors.append(place.error(f"The member name {show(name)} is no text that AWS or JSON can hold."))
    return members, errors


def find_unsendable_text(value: object, place: Place) -> Iterator[FieldError]:
    """
    Find text that cannot be stored or sent: lone surrogates, controls other than tab and line ends.

    Parameters:
        value: Any JSON, nested however deep.
        place: Where it stands.

    Yields:
        One error for each such text; for a member's name, at the object that holds it.
    """
    # A stack of our own: a deeply nested body must not exhaust Python's.
    rest = [(value, place)]
    while rest:
        item, where = rest.pop()
        if isinstance(item, str) and (bad := _UNSENDABLE.search(item)):
            # The character alone: the text may be confidential.
            yield where.error(f"The text holds U+{ord(bad[0]):04X}, which AWS or JSON cannot hold; remove it.")
        elif isinstance(item, dict):
            members, errors = readable_members(item, where)
            yield from errors
            rest += [(each, where.at(name)) for name, each in members.items()]
        elif isinstance(item, list):
            rest += [(each, where.at(index)) for index, each in enumerate(item)]


def _without_unsendable(raw: Mapping[object, object], place: Place) -> dict[str, object]:
    members, _ = readable_members(raw, place)
    return {name: value for name, value in members.items() if not any(find_unsendable_text(value, place))}
