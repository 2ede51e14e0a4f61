"""What `make scale` plays and counts, with a few source servers."""

from collections import Counter

import pytest

from tests.scale.cost import MEMBERS, count_units
from tests.scale.fleet import PLAN, Outcome, Plan, find_floor, simulate
from tests.scale.prices import READ_UNIT, SQS_REQUEST, WRITE_UNIT, work_out
from workers.aws.pacing.law import BULK_LEAVES
from workers.aws.pacing.quotas import QUOTAS, SCARCEST

SMALL = Plan(accounts=3, servers_an_account=250, processes=2)


@pytest.mark.unmeasured
def test_accounts_do_not_wait_for_one_another() -> None:
    """Three accounts take hardly longer than one: each at its own floor, none throttled, every call once."""
    outcome = simulate(SMALL)
    kept = BULK_LEAVES * QUOTAS[SCARCEST].capacity / QUOTAS[SCARCEST].per_second
    assert find_floor(SMALL) <= outcome.seconds <= 1.08 * (find_floor(SMALL) + kept) + 5
    assert outcome.throttled == 0
    assert outcome.calls == len(PLAN) * SMALL.accounts * SMALL.servers_an_account
    assert 0 < outcome.first_account_seconds <= outcome.seconds


def test_units_are_those_of_a_whole_group() -> None:
    """At least each source server's outcome is written and its status read; the buckets are counted elsewhere."""
    read, written = count_units()
    assert min(read["groups"], written["runs"]) >= MEMBERS
    assert not {"rate-buckets"} & (read.keys() | written.keys())


def test_the_bill_is_the_sum_of_what_was_counted() -> None:
    """Units a source server by all source servers; what was handed back is hidden and received once more."""
    outcome = Outcome(seconds=3600, hand_backs=50, table_calls=Counter({"one": 700, "other": 300}))
    plan = Plan(accounts=2, servers_an_account=100, processes=1)
    reads, writes, asks, requests, hours = work_out(plan, outcome, {"runs": 2.0}, {"runs": 3.0, "keys": 1.0})
    assert reads.dollars == pytest.approx(200 * 2 * READ_UNIT)
    assert writes.dollars == pytest.approx(200 * 4 * WRITE_UNIT)
    assert asks.dollars == pytest.approx(1000 * WRITE_UNIT)
    assert requests.dollars == pytest.approx((20 + 400 + 100) * SQS_REQUEST)
    assert hours.amount == "1.0"
