"""The buckets of a process, made when they are first drawn on; an account has each once, however it is named."""

import asyncio
import random
from collections.abc import Callable

from workers.aws.pacing.lanes import SharedBucket
from workers.aws.pacing.quotas import QUOTAS
from workers.aws.pacing.store import Store


class Pacing:
    """
    The buckets of a process. Belongs to one event loop.

    Parameters:
        store: Where the fleet's state of them is.
        now: Tells the time that the fleet has agreed on, in microseconds since the epoch.
        own_account: The account of what names none.
        dice: Spreads the tries of many processes.
        factor: How many times the published quotas AWS grants.
    """

    def __init__(
        self, store: Store, now: Callable[[], int], own_account: str, dice: random.Random, factor: float = 1.0
    ) -> None:
        self._store = store
        self._now = now
        self._own_account = own_account
        self._dice = dice
        self._factor = factor
        self._buckets: dict[str, SharedBucket] = {}

    def bucket(self, account_id: str | None, region: str, service: str, operation: str) -> SharedBucket:
        """Answer the bucket of an API in an account and Region."""
        key = f"{account_id or self._own_account}#{region}#{service}.{operation}"
        if key not in self._buckets:
            quota = QUOTAS[service, operation].scaled(self._factor)
            self._buckets[key] = SharedBucket(key, quota, self._store, self._now, self._dice)
        return self._buckets[key]

    async def close(self) -> None:
        """Hand out no more turns."""
        await asyncio.gather(*(bucket.close() for bucket in self._buckets.values()))
