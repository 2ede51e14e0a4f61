"""How many worker processes there are, and how many slots each has, where nobody says so. Pure."""

import math
from dataclasses import dataclass

from workers.aws.pacing.quotas import QUOTAS, SCARCEST

CALLS_A_SERVER = 6
"""Calls one after the other for a changed source server: tests/faults/test_call_counts.py."""
SLOW_CALL_SECONDS = 1.0
"""How slow AWS's calls may be before it is the slots, and not the quota, that a run waits for."""
SERVERS_A_SECOND = 20.0
"""Changed source servers a second that a process has a processor's time for, with a third of it to spare.

Measured by `make bench ONLY=apply-300-1`: what it does with rates off, by the share of a core that it is busy.
"""
STEP = 16
"""Slots come in so many: a quarter of them is for urgent work, and half of them for one account at most."""
FEWEST, MOST, MOST_PROCESSES = 16, 512, 64


@dataclass(frozen=True, slots=True)
class FleetSize:
    """The workers of one machine."""

    processes: int
    threads: int
    """Source servers that each of them works on at once."""


def choose_fleet_size(rate_factor: float, cores: int, processes: int | None = None) -> FleetSize:
    """
    Choose as many slots as it takes to use up what AWS grants one account in a Region.

    Further accounts share them; where many are at work at once, more machines run workers.

    Parameters:
        rate_factor: How many times the published quotas AWS grants.
        cores: Those of the machine: more processes than that do no more.
        processes: How many there are to be, where somebody says so.

    Returns:
        The size.
    """
    rate = QUOTAS[SCARCEST].scaled(rate_factor).per_second
    count = processes or min(math.ceil(rate / SERVERS_A_SECOND), cores, MOST_PROCESSES)
    at_work = rate * CALLS_A_SERVER * SLOW_CALL_SECONDS / count
    threads = math.ceil(2 * at_work / STEP) * STEP
    return FleetSize(count, max(FEWEST, min(threads, MOST)))
