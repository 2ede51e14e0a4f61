"""`python -m tests.chaos`: the command line, and what it prints."""

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from infra.local.process import stand_in
from producer.local_stack.processes import StopSignals
from tests.chaos.processes import emptied
from tests.chaos.run import SERVERS, WORKERS, Chaos, Stopped, say
from tests.chaos.verdict import Verdict


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and answer the exit status: 1 where a promise was broken or no verdict came about."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="how long faults are made")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32), help="of what is drawn")
    parser.add_argument("--scale", type=float, default=1.0, help="scales every period of prelaunch")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    asked = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="prelaunch-chaos-"))
    say(f"{WORKERS} workers, an API and AWS's stand-in, {SERVERS} source servers, seed {asked.seed} …")
    verdict = run(asked, folder)
    if verdict is None:
        say(f"chaos: no verdict; the processes' logs are in {folder}")
        return 1
    if asked.json:
        asked.json.write_text(json.dumps(verdict.to_json(), indent=2) + "\n")
    show(verdict)
    if verdict.broken:
        say(f"The processes' logs are in {folder}")
    else:
        shutil.rmtree(folder)
    say(verdict.summary)
    return 1 if verdict.broken else 0


def run(asked: argparse.Namespace, folder: Path) -> Verdict | None:
    """Run it all; None where it came to no verdict, which is said."""
    with ExitStack() as closing:
        signals = closing.enter_context(StopSignals.watch("The chaos"))
        aws = closing.enter_context(stand_in(rates="off"))
        chaos = Chaos(aws, folder, asked.seed, asked.seconds, asked.scale, signals)
        closing.enter_context(emptied(chaos.slots))
        try:
            return chaos.run()
        except Stopped as stopped:
            for problem in chaos.find_broken():
                say(f"BROKEN {problem}")
            say(str(stopped))
            return None


def show(verdict: Verdict) -> None:
    """Print the figures as a table, and in words what failed on the way and what is broken."""
    for name, count in [*sorted(verdict.faults.items()), *verdict.figures.items()]:
        say(f"{name:<36} {count:>8}")
    for failure in verdict.failures:
        say(f"failed {failure}")
    for late in verdict.excused:
        say(f"excused {late}")
    for problem in verdict.broken:
        say(f"BROKEN {problem}")


if __name__ == "__main__":
    sys.exit(main())
