"""A stand-in of a test's own: faults, latency and counts are of the whole stand-in."""

from collections.abc import Iterator

import pytest

from infra.local.process import StandIn
from tests.acceptance.aws_command_line import AwsCommandLine, aws_command_line
from tests.forked_stand_in import StandIns

LONGEST = {"test_the_demo_keeps_every_promise", "test_no_promise_breaks_whatever_dies"}


@pytest.fixture
def aws(stand_ins: StandIns) -> Iterator[StandIn]:
    with stand_ins.run() as running:
        yield running


@pytest.fixture(scope="module")
def idle_aws(stand_ins: StandIns) -> Iterator[StandIn]:
    """One for the tests that change nothing in it."""
    with stand_ins.run() as running:
        yield running


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, which wait for minutes: the other tests run meanwhile."""
    items.sort(key=lambda item: item.name not in LONGEST)


@pytest.fixture(scope="session")
def command_line(stand_ins: StandIns) -> Iterator[AwsCommandLine]:
    """`aws` over a stand-in that answers at once and forgets no write."""
    with stand_ins.run() as running, aws_command_line(running) as loaded:
        running.control("PUT", "consistency", {"seconds": 0})
        yield loaded
