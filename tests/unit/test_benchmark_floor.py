"""The benchmark's pure parts: AWS's quota as seconds, and what a run waited for."""

import pytest

from infra.local.buckets import Quota, quota_of
from tests.benchmarks.bottleneck import Load, name_bottleneck
from tests.benchmarks.floor import MINIMAL_PLAN, WRITES, find_floor, find_half_rate, find_use

CREATE, DESCRIBE = "ec2.CreateLaunchTemplateVersion", "ec2.DescribeLaunchTemplateVersions"


@pytest.mark.parametrize(
    ("servers", "seconds"),
    [(0, 0), (50, 0), (100, 5), (300, 40), (1000, 180), (4000, 780)],
)
def test_the_floor_is_that_of_the_scarcest_bucket(servers: int, seconds: float) -> None:
    """EC2's five writes a second after a burst of 100, and for few the two reads of each template."""
    assert find_floor(servers) == pytest.approx(seconds)


def test_the_floor_of_half_a_refill_is_twice_as_long() -> None:
    """What a neighbour takes of each refill is not there; the burst is."""
    assert find_floor(300, left=0.5) == pytest.approx(2 * find_floor(300)) == pytest.approx(80)


def test_the_floor_of_calls_without_a_quota_is_none() -> None:
    """Calls that no bucket limits take no time."""
    assert find_floor(1000, plan={"sqs.SendMessageBatch": 3}) == 0


def test_the_minimal_plan_names_calls_that_have_buckets() -> None:
    """A name that no bucket has would make the floor too low, and the bar too hard, in silence."""
    assert all(isinstance(quota_of(*name.split(".")), Quota) for name in MINIMAL_PLAN)
    assert {*WRITES} < {*MINIMAL_PLAN}


def test_a_bucket_s_use_counts_what_it_gave_away() -> None:
    """A refused call took no token: at the floor all are used, and calls without a quota are left out."""
    calls = {
        CREATE: {"count": 320, "throttled": 20},
        DESCRIBE: {"count": 450, "throttled": 0},
        "sqs.SendMessageBatch": {"count": 9, "throttled": 0},
    }
    assert find_use(calls, 40.0) == {CREATE: pytest.approx(1.0), DESCRIBE: pytest.approx(0.5)}


def test_a_neighbour_takes_half_of_a_refill() -> None:
    """Half of what comes in, not of the burst."""
    assert find_half_rate(CREATE) == 2.5
    assert find_half_rate(DESCRIBE) == 10
    with pytest.raises(ValueError, match="no quota"):
        find_half_rate("sqs.SendMessage")


@pytest.mark.parametrize(
    ("load", "named"),
    [
        (Load(0.3, use={CREATE: 0.98, DESCRIBE: 0.5}), "the quota of CreateLaunchTemplateVersion"),
        (Load(0.95, (0.4,), use={CREATE: 0.5}), "the stand-in"),
        (Load(0.5, (0.2, 0.9)), "a worker process"),
        (Load(0.7, (0.6, 0.5), machine=1.9, cores=2), "the machine's cores ("),
        (Load(0.5, (0.4, 0.4), machine=1.9, cores=2), "the machine's cores, which others used too ("),
        (Load(0.6, (0.4, 0.4), machine=1.4, cores=2), "one after the other, most of the time the stand-in"),
        (Load(0.3, (0.2,), api=0.7, machine=1.2, cores=2), "one after the other, most of the time the API"),
        (Load(0.4, (0.4, 0.4), machine=1.3, cores=2), "nothing was busy"),
    ],
)
def test_what_a_run_waited_for_is_what_was_busy(load: Load, named: str) -> None:
    """An empty bucket first, for who waits at it is not busy; then the process that was, then all of them."""
    assert name_bottleneck(load).startswith(named)


def test_what_others_used_is_what_is_left_of_the_machine() -> None:
    """A benchmark beside somebody else's work says so."""
    load = Load(stand_in=0.5, workers=(0.2, 0.1), api=0.1, bench=0.1, machine=1.8, cores=2)
    assert load.others == pytest.approx(0.8)
    assert "others on the machine 80%" in name_bottleneck(load)
    # Ticks are counted at different instants: what is less than nothing is nothing.
    assert Load(stand_in=0.5, machine=0.4).others == 0
