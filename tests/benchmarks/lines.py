"""The lines by name, in the order of a whole run, each with all that it measures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from producer.local_stack.processes import StopSignals
from tests.benchmarks.apply import measure_apply, measure_apply_and_reapply
from tests.benchmarks.neighbour import measure_beside_neighbour
from tests.benchmarks.results import Result
from tests.benchmarks.script import Mode, measure_script
from tests.benchmarks.submit import measure_submit
from tests.benchmarks.wave import measure_wave
from tests.benchmarks.worker import measure_worker

Measure = Callable[[StopSignals, int], Iterator[Result]]
"""Measures with so many source servers."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is measured together, over the same processes."""

    lines: tuple[str, ...]
    servers: int
    measure: Measure


def _apply(line: str, processes: int) -> Measure:
    return lambda signals, servers: measure_apply(line, signals, servers, processes)


def _apply_and_reapply(line: str, again: str, processes: int) -> Measure:
    return lambda signals, servers: measure_apply_and_reapply(line, again, signals, servers, processes)


def _neighbour(line: str, processes: int) -> Measure:
    return lambda signals, servers: measure_beside_neighbour(line, signals, servers, processes)


def _script(line: str, mode: Mode) -> Measure:
    return lambda signals, servers: measure_script(line, signals, servers, mode)


RUNS = (
    Run(("wave-100",), 100, lambda signals, servers: measure_wave("wave-100", signals, servers)),
    *(
        Run((f"apply-{servers}-{processes}",), servers, _apply(f"apply-{servers}-{processes}", processes))
        for servers in (100, 300)
        for processes in (1, 2, 4)
    ),
    Run(("apply-1000-4", "reapply-1000"), 1000, _apply_and_reapply("apply-1000-4", "reapply-1000", 4)),
    *(
        Run((f"neighbour-300-{processes}",), 300, _neighbour(f"neighbour-300-{processes}", processes))
        for processes in (1, 4)
    ),
    Run(("submit-4000",), 4000, lambda signals, servers: measure_submit("submit-4000", signals, servers)),
    Run(("worker",), 100, lambda signals, servers: measure_worker("worker", signals, servers)),
    Run(("script-300-standard",), 300, _script("script-300-standard", "standard")),
    Run(("script-300-adaptive",), 300, _script("script-300-adaptive", "adaptive")),
)
"""`apply-300-2` are 300 source servers and two worker processes."""
LINES = tuple(line for run in RUNS for line in run.lines)


class NoSuchLine(Exception):
    """A name that no line begins with."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No line begins with {name!r}; there are {', '.join(LINES)}.")


def choose(names: Sequence[str]) -> list[Run]:
    """
    Choose what is run.

    Parameters:
        names: Lines, or what lines begin with; none chooses all.

    Returns:
        The runs, in order. NoSuchLine is raised for a name that chooses nothing.
    """
    for name in names:
        if not any(_names(name, line) for line in LINES):
            raise NoSuchLine(name)
    return [run for run in RUNS if not names or any(_names(name, line) for line in run.lines for name in names)]


def _names(name: str, line: str) -> bool:
    # Whole words: apply-100 is not the long apply-1000.
    return f"{line}-".startswith(f"{name}-")
