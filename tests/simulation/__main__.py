"""`make simulate`: play every case, print the table and put it into `docs/performance.md`; 1 where a bar is broken."""

import sys
from dataclasses import replace
from pathlib import Path

from tests.document_parts import replace_part
from tests.simulation.case import Case, Result
from tests.simulation.fleet import Limiter, prelaunch, simulate
from tests.simulation.sdk import adaptive, standard
from tests.simulation.table import Row, render
from workers.aws.pacing.quotas import Quota
from workers.core.priority import Priority

DOCUMENT = Path("docs/performance.md")
BEGIN, END = "<!-- make simulate: table -->", "<!-- /make simulate: table -->"
TEN, ASSUMED = Quota(100, 10), Quota(100, 10, published=False)
ALONE = Case("alone at 5 a second", seconds=600)
SHARED = Case("outsiders at 30 % of 10 a second", assumed=TEN, per_second=10, outsiders=lambda _: 3.0, seconds=600)
LESS = Case("assumed 10 a second, really 4", assumed=ASSUMED, per_second=4, capacity=40, seconds=600)
MORE = Case("assumed 10 a second, really 50", callers=48, assumed=ASSUMED, per_second=50, capacity=200, seconds=600)
CASES: tuple[tuple[Case, tuple[Limiter, ...]], ...] = (
    (ALONE, (prelaunch, adaptive, standard)),
    (replace(ALONE, processes=40), (prelaunch, adaptive)),
    (replace(ALONE, name="clocks 2 s apart", skew_seconds=2.0), (prelaunch,)),
    (replace(ALONE, name="a death every 10 s", crash_every=10.0), (prelaunch,)),
    (replace(ALONE, name="alone at 5 a second, bulk work", priorities=(Priority.BULK,)), (prelaunch,)),
    (SHARED, (prelaunch, adaptive, standard)),
    (replace(SHARED, processes=40), (prelaunch, adaptive)),
    (LESS, (prelaunch, adaptive)),
    (replace(LESS, name=f"{LESS.name}, bulk work", priorities=(Priority.BULK,)), (prelaunch,)),
    (replace(LESS, name=f"{LESS.name}, Retry-After 2 s", retry_after_seconds=2.0), (prelaunch,)),
    (MORE, (prelaunch,)),
)


def choose_bars(case: Case) -> tuple[float, float] | None:
    """Choose the least share of the quota that is to be used, and the greatest that may be throttled."""
    if not case.assumed.published:
        return None
    return (0.95, 0.001) if case.outsiders(0) == 0 else (0.93, 0.01)


def main() -> int:
    """Play, print, write; 1 where a bar does not hold."""
    rows = []
    for case, limiters in CASES:
        for limiter in limiters:
            result: Result = simulate(case, limiter)
            rows.append(Row(case, limiter.__name__, result, choose_bars(case) if limiter is prelaunch else None))
            sys.stdout.write(f"{render(rows[-1:], head=len(rows) == 1)}\n")
    DOCUMENT.write_text(replace_part(DOCUMENT.read_text(), BEGIN, END, render(rows)))
    return 0 if all(row.holds is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
