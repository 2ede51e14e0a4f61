"""The gate of coverage looks at lines and branches apart."""

import pytest

from tests.gate import find_short


@pytest.mark.parametrize(
    ("lines", "branches", "short"),
    [
        (9000, 9000, []),
        (8900, 10000, ["89.00 % of the lines"]),
        (10000, 5000, ["50.00 % of the branches"]),
        (8996, 8999, ["89.96 % of the lines", "89.99 % of the branches"]),
    ],
)
def test_neither_makes_up_for_the_other(lines: int, branches: int, short: list[str]) -> None:
    """Many covered lines do not hide branches that no test takes, nor the other way round."""
    totals = {"covered_lines": lines, "num_statements": 10000, "covered_branches": branches, "num_branches": 10000}
    assert find_short(totals) == short
