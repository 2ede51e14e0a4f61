"""docs/metrics.md: every metric of GET /metrics, as the code declares it."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from producer.http.meter import Meter
from producer.http.stack_metrics import GAUGES

HEAD = """# The metrics

Written from the code by `make docs`. `GET /metrics` answers them in Prometheus's text format, or as OpenMetrics where
that is asked for. Units stand at the end of a name; what has none is a number of what the name says.

## The stack's

Read when they are asked for, from what all processes share: each `prelaunch api`, and the Lambda function, answers the
same, but for when it read it. What could not be read is left out, and `prelaunch_source_up` is 0 for its source: there
is no 0 for what is not known, and never the number of before.

| Metric | Type | Labels | What it says | Read from |
|---|---|---|---|---|
"""
OWN = """
## One process's

Of the process that answers, since it started; behind the Lambda function they are left out, for there an instance
answers that is one of many. The client library adds when each series began, as `…_created`.

| Metric | Type | Labels | What it says |
|---|---|---|---|
"""
SUFFIXES = {"counter": "_total", "info": "_info"}
"""What a sample's name has beside its family's."""


def render() -> str:
    """Render the page."""
    stack = [
        f"| `{gauge.name}` | gauge | {_name_labels(gauge.labels)} | {gauge.says} | {gauge.source} |" for gauge in GAUGES
    ]
    return HEAD + "\n".join(stack) + "\n" + OWN + "\n".join(_list_own()) + "\n"


def _list_own() -> Iterator[str]:
    meter = Meter()
    # A family without a sample does not say which labels it has.
    meter.count("GET", None, None, 0)
    for family in meter.collect():
        name = f"{family.name}{SUFFIXES.get(family.type, '')}"
        yield f"| `{name}` | {family.type} | {_name_labels(_find_labels(family))} | {family.documentation} |"


def _find_labels(family: Metric) -> list[str]:
    labels = {label: None for sample in family.samples for label in sample.labels}
    return [label for label in labels if label != "le"]


def _name_labels(labels: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{label}`" for label in labels)
