"""
The journal: what was changed in each source server, from what to what, by which run.

It is written before the first write to AWS and completed at the record. Whoever does the work again finds less to
change; so the first value that was observed of a field stays, and a change is in the journal once, whoever dies.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from boto3.dynamodb.conditions import Attr

from workers.core.plan.drift import DriftItem
from workers.core.status import Status
from workers.core.store.records import FieldChange, ServerChange, ServerItem, expiry, to_time
from workers.core.store.refusals import ConditionFailed
from workers.core.store.tables import Tables
from workers.core.store.writes import Item, Write

FIELD = "field#"


class Journal:
    """Writes down what is changed, and reads it."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def begin(
        self, group_id: str, generation: int, source_server_id: str, drift: Sequence[DriftItem], at: datetime
    ) -> None:
        """
        Write down what is about to be changed.

        Parameters:
            group_id: The group.
            generation: The run's.
            source_server_id: The source server.
            drift: The fields, observed and desired.
            at: The present.
        """
        fields = {f"{FIELD}{i.field}": json.dumps({"observed": i.observed, "desired": i.desired}) for i in drift}
        first = {"sourceServerId": source_server_id, "begunAt": to_time(at), **fields}
        key = (group_id, _name(generation, source_server_id))
        await self._tables.write(Write("Update", "runs", key, expiry(at), first=first))

    def completion(self, group_id: str, generation: int, item: ServerItem) -> Write:
        """Write what came of a change that was begun, for the transaction of its record."""
        values = {"completedAt": to_time(item.last_applied), "outcome": item.status.value}
        return Write("Update", "runs", (group_id, _name(generation, item.source_server_id)), values)

    async def complete(self, group_id: str, generation: int, item: ServerItem) -> None:
        """
        Write down what came of a change, where one was begun and nobody has.

        Parameters:
            group_id: The group.
            generation: The run's.
            item: The record of the source server.
        """
        open_change = Attr("begunAt").exists() & Attr("completedAt").not_exists()
        try:
            await self._tables.write(replace(self.completion(group_id, generation, item), condition=open_change))
        except ConditionFailed:
            return

    async def read(self, group_id: str, generation: int) -> list[ServerChange]:
        """Read what a run changed, by source server."""
        items = self._tables.query("runs", group_id, _name(generation, ""))
        return [_read(item) async for item in items]


def _name(generation: int, source_server_id: str) -> str:
    return f"change#{generation:010d}#{source_server_id}"


def _read(item: Item) -> ServerChange:
    fields = {name.removeprefix(FIELD): json.loads(item[name]) for name in sorted(item) if name.startswith(FIELD)}
    completed_at, outcome = item.get("completedAt"), item.get("outcome")
    return ServerChange(
        source_server_id=item["sourceServerId"],
        fields=tuple(FieldChange(name, said["observed"], said["desired"]) for name, said in fields.items()),
        begun_at=datetime.fromisoformat(item["begunAt"]),
        completed_at=datetime.fromisoformat(completed_at) if completed_at else None,
        outcome=Status(outcome) if outcome else None,
    )
