"""The gate behind coverage's own, which adds lines and branches up: each of the two for itself."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

LEAST_PERCENT = 90.0


def find_short(totals: Mapping[str, float]) -> list[str]:
    """Tell which of the two is covered too little, in words."""
    shares = {
        "lines": 100 * totals["covered_lines"] / totals["num_statements"],
        "branches": 100 * totals["covered_branches"] / totals["num_branches"],
    }
    return [f"{share:.2f} % of the {what}" for what, share in shares.items() if share < LEAST_PERCENT]


if __name__ == "__main__":
    short = find_short(json.loads(Path(sys.argv[1]).read_text())["totals"])
    if short:
        sys.exit(f"Covered are only {' and '.join(short)} of producer/ and workers/; {LEAST_PERCENT:.0f} % are needed.")
