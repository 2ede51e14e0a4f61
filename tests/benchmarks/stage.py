"""
What every line plays on: a stand-in, the API and workers as processes; and how the work on groups is timed and counted.

Seconds are taken from the request until the door says that all is settled, as who waits for it sees it.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from infra.local.buckets import Rates
from infra.local.process import stand_in
from producer.demo.report import Screen
from producer.demo.result import Calls
from producer.demo.stage import LATENCY_SECONDS, Stage
from producer.local_stack.processes import LocalStackFailed, Running, StopSignals
from producer.local_stack.scenario import REGION
from tests.acceptance.commands import make_environment
from tests.benchmarks.bottleneck import Load
from tests.benchmarks.floor import find_use
from tests.benchmarks.processes import (
    count_in_log,
    find_children,
    python_process,
    read_busy_seconds,
    read_machine_seconds,
)

ANSWER_SECONDS = 120
POLL_SECONDS = 0.25
PATIENCE_SECONDS = 420
START_SECONDS = 60
LAUNCH_CONFIG: Mapping[str, Any] = {
    "instanceType": "m5.xlarge",
    "targetInstanceTypeRightSizingMethod": "NONE",
    "copyTags": True,
    "monitoring": True,
    "tags": {"Application": "benchmark"},
}
"""Something to change in DRS and in the launch template of every new source server."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a piece of work took."""

    seconds: float
    calls: Calls
    """Of DRS and EC2."""
    load: Load

    @property
    def throttled(self) -> int:
        """Count the calls that AWS throttled."""
        return sum(counts["throttled"] for counts in self.calls.values())

    @property
    def total(self) -> int:
        """Count the calls."""
        return sum(counts["count"] for counts in self.calls.values())

    def count(self, name: str) -> int:
        """Count the calls of one API."""
        return self.calls.get(name, {"count": 0})["count"]


@dataclass(slots=True)
class Meter:
    """Measures who is busy, from its making until it is read."""

    aws: int
    api: Sequence[int]
    workers: Sequence[int]
    _begun: float = field(init=False)
    _before: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self._begun, self._before = time.monotonic(), self._read()

    def read(self, use: Mapping[str, float]) -> Load:
        """Tell who was busy; which share of their tokens the buckets gave away is told by who knows them."""
        elapsed = max(time.monotonic() - self._begun, 0.001)
        aws, api, bench, machine, *workers = (
            (after - before) / elapsed for after, before in zip(self._read(), self._before, strict=True)
        )
        return Load(
            stand_in=aws,
            api=api,
            bench=bench,
            machine=machine,
            workers=tuple(workers),
            cores=os.cpu_count() or 1,
            use=use,
        )

    def _read(self) -> list[float]:
        each = [read_busy_seconds(process_id) for process_id in self.workers]
        api = sum(read_busy_seconds(process_id) for process_id in self.api)
        return [read_busy_seconds(self.aws), api, time.process_time(), read_machine_seconds(), *each]


