"""GET /metrics: what it says, in which form, and that nothing that a client chooses becomes a series."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import httpx
import prometheus_client
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from producer.access import CALLER, Caller
from producer.http import create_app
from producer.http.meter import BUCKETS
from producer.http.stack_metrics import GAUGES
from producer.services import Services
from tests.fakes.runs import OPENED_AT
from workers.core.contract import DEAD_LETTER_QUEUES
from workers.core.figures import Figures, GroupFigures, RunFigures
from workers.core.kept_reading import Reading
from workers.core.queue.depths import Depth
from workers.core.status import Status
from workers.core.store.wave_records import WaveStatus

METRICS = "/metrics"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
PROMETHEUS_ACCEPTS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;"
    "q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,/;q=0.1"
)
"""Source: Prometheus 3's scrape manager."""
FOUND = Figures(
    queues=Reading(OPENED_AT, {queue: Depth(1, 2, 3) for queue in DEAD_LETTER_QUEUES}),
    dead_letters=Reading(OPENED_AT, {queue: Depth(4, 5, 6) for queue in DEAD_LETTER_QUEUES}),
    runs=Reading(OPENED_AT, RunFigures(7, 80, timedelta(seconds=90.5), timedelta(seconds=10))),
    waves=Reading(OPENED_AT, {status: 11 for status in WaveStatus if not status.is_over}),
    groups=Reading(OPENED_AT, GroupFigures(dict.fromkeys(Status, 12), 13)),
)
OWN = ("prelaunch_http_requests", "prelaunch_http_request_duration_seconds", "prelaunch_build")


class Scripted:
    """Figures that are read at once."""

    def __init__(self, figures: Figures = FOUND) -> None:
        self.figures = figures

    async def read(self) -> Figures:
        return self.figures


def make_app(figures: Scripted | None = None, **more: Any) -> FastAPI:
    made: dict[str, Any] = dict.fromkeys(field.name for field in fields(Services))
    return create_app(lambda: nullcontext(Services(**{**made, "figures": figures or Scripted()})), **more)


@asynccontextmanager
async def open_door(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as api,
    ):
        yield api


async def scrape(api: httpx.AsyncClient) -> Mapping[str, Metric]:
    answer = await api.get(METRICS)
    assert answer.status_code == 200, answer.text
    return {family.name: family for family in read_text(answer.text)}


def values(families: Mapping[str, Metric], name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """Read the samples of one name: the values of the labels, and the value."""
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for family in families.values()
        for sample in family.samples
        if sample.name == name
    }


def counted(families: Mapping[str, Metric]) -> dict[tuple[str, ...], float]:
    return values(families, "prelaunch_http_requests_total", "method", "route", "status")


