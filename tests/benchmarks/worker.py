"""One worker process at 64 source servers at once: its memory, what a further account adds, how late its loop is."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from producer.local_stack.processes import LocalStackFailed, StopSignals
from producer.local_stack.scenario import REGION
from tests.benchmarks.bottleneck import name_bottleneck
from tests.benchmarks.probe import find_percentile, read_samples
from tests.benchmarks.processes import Peak, python_process
from tests.benchmarks.results import Result
from tests.benchmarks.stage import Bench, Measured, make_body, open_bench

AT_ONCE = 64
THREADS = 86
"""A quarter of them, rounded down, is for urgent work only, and one account takes half: two fill the others."""
MOST_MB = 150
MOST_MB_AN_ACCOUNT = 5
MOST_P999_MS = 50
MOST_MS = 250
ACCOUNTS = 6
SERVERS_AN_ACCOUNT = 24
FIRST_ACCOUNT = 300_000_000_000
ROLE, EXTERNAL_ID = "recovery", "a-secret-between-us"
P999 = 99.9


def measure_worker(line: str, signals: StopSignals, servers: int) -> Iterator[Result]:
    """Apply groups in two accounts, twice, then one in each of six further ones, all with the same worker process."""
    with tempfile.TemporaryDirectory() as folder:
        samples, idle = Path(folder) / "worker", Path(folder) / "idle"
        with open_bench(signals, threads=THREADS, rates="off", probe=str(samples)) as bench:
            worker_id = _find_worker(bench)
            with python_process({}, "tests.benchmarks.probe", str(idle)):
                # Twice, so that the second peak is compared to one that has seen a full process before.
                with Peak.watch(worker_id) as one:
                    for number in range(2):
                        both = [_make_own(bench, f"own {number}", servers), _make_foreign(bench, FIRST_ACCOUNT, number)]
                        measured = bench.measure(lambda both=both: bench.create(both), paced=False)  # type: ignore[misc]
                bodies = [_make_foreign(bench, FIRST_ACCOUNT + 1 + number) for number in range(ACCOUNTS)]
                with Peak.watch(worker_id) as many:
                    bench.measure(lambda: bench.create(bodies))
        if not samples.exists():
            raise LocalStackFailed("the worker wrote no samples of its loop")
        at_once = json.loads(samples.with_suffix(".json").read_text())["most"]
        yield from _judge_memory(line, one.mb, many.mb, at_once, measured)
        yield from _judge_stalls(line, read_samples(samples), read_samples(idle))


def _find_worker(bench: Bench) -> int:
    workers = bench.worker_ids
    if len(workers) != 1:
        raise LocalStackFailed(f"prelaunch worker runs {len(workers)} processes instead of one")
    return workers[0]


def _make_own(bench: Bench, name: str, servers: int) -> dict[str, Any]:
    return make_body(name, bench.add_servers(servers))


def _make_foreign(bench: Bench, account: int, number: int = 0) -> dict[str, Any]:
    account_id = str(account)
    roles = [{"roleName": ROLE, "externalId": EXTERNAL_ID}]
    bench.stage.aws.control("PUT", f"accounts/{account_id}", {"roles": roles})
    members = bench.add_servers(SERVERS_AN_ACCOUNT, accountId=account_id)
    access = {"accountId": account_id, "assumeRoleName": ROLE, "externalId": EXTERNAL_ID}
    return make_body(f"{number} of {account_id}", members, REGION, **access)


def _judge_memory(line: str, one: float, many: float, at_once: int, measured: Measured) -> Iterator[Result]:
    yield Result(
        f"{line}: memory",
        one,
        "MB",
        f"two accounts, {at_once} source servers at once; the peak of what is resident, its parent not counted",
        bar=MOST_MB,
        bottleneck=name_bottleneck(measured.load),
    )
    yield Result(
        f"{line}: memory a further account",
        max(0.0, many - one) / ACCOUNTS,
        "MB",
        f"{many:.1f} MB at the peak with {ACCOUNTS} accounts more, {one:.1f} MB before",
        bar=MOST_MB_AN_ACCOUNT,
    )
    yield Result(
        f"{line}: source servers at once", at_once, "source servers", f"{AT_ONCE} are what the bars are set for"
    )


def _judge_stalls(line: str, late: Sequence[float], idle: Sequence[float]) -> Iterator[Result]:
    for what, percent, bar in (("p99.9", P999, MOST_P999_MS), ("worst", 100.0, MOST_MS)):
        found, control = (1000 * find_percentile(samples, percent) for samples in (late, idle))
        yield Result(
            f"{line}: loop stall, {what}",
            found,
            "ms",
            f"{control:.1f} ms on an idle loop of another process meanwhile; {len(late):,} samples",
            bar=bar,
        )
