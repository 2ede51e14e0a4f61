"""
What is still to be told of what has settled, and the task tokens that wait for it.

A notice is written in the transaction that settles, and deleted once it is told: whoever dies between the two leaves
it to the sweeper. It holds all that is told, so that nothing that happens later changes it. A token is a secret: it
goes to the store and to Step Functions, never into an answer or a log.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import field, replace
from datetime import datetime

from boto3.dynamodb.conditions import Attr
from pydantic.dataclasses import dataclass

from workers.core.store.records import RECORD, expiry, from_item, to_item, to_time
from workers.core.store.refusals import ConditionFailed
from workers.core.store.run_writes import UNSETTLED
from workers.core.store.tables import Tables
from workers.core.store.writes import Write

UNTOLD = "untold"
"""The notices' own partition of the sparse index: who looks for runs does not meet them."""
TOKEN = "token#"  # noqa: S105  # nosec B105  # the name of an item


@dataclass(frozen=True, slots=True, config=RECORD)
class Notice:
    """Something that has settled, and is not told yet."""

    group_id: str
    """The group; of a wave its id, for the table's key has this name."""
    item: str
    generation: int
    """Tokens that wait for this generation or an older one are answered by it; 0 for a wave."""
    kind: str
    """The event's detail-type."""
    at: datetime
    """When it settled."""
    detail: str
    """The event's detail, and what a task is answered: JSON."""
    error: str
    """Why a task fails that waits for it; empty where it succeeds."""
    resend_after: datetime
    """When the sweeper tells it, if nobody has by then."""
    is_event: bool = True
    """Whether anybody but those who wait with a token is told."""
    tries: int = 0
    """How often a sweeper has begun to tell it."""
    told_at: datetime | None = None
    """When the event was accepted; None before, and where there is none."""


@dataclass(frozen=True, slots=True, config=RECORD)
class WaitingTask:
    """A task of Step Functions that waits."""

    item: str
    generation: int
    task_token: str = field(repr=False)


def untold(name: str) -> str:
    """Name the item of a notice."""
    return f"{UNTOLD}#{name}"


def put_notice(notice: Notice) -> Write:
    """Put what is to be told, for the transaction that settles it."""
    values = {**to_item(notice), UNSETTLED: UNTOLD, "resendAfter": to_time(notice.resend_after), **expiry(notice.at)}
    return Write("Put", "runs", (notice.group_id, notice.item), values)


def put_token(subject: str, task_token: str, generation: int, at: datetime) -> Write:
    """Let a task wait until a group settles at this generation or a later one, or until a wave (0) does."""
    key = (subject, f"{TOKEN}{name_token(task_token)}")
    return Write("Put", "runs", key, {"taskToken": task_token, "generation": generation, **expiry(at)})


def delete_token(subject: str, task_token: str) -> Write:
    """Let a task wait no more: its request was refused after all."""
    return Write("Delete", "runs", (subject, f"{TOKEN}{name_token(task_token)}"))


def name_token(task_token: str) -> str:
    """Name a token without showing it; a token can be longer than a sort key."""
    return hashlib.sha256(task_token.encode()).hexdigest()


class NoticeStore:
    """Reads what is to be told, and writes down that it was."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def read_due(self, now: datetime, *, limit: int) -> list[Notice]:
        """
        Find what is to be told by now, that which waits longest first.

        Parameters:
            now: The present.
            limit: The most that are answered.

        Returns:
            The notices as they are now, though the index may be behind.
        """
        keys = await self._tables.read_index(UNSETTLED, partition=UNTOLD, limit=limit, until=to_time(now))
        items = [await self._tables.get("runs", key["groupId"], key["item"]) for key in keys]
        return [from_item(Notice, item) for item in items if item is not None]

    async def claim(self, notice: Notice, next_at: datetime) -> Notice | None:
        """
        Take it on oneself to tell something.

        Parameters:
            notice: It, as it was read.
            next_at: When others tell it, if it is not told by then.

        Returns:
            It from then on; None where somebody else took it or has told it.
        """
        taken = replace(notice, tries=notice.tries + 1, resend_after=next_at)
        values = {"tries": taken.tries, "resendAfter": to_time(next_at)}
        mine = Attr("resendAfter").eq(to_time(notice.resend_after))
        try:
            await self._tables.write(Write("Update", "runs", (notice.group_id, notice.item), values, condition=mine))
        except ConditionFailed:
            return None
        return taken

    async def mark_told(self, notice: Notice, at: datetime) -> None:
        """Note that the event was accepted, while tokens are still to be answered."""
        key, known = (notice.group_id, notice.item), Attr("detail").exists()
        try:
            await self._tables.write(Write("Update", "runs", key, {"toldAt": to_time(at)}, condition=known))
        except ConditionFailed:
            return

    async def end(self, notice: Notice) -> None:
        """Write that there is nothing more to tell."""
        await self._tables.write(Write("Delete", "runs", (notice.group_id, notice.item)))

    async def read_tasks(self, notice: Notice) -> list[WaitingTask]:
        """Read which tasks wait for what a notice tells."""
        found = [from_item(WaitingTask, item) async for item in self._tables.query("runs", notice.group_id, TOKEN)]
        return [task for task in found if task.generation <= notice.generation]

    async def end_tasks(self, notice: Notice, answered: Iterable[WaitingTask]) -> None:
        """Write that tasks are answered; one that waits for a newer generation since then goes on waiting."""
        for task in answered:
            unchanged = Attr("generation").eq(task.generation)
            try:
                await self._tables.write(Write("Delete", "runs", (notice.group_id, task.item), condition=unchanged))
            except ConditionFailed:
                continue
