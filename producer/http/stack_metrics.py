"""
The stack's figures as metrics: what each is called, what it says, and where it comes from.

What could not be read has no series; `prelaunch_source_up` says so. No label names a group, an account or a source
server.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from workers.core.figures import GROUPS_KEPT_FOR, KEPT_FOR, Figures, GroupFigures, RunFigures, Source
from workers.core.kept_reading import Reading
from workers.core.queue.depths import Depth
from workers.core.store.wave_records import WaveStatus

Samples = Iterable[tuple[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True)
class Gauge:
    """A metric of the stack."""

    name: str
    labels: tuple[str, ...]
    says: str
    """With its unit."""
    source: str
    """What is read for it."""

    def render(self, samples: Samples) -> Metric:
        """Render it with its samples: the values of the labels, and the value."""
        family = GaugeMetricFamily(self.name, self.says, labels=self.labels)
        for labels, value in samples:
            family.add_metric(labels, value)
        return family


_QUEUE_STATES = "visible: ready to be received; in_flight: under way, or handed back to be tried later; delayed"
QUEUE_MESSAGES = Gauge(
    "prelaunch_queue_messages",
    ("queue", "state"),
    f"Messages in each queue, about ({_QUEUE_STATES}).",
    "SQS GetQueueAttributes",
)
DEAD_LETTERS = Gauge(
    "prelaunch_dead_letters",
    ("queue", "state"),
    "Messages in the dead-letter queue of each queue, about; the states are those of prelaunch_queue_messages.",
    "SQS GetQueueAttributes",
)
UNSETTLED_RUNS = Gauge(
    "prelaunch_unsettled_runs", (), "Apply runs that have not settled.", "index `unsettled` of `…-runs`"
)
UNSETTLED_SOURCE_SERVERS = Gauge(
    "prelaunch_unsettled_run_source_servers",
    (),
    "Source servers that unsettled runs list and that have no counted outcome.",
    "index `unsettled` of `…-runs`",
)
OLDEST_RUN = Gauge(
    "prelaunch_unsettled_run_oldest_age_seconds",
    (),
    "Seconds since the oldest unsettled run was opened; 0 where there is none.",
    "index `unsettled` of `…-runs`",
)
OVERDUE_RUN = Gauge(
    "prelaunch_unsettled_run_overdue_seconds",
    (),
    "Seconds by which the most overdue unsettled run is past its deadline; 0 where none is.",
    "index `unsettled` of `…-runs`",
)
UNFINISHED_WAVES = Gauge(
    "prelaunch_unfinished_waves",
    ("status",),
    "Waves that are not over, by status; those that are started are followed until every launch is final.",
    "index `unfinished` of `…-waves`",
)
GROUPS = Gauge(
    "prelaunch_groups",
    ("status",),
    "Protection groups, by their combined status.",
    "index `named` of `…-groups`, and each group's status",
)
FAILED_SOURCE_SERVERS = Gauge(
    "prelaunch_failed_source_servers",
    (),
    "Source servers that have failed, in groups that have failed; of a group that is pending none until it settles.",
    "index `named` of `…-groups`, and each group's status",
)
SOURCE_UP = Gauge(
    "prelaunch_source_up",
    ("source",),
    "1 where a source of the stack's figures could be read when it was last tried, 0 where not: the log says why"
    " (figures.unread), and its metrics are left out.",
    "each of the above",
)
SOURCE_READ = Gauge(
    "prelaunch_source_read_timestamp_seconds",
    ("source",),
    f"When a source was last tried, in seconds since 1970: figures are kept for {KEPT_FOR.seconds} s, those of groups"
    f" for {GROUPS_KEPT_FOR.seconds} s.",
    "each of the above",
)
GAUGES = (
    QUEUE_MESSAGES,
    DEAD_LETTERS,
    UNSETTLED_RUNS,
    UNSETTLED_SOURCE_SERVERS,
    OLDEST_RUN,
    OVERDUE_RUN,
    UNFINISHED_WAVES,
    GROUPS,
    FAILED_SOURCE_SERVERS,
    SOURCE_UP,
    SOURCE_READ,
)
"""All of them, in the order in which they are shown."""


def render_figures(figures: Figures) -> Iterator[Metric]:
    """Render the stack's figures; those that could not be read are left out, and named."""
    if figures.queues.found is not None:
        yield QUEUE_MESSAGES.render(_by_state(figures.queues.found))
    if figures.dead_letters.found is not None:
        yield DEAD_LETTERS.render(_by_state(figures.dead_letters.found))
    if figures.runs.found is not None:
        yield from _render_runs(figures.runs.found)
    if figures.waves.found is not None:
        yield UNFINISHED_WAVES.render(_by_status(figures.waves.found))
    if figures.groups.found is not None:
        yield from _render_groups(figures.groups.found)
    readings: dict[Source, Reading[object]] = {
        Source.QUEUES: figures.queues,
        Source.DEAD_LETTERS: figures.dead_letters,
        Source.RUNS: figures.runs,
        Source.WAVES: figures.waves,
        Source.GROUPS: figures.groups,
    }
    yield SOURCE_UP.render(((source,), reading.found is not None) for source, reading in readings.items())
    yield SOURCE_READ.render(((source,), reading.read_at.timestamp()) for source, reading in readings.items())


def _render_runs(found: RunFigures) -> Iterator[Metric]:
    yield UNSETTLED_RUNS.render([((), found.unsettled)])
    yield UNSETTLED_SOURCE_SERVERS.render([((), found.source_servers)])
    yield OLDEST_RUN.render([((), found.oldest.total_seconds())])
    yield OVERDUE_RUN.render([((), found.overdue.total_seconds())])


def _render_groups(found: GroupFigures) -> Iterator[Metric]:
    yield GROUPS.render(((status.value,), count) for status, count in found.by_status.items())
    yield FAILED_SOURCE_SERVERS.render([((), found.failed_source_servers)])


def _by_status(found: Mapping[WaveStatus, int]) -> Samples:
    return [((status.value,), count) for status, count in found.items()]


def _by_state(depths: Mapping[str, Depth]) -> Iterator[tuple[tuple[str, ...], float]]:
    for queue, depth in depths.items():
        yield (queue, "visible"), depth.visible
        yield (queue, "in_flight"), depth.in_flight
        yield (queue, "delayed"), depth.delayed
