"""
What a run costs in money. Pure.

Prices are those of us-east-1 as AWS lists them publicly; they are inputs, not measurements: put your Region's in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.scale.fleet import Outcome, Plan

MILLION = 1_000_000
READ_UNIT, WRITE_UNIT = 0.125 / MILLION, 0.625 / MILLION
"""DynamoDB, on demand."""
SQS_REQUEST = (0.40 + 0.10) / MILLION
"""A standard queue, and what a request with a MessageGroupId costs beside that."""
VCPU_HOUR, GB_HOUR = 0.04048, 0.004445
"""Fargate, Linux on x86."""
VCPUS_A_PROCESS, GB_A_PROCESS = 1, 2
JOBS_A_SEND = 10
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill."""

    what: str
    amount: str
    dollars: float


def work_out(plan: Plan, outcome: Outcome, read: Mapping[str, float], written: Mapping[str, float]) -> Iterator[Line]:
    """
    Work out what it costs to change every source server of a plan once.

    Parameters:
        plan: How many there are, and how many processes.
        outcome: How long it took, and how often jobs were handed back and buckets asked.
        read: DynamoDB's read units a source server, by table.
        written: Its write units.

    Yields:
        The lines of the bill.
    """
    servers = plan.accounts * plan.servers_an_account
    reads, writes, asks = (
        servers * sum(read.values()),
        servers * sum(written.values()),
        sum(outcome.table_calls.values()),
    )
    yield Line("DynamoDB, read units of groups, runs and leases", f"{reads:,.0f}", reads * READ_UNIT)
    yield Line("DynamoDB, write units of the same", f"{writes:,.0f}", writes * WRITE_UNIT)
    yield Line("DynamoDB, calls of the shared buckets, as write units", f"{asks:,}", asks * WRITE_UNIT)
    # Received and deleted one by one; a job that is handed back is hidden, and received again. Polls that find nothing,
    # and the heartbeats of long jobs, are left out.
    requests = servers / JOBS_A_SEND + 2 * servers + 2 * outcome.hand_backs
    yield Line("SQS, requests", f"{requests:,.0f}", requests * SQS_REQUEST)
    hours = plan.processes * outcome.seconds / HOUR
    dollars = hours * (VCPUS_A_PROCESS * VCPU_HOUR + GB_A_PROCESS * GB_HOUR)
    yield Line(f"Fargate, hours of a task with {VCPUS_A_PROCESS} vCPU and {GB_A_PROCESS} GB", f"{hours:.1f}", dollars)