async def test_the_stack_s_figures_are_told_as_they_are() -> None:
    """Each with its labels; every metric that is declared is there."""
    async with open_door(make_app()) as api:
        families = await scrape(api)
    assert {gauge.name for gauge in GAUGES} <= set(families)
    states = {"visible": 1, "in_flight": 2, "delayed": 3}
    assert values(families, "prelaunch_queue_messages", "queue", "state") == {
        (queue, state): count for queue in DEAD_LETTER_QUEUES for state, count in states.items()
    }
    assert values(families, "prelaunch_dead_letters", "queue", "state") == {
        (queue, state): count + 3 for queue in DEAD_LETTER_QUEUES for state, count in states.items()
    }
    assert values(families, "prelaunch_unsettled_runs") == {(): 7}
    assert values(families, "prelaunch_unsettled_run_source_servers") == {(): 80}
    assert values(families, "prelaunch_unsettled_run_oldest_age_seconds") == {(): 90.5}
    assert values(families, "prelaunch_unsettled_run_overdue_seconds") == {(): 10}
    assert values(families, "prelaunch_unfinished_waves", "status") == {
        (status,): 11 for status in ("starting", "applying", "waiting", "started")
    }
    assert values(families, "prelaunch_groups", "status") == {
        (status,): 12 for status in ("not_configured", "pending", "ready", "failed")
    }
    assert values(families, "prelaunch_failed_source_servers") == {(): 13}
    sources = ("queues", "dead_letters", "runs", "waves", "groups")
    assert values(families, "prelaunch_source_up", "source") == {(source,): 1 for source in sources}
    read_at = OPENED_AT.timestamp()
    assert values(families, "prelaunch_source_read_timestamp_seconds", "source") == {
        (source,): read_at for source in sources
    }


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("queues", {"prelaunch_queue_messages"}),
        ("dead_letters", {"prelaunch_dead_letters"}),
        (
            "runs",
            {
                "prelaunch_unsettled_runs",
                "prelaunch_unsettled_run_source_servers",
                "prelaunch_unsettled_run_oldest_age_seconds",
                "prelaunch_unsettled_run_overdue_seconds",
            },
        ),
        ("waves", {"prelaunch_unfinished_waves"}),
        ("groups", {"prelaunch_groups", "prelaunch_failed_source_servers"}),
    ],
)
async def test_what_could_not_be_read_is_left_out_and_named(source: str, missing: set[str]) -> None:
    """No 0, which would look like an answer; the others are as they were."""
    figures = replace(FOUND, **{source: Reading(OPENED_AT, None)})
    async with open_door(make_app(Scripted(figures))) as api:
        families = await scrape(api)
    assert {gauge.name for gauge in GAUGES} - set(families) == missing
    up = values(families, "prelaunch_source_up", "source")
    assert [name for (name,), value in up.items() if value != 1] == [source]
    assert up[source,] == 0


async def test_this_process_is_told_too() -> None:
    """The version that runs, and what the process takes of the machine."""
    async with open_door(make_app()) as api:
        families = await scrape(api)
    assert values(families, "prelaunch_build_info", "version") == {(prelaunch_version(),): 1}
    assert values(families, "process_resident_memory_bytes")[()] > 1e6
    assert {"process_cpu_seconds", "process_open_fds", "process_start_time_seconds"} <= set(families)


def prelaunch_version() -> str:
    from importlib.metadata import version

    return version("prelaunch")


async def test_behind_a_door_of_many_instances_only_the_stack_is_told() -> None:
    """What one instance of a Lambda function counts says nothing of all: it is left out."""
    app = make_app(has_callers=True, metrics_open=True)
    async with open_door(app) as api:
        await api.get("/healthz")
        families = await scrape(api)
    assert set(families) == {gauge.name for gauge in GAUGES}


# --- form

ACCEPTED: Sequence[tuple[str | None, str]] = [
    (None, PLAIN),
    ("*/*", PLAIN),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", PLAIN),
    ("text/plain;version=0.0.4", PLAIN),
    ("application/json", PLAIN),
    (PROMETHEUS_ACCEPTS, OPEN_METRICS),
    ("application/openmetrics-text", OPEN_METRICS),
    ("application/openmetrics-text; version=1.0.0", OPEN_METRICS),
    ('Application/OpenMetrics-Text; Version="1.0.0"; q=0.1', OPEN_METRICS),
    ("application/openmetrics-text; version=0.0.1", PLAIN),
    ("application/openmetrics-text; version=9.9.9", PLAIN),
    ("application/openmetrics-text; version=evil", PLAIN),
    ("application/openmetrics-text; version=1.x", PLAIN),
    ("application/openmetrics-text; version=1.0.0; q=0", PLAIN),
    ("text/plain; version=evil; escaping=evil", PLAIN),
    (",;=,;;", PLAIN),
    ("", PLAIN),
]


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return make_app()


