"""
The databases that the store's tests run over: one contract, whatever holds the items.

Queues, DRS and EC2 are the stand-in's in each of them. A further database is a further line in `DATABASES`.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from infra.local.process import StandIn
from tests.dynamodb_local.tables import make_tables
from tests.fakes.scripted_wire import ScriptedWire
from tests.integration.conftest import make_client
from workers.aws.clients import Clients

CONNECTIONS = 64
OWN_SERVICES = ("dynamodb", "sqs", "sts")


class Script(Protocol):
    """What a test does to the calls of the product, and asks of them."""

    def faults(self, faults: Sequence[dict[str, Any]]) -> None:
        """Replace the faults in force, in the words of the stand-in's control."""

    def calls(self) -> dict[str, int]:
        """Tell how often each operation was called since the counts began."""

    def count_anew(self) -> None:
        """Begin the counts."""


@dataclass(frozen=True)
class Database:
    """A database that holds the tables of one stack."""

    clients: Clients
    """What the product is wired over: `own("dynamodb")` is this database's."""
    plain: Any
    """A client of another SDK, that looks past the product."""
    script: Script
    environment: dict[str, str]
    """What leads a client that a test makes to it; the fixture `product` has set it."""
    connect: Callable[[], AbstractAsyncContextManager[Any]]
    """Opens further clients of it, `own("dynamodb")` among them, on another thread's loop."""


class StandInScript:
    """All calls are the stand-in's to count and to break."""

    def __init__(self, local: StandIn) -> None:
        self._local = local

    def faults(self, faults: Sequence[dict[str, Any]]) -> None:
        self._local.control("PUT", "faults", list(faults))

    def calls(self) -> dict[str, int]:
        return {name: counts["count"] for name, counts in self._local.control("GET", "calls").items()}

    def count_anew(self) -> None:
        self._local.control("DELETE", "calls")


class SplitScript:
    """The calls to DynamoDB go another way than all others."""

    def __init__(self, local: StandIn, wire: ScriptedWire) -> None:
        self._others = StandInScript(local)
        self._wire = wire

    def faults(self, faults: Sequence[dict[str, Any]]) -> None:
        self._wire.faults([fault for fault in faults if fault["service"] == "dynamodb"])
        self._others.faults([fault for fault in faults if fault["service"] != "dynamodb"])

    def calls(self) -> dict[str, int]:
        return {**self._others.calls(), **self._wire.calls()}

    def count_anew(self) -> None:
        self._wire.count_anew()
        self._others.count_anew()


Opener = Callable[[StandIn, pytest.FixtureRequest], AbstractAsyncContextManager[Database]]


@asynccontextmanager
async def open_stand_in(local: StandIn, _request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """The stand-in's own: moto's DynamoDB, mended."""
    clients = await _open_clients(local.environment)
    async with clients:
        with contextlib.closing(make_client("dynamodb", local.url)) as plain:
            yield Database(clients, plain, StandInScript(local), local.environment, _connect)


@asynccontextmanager
async def open_dynamodb_local(local: StandIn, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """Amazon's DynamoDB Local: real conditional writes and transactions."""
    url: str = request.getfixturevalue("dynamodb_local")
    # It keeps a database for each access key: every process that runs tests has its own.
    worker = getattr(request.config, "workerinput", {}).get("workerid", "master")
    access_key_id = f"AKIAPRELAUNCH{worker.upper()}"
    environment = {**local.environment, "AWS_ENDPOINT_URL_DYNAMODB": url, "AWS_ACCESS_KEY_ID": access_key_id}
    clients = await _open_clients(environment)
    async with clients:
        with contextlib.closing(make_client("dynamodb", url, access_key_id)) as plain:
            make_tables(plain, local.environment["PRELAUNCH_STACK"])
            wire = ScriptedWire(await clients.own("dynamodb"))
            yield Database(clients, plain, SplitScript(local, wire), environment, _connect)


DATABASES: dict[str, Opener] = {"stand-in": open_stand_in, "dynamodb-local": open_dynamodb_local}
over_every_database = pytest.mark.parametrize("database", DATABASES, indirect=True)
"""The mark of a test about the store. A test without it runs over the stand-in."""
over_the_real_database = pytest.mark.parametrize("database", ["dynamodb-local"], indirect=True)
"""The mark of a test about what happens at the same time: that the stand-in is exact has tests of its own."""


@asynccontextmanager
async def _connect() -> AsyncIterator[Clients]:
    async with Clients(connections=CONNECTIONS) as clients:
        for service in ("dynamodb", "sqs"):
            await clients.own(service)
        yield clients


async def _open_clients(environment: dict[str, str]) -> Clients:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        clients = Clients(connections=CONNECTIONS)
        for service in OWN_SERVICES:
            await clients.own(service)
    return clients
