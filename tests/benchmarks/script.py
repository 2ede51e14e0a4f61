"""
What somebody would write instead: one script, 16 threads, boto3 with its own retries; nothing is kept of what it did.

It is as good as such a script is: clients are shared, what was read is changed and nothing else, a source server that
fails is listed and the others go on.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from botocore.exceptions import ClientError

from producer.local_stack.processes import StopSignals
from tests.benchmarks.bottleneck import name_bottleneck
from tests.benchmarks.floor import find_floor, find_use
from tests.benchmarks.results import Result
from tests.benchmarks.sdk import connect
from tests.benchmarks.stage import Bench, Measured, open_bench

Mode = Literal["standard", "adaptive"]
THREADS = 16


def measure_script(line: str, signals: StopSignals, servers: int, mode: Mode) -> Iterator[Result]:
    """Run the script over changed source servers."""
    with open_bench(signals, processes=0) as bench:
        members = bench.add_servers(servers)
        bench.stage.reset_counts()
        meter, begun = bench.meter(), time.monotonic()
        failures = run_script(bench, members, mode)
        seconds = time.monotonic() - begun
        calls = bench.stage.read_calls()
        measured = Measured(seconds, calls, meter.read(find_use(calls, seconds)))
    floor = find_floor(servers)
    # Who fails, fails early: time is only to be compared where all of them were done.
    said = ", ".join(f"{count} {code}" for code, count in failures.items()) or "no source server failed"
    yield Result(
        f"{line}: time",
        seconds,
        "s",
        f"the quota's floor {floor:.1f} s; of {servers} source servers {failures.total()} failed: {said}",
        bottleneck=name_bottleneck(measured.load),
        figures={
            "servers": servers,
            "seconds": seconds,
            "throttled": measured.throttled,
            "failed": failures.total(),
            "calls": measured.total,
        },
    )
    yield Result(
        f"{line}: throttled",
        100 * measured.throttled / max(measured.total, 1),
        "%",
        f"{measured.throttled} of {measured.total:,} calls",
    )
    yield Result(f"{line}: failed", failures.total(), "source servers", f"of {servers}; none may fail with prelaunch")


def run_script(bench: Bench, members: Sequence[str], mode: Mode) -> Counter[str]:
    """Apply the settings to each source server, 16 at once, and count by their codes those that failed."""
    drs, ec2 = (connect(service, bench, {"mode": mode}, THREADS) for service in ("drs", "ec2"))

    def configure(member: str) -> str | None:
        bench.stage.signals.check()
        try:
            _configure(drs, ec2, member)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return None

    with ThreadPoolExecutor(THREADS) as pool:
        return Counter(code for code in pool.map(configure, members) if code)


def _configure(drs: Any, ec2: Any, member: str) -> None:
    drs.get_launch_configuration(sourceServerID=member)
    template = drs.update_launch_configuration(
        sourceServerID=member, targetInstanceTypeRightSizingMethod="NONE", copyTags=True
    )["ec2LaunchTemplateID"]
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=["$Default"])[
        "LaunchTemplateVersions"
    ]
    created = ec2.create_launch_template_version(
        LaunchTemplateId=template,
        SourceVersion=str(version["VersionNumber"]),
        LaunchTemplateData={"InstanceType": "m5.xlarge", "Monitoring": {"Enabled": True}},
    )
    number = str(created["LaunchTemplateVersion"]["VersionNumber"])
    ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion=number)
