"""
The state of the fleet's buckets in DynamoDB: reserved from and cut by single conditional writes.

No process reads, decides and writes back: what another one wrote meanwhile would be lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from boto3.dynamodb.conditions import Attr, ConditionBase

from workers.aws.pacing.law import BucketState, cut, plan
from workers.aws.pacing.quotas import Quota
from workers.core.priority import Priority
from workers.core.store.refusals import ConditionFailed
from workers.core.store.tables import Tables
from workers.core.store.writes import Item, Write, decode

TRIES = 3
"""How often a bucket is looked at anew because another process was there in between."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Turns that are reserved, in microseconds since the epoch; none where somebody else was first."""

    state: BucketState
    turns: tuple[int, ...] = ()
    opens_at: int = 0
    """When the next ones can be reserved, if there are none."""


class Store(Protocol):
    """Where the buckets of the fleet are."""

    async def reserve(
        self, key: str, quota: Quota, priority: Priority, *, known: BucketState, now: int, wanted: int
    ) -> Turns:
        """Reserve turns, as many as one batch may have."""

    async def cut(self, key: str, quota: Quota, *, known: BucketState, now: int, retry_after: int) -> BucketState:
        """Cut the rate once for all."""

    async def read(self, key: str) -> BucketState:
        """Read a bucket as it is."""


class BucketStore:
    """The buckets of a stack."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def reserve(
        self, key: str, quota: Quota, priority: Priority, *, known: BucketState, now: int, wanted: int
    ) -> Turns:
        """
        Reserve turns, as many as one batch may have.

        Parameters:
            key: Account, Region and API.
            quota: What AWS grants.
            priority: Whose turns they are.
            known: The bucket as it was seen last: a wrong guess costs a write, no turn.
            now: The present.
            wanted: How many turns can be used.

        Returns:
            The turns, or when to try again; and the bucket as it is.

        Raises:
            PrelaunchError: The table is missing or does not answer.
        """
        for _ in range(TRIES):
            batch = plan(known, quota, priority, now, wanted)
            if known.next_at > batch.latest:
                break
            if known.next_at < batch.full:
                values, add = {"nextAt": batch.full + batch.cost}, {}
                there = Attr("nextAt").not_exists() | Attr("nextAt").lt(batch.full)
            else:
                values, add = {}, {"nextAt": batch.cost, "pressed": batch.cost * batch.is_pressed(known.next_at, now)}
                there = Attr("nextAt").gte(batch.full) & Attr("nextAt").lte(batch.latest)
            try:
                state = read_state(await self._update(key, values, _same_cuts(known) & there, add))
            except _Refused as refused:
                known = refused.state
            else:
                return Turns(state, batch.turns(state.next_at))
        batch = plan(known, quota, priority, now, wanted)
        return Turns(known, opens_at=now + max(known.next_at - batch.latest, 0))

    async def cut(self, key: str, quota: Quota, *, known: BucketState, now: int, retry_after: int) -> BucketState:
        """
        Cut the rate once for all, because AWS throttled a call that had its turn in this state.

        Parameters:
            key: Account, Region and API.
            quota: What AWS grants.
            known: The bucket as it was when the turn was reserved; if it was cut since, it is not cut again.
            now: The present.
            retry_after: For how long AWS asks to be left alone; microseconds.

        Returns:
            The bucket as it is then.

        Raises:
            PrelaunchError: The table is missing or does not answer.
        """
        learnt = cut(known, quota, now, retry_after)
        if learnt is known:
            return await self._keep_away(key, known, now + retry_after)
        values = {"cutAt": now, "middle": learnt.middle, "pressed": 0, "cuts": learnt.cuts}
        # What was reserved since, or AWS has asked for, reaches further: then that stays.
        sooner = Attr("nextAt").not_exists() | Attr("nextAt").lte(learnt.next_at)
        try:
            return read_state(
                await self._update(key, {**values, "nextAt": learnt.next_at}, _same_cuts(known) & sooner, {})
            )
        except _Refused as refused:
            if refused.state.cuts != known.cuts:
                return await self._keep_away(key, refused.state, now + retry_after)
        try:
            return read_state(await self._update(key, values, _same_cuts(known), {}))
        except _Refused as refused:
            return await self._keep_away(key, refused.state, now + retry_after)

    async def read(self, key: str) -> BucketState:
        """
        Read a bucket as it is.

        Parameters:
            key: Account, Region and API.

        Returns:
            The bucket; one that nobody has used yet is full.

        Raises:
            PrelaunchError: The table is missing or does not answer.
        """
        return read_state(await self._tables.get("rate-buckets", key) or {})

    async def _keep_away(self, key: str, seen: BucketState, until: int) -> BucketState:
        """Keep what AWS asks for also where the rate was cut already."""
        if seen.next_at >= until:
            return seen
        try:
            return read_state(await self._update(key, {"nextAt": until}, Attr("nextAt").lt(until), {}))
        except _Refused as refused:
            return refused.state

    async def _update(
        self, key: str, values: Mapping[str, Any], condition: ConditionBase, add: Mapping[str, int]
    ) -> Item:
        write = Write("Update", "rate-buckets", (key,), dict(values), condition=condition, add=add)
        try:
            return await self._tables.write(write, shows_refused=True)
        except ConditionFailed as failed:
            raise _Refused(read_state(decode(failed.item or {}))) from failed


class _Refused(Exception):
    """Another process was there in between."""

    def __init__(self, state: BucketState) -> None:
        super().__init__()
        self.state = state


def read_state(item: Item) -> BucketState:
    """Read a bucket's item; {} is one that nobody has used yet."""
    return BucketState(
        item.get("nextAt", 0), item.get("cuts", 0), item.get("cutAt", 0), item.get("middle", 0), item.get("pressed", 0)
    )


def _same_cuts(known: BucketState) -> ConditionBase:
    return Attr("cuts").eq(known.cuts) if known.cuts else Attr("cuts").not_exists()
