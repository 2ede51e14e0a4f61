"""How long to wait before something is tried again."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from workers.core.retry import back_off


@given(attempt=st.integers(1, 100_000), first=st.floats(0.01, 60), longest=st.floats(0.01, 3600))
def test_a_wait_is_half_to_all_of_the_doubled_one(attempt: int, first: float, longest: float) -> None:
    """Each attempt doubles the wait up to the longest; jitter takes at most half of it, at any attempt."""
    wait = back_off(attempt, first=timedelta(seconds=first), longest=timedelta(seconds=longest)).total_seconds()
    whole = min(first * 2.0 ** min(attempt - 1, 20), longest)
    assert wait <= longest + 1e-5
    assert wait >= whole / 2 - 1e-5
    if attempt <= 20:
        assert wait <= whole + 1e-5


def test_callers_that_failed_together_come_back_apart() -> None:
    """A hundred callers who failed at once are spread over half the wait."""
    waits = {back_off(3, first=timedelta(seconds=1), longest=timedelta(minutes=1)) for _ in range(100)}
    assert len(waits) > 90
    assert max(waits) - min(waits) > timedelta(seconds=1)
