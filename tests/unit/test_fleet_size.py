"""How many workers `prelaunch worker` starts where nobody says so: enough to use up the quotas, and no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.aws.pacing.fleet_size import MOST, SLOW_CALL_SECONDS, FleetSize, choose_fleet_size
from workers.aws.pacing.quotas import QUOTAS, SCARCEST


@pytest.mark.parametrize(
    ("factor", "cores", "processes", "size"),
    [
        (1.0, 2, None, FleetSize(1, 64)),
        (1.0, 2, 2, FleetSize(2, 32)),
        (0.1, 2, None, FleetSize(1, 16)),
        (4.0, 2, None, FleetSize(1, 240)),
        (10.0, 8, None, FleetSize(3, 208)),
        (10.0, 2, None, FleetSize(2, 304)),
        (1000.0, 256, None, FleetSize(64, 512)),
        (1000.0, 2, 64, FleetSize(64, 512)),
    ],
)
def test_the_size_follows_the_quotas(factor: float, cores: int, processes: int | None, size: FleetSize) -> None:
    """AWS's published rates take one process of 64 slots; ten times them three, if there are cores for them."""
    assert choose_fleet_size(factor, cores, processes) == size


@given(factor=st.floats(0.001, 1000), cores=st.integers(1, 96))
def test_slots_are_no_limit_before_the_quota_is(factor: float, cores: int) -> None:
    """Half of all slots, which one account may take, keep up with its rate while calls take a second each."""
    size = choose_fleet_size(factor, cores)
    rate = QUOTAS[SCARCEST].scaled(factor).per_second
    assert 1 <= size.processes <= cores
    assert size.threads == MOST or size.processes * size.threads / 2 >= rate * 6 * SLOW_CALL_SECONDS
