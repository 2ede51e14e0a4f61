"""A door that asks nobody for a token answers programs of its own machine, and no web page."""

from collections.abc import AsyncIterator
from contextlib import nullcontext

import httpx
import pytest
import pytest_asyncio
import structlog

from producer.access import Access
from producer.http import create_app

GROUPS = "/protection-groups"
CALLS = [
    ("GET", GROUPS),
    ("POST", f"{GROUPS}/pg-none/apply-launch-configs"),
    ("DELETE", f"{GROUPS}/pg-none"),
    ("OPTIONS", GROUPS),
    ("GET", "/readyz"),
    ("GET", "/openapi.json"),
    ("GET", "/nowhere"),
]
STRANGE_HOSTS = [
    "rebound.example",
    "127.0.0.1.rebound.example",
    "rebound.example:8080",
    "localhost.rebound.example",
    "localhost.",
    "rebound@localhost",
    "localhost:8080@rebound.example",
    "localhost:8080:1",
    "127.0.0.2",
    "127.0.0.9",
    "0.0.0.0",
    "::1",
    "[::2]",
    "[::1",
    "2130706433",
    "",
    ":8080",
]


APP = create_app(lambda: nullcontext(None), host="127.0.0.7")  # type: ignore[arg-type]  # never asked
"""Without any operations: a request that came as far as one would be a 500."""


@pytest_asyncio.fixture
async def door() -> AsyncIterator[httpx.AsyncClient]:
    """A door of this machine's alone."""
    async with (
        APP.router.lifespan_context(APP),
        httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://localhost") as api,
    ):
        yield api


async def refuse(door: httpx.AsyncClient, headers: list[tuple[str, str]], named: str) -> None:
    """Hold that a request is refused on every route for that header, before any operation."""
    for method, path in CALLS:
        answer = await door.request(method, path, headers=headers)
        document = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.status_code, document["code"]) == (403, "FORBIDDEN"), (method, path, headers)
        assert document["requestId"] == answer.headers["x-request-id"]
        assert f"the header {named} " in document["detail"]
        assert "rebound" not in answer.text


@pytest.mark.parametrize("host", STRANGE_HOSTS)
async def test_a_name_of_somebody_elses_reaches_nothing(door: httpx.AsyncClient, host: str) -> None:
    """A site's own name that leads to this machine (DNS rebinding) is refused on every route, before all else."""
    await refuse(door, [("Host", host)], "Host")


async def test_a_refusal_is_logged_with_who_and_what(door: httpx.AsyncClient) -> None:
    """A page that tries is seen; what it sent beside its path is in no log."""
    with structlog.testing.capture_logs() as logs:
        await door.delete(f"{GROUPS}/pg-1?{'x' * 9}=1", headers={"Host": "rebound.example", "X-Other": "rebound"})
        await door.get(f"/{'p' * 5000}", headers={"Host": "rebound.example"})
    first, second = (line for line in logs if line["event"] == "access.refused")
    assert (first["principal"], first["method"], first["path"]) == (
        "unauthenticated@127.0.0.1",
        "DELETE",
        f"{GROUPS}/pg-1",
    )
    assert len(second["path"]) == 200
    assert [line["principal"] for line in logs if line["event"] == "request.answered"] == [first["principal"]] * 2
    assert "rebound" not in str(logs)


async def test_two_hosts_are_none(door: httpx.AsyncClient) -> None:
    """Whoever reads two Host headers might take the other one."""
    await refuse(door, [("Host", "localhost"), ("Host", "rebound.example")], "Host")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8080", "127.0.0.7:80"]
)
async def test_this_machine_reaches_all(door: httpx.AsyncClient, host: str) -> None:
    """Loopback's names and the address that the door listens on are its own, at any port."""
    for path in ("/healthz", "/openapi.json"):
        assert (await door.get(path, headers={"Host": host})).status_code == 200
        own = {"Host": host, "Origin": f"http://{host}"}
        assert (await door.get(path, headers=own)).status_code == 200


@pytest.mark.parametrize(
    "origins",
    [
        ["http://rebound.example"],
        ["null"],
        [""],
        ["http://localhost:3000"],
        ["https://localhost"],
        ["http://127.0.0.1"],
        ["http://localhost", "http://rebound.example"],
    ],
)
async def test_a_page_reaches_nothing(door: httpx.AsyncClient, origins: list[str]) -> None:
    """A browser names the page that makes it send a request: any but the door's own is refused."""
    await refuse(door, [("Origin", origin) for origin in origins], "Origin")


async def test_who_is_known_may_come_by_any_name() -> None:
    """Where tokens are asked for they decide: no browser adds them by itself, and gateways have names of their own."""
    access = Access("http://127.0.0.1:1", "an app client")
    app = create_app(lambda: nullcontext(None), access)  # type: ignore[arg-type]  # never asked
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://prelaunch.test") as api,
    ):
        headers = {"Origin": "https://console.example"}
        assert (await api.get("/healthz", headers=headers)).status_code == 200
        assert (await api.get(GROUPS, headers=headers)).status_code == 401
