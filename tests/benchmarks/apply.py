"""
Applying changed source servers: how near to AWS's quota it comes, with one, two and four worker processes.

What the machine itself needs is measured with the buckets off and the source servers spread over several Regions: in
one of them prelaunch would pace itself at the quota whatever the stand-in allows, and be compared to itself.
"""

import time
from collections.abc import Iterator

from producer.local_stack.processes import StopSignals
from tests.benchmarks.bottleneck import name_bottleneck
from tests.benchmarks.floor import MINIMAL_PLAN, WRITES, find_floor
from tests.benchmarks.results import Result
from tests.benchmarks.stage import Bench, Measured, make_body, open_bench

REGIONS = ("us-east-2", "us-west-1", "us-west-2", "eu-west-1", "eu-west-2", "eu-central-1")
"""Not the one of the run before, whose buckets prelaunch still believes to be empty."""
MOST_OVER = 1.08
MOST_MORE_SECONDS = 5.0
MOST_THROTTLED_PERCENT = 0.1
SURVEY_PAGE = 200
SURVEY_CALLS = 2
"""EC2 describes a page of source servers that a survey may take."""
BELIEVED_SECONDS = 8.0
"""After a write of its own prelaunch does not believe for 5 s what EC2 answers."""


def measure_apply(line: str, signals: StopSignals, servers: int, processes: int) -> Iterator[Result]:
    """Apply so many changed source servers, then as many with the buckets off."""
    with open_bench(signals, processes=processes) as bench:
        members = bench.add_servers(servers)
        real = bench.measure(lambda: bench.create([make_body("changed", members)]))
        yield from _judge(line, servers, processes, real, _measure_unpaced(bench, servers))


def measure_apply_and_reapply(
    line: str, again: str, signals: StopSignals, servers: int, processes: int
) -> Iterator[Result]:
    """Apply changed source servers, then the same once more when they are right: both as one group."""
    with open_bench(signals, processes=processes) as bench:
        members = bench.add_servers(servers)
        group_ids: list[str] = []

        def create() -> list[str]:
            group_ids.extend(bench.create([make_body("changed", members)]))
            return group_ids

        def force() -> list[str]:
            bench.stage.call("POST", f"/protection-groups/{group_ids[0]}/apply-launch-configs", {"force": True})
            return group_ids

        real = bench.measure(create)
        time.sleep(BELIEVED_SECONDS)
        bench.set_rates("real")
        repeated = bench.measure(force)
        yield from _judge(line, servers, processes, real, _measure_unpaced(bench, servers))
        yield from _judge_again(again, servers, repeated)


def _measure_unpaced(bench: Bench, servers: int) -> Measured:
    bench.set_rates("off")
    shares = [servers // len(REGIONS) + (place < servers % len(REGIONS)) for place in range(len(REGIONS))]
    bodies = [
        make_body(f"unpaced {region}", bench.add_servers(share, region), region)
        for region, share in zip(REGIONS, shares, strict=True)
        if share
    ]
    return bench.measure(lambda: bench.create(bodies), paced=False)


def _judge(line: str, servers: int, processes: int, real: Measured, unpaced: Measured) -> Iterator[Result]:
    floor = find_floor(servers)
    least = max(floor, unpaced.seconds)
    figures = {
        "servers": servers,
        "processes": processes,
        "seconds": real.seconds,
        "floor": floor,
        "unpaced": unpaced.seconds,
        "throttled": real.throttled,
        **{name: real.count(name) for name in MINIMAL_PLAN},
    }
    yield Result(
        f"{line}: time",
        real.seconds,
        "s",
        f"the quota's floor {floor:.1f} s; {unpaced.seconds:.1f} s with rates off, over {len(REGIONS)} Regions;"
        f" measured is {real.seconds / least:.2f} times the larger one",
        bar=MOST_OVER * least + MOST_MORE_SECONDS,
        bottleneck=f"{name_bottleneck(real.load)}; with rates off {name_bottleneck(unpaced.load)}",
        figures=figures,
    )
    yield Result(
        f"{line}: throttled",
        100 * real.throttled / max(real.total, 1),
        "%",
        f"{real.throttled} of {real.total:,} calls of DRS and EC2",
        bar=MOST_THROTTLED_PERCENT,
        below=True,
    )


def _judge_again(line: str, servers: int, again: Measured) -> Iterator[Result]:
    writes = sum(again.count(name) for name in WRITES)
    describes = sum(counts["count"] for name, counts in again.calls.items() if name.startswith("ec2.Describe"))
    gets = again.count("drs.GetLaunchConfiguration")
    floor = find_floor(servers, plan={"drs.GetLaunchConfiguration": 1})
    took = f"{again.throttled} calls throttled; {again.seconds:.1f} s, one Get for each takes {floor:.1f} s at least"
    yield Result(
        f"{line}: writes",
        writes,
        "calls",
        f"{sum(MINIMAL_PLAN[name] for name in WRITES) * servers:,} for as many changed ones",
        bar=0,
        bottleneck=name_bottleneck(again.load),
    )
    yield Result(f"{line}: DRS Gets", gets, "calls", f"{servers:,} source servers; {took}", bar=servers)
    pages = -(-servers // SURVEY_PAGE)
    yield Result(
        f"{line}: EC2 describes",
        describes,
        "calls",
        f"{pages} pages of {SURVEY_PAGE} source servers",
        bar=pages * SURVEY_CALLS,
    )