@pytest.mark.parametrize(("accepted", "content_type"), ACCEPTED)
async def test_the_form_is_the_one_that_the_scraper_takes(
    app: FastAPI, accepted: str | None, content_type: str
) -> None:
    """OpenMetrics where it takes the version that is written, else plain text; the type repeats nothing of his."""
    async with open_door(app) as api:
        api.headers.pop("Accept")
        answer = await api.get(METRICS, headers={} if accepted is None else {"Accept": accepted})
    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
    read = read_openmetrics if content_type == OPEN_METRICS else read_text
    assert {gauge.name for gauge in GAUGES} <= {family.name for family in read(answer.text)}


@given(st.lists(st.text(st.characters(codec="latin-1", exclude_categories=["Cc"])), max_size=3))
def test_no_header_breaks_it(accepted: list[str]) -> None:
    """Whatever stands in Accept, there is an answer in one of the two forms."""

    async def ask() -> httpx.Response:
        async with open_door(APP) as api:
            return await api.get(METRICS, headers=[(b"Accept", each.strip().encode("latin-1")) for each in accepted])

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.headers["content-type"] in {PLAIN, OPEN_METRICS}) == (200, True)


async def test_nobody_keeps_an_answer(app: FastAPI) -> None:
    """no-store, for a GET and for a HEAD, which is a GET without content."""
    async with open_door(app) as api:
        got, head = await api.get(METRICS), await api.head(METRICS)
    for answer in (got, head):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == PLAIN
        assert answer.headers["x-request-id"]
    assert (head.status_code, head.content) == (200, b"")


async def test_it_takes_no_parameters(app: FastAPI) -> None:
    """As every route: what was meant by one would not happen."""
    async with open_door(app) as api:
        answer = await api.get(f"{METRICS}?name[]=prelaunch_groups")
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_BODY")
        assert (await api.post(METRICS)).headers["allow"] == "GET, HEAD, OPTIONS"


# --- counting

APP = make_app()
ASKED = {
    ("GET", "/healthz"): ("GET", "/healthz", "200"),
    ("HEAD", "/healthz"): ("HEAD", "/healthz", "200"),
    ("OPTIONS", "/healthz"): ("OPTIONS", "/healthz", "204"),
    ("PATCH", "/healthz"): ("PATCH", "/healthz", "405"),
    ("GET", METRICS): ("GET", METRICS, "200"),
    ("GET", "/waves?limit=0"): ("GET", "/waves", "400"),
    ("GET", "/waves/w-1?colour=red"): ("GET", "/waves/{waveId}", "400"),
    ("GET", "/waves/w-2?colour=red"): ("GET", "/waves/{waveId}", "400"),
    ("GET", "/nowhere"): ("GET", "none", "404"),
    ("DELETE", "/waves/w-1/none"): ("DELETE", "none", "404"),
    ("BREW", "/healthz"): ("other", "/healthz", "405"),
    ("brew", "/nowhere"): ("other", "none", "404"),
}
"""Requests that come to no operation, and how each is counted."""


@given(st.lists(st.sampled_from(sorted(ASKED)), max_size=12))
def test_the_counters_are_the_requests_that_were_made(asked: list[tuple[str, str]]) -> None:
    """By method, route and status; the durations are as many, by route; the scrape itself comes with the next one."""

    async def ask() -> tuple[Mapping[str, Metric], Mapping[str, Metric]]:
        async with open_door(APP) as api:
            before = await scrape(api)
            for method, path in asked:
                await api.request(method, path)
            return before, await scrape(api)

    before, after = asyncio.run(ask())
    grown = Counter(counted(after))
    grown.subtract(counted(before))
    made = Counter([ASKED[each] for each in asked] + [("GET", METRICS, "200")])
    assert +grown == made
    for name in ("prelaunch_http_request_duration_seconds_count", "prelaunch_http_request_duration_seconds_bucket"):
        assert by_route(after, name) - by_route(before, name) == by_route_of(made)


