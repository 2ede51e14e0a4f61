"""A wave over a group that is ready, against the serial way over as many others: both are the demo's own code."""

from collections.abc import Iterator

from producer.demo.result import CONFIG_CALLS
from producer.demo.run import _start_wave
from producer.demo.serial import recover_serially
from producer.local_stack.groups import find_network
from producer.local_stack.processes import StopSignals
from producer.local_stack.scenario import GROUP_NAMES, draw_group
from tests.benchmarks.bottleneck import name_bottleneck
from tests.benchmarks.floor import find_use
from tests.benchmarks.results import Result
from tests.benchmarks.stage import open_bench
from workers.core.model.group_parse import parse_group

MOST_PERCENT_OF_SERIAL = 1.0
SCALED_TO = (300, 1000)


def measure_wave(line: str, signals: StopSignals, servers: int) -> Iterator[Result]:
    """Apply a group ahead and start a wave over it; then do the same serially."""
    with open_bench(signals) as bench:
        network = find_network(bench.stage.aws)
        ahead, serial = (draw_group(name, bench.add_servers(servers), network) for name in GROUP_NAMES)
        group_ids = bench.create([ahead])
        bench.measure(lambda: group_ids)
        meter = bench.meter()
        seconds, path, calls = _start_wave(bench.stage, group_ids)
        load = meter.read(find_use(calls, seconds))
        bench.stage.reset_counts()
        serial_seconds = recover_serially(bench.stage.aws.environment, [parse_group(serial)], bench.stage.check)
        serial_calls = bench.stage.read_calls()
    config_calls, serial_config_calls = (
        sum(made.get(name, {"count": 0})["count"] for name in CONFIG_CALLS) for made in (calls, serial_calls)
    )
    yield Result(
        f"{line}: share of the serial way's time",
        100 * seconds / serial_seconds,
        "%",
        f"{servers} source servers: {seconds:.3f} s by the {path} path, {serial_seconds:.1f} s the serial way",
        bar=MOST_PERCENT_OF_SERIAL,
        bottleneck=name_bottleneck(load),
    )
    yield Result(
        f"{line}: calls about settings",
        config_calls,
        "calls",
        f"{serial_config_calls} the serial way",
        bar=0,
    )
    for scaled in SCALED_TO:
        yield Result(
            f"{line}: serial way for {scaled:,}",
            serial_seconds / servers * scaled,
            "s",
            f"computed, not measured: {serial_seconds / servers:.3f} s each, from {servers} that were measured",
            figures={"servers": scaled, "serial": serial_seconds / servers * scaled},
        )
