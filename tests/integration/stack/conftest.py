"""
The product over the stand-in or another database, wired anew for each test.

Its clients alone are shared, for to make them takes longer than most tests: so all tests here run on one loop.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, nullcontext

import pytest
import pytest_asyncio

from infra.local.process import StandIn
from tests.integration.databases import DATABASES, Database
from tests.integration.product import MovableClock, Product, client_of, open_product


@pytest.fixture(scope="session", autouse=True)
def _close_clients(shared_stand_in: StandIn) -> Iterator[None]:
    yield
    for service in ("drs", "ec2", "sqs"):
        client_of(shared_stand_in.url, service).close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def databases(
    shared_stand_in: StandIn, request: pytest.FixtureRequest
) -> AsyncIterator[Callable[[str], Awaitable[Database]]]:
    """Opens a database when it is first asked for."""
    opened: dict[str, Database] = {}
    async with AsyncExitStack() as closing:

        async def find(name: str) -> Database:
            if name not in opened:
                opened[name] = await closing.enter_async_context(DATABASES[name](shared_stand_in, request))
            return opened[name]

        yield find


@pytest_asyncio.fixture(loop_scope="session")
async def database(
    local: StandIn, databases: Callable[[str], Awaitable[Database]], request: pytest.FixtureRequest
) -> Database:
    """The database that the test's parameter names, without faults; the stand-in's where it names none."""
    found = await databases(getattr(request, "param", "stand-in"))
    found.script.faults([])
    return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MovableClock:
    """The one clock of producer and workers."""
    clock = MovableClock()
    monkeypatch.setattr("workers.main.read_clock", clock)
    return clock


@pytest_asyncio.fixture(loop_scope="session")
async def product(
    local: StandIn, clock: MovableClock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Product]:
    """The product in this process, over the database."""
    for name, value in database.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("producer.main.Clients", lambda **_: nullcontext(database.clients))
    local.control("PUT", "jobs", {"seconds": 0})
    async with open_product(local, clock, database) as opened:
        yield opened
