"""
Somebody else in the account, who takes half of each bucket's refill all the time, and does not know of prelaunch.

What he loses is counted too: to be at the quota at others' cost is no success.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from producer.demo.result import Calls
from producer.local_stack.processes import StopSignals
from tests.benchmarks.bottleneck import name_bottleneck
from tests.benchmarks.floor import MINIMAL_PLAN, find_floor, find_half_rate
from tests.benchmarks.results import Result
from tests.benchmarks.sdk import connect
from tests.benchmarks.stage import Bench, Measured, make_body, open_bench

MOST_OVER = 1.15
MOST_MORE_SECONDS = 5.0
MOST_THROTTLED_PERCENT = 1.0
THREADS = 16
HALF = 0.5


@dataclass(slots=True)
class Neighbour:
    """Calls every API of the minimal plan at half of its refill, and never repeats a call."""

    acts: dict[str, Callable[[], object]]
    asked: Counter[str] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)
    _over: threading.Event = field(default_factory=threading.Event)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Call while the block runs."""
        with ThreadPoolExecutor(THREADS) as pool:
            timers = [threading.Thread(target=self._call_steadily, args=(name, pool)) for name in self.acts]
            for timer in timers:
                timer.start()
            try:
                yield
            finally:
                self._over.set()
                for timer in timers:
                    timer.join()

    def forget(self) -> None:
        """Count anew."""
        with self._counting:
            self.asked.clear()
            self.throttled.clear()

    def take_out(self, calls: Calls) -> dict[str, dict[str, int]]:
        """Tell what is left of calls that were counted when the neighbour's own are taken out."""
        with self._counting:
            return {
                name: {
                    "count": counts["count"] - self.asked[name],
                    "throttled": counts["throttled"] - self.throttled[name],
                }
                for name, counts in calls.items()
            }

    def _call_steadily(self, name: str, pool: ThreadPoolExecutor) -> None:
        period = 1 / find_half_rate(name)
        next_at = time.monotonic()
        while not self._over.wait(max(0.0, next_at - time.monotonic())):
            next_at += period
            pool.submit(self._call, name)

    def _call(self, name: str) -> None:
        throttled = False
        try:
            self.acts[name]()
        except ClientError as error:
            throttled = error.response["Error"]["Code"] in {"RequestLimitExceeded", "ThrottlingException"}
            if not throttled:
                raise
        with self._counting:
            self.asked[name] += 1
            self.throttled[name] += throttled


def measure_beside_neighbour(line: str, signals: StopSignals, servers: int, processes: int) -> Iterator[Result]:
    """Apply changed source servers while a neighbour takes half of each refill."""
    with open_bench(signals, processes=processes) as bench:
        neighbour = make_neighbour(bench)
        members = bench.add_servers(servers)
        with neighbour.calling():

            def create() -> list[str]:
                # The counts have just been reset: a call of his that was on its way is counted once more at most.
                neighbour.forget()
                return bench.create([make_body("beside a neighbour", members)])

            measured = bench.measure(create)
            ours = neighbour.take_out(measured.calls)
        yield from _judge(line, servers, measured, ours, neighbour)


def make_neighbour(bench: Bench) -> Neighbour:
    """Make somebody with a source server and a launch template of his own."""
    (server,) = bench.add_servers(1)
    drs, ec2 = (connect(service, bench, {"total_max_attempts": 1}, THREADS) for service in ("drs", "ec2"))
    template = drs.get_launch_configuration(sourceServerID=server)["ec2LaunchTemplateID"]
    return Neighbour(
        {
            "drs.GetLaunchConfiguration": lambda: drs.get_launch_configuration(sourceServerID=server),
            "drs.UpdateLaunchConfiguration": lambda: drs.update_launch_configuration(
                sourceServerID=server, copyTags=True
            ),
            "ec2.DescribeLaunchTemplateVersions": lambda: ec2.describe_launch_template_versions(
                LaunchTemplateId=template, Versions=["$Default"]
            ),
            "ec2.CreateLaunchTemplateVersion": lambda: ec2.create_launch_template_version(
                LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"InstanceType": "m5.large"}
            ),
            "ec2.ModifyLaunchTemplate": lambda: ec2.modify_launch_template(
                LaunchTemplateId=template, DefaultVersion="1"
            ),
        }
    )


def _judge(line: str, servers: int, measured: Measured, ours: Calls, neighbour: Neighbour) -> Iterator[Result]:
    floor = find_floor(servers, left=HALF)
    count, throttled = (sum(counts[of] for counts in ours.values()) for of in ("count", "throttled"))
    lost, asked = neighbour.throttled.total(), neighbour.asked.total()
    yield Result(
        f"{line}: time",
        measured.seconds,
        "s",
        f"{floor:.1f} s, the floor of the half that he leaves; who is faster took it from him",
        bar=MOST_OVER * floor + MOST_MORE_SECONDS,
        bottleneck=name_bottleneck(measured.load),
        figures={
            "servers": servers,
            "processes": len(measured.load.workers),
            "seconds": measured.seconds,
            "floor": floor,
            "throttled": throttled,
            **{name: ours.get(name, {"count": 0})["count"] for name in MINIMAL_PLAN},
        },
    )
    yield Result(
        f"{line}: throttled",
        100 * throttled / max(count, 1),
        "%",
        f"{throttled} of {count:,} calls of ours",
        bar=MOST_THROTTLED_PERCENT,
        below=True,
    )
    yield Result(
        f"{line}: what the neighbour lost",
        100 * lost / max(asked, 1),
        "%",
        f"{lost} of his {asked:,} calls throttled; alone he would lose none",
    )
