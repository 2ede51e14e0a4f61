"""The pages that are written from the code, and what is served beside them."""

import json
import re
from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest

from producer.fleet_schema import make_fleet_schema
from producer.http import create_app
from producer.operations import CHECK_DRIFT, ROUTES
from tests.reference import api, cli, metrics

DOCS = Path(__file__).parents[2] / "docs"


PAGES = {"api.md": api.render, "cli.md": cli.render, "metrics.md": metrics.render}


@pytest.mark.parametrize(("name", "rendered"), PAGES.items())
def test_a_page_says_what_the_code_does(name: str, rendered: object) -> None:
    """`make docs` writes it anew after a change of a route, an option or a help text."""
    assert callable(rendered)
    assert (DOCS / name).read_text() == rendered()


@pytest.mark.parametrize(
    "page", ["README.md", "docs/decisions/0033-metrics-of-the-stack-are-read-when-they-are-scraped.md"]
)
def test_every_metric_that_is_spoken_of_is_one(page: str) -> None:
    """An alert that is copied from there must meet a metric."""
    declared = set(re.findall(r"`(prelaunch_[a-z_]+)`", metrics.render()))
    spoken_of = set(re.findall(r"prelaunch_[a-z_]+", (DOCS.parent / page).read_text()))
    assert spoken_of
    assert spoken_of - declared == set()


def test_every_operation_stands_on_the_page() -> None:
    """With the name that messages know it by."""
    page = api.render()
    assert [name for name in (*ROUTES, CHECK_DRIFT) if f"`{name}`" not in page] == []


async def test_the_schema_of_fleet_files_is_served() -> None:
    """To anybody on this machine, as `prelaunch schema` prints it; the OpenAPI document is another one."""
    app = create_app(lambda: nullcontext(None))  # type: ignore[arg-type]  # never opened
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        answer = await client.get("/schemas/fleet.json")
    assert answer.headers["content-type"] == "application/schema+json"
    assert json.loads(answer.content) == make_fleet_schema()
    assert "/schemas/fleet.json" not in app.openapi()["paths"]
