"""The product over the stand-in, one for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from infra.local.process import StandIn
from tests.integration.product import MovableClock, Product, client_of, open_product


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MovableClock:
    """The one clock of producer and workers."""
    clock = MovableClock()
    monkeypatch.setattr("producer.main.read_clock", clock)
    monkeypatch.setattr("workers.main.read_clock", clock)
    return clock


@pytest.fixture
async def product(local: StandIn, clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Product]:
    """The product in this process, over the stand-in."""
    for name, value in local.environment.items():
        monkeypatch.setenv(name, value)
    local.control("PUT", "jobs", {"seconds": 0})
    async with open_product(local, clock) as opened:
        yield opened


@pytest.fixture(scope="session", autouse=True)
def _close_clients(shared_stand_in: StandIn) -> Iterator[None]:
    yield
    for service in ("drs", "dynamodb", "ec2", "sqs"):
        client_of(shared_stand_in.url, service).close()
