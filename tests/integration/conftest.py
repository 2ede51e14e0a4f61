"""A stand-in of its own for each worker of the test run, and clients that speak to it."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from infra.local.process import StandIn
from tests.forked_stand_in import StandIns


@pytest.fixture(scope="session")
def shared_stand_in(stand_ins: StandIns) -> Iterator[StandIn]:
    with stand_ins.run() as running:
        yield running


@pytest.fixture
def local(shared_stand_in: StandIn) -> Iterator[StandIn]:
    """The stand-in as if just started, where the control can make it so; nothing that is broken in it is left so."""
    _mend(shared_stand_in)
    shared_stand_in.control("PUT", "consistency", {"seconds": 0})
    shared_stand_in.control("PUT", "versions", {"limit": 10_000})
    shared_stand_in.control("PUT", "jobs", {"seconds": 60})
    shared_stand_in.control("PUT", "events", {"on": False})
    shared_stand_in.control("DELETE", "calls")
    yield shared_stand_in
    # The tests of the doors share it too, and come without this.
    _mend(shared_stand_in)


def _mend(stand_in: StandIn) -> None:
    stand_in.control("PUT", "faults", [])
    stand_in.control("PUT", "rates", {"rates": "off"})
    stand_in.control("PUT", "latency", {"seconds": 0})


def make_client(
    service: str, url: str, access_key_id: str = "AKIAPRELAUNCHLOCAL00", region: str = "us-east-1", **settings: Any
) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=access_key_id,
        aws_secret_access_key="local",
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=64, **settings),
    )


@pytest.fixture
def client(local: StandIn) -> Callable[..., Any]:
    """Makes clients of the stand-in that never retry."""
    return lambda service, **more: make_client(service, local.url, **more)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """The address of a stand-in in the test's own process."""
    from tests.integration.local_services import serve

    with serve() as address:
        yield address
