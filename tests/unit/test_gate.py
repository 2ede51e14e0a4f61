"""The gate of coverage looks at lines and branches apart."""

import pytest

from tests.gate import find_short


@pytest.mark.parametrize(
    ("lines", "branches", "short"),
    [(90, 90, []), (89, 100, ["89.0 % of the lines"]), (100, 50, ["50.0 % of the branches"])],
)
def test_neither_makes_up_for_the_other(lines: int, branches: int, short: list[str]) -> None:
    """Many covered lines do not hide branches that no test takes, nor the other way round."""
    totals = {"covered_lines": lines, "num_statements": 100, "covered_branches": branches, "num_branches": 100}
    assert find_short(totals) == short