@dataclass(frozen=True, slots=True)
class Bench:
    """The running parts, and what is done with them."""

    stage: Stage
    api: Running
    workers: Running | None

    @property
    def worker_ids(self) -> list[int]:
        """Name the worker processes."""
        return find_children(self.workers.process.pid) if self.workers else []

    def meter(self) -> Meter:
        """Begin to measure who is busy."""
        return Meter(self.stage.aws.process_id, [self.api.process.pid], self.worker_ids)

    def set_rates(self, rates: Rates) -> None:
        """Set AWS's buckets and fill them."""
        self.stage.aws.control("PUT", "rates", {"rates": rates})

    def add_servers(self, count: int, region: str = REGION, **where: str) -> list[str]:
        """Make source servers."""
        made: list[str] = self.stage.aws.control("POST", "servers", {"count": count, "region": region, **where})[
            "sourceServerIds"
        ]
        return made

    def create(self, bodies: Sequence[Mapping[str, Any]]) -> list[str]:
        """Create groups, which applies them."""
        return [self.stage.call("POST", "/protection-groups", body)["groupId"] for body in bodies]

    def measure(self, request: Callable[[], Sequence[str]], *, paced: bool = True) -> Measured:
        """
        Time and count a request until the groups that it answers are settled.

        Parameters:
            request: What is asked for; answers the ids of groups.
            paced: Whether the buckets of one account and Region are what it is measured against.

        Returns:
            What it took. LocalStackFailed is raised where not every source server became ready, or none of it in time.
        """
        self.stage.reset_counts()
        meter, begun = self.meter(), time.monotonic()
        pending = list(request())
        while pending:
            if time.monotonic() - begun > PATIENCE_SECONDS:
                raise LocalStackFailed(f"{len(pending)} groups did not settle within {PATIENCE_SECONDS} s")
            time.sleep(POLL_SECONDS)
            pending = [group_id for group_id in pending if not self._is_ready(group_id)]
        seconds = time.monotonic() - begun
        calls = self.stage.read_calls()
        return Measured(seconds, calls, meter.read(find_use(calls, seconds) if paced else {}))

    def _is_ready(self, group_id: str) -> bool:
        status = self.stage.call("GET", f"/protection-groups/{group_id}/launch-config-status?limit=1")
        if status["status"] == "failed":
            raise LocalStackFailed(f"{status['failedServers']} source servers failed: {status['errors'][:1]}")
        return bool(status["status"] == "ready")


def make_body(name: str, members: Sequence[str], region: str = REGION, **access: str) -> dict[str, Any]:
    """Make the body of a group that changes DRS and EC2 settings of each source server."""
    return {
        "groupName": name,
        "region": region,
        "sourceServerIds": list(members),
        "launchConfig": dict(LAUNCH_CONFIG),
        **access,
    }


@contextmanager
def open_bench(
    signals: StopSignals,
    *,
    processes: int = 1,
    threads: int | None = None,
    rates: Rates = "real",
    latency_seconds: float = LATENCY_SECONDS,
    probe: str | None = None,
) -> Iterator[Bench]:
    """
    Start everything, and end it when the block is left.

    Parameters:
        signals: What may tell the benchmark to stop.
        processes: How many worker processes; 0 starts none.
        threads: How many slots each has; None leaves it to the product.
        rates: AWS's buckets.
        latency_seconds: How long a call of DRS or EC2 takes.
        probe: Where the worker writes how late its loop is; None runs `prelaunch worker` as it is.

    Yields:
        The running parts, once all of them work.
    """
    with ExitStack() as closing:
        screen = closing.enter_context(Screen.open(quiet=True))
        aws = closing.enter_context(stand_in(latency_seconds=latency_seconds, rates=rates))
        environment = make_environment(aws.environment)
        door = closing.enter_context(python_process(environment, "producer.cli", "api", "--port", "0"))
        workers = None
        if processes:
            command = ("producer.cli",) if probe is None else ("tests.benchmarks.probed_worker", probe)
            slots = () if threads is None else ("--threads", str(threads))
            starting = python_process(environment, *command, "worker", "--processes", str(processes), *slots)
            workers = closing.enter_context(starting)
        api = closing.enter_context(httpx.Client(base_url=door.read_url(), timeout=ANSWER_SECONDS, trust_env=False))
        stage = Stage(aws, api, screen, signals, [running for running in (door, workers) if running])
        stage.call("GET", "/readyz")
        if workers:
            _await_workers(stage, workers, processes)
        yield Bench(stage, door, workers)


def _await_workers(stage: Stage, workers: Running, processes: int) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while count_in_log(workers, "worker.consuming") < processes:
        stage.check()
        if time.monotonic() > give_up_at:
            raise LocalStackFailed(f"not every worker process consumes after {START_SECONDS} s")
        time.sleep(POLL_SECONDS)
