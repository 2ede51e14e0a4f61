"""`python -m tests.benchmarks [LINE …]`: runs the lines, prints the table, writes the record and the page."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from producer.local_stack.isolation import leave_real_accounts_alone
from producer.local_stack.processes import LocalStackFailed, StopSignals
from tests.benchmarks.lines import LINES, NoSuchLine, Run, choose
from tests.benchmarks.report import open_console, publish, show, summarise
from tests.benchmarks.results import Result, find_broken, merge, read, write

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "performance"
LEAST_SERVERS = 4
WRONG_USE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and answer the exit status: 1 where a bar does not hold, or it was stopped."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("lines", nargs="*", metavar="LINE", help=f"what lines begin with: {', '.join(LINES)}")
    parser.add_argument(
        "--shrink", type=int, default=1, metavar="N", help="with an Nth of the source servers; writes nothing"
    )
    asked = parser.parse_args(arguments)
    console = open_console()
    if sys.platform != "linux":
        console.print("The benchmark reads Linux's /proc.")
        return WRONG_USE
    try:
        runs = choose(asked.lines)
    except NoSuchLine as error:
        console.print(str(error), soft_wrap=True)
        return WRONG_USE
    leave_real_accounts_alone()
    begun = time.monotonic()
    with StopSignals.watch("The benchmark") as signals:
        results = [result for run in runs for result in _run(run, signals, asked.shrink, console)]
        if signals.received:
            console.print(f"The benchmark was stopped by {signals.received.name}: nothing is written.")
            return 1
    show(results, console)
    if asked.shrink == 1:
        # Each line is replaced as a whole; figures are compared within one only.
        record = merge(read(RECORD), results, LINES)
        write(RECORD, record)
        publish(PAGE, PICTURES, record)
    console.print(f"{time.monotonic() - begun:.0f} s. {summarise(results)}", soft_wrap=True)
    return 1 if find_broken(results) else 0


def _run(run: Run, signals: StopSignals, shrink: int, console: Console) -> Iterator[Result]:
    if signals.received:
        return
    console.print(f"{datetime.now(UTC):%H:%M:%S} {', '.join(run.lines)} …")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        for result in [*run.measure(signals, max(run.servers // shrink, LEAST_SERVERS))]:
            yield replace(result, measured_at=now)
    except Exception as error:  # noqa: BLE001  # one line that breaks says so, and the others are still measured
        if not isinstance(error, LocalStackFailed):
            console.print_exception()
        for line in run.lines:
            yield Result(f"{line}: failures", 1, "failures", f"{error!r}", bar=0, measured_at=now)


if __name__ == "__main__":
    sys.exit(main())
