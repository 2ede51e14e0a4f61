"""
What was there before us, on a source server's own item: kept before the first write to AWS, and forgotten at a leave.

It has no end of its own. Who holds the source server's lease writes it, over what it has read and nothing else.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from boto3.dynamodb.conditions import Attr

from workers.core.status import Status
from workers.core.store.records import ServerItem, to_item
from workers.core.store.refusals import ConditionFailed
from workers.core.store.tables import Tables
from workers.core.store.writes import REMOVE, Write

AT_ONCE = 32


class BaselineStore:
    """Keeps and forgets what was there before us."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def keep(
        self,
        group_id: str,
        source_server_id: str,
        baseline: Mapping[str, Any],
        *,
        instead_of: Mapping[str, Any] | None,
        generation: int,
        at: datetime,
    ) -> bool:
        """
        Keep what was there before us.

        Parameters:
            group_id: The group.
            source_server_id: The source server, whose lease is the caller's.
            baseline: All that is known of it.
            instead_of: What was kept until now; None where nothing was.
            generation: The run's for which it was taken over.
            at: The present.

        Returns:
            Whether it is kept; False where somebody else kept something meanwhile, or a generation as new is recorded:
            who was stopped for longer than the lease must not write over what its successor knows.
        """
        # Of a source server that nobody has settled yet there is no item: until then this one says nothing else.
        nothing = ServerItem(source_server_id, Status.PENDING, 0, "", at, 0)
        older = Attr("generation").not_exists() | Attr("generation").lt(generation)
        before = Attr("baseline").not_exists() if instead_of is None else Attr("baseline").eq(dict(instead_of))
        # Ours already, where the SDK repeats a write whose answer was lost.
        unchanged = before | Attr("baseline").eq(dict(baseline))
        key, values = (group_id, f"server#{source_server_id}"), {"baseline": dict(baseline)}
        try:
            await self._tables.write(
                Write("Update", "runs", key, values, first=to_item(nothing), condition=older & unchanged)
            )
        except ConditionFailed:
            return False
        return True

    async def forget(self, group_id: str, left: Iterable[ServerItem]) -> None:
        """
        Forget what was there before us in source servers that are no members: what they hold now is what is there.

        Parameters:
            group_id: The group.
            left: What is recorded of them, as it was read; one that is a member again meanwhile is left alone.
        """
        gate = asyncio.Semaphore(AT_ONCE)

        async def forget(item: ServerItem) -> None:
            as_read = Attr("baseline").eq(item.baseline) & Attr("generation").eq(item.generation)
            key = (group_id, f"server#{item.source_server_id}")
            async with gate:
                try:
                    await self._tables.write(Write("Update", "runs", key, {"baseline": REMOVE}, condition=as_read))
                except ConditionFailed:
                    return

        await asyncio.gather(*(forget(item) for item in left if item.baseline))
