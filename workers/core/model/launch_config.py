"""
The value at the centre: what a user wants of a server's launch, in one canonical form.

Two configs that mean the same must be equal here, or a digest would call an applied server changed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias, get_args, get_type_hints

from workers.core.model.fields import MANAGED_BY_DRS, Belongs, Half, LaunchConfigBody

__all__ = ["FIELDS", "MANAGED_BY_DRS", "FieldSpec", "Half", "Json", "LaunchConfig"]

Json: TypeAlias = bool | int | str | list["Json"] | dict[str, "Json"] | None


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """What the code needs to know of an accepted field."""

    name: str
    half: Half
    """The AWS object that holds it."""
    nullable: bool
    """Whether it can be asked to be empty."""
    servers_only: bool
    """Whether it is refused in group defaults."""
    null_reason: str
    """Why null is refused; empty where it is allowed."""


def _specs() -> Mapping[str, FieldSpec]:
    specs = {}
    for name, hint in get_type_hints(LaunchConfigBody, include_extras=True).items():
        belongs = next(note for note in hint.__metadata__ if isinstance(note, Belongs))
        nullable = type(None) in get_args(hint.__origin__)
        specs[name] = FieldSpec(name, belongs.half, nullable, belongs.servers_only, belongs.null_reason)
    return specs


FIELDS: Mapping[str, FieldSpec] = _specs()
"""Every accepted field, in the order of declaration."""


@dataclass(frozen=True, slots=True)
class LaunchConfig:
    """
    What a user wants, or what two of them make together.

    Lists are sets: sorted, without duplicates. Objects have sorted members; an object without members asks
    for nothing and is left out. Fields stand in the order of declaration. Values are copies.
    """

    values: Mapping[str, Json] = field(default_factory=dict)
    """Only fields that were given; None = must be empty."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.values) - set(FIELDS))
        if unknown:
            # Dropping it would give a digest that calls a half-applied config applied.
            raise ValueError(f"No launch config has a field {unknown[0]!r}; it was written by another version.")
        canonical = {name: _canonical(self.values[name]) for name in FIELDS if name in self.values}
        object.__setattr__(self, "values", {name: value for name, value in canonical.items() if value != {}})

    @classmethod
    def from_json(cls, raw: Mapping[str, object]) -> "LaunchConfig":
        """
        Read what `to_json` wrote, also after DynamoDB made Decimals of its numbers.

        For JSON of a user there is `parse_launch_config`: nothing is checked against AWS's rules here. What
        `to_json` cannot have written, or only that of a version with more fields, is a ValueError.
        """
        return cls({name: _canonical(value) for name, value in raw.items()})

    def to_json(self) -> dict[str, Json]:
        """Render as JSON; the caller may change what it gets."""
        return {name: _canonical(value) for name, value in self.values.items()}


def _canonical(value: object) -> Json:
    match value:
        case None | bool() | int() | str():
            return value
        case Decimal() if value == value.to_integral_value():
            return int(value)
        case list() | tuple() | set() | frozenset():
            return [*_sorted_set(value)]
        case Mapping():
            return {str(name): _canonical(value[name]) for name in sorted(value)}
        case _:
            raise ValueError(f"A launch config holds no {type(value).__name__}.")


def _sorted_set(items: Collection[object]) -> list[str]:
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) != len(items):
        raise ValueError("A set of a launch config holds text only.")
    return sorted(set(texts))
