"""
`GET /metrics`: numbers for Prometheus, of this process and of the stack.

No name of a group, an account or a source server ever stands in it: it may be open to whoever can reach the door.
"""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from itertools import chain

from fastapi import FastAPI, Request
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from starlette.responses import Response

from producer.access import Role
from producer.http.asking import Operations
from producer.http.meter import Meter
from producer.http.openapi import Answer, operation
from producer.http.stack_metrics import render_figures

METRICS = "/metrics"
OPEN_METRICS = "application/openmetrics-text"
OPEN_METRICS_VERSION = "1.0.0"


class _Collected:
    """What is told in one answer, as the encoders take it."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def add_metrics(app: FastAPI, meter: Meter | None, *, is_open: bool) -> None:
    """
    Add the route of the metrics: it has no JSON to declare, so the OpenAPI document is without it.

    Parameters:
        app: The application.
        meter: What its process counts of itself; None where that would be one of many instances'.
        is_open: Whether nobody is asked who they are.
    """
    told = operation(None if is_open else Role.READER, Answer(HTTPStatus.OK, "Metrics in Prometheus's text."))

    @app.get(METRICS, include_in_schema=False, **{**told, "response_class": Response})
    async def get_metrics(request: Request, services: Operations) -> Response:
        """Tell this process's and the stack's numbers, as Prometheus reads them."""
        figures = await services.figures.read()
        own = meter.collect() if meter is not None else ()
        encode, content_type = choose_encoder(_choose_format(request.headers.getlist("Accept")))
        content = encode(_Collected(chain(own, render_figures(figures))))
        return Response(content, headers={"Content-Type": content_type, "Cache-Control": "no-store"})


def _choose_format(accepted: Iterable[str]) -> str:
    """
    Choose OpenMetrics where the client takes the version that is written here, else Prometheus's plain text.

    The encoder's own choice would repeat any version that a client names, in the answer's type.
    """
    for name, parameters in _read_types(accepted):
        named = parameters.get("version", OPEN_METRICS_VERSION) == OPEN_METRICS_VERSION
        if name == OPEN_METRICS and named and parameters.get("q") not in {"0", "0.0", "0.00", "0.000"}:
            return f"{OPEN_METRICS};version={OPEN_METRICS_VERSION}"
    return ""


def _read_types(accepted: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
    for header in accepted:
        for each in header.split(","):
            name, *parameters = (part.strip().lower() for part in each.split(";"))
            pairs = (part.partition("=") for part in parameters)
            yield name, {key.strip(): value.strip().strip('"') for key, _, value in pairs}