def by_route(families: Mapping[str, Metric], name: str) -> Counter[str]:
    """Count the requests of each route by the histogram's count, or by its last bucket."""
    found: Counter[str] = Counter()
    for sample in families["prelaunch_http_request_duration_seconds"].samples:
        if sample.name == name and sample.labels.get("le", "+Inf") == "+Inf":
            found[sample.labels["route"]] += int(sample.value)
    return found


def by_route_of(made: Counter[tuple[str, str, str]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for (_, route, _), count in made.items():
        found[route] += count
    return found


def strange_paths(count: int) -> Iterator[str]:
    dice = random.Random(7)
    for _ in range(count):
        yield "/" + "/".join(f"{dice.getrandbits(40):x}" for _ in range(dice.randint(1, 4)))


async def test_a_thousand_paths_are_one_series() -> None:
    """What a client makes up becomes no label: neither paths, nor ids within them, nor methods."""
    async with open_door(make_app()) as api:
        for path in strange_paths(1000):
            await api.get(path)
        for number in range(50):
            await api.get(f"/protection-groups/pg-{number}?colour=red")
            await api.request(f"M{number}", f"/nowhere-{number}")
        families = await scrape(api)
    assert counted(families) == {
        ("GET", "none", "404"): 1000,
        ("other", "none", "404"): 50,
        ("GET", "/protection-groups/{groupId}", "400"): 50,
    }
    buckets = values(families, "prelaunch_http_request_duration_seconds_bucket", "route", "le")
    assert {route for route, _ in buckets} == {"none", "/protection-groups/{groupId}"}
    assert len(buckets) == 2 * (len(BUCKETS) + 1)


async def test_a_client_that_goes_away_before_its_answer_is_counted(app: FastAPI) -> None:
    """With the status none, for there was none."""
    scope = {"type": "http", "method": "POST", "path": "/waves", "raw_path": b"/waves", "query_string": b""}
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(_: object) -> None:
        raise AssertionError("nobody is there to be answered")

    async with open_door(app) as api:
        await app({**scope, "headers": headers, "scheme": "http", "root_path": ""}, receive, send)
        assert counted(await scrape(api))["POST", "/waves", "none"] == 1


async def test_two_applications_count_each_for_itself() -> None:
    """A process may hold many; the client library's own registry, which all would share, is left alone."""
    before = {family.name for family in prometheus_client.REGISTRY.collect()}
    async with open_door(make_app()) as one, open_door(make_app()) as other:
        for _ in range(3):
            await one.get("/healthz")
        assert counted(await scrape(other)) == {}
        assert counted(await scrape(one)) == {("GET", "/healthz", "200"): 3}
    assert {family.name for family in prometheus_client.REGISTRY.collect()} == before
    assert not [name for name in before if name.startswith("prelaunch")]


# --- who may

NOBODY = Caller("http", None, reason="Nobody has told who asks.")


@pytest.mark.parametrize(("is_open", "status"), [(False, 401), (True, 200)])
async def test_it_is_open_only_where_that_is_set(is_open: bool, status: int) -> None:
    """To whoever can reach the door: what stands there names nobody. Everything else asks on."""
    app = make_app(has_callers=True, metrics_open=is_open)

    async def told_apart(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, CALLER: NOBODY}, receive, send)

    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(told_apart)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as api:
            assert (await api.get(METRICS)).status_code == status
            assert (await api.get("/protection-groups")).status_code == 401


@pytest.mark.parametrize("is_open", [False, True])
async def test_no_web_page_reads_it_where_nobody_is_authenticated(is_open: bool) -> None:
    """Open or not: a door without tokens answers programs of its own machine."""
    async with open_door(make_app(metrics_open=is_open)) as api:
        assert (await api.get(METRICS)).status_code == 200
        for headers in ({"Host": "rebound.example"}, {"Origin": "http://evil.example"}):
            assert (await api.get(METRICS, headers=headers)).status_code == 403


def test_it_stands_in_no_document_of_operations() -> None:
    """It has no JSON and no operation: /openapi.json is without it."""
    assert METRICS not in APP.openapi()["paths"]
