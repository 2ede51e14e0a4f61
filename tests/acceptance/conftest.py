"""A stand-in of a test's own: faults, latency and counts are of the whole stand-in."""

from collections.abc import Iterator

import pytest

from infra.local.process import StandIn, stand_in


@pytest.fixture
def aws() -> Iterator[StandIn]:
    with stand_in() as running:
        yield running


@pytest.fixture(scope="module")
def idle_aws() -> Iterator[StandIn]:
    """One for the tests that change nothing in it."""
    with stand_in() as running:
        yield running


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the demo, whose serial way takes a minute of waiting: the other tests run meanwhile."""
    items.sort(key=lambda item: item.name != "test_the_demo_keeps_every_promise")
