"""What every test is protected from."""

import gc
import logging
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings

from tests.forked_stand_in import StandIns, open_stand_ins
from tests.measuring import measure_chosen_processes_only, paused

TESTS = Path(__file__).parent
UNMEASURED = (
    "property",
    "faults/test_crash_points.py",
    "faults/test_throttled_account.py",
    "faults/test_traces.py",
    "acceptance/page",
    "acceptance/test_chaos.py",
    "acceptance/test_benchmarks.py",
    "acceptance/test_schemathesis.py",
    # Of the stand-in alone: nothing of the product runs in them.
    "integration/test_local_",
    "unit/test_local_",
)
pytest_plugins = ["tests.dynamodb_local.plugin"]

# How fast examples come says only how busy the machine is: no test here may fail by seconds.
_QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("prelaunch", _QUIET, max_examples=200)
settings.register_profile("release", _QUIET, max_examples=10_000)
# For `make mutants`, which runs a law for each mutant: few examples, the same each time, and none made smaller.
settings.register_profile(
    "mutants",
    _QUIET,
    max_examples=20,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
settings.load_profile("prelaunch")


def pytest_configure(config: pytest.Config) -> None:
    """Measure chosen processes only; those that run the tests are started by the first one, and are measured too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As a shell without job control starts what runs in the background; every command that a test starts and
        # interrupts would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput") or not config.getoption("numprocesses"):
        measure_chosen_processes_only()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is run unmeasured: measuring doubles its time, and what it runs others run measured."""
    for item in items:
        is_law = any(str(item.path).startswith(str(TESTS / place)) for place in UNMEASURED)
        if is_law or "dynamodb-local" in item.name:
            item.add_marker("unmeasured")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure no test that is marked so, with the fixtures that are made for it first."""
    if item.get_closest_marker("unmeasured") is None:
        return (yield)
    with paused():
        return (yield)


def pytest_collection_finish() -> None:
    """Look for garbage only among what the tests make: what is imported and collected stays to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def stand_ins() -> Iterator[StandIns]:
    with open_stand_ins() as opened:
        yield opened


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """A test that configures the logs, to a stream that ends with it, leaves the next one's alone."""
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
