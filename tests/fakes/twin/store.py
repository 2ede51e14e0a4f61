"""The store alone over the twin's tables: no producer, no worker, no process."""

import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from tests.fakes.twin.process import TwinClient, time_of
from tests.fakes.twin.world import STACK, Call, Life, World
from tests.fakes.virtual_time import run_virtually
from workers.core.settings import Settings
from workers.core.store.groups import GroupStore
from workers.core.store.journal import Journal
from workers.core.store.leases import LeaseStore
from workers.core.store.receipts import Receipts
from workers.core.store.runs import RunStore
from workers.core.store.surveys import SurveyStore
from workers.core.store.tables import Tables
from workers.core.store.waves import WaveStore
from workers.core.store.writes import Write, decode


class TwinStore:
    """Everything that reads and writes the tables of one stack, and those tables."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.settings = Settings(stack=STACK)
        self.client = TwinClient(world, Life("store"), "dynamodb", world.tables)
        self.time = time_of(world)
        self.tables = Tables(self.client, STACK)
        self.groups = GroupStore(self.tables)
        self.runs = RunStore(self.tables, self.groups)
        self.leases = LeaseStore(self.tables, self.settings, self.time)
        self.journal = Journal(self.tables)
        self.receipts = Receipts(self.tables, self.time.wall)
        self.waves = WaveStore(self.tables)
        self.surveys = SurveyStore(self.tables)

    def item(self, table: str, hash_key: str, sort_key: str = "") -> dict[str, Any] | None:
        """Look at an item without a call, in Python's types."""
        item = self.world.tables.peek(table, hash_key, sort_key)
        return None if item is None else decode(item)

    async def put(self, *writes: Write) -> None:
        """Do these writes, each by itself."""
        for write in writes:
            await self.tables.write(write)

    @property
    def calls(self) -> list[Call]:
        """Tell the calls that were made."""
        return self.world.calls

    def milliseconds(self, later: timedelta = timedelta(0)) -> int:
        """Tell the present, or a later moment, as leases have it."""
        return int((self.world.now() + later).timestamp() * 1000)


def over_the_twin(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a test in virtual time, with a store of its own as the first argument."""

    def told(**given: Any) -> None:
        async def tell() -> None:
            await test(TwinStore(World()), **given)

        run_virtually(tell)

    told.__name__, told.__doc__, told.__module__ = test.__name__, test.__doc__, test.__module__
    parameters = list(inspect.signature(test).parameters.values())
    told.__signature__ = inspect.Signature(parameters[1:])  # type: ignore[attr-defined]  # pytest reads it
    return told
