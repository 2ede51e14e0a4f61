"""
What is wrong with a request: the place, a code, and a sentence that a person can act on.

No secret may ever stand in a message: errors are shown, logged and stored.
"""

import json
from dataclasses import dataclass, replace

INVALID_BODY = "INVALID_BODY"
"""The structure is wrong: a missing or unknown member, a wrong type, a bad or repeated id."""
INVALID_LAUNCH_CONFIG = "INVALID_LAUNCH_CONFIG"
"""Something inside a launch config is wrong, or two of its fields conflict."""

LONGEST_SHOWN = 80
"""How many characters of what was given a message repeats."""
_LARGEST_SHOWN = 10**18


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with a request."""

    pointer: str
    """RFC 6901 JSON pointer into the request's body; of the parent where a member is missing."""
    code: str
    """INVALID_BODY or INVALID_LAUNCH_CONFIG."""
    message: str
    """What is wrong, why, and what to do."""
    source_server_id: str | None
    """The server that it concerns; None for the group and its defaults."""
    line: int | None = None
    """The line of the file where it stands, from 1; None where it came in no file that has lines."""

    def to_json(self) -> dict[str, str | int | None]:
        """Render as a member of `errors[]` in a problem document."""
        return {
            "pointer": self.pointer,
            "sourceServerId": self.source_server_id,
            "code": self.code,
            "message": self.message,
            **({"line": self.line} if self.line is not None else {}),
        }


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a body we are reading, and on behalf of which server."""

    pointer: str
    code: str = INVALID_BODY
    source_server_id: str | None = None

    def at(self, *parts: str | int) -> "Place":
        """Go to a member of this place, by member names and list indexes from the outside inwards."""
        escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in parts)
        return replace(self, pointer="/".join((self.pointer, *escaped)))

    def error(self, message: str) -> FieldError:
        """Say what is wrong with this place, why, and what to do."""
        return FieldError(self.pointer, self.code, message, self.source_server_id)


class InvalidBody(Exception):
    """The request is refused as a whole; nothing of it was stored or sent."""

    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        self.errors = errors
        super().__init__("; ".join(f"{error.pointer or '/'}: {error.message}" for error in errors[:3]))

    @property
    def code(self) -> str:
        """One code for the whole: INVALID_LAUNCH_CONFIG only if the structure is right."""
        codes = {error.code for error in self.errors}
        return INVALID_LAUNCH_CONFIG if codes == {INVALID_LAUNCH_CONFIG} else INVALID_BODY


class GroupTooLarge(Exception):
    """The group has more servers than one transaction can open a run for."""

    def __init__(self, count: int, limit: int, unit: str = "source servers") -> None:
        self.count = count
        self.limit = limit
        super().__init__(
            f"A protection group holds at most {limit} {unit}; this one has {count}. Split it into several groups."
        )


def show(value: object) -> str:  # noqa: PLR0911 - one answer a kind of JSON
    """Render a refused value for a message: short, ASCII, and safe whatever it is."""
    match value:
        case str():
            text = json.dumps(value[: LONGEST_SHOWN + 1])
            return text if len(value) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        # Python refuses to print an int of more than 4,300 digits.
        case int() if abs(value) > _LARGEST_SHOWN:
            return "a number as large as that"
        case int() | float():
            return str(value)
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return "a value of another kind"
