"""
One DynamoDB Local for all processes of a test run, started when a test that was collected names it.

The process that hands out the tests runs it, so that none of those that run them can take it from the others. What is
missing ends the run with one message.
"""

import re
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.dynamodb_local.install import Missing
from tests.dynamodb_local.process import run_dynamodb_local

NAME = "dynamodb-local"
NAMED = re.compile("dynamodb[-_]local")
"""Stands in the id of every test that runs over it."""
ADDRESS = "dynamodb_local_address"


class Owner:
    """Runs it for as long as the test run lasts."""

    def __init__(self) -> None:
        self._closing = ExitStack()
        directory = self._closing.enter_context(tempfile.TemporaryDirectory())
        self.address = Path(directory) / "address"
        """A file, for the others are started first: it is there before the first of them is given a test."""

    def pytest_configure_node(self, node: Any) -> None:
        """Tell a process that is about to be started where to look."""
        node.workerinput[ADDRESS] = str(self.address)

    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """Start it before the tests are handed out."""
        self._start_for(ids)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start it where one process does all."""
        if not session.config.option.collectonly:
            self._start_for(item.nodeid for item in session.items)

    def pytest_unconfigure(self) -> None:
        """End it."""
        self._closing.close()

    def _start_for(self, ids: Iterable[str]) -> None:
        if self.address.exists() or not any(map(NAMED.search, ids)):
            return
        try:
            running = self._closing.enter_context(run_dynamodb_local())
        except Missing as missing:
            pytest.exit(str(missing), returncode=pytest.ExitCode.USAGE_ERROR)
        self.address.write_text(running.url)


def pytest_configure(config: pytest.Config) -> None:
    """Own it, unless another process does."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Owner(), NAME)


@pytest.fixture(scope="session")
def dynamodb_local(request: pytest.FixtureRequest) -> str:
    """The address of the test run's DynamoDB Local."""
    owner = request.config.pluginmanager.get_plugin(NAME)
    told = getattr(request.config, "workerinput", {}).get(ADDRESS)
    address = Path(told) if told else getattr(owner, "address", None)
    assert address is not None
    assert address.exists(), f"No test that was collected has {NAME} in its id."
    return address.read_text()
