"""
The product over the stand-in, wired anew for each test.

Its clients alone are shared, for to make them takes longer than most tests: so all tests here run on one loop.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext

import pytest
import pytest_asyncio

from infra.local.process import StandIn
from tests.integration.product import MovableClock, Product, client_of, open_product
from workers.aws.clients import Clients

OWN_SERVICES = ("dynamodb", "sqs", "sts")


@pytest.fixture(scope="session", autouse=True)
def _close_clients(shared_stand_in: StandIn) -> Iterator[None]:
    yield
    for service in ("drs", "dynamodb", "ec2", "sqs"):
        client_of(shared_stand_in.url, service).close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_clients(shared_stand_in: StandIn) -> AsyncIterator[Clients]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in shared_stand_in.environment.items():
            environment.setenv(name, value)
        clients = Clients(connections=64)
        for service in OWN_SERVICES:
            await clients.own(service)
    async with clients:
        yield clients


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MovableClock:
    """The one clock of producer and workers."""
    clock = MovableClock()
    monkeypatch.setattr("producer.main.read_clock", clock)
    monkeypatch.setattr("workers.main.read_clock", clock)
    return clock


@pytest_asyncio.fixture(loop_scope="session")
async def product(
    local: StandIn, clock: MovableClock, shared_clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Product]:
    """The product in this process, over the stand-in."""
    for name, value in local.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("producer.main.Clients", lambda **_: nullcontext(shared_clients))
    local.control("PUT", "jobs", {"seconds": 0})
    async with open_product(local, clock, shared_clients) as opened:
        yield opened
