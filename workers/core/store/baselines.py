"""
What was there before us, on a source server's own item: kept before the first write to AWS, and forgotten at a leave.

It has no end of its own. Who holds the source server's lease writes it, and nobody else.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from boto3.dynamodb.conditions import Attr

from workers.core.status import Status
from workers.core.store.leases import Lease, check_lease
from workers.core.store.records import ServerItem, to_item
from workers.core.store.refusals import ConditionFailed
from workers.core.store.tables import Tables
from workers.core.store.writes import REMOVE, Write

AT_ONCE = 32


def keep_baseline(
    group_id: str, source_server_id: str, baseline: Mapping[str, Any], lease: Lease, at: datetime
) -> list[Write]:
    """
    Keep what was there before us, for the transaction in which a change is written down.

    Parameters:
        group_id: The group.
        source_server_id: The source server.
        baseline: All that is known of it.
        lease: The source server's.
        at: The present.

    Returns:
        Writes that hold only while the lease is ours.
    """
    # Of a source server that nobody has settled yet there is no item: until then this one says nothing else.
    nothing = ServerItem(source_server_id, Status.PENDING, 0, "", at, 0)
    key = (group_id, f"server#{source_server_id}")
    kept = Write("Update", "runs", key, {"baseline": dict(baseline)}, first=to_item(nothing))
    return [kept, check_lease(lease)]


async def forget_baselines(tables: Tables, group_id: str, left: Iterable[ServerItem]) -> None:
    """
    Forget what was there before us in source servers that are no members: what they hold now is what is there.

    Parameters:
        tables: The stack's.
        group_id: The group.
        left: What is recorded of them, as it was read; one that is a member again meanwhile is left alone.
    """
    gate = asyncio.Semaphore(AT_ONCE)

    async def forget(item: ServerItem) -> None:
        as_read = Attr("baseline").eq(item.baseline) & Attr("generation").eq(item.generation)
        key = (group_id, f"server#{item.source_server_id}")
        async with gate:
            try:
                await tables.write(Write("Update", "runs", key, {"baseline": REMOVE}, condition=as_read))
            except ConditionFailed:
                return

    await asyncio.gather(*(forget(item) for item in left if item.baseline))
