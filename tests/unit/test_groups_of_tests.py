"""Tests that share what is costly to start stand in one group, and a group runs in one process."""

import pytest

GROUP = "together"
pytestmark = pytest.mark.xdist_group(GROUP)


def test_a_group_of_tests_is_told_to_who_hands_them_out(request: pytest.FixtureRequest) -> None:
    """Its name ends the test's id, by which pytest-xdist goes; without it each process starts everything anew."""
    if hasattr(request.config, "workerinput"):
        assert request.node.nodeid.endswith(f"@{GROUP}")
