"""How figures are shown: a table for who waits, and the parts of `docs/performance.md` that `make bench` writes."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.plots import draw
from tests.benchmarks.results import (
    Result,
    find_broken,
    render_bottlenecks,
    render_table,
    show_bar,
    show_holds,
    show_value,
)
from tests.document_parts import replace_part

BEGIN, END = "<!-- make bench: {} -->", "<!-- /make bench: {} -->"
"""What stands around the parts that are written by it."""
WIDTH = 200


def show(results: Sequence[Result], console: Console) -> None:
    """Print the table."""
    table = Table(title="make bench", show_lines=False)
    table.add_column("what")
    table.add_column("measured", justify="right")
    table.add_column("bar", justify="right")
    table.add_column("")
    table.add_column("compared to")
    for result in results:
        holds = f"[red]{show_holds(result)}[/]" if result.holds is False else show_holds(result)
        table.add_row(result.name, show_value(result), show_bar(result), holds, result.compared_to)
    console.print(table)
    for result in results:
        if result.bottleneck:
            console.print(f"{result.name}: {result.bottleneck}", soft_wrap=True, markup=False)


def open_console() -> Console:
    """Open where it is printed: a pipe gets whole lines."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def summarise(results: Sequence[Result]) -> str:
    """Say in a line how many bars hold."""
    judged = [result for result in results if result.holds is not None]
    broken = find_broken(results)
    names = f": {', '.join(result.name for result in broken)}" if broken else ""
    return f"{len(judged) - len(broken)} of {len(judged)} bars hold; {len(broken)} do not{names}."


def publish(document: Path, pictures: Path, results: Sequence[Result]) -> None:
    """Write the parts of the page, and its pictures."""
    when = sorted({result.measured_at[:16].replace("T", " ") for result in results})
    span = when[0] if len(when) == 1 else f"between {when[0]} and {when[-1]}"
    figures = f"Measured {span} UTC. {summarise(results)}\n\n{render_table(results)}"
    text = _put(document.read_text(), "figures", figures)
    document.write_text(_put(text, "bottlenecks", render_bottlenecks(results)))
    pictures.mkdir(parents=True, exist_ok=True)
    draw(pictures, results)


def _put(text: str, name: str, part: str) -> str:
    return replace_part(text, BEGIN.format(name), END.format(name), part)
