"""The table of `make mutants`, a line a module, as it stands in `docs/quality.md`."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.document_parts import replace_part
from tests.mutation.results import Counts, MutatedModule

LEAST = 90
"""Per cent of the mutants that must be killed, of all modules together."""
BEGIN, END = "<!-- make mutants: {} -->", "<!-- /make mutants: {} -->"
"""What stands around the parts that are written by it."""
_HEAD = "| Module | Killed | Timeouts | Survived | Left out | Share |\n|---|---:|---:|---:|---:|---:|"

_STOPPED = "This run was stopped before its end; no figure is told of a module that it had not done with."


def find_share(modules: Iterable[MutatedModule]) -> float:
    """Tell how many per cent of the mutants were killed, those that never ended among them."""
    return _add(modules).share


def render(modules: Sequence[MutatedModule]) -> str:
    """Make the table; of a module that was not run to its end no figure is told."""
    ended = [module for module in modules if module.is_ended]
    lines = [_line(f"`{module.path}`", module.counts if module.is_ended else None) for module in modules]
    if len(ended) == len(modules):
        return "\n".join([_HEAD, *lines, _line("all", _add(ended))])
    return "\n".join([_STOPPED, "", _HEAD, *lines, _line("those that were run to their end", _add(ended))])


def write_part(document: Path, name: str, text: str) -> None:
    """Put a part of the document in the place of the one before."""
    document.write_text(replace_part(document.read_text(), BEGIN.format(name), END.format(name), text))


def _add(modules: Iterable[MutatedModule]) -> Counts:
    each = [module.counts for module in modules]
    figures = ((one.killed, one.timeouts, one.survived, one.left_out) for one in each)
    return Counts(*(sum(column) for column in zip((0, 0, 0, 0), *figures, strict=True)))


def _line(name: str, counts: Counts | None) -> str:
    if counts is None:
        return f"| {name} | not run to its end | | | | |"
    figures = (counts.killed, counts.timeouts, counts.survived, counts.left_out)
    return f"| {name} | {' | '.join(map(str, figures))} | {counts.share:.1f} % |"
