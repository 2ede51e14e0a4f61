"""What a person sees of the demo: progress while it works, one closing table. Nothing in a pipe but plain text."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from producer.demo.result import Calls, Drift, Found, Result
from producer.local_stack.groups import describe_failure

Show = Callable[[str, int], None]


class Screen:
    """Where the demo is shown; a quiet one shows complaints only."""

    def __init__(self, console: Console, errors: Console) -> None:
        self._console = console
        self._errors = errors

    @classmethod
    @contextmanager
    def open(cls, *, quiet: bool) -> Iterator["Screen"]:
        """Open the screen."""
        yield cls(Console(quiet=quiet, highlight=False), Console(stderr=True, highlight=False))

    def say(self, text: str) -> None:
        """Say what happens now."""
        self._console.print(text, soft_wrap=True)

    def complain(self, text: str) -> None:
        """Say what is wrong, whatever is shown else."""
        # Whole and as it is: AWS's messages may hold brackets, and a log wants one line.
        self._errors.print(f"prelaunch: {text}", style="red", markup=False, soft_wrap=True)

    @contextmanager
    def progress(self, names: Sequence[str], total: int) -> Iterator[Show]:
        """
        Show a bar for each name.

        Parameters:
            names: What works.
            total: How much there is to do for each.

        Yields:
            What to call with a name and how much is done.
        """
        columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        if not self._console.is_terminal:
            yield lambda _name, _done: None
            return
        with Progress(*columns, console=self._console) as progress:
            tasks: dict[str, TaskID] = {name: progress.add_task(name, total=total) for name in names}
            yield lambda name, done: progress.update(tasks[name], completed=done)

    def show_settled(self, groups: Sequence[Mapping[str, Any]], seconds: float, calls: Calls) -> None:
        """Show how many source servers are ready, how soon, and what it took."""
        ready, total = (sum(group[name] for group in groups) for name in ("ready", "total"))
        self.say(f"{ready} of {total} source servers ready {seconds:.1f} s after the first POST.")
        self._say_calls(calls)

    def show_failure(self, failure: Mapping[str, Any]) -> None:
        """Show the source server that failed, with its reason."""
        self.say(f"[yellow]failed[/] {escape(describe_failure(failure))}")

    def show_correction(self, count: int) -> None:
        """Show how many source servers the correction touched."""
        servers = "1 source server" if count == 1 else f"{count} source servers"
        self.say(f"Its cause is gone: apply-launch-configs with onlyFailed re-applied {servers}.")

    def show_found(self, found: Sequence[Found], seconds: float, calls: Calls) -> None:
        """Show what the watch found, field by field."""
        servers = len({each.source_server_id for each in found})
        self.say(f"The watch found {servers} source servers that are not as they were applied, in {seconds:.1f} s:")
        for each in found:
            observed, desired = (escape(json.dumps(value)) for value in (each.observed, each.desired))
            where = f"{each.source_server_id} ({each.group})"
            self.say(f"  [yellow]drifted[/] {where}: {escape(each.field)} {observed} → {desired}")
        self._say_calls(calls)

    def show_drift(self, drift: Drift) -> None:
        """Show that what was changed was put back."""
        self.say(
            f"apply-launch-configs with onlyFailed put {drift.repaired_servers} source servers back in"
            f" {drift.repair_seconds:.1f} s; {drift.restored_templates} launch templates hold again all that they held."
        )
        self._say_calls(drift.repair_calls)

    def _say_calls(self, calls: Calls) -> None:
        throttled = sum(counts["throttled"] for counts in calls.values())
        made = ", ".join(f"{counts['count']} {name.partition('.')[2]}" for name, counts in calls.items())
        self.say(f"  calls: {made}; throttled: {throttled}")

    def show(self, result: Result) -> None:
        """Show the closing table."""
        total = sum(group["total"] for group in result.groups)
        ready = sum(group["ready"] for group in result.groups)
        self.say(f"{ready} of {total} source servers ready.")
        table = Table(title=f"A wave over {total} source servers, {len(result.groups)} groups")
        for heading in ("", "prelaunch", "the serial way"):
            table.add_column(heading, justify="left" if not heading else "right")
        seconds = (result.wave_seconds, result.serial_seconds)
        table.add_row("request to last StartRecovery", *(f"{value:.3f} s" for value in seconds))
        table.add_row("calls about settings", *(str(result.count_config_calls(part)) for part in ("wave", "serial")))
        wave, serial = result.calls["wave"], result.calls["serial"]
        for name in sorted({*wave, *serial}):
            table.add_row(f"  {name}", *(str(calls.get(name, {"count": 0})["count"]) for calls in (wave, serial)))
        throttled = (sum(counts["throttled"] for counts in calls.values()) for calls in (wave, serial))
        table.add_row("throttled", *map(str, throttled))
        self._console.print(table)
        self.say(f"The wave starts {result.reduction:.2%} earlier.")
