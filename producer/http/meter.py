"""
What this process counts of itself: the requests that it answered, and what it takes of the machine.

A label never holds what a client may choose: each value of one is a series for as long as the process lives.
"""

from collections.abc import Iterable
from http import HTTPMethod
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector
from prometheus_client.metrics_core import Metric

NONE = "none"
"""The label of what there is none of: no route took the request, or its client went away before an answer began."""
OTHER = "other"
"""The label of methods that HTTP does not know."""
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30)
"""Seconds. They end after the longest wait, 25 s; behind it is only what is slower than anybody waits for."""
_METHODS = frozenset(HTTPMethod)


class Meter:
    """The counters of one application, in a registry of its own: a process may hold many applications."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "prelaunch_http_requests",
            "Requests that this process has answered, by method, template of the route (none: no route took it) and"
            " status (none: the client went away before an answer began).",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._durations = Histogram(
            "prelaunch_http_request_duration_seconds",
            "Seconds from a request's arrival to the end of its answer; what wait= waits for is part of it.",
            ("route",),
            buckets=BUCKETS,
            registry=self._registry,
        )
        built = Info("prelaunch_build", "Always 1; the version of prelaunch that runs.", registry=self._registry)
        built.info({"version": version("prelaunch")})
        ProcessCollector(registry=self._registry)

    def count(self, method: str, route: str | None, status: int | None, seconds: float) -> None:
        """
        Count a request that is over.

        Parameters:
            method: Its method, as the client sent it.
            route: The template of the route that took it; None: no route did.
            status: That of its answer; None: none began.
            seconds: How long it took.
        """
        known = method if method in _METHODS else OTHER
        self._requests.labels(known, route or NONE, NONE if status is None else str(status)).inc()
        self._durations.labels(route or NONE).observe(seconds)

    def collect(self) -> Iterable[Metric]:
        """Collect what is counted; for the encoders of prometheus_client."""
        return self._registry.collect()
