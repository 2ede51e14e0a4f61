"""The fleet's buckets over tables in memory that answer at once, in the running loop's virtual time."""

import random
from types import SimpleNamespace
from typing import Any

from tests.fakes.twin.dynamodb import Tables as TwinTables
from tests.fakes.virtual_time import now
from workers.aws.pacing.law import SECOND
from workers.aws.pacing.pacing import Pacing
from workers.aws.pacing.store import BucketStore
from workers.core.store.tables import Tables

STACK = "paced"
OWN_ACCOUNT = "111122223333"
EPOCH = 1_800_000_000


class InstantClient:
    """A client of DynamoDB whose calls take no time."""

    def __init__(self, tables: TwinTables) -> None:
        self._tables = tables
        self.meta = SimpleNamespace(endpoint_url="https://dynamodb")

    def __getattr__(self, operation: str) -> Any:
        effect = getattr(self._tables, operation)

        async def call(**request: Any) -> Any:
            return effect(**request)

        return call


def make_tables() -> TwinTables:
    """Make the tables of one fleet."""
    return TwinTables(STACK, now)


def pace(tables: TwinTables | None = None) -> Pacing:
    """Make the buckets of one process, of a fleet of its own unless its tables are given."""
    store = BucketStore(Tables(InstantClient(tables or make_tables()), STACK))
    return Pacing(store, lambda: round((EPOCH + now()) * SECOND), OWN_ACCOUNT, random.Random(1))
