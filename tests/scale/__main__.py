"""`make scale`: play 100,000 source servers, work out what they cost, and put both into `docs/scale.md`."""

import sys
from pathlib import Path

from tests.document_parts import replace_part
from tests.scale.cost import MEMBERS, count_units
from tests.scale.fleet import THREADS, Outcome, Plan, find_floor, simulate
from tests.scale.prices import Line, work_out

DOCUMENT = Path("docs/scale.md")
FIGURES = "<!-- make scale: figures -->", "<!-- /make scale: figures -->"
BILL = "<!-- make scale: bill -->", "<!-- /make scale: bill -->"
MOST_OVER = 1.08
MOST_MORE_SECONDS = 5.0
MOST_THROTTLED = 0.001
MOST_WRITES_AN_ITEM = 1000
"""Writes a second that one partition of DynamoDB takes, and so one item. Source: DynamoDB developer guide, quotas."""


def _find_broken(plan: Plan, outcome: Outcome) -> list[str]:
    floor = find_floor(plan)
    bars = {
        f"time above {MOST_OVER} times {floor:.0f} s + {MOST_MORE_SECONDS:.0f} s": (
            outcome.seconds > MOST_OVER * floor + MOST_MORE_SECONDS
        ),
        f"more than {MOST_THROTTLED:.1%} of the calls throttled": outcome.throttled >= MOST_THROTTLED * outcome.calls,
        f"a bucket with more than {MOST_WRITES_AN_ITEM} writes a second": outcome.hottest >= MOST_WRITES_AN_ITEM,
    }
    return [what for what, is_broken in bars.items() if is_broken]


def _render_figures(plan: Plan, outcome: Outcome) -> str:
    floor, servers = find_floor(plan), plan.accounts * plan.servers_an_account
    figures = {
        "Source servers": f"{servers:,}, in {plan.accounts} accounts of one Region",
        "Worker processes": f"{plan.processes}, with {THREADS} slots each",
        "Time until the last one is ready": f"{outcome.seconds:.0f} s",
        "The quota's floor": f"{floor:.0f} s; measured is {outcome.seconds / floor:.3f} times that",
        "First account done after": f"{outcome.first_account_seconds:.0f} s",
        "Calls of DRS and EC2": f"{outcome.calls:,}, {outcome.calls / outcome.seconds:,.0f} a second",
        "Throttled": f"{outcome.throttled:,} ({outcome.throttled / outcome.calls:.3%})",
        "Jobs handed back": f"{outcome.hand_backs:,}",
        "Writes to the shared buckets": (
            f"{sum(outcome.table_calls.values()) / outcome.seconds:,.0f} a second over {len(outcome.table_calls)}"
            f" buckets; {outcome.hottest:.1f} a second to the busiest one"
        ),
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in figures.items())])


def _render_bill(lines: list[Line]) -> str:
    rows = [f"| {line.what} | {line.amount} | ${line.dollars:.2f} |" for line in lines]
    total = f"| **together** | | **${sum(line.dollars for line in lines):.2f}** |"
    return "\n".join(["| | Amount | Money |", "|---|---:|---:|", *rows, total])


def main() -> int:
    """Play, print, write; 1 where a bar does not hold."""
    plan = Plan()
    read, written = ({table: units / MEMBERS for table, units in counts.items()} for counts in count_units())
    outcome = simulate(plan)
    figures = _render_figures(plan, outcome)
    bill = _render_bill(list(work_out(plan, outcome, read, written)))
    a_server = (
        f"A changed source server takes {sum(read.values()):.1f} read and {sum(written.values()):.1f} write units,"
        f" counted over a group of {MEMBERS}."
    )
    text = replace_part(DOCUMENT.read_text(), *FIGURES, figures)
    DOCUMENT.write_text(replace_part(text, *BILL, f"{bill}\n\n{a_server}"))
    broken = _find_broken(plan, outcome)
    sys.stdout.write("\n".join([figures, bill, a_server, *(f"does not hold: {what}" for what in broken), ""]))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
