"""All doors of one installation, over a stand-in of their own."""

from collections.abc import Iterator

import pytest

from producer.access import Access
from tests.fakes.user_pool import AUDIENCE, UserPool, user_pool
from tests.integration.conftest import shared_stand_in
from tests.integration.doors.conftest import doors
from tests.integration.doors.doors import Doors, Guarded

__all__ = ["doors", "guarded", "pool", "shared_stand_in"]


@pytest.fixture(scope="module")
def pool() -> Iterator[UserPool]:
    with user_pool() as running:
        yield running


@pytest.fixture(scope="module")
def guarded(doors: Doors, pool: UserPool) -> Iterator[Guarded]:
    """The HTTP door that asks for tokens."""
    opened = Guarded.open(doors, Access(pool.issuer, AUDIENCE))
    yield opened
    opened.close()
