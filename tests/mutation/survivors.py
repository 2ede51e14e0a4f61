"""Mutants that nothing noticed, and why that is harmless: each reason stands in `harmless.toml`."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

REASONS = Path(__file__).with_name("harmless.toml")
NOT_JUDGED = "Not judged yet."
_AROUND = 24
"""How many characters of what did not change are shown on each side."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why mutants of a kind are harmless."""

    where: str
    """A pattern of the function's name, from its package on."""
    change: str
    """A pattern of the lines that are changed, before and after: `*30* -> *31*`."""
    why: str


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that nothing noticed."""

    where: str
    before: str
    after: str

    def __str__(self) -> str:
        """Show what changed, and a little of what stands around it."""
        start = max(_count_equal(self.before, self.after) - _AROUND, 0)
        end = max(_count_equal(self.before[start:][::-1], self.after[start:][::-1]) - _AROUND, 0)
        shown = (f"{'…' * (start > 0)}{line[start : len(line) - end]}{'…' * (end > 0)}" for line in self._lines)
        return f"`{self.where}`: {' → '.join(f'`{line}`' for line in shown)}"

    @property
    def _lines(self) -> tuple[str, str]:
        return self.before, self.after


def _count_equal(one: str, other: str) -> int:
    """Count the characters that two texts begin with alike."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def read_reasons() -> list[Reason]:
    """Read the reasons that somebody wrote down."""
    return [Reason(**each) for each in tomllib.loads(REASONS.read_text())["harmless"]]


def explain(survivors: Iterable[Survivor], reasons: Iterable[Reason]) -> dict[str, list[Survivor]]:
    """Sort the survivors by the reason why they are harmless, the first one that fits; those without one come first."""
    known = [*reasons]
    explained: dict[str, list[Survivor]] = {NOT_JUDGED: [], **{reason.why: [] for reason in known}}
    for survivor in survivors:
        change = f"{survivor.before} -> {survivor.after}"
        fitting = (r.why for r in known if fnmatchcase(survivor.where, r.where) and fnmatchcase(change, r.change))
        explained[next(fitting, NOT_JUDGED)].append(survivor)
    return {why: sorted(found, key=str) for why, found in explained.items() if found}


def render_survivors(explained: dict[str, list[Survivor]]) -> str:
    """Make the list of them, by reason."""
    return "\n\n".join("\n".join([f"{why}\n", *(f"- {each}" for each in found)]) for why, found in explained.items())
