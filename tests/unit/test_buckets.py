"""Token buckets: AWS's numbers, to the call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.buckets import Buckets, quota_of

ACCOUNT, REGION = "123456789012", "us-east-1"
CREATE = (ACCOUNT, REGION, "ec2", "CreateLaunchTemplateVersion")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def drain(buckets: Buckets, key: tuple[str, str, str, str] = CREATE) -> int:
    """Count how many calls pass before the first throttle."""
    passed = 0
    while buckets.take(key) is None:
        passed += 1
    return passed


@pytest.mark.parametrize(
    ("service", "operation", "capacity", "refill"),
    [
        ("ec2", "CreateLaunchTemplateVersion", 100, 5),
        ("ec2", "ModifyLaunchTemplate", 100, 5),
        ("ec2", "DeleteLaunchTemplateVersions", 50, 5),
        ("ec2", "DescribeLaunchTemplateVersions", 100, 20),
        ("drs", "GetLaunchConfiguration", 100, 10),
        ("drs", "UpdateLaunchConfiguration", 100, 10),
        ("drs", "DescribeSourceServers", 100, 20),
        ("drs", "StartRecovery", 10, 1),
    ],
)
def test_a_full_bucket_gives_its_capacity_and_then_its_refill(
    service: str, operation: str, capacity: int, refill: int
) -> None:
    """Capacity calls at once, refill calls a second after that, and no more."""
    clock = Clock()
    buckets, key = Buckets("real", clock), (ACCOUNT, REGION, service, operation)
    assert drain(buckets, key) == capacity
    clock.now += 1
    assert drain(buckets, key) == refill


@pytest.mark.parametrize("service", ["sqs", "dynamodb", "sts", "iam", "cloudformation"])
def test_our_own_services_are_not_limited(service: str) -> None:
    """Only DRS and EC2 throttle here."""
    assert quota_of(service, "DescribeAnything") is None


@given(st.lists(st.floats(0, 30), max_size=40))
def test_no_span_of_time_gives_more_than_capacity_and_refill(pauses: list[float]) -> None:
    """Whatever the pauses, calls that passed never exceed capacity plus refill by the time."""
    clock = Clock()
    buckets, passed, start = Buckets("real", clock), 0, clock.now
    for pause in pauses:
        clock.now += pause
        passed += drain(buckets)
        assert passed <= 100 + 5 * (clock.now - start) + 1e-6


def test_accounts_regions_and_operations_have_their_own_buckets() -> None:
    """An empty bucket of one account, Region or API takes nothing from another one."""
    buckets = Buckets("real", Clock())
    drain(buckets)
    assert buckets.take(("999999999999", REGION, *CREATE[2:])) is None
    assert buckets.take((ACCOUNT, "eu-west-1", *CREATE[2:])) is None
    assert buckets.take((ACCOUNT, REGION, "ec2", "ModifyLaunchTemplate")) is None


def test_a_throttled_caller_learns_when_there_is_a_token_again() -> None:
    """The wait is whole seconds, at least one, and enough."""
    clock = Clock()
    buckets, key = Buckets("real", clock), (ACCOUNT, REGION, "drs", "StartRecovery")
    drain(buckets, key)
    wait = buckets.take(key)
    assert wait == 1
    clock.now += wait
    assert buckets.take(key) is None


def test_a_factor_scales_capacity_and_refill_and_fills_the_buckets() -> None:
    """`rates: 0.1` leaves ten calls at once, and one in two seconds."""
    clock = Clock()
    buckets = Buckets("real", clock)
    drain(buckets)
    buckets.set_rates(0.1)
    assert drain(buckets) == 10
    clock.now += 2
    assert drain(buckets) == 1


def test_off_limits_nothing() -> None:
    """`rates: off` lets every call pass."""
    buckets = Buckets("off", Clock())
    assert all(buckets.take(CREATE) is None for _ in range(1000))
