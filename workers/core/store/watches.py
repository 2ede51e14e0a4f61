"""What the watch leaves behind: when it last looked where, and that all of a group was found right."""

from dataclasses import replace
from datetime import datetime, timedelta

from pydantic.dataclasses import dataclass

from workers.core.store.groups import is_status
from workers.core.store.records import RECORD, GroupStatus, Unlisted, from_item, to_item
from workers.core.store.refusals import ConditionFailed
from workers.core.store.tables import Tables
from workers.core.store.writes import REMOVE, Item, Write

REMEMBERED = timedelta(days=7)


@dataclass(frozen=True, slots=True, config=RECORD)
class Watched:
    """The last watch of an account and Region that came to its end."""

    watched_at: datetime
    """When it began."""
    missed: int = 0
    """How many in a row could not look at all that there was, this one included."""
    again_at: datetime | None = None
    """When it is worth while to look again; None where all was looked at, or that was tried often enough."""

    def is_over(self, now: datetime, period: timedelta) -> bool:
        """Tell whether it is time for the next one: schedule and timers ask for more than is needed."""
        return self.watched_at <= now - period / 2 or (self.again_at is not None and self.again_at <= now)


class WatchStore:
    """Remembers watches."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def read(self, account_id: str, region: str) -> Watched | None:
        """Read the last watch of an account and Region that came to its end."""
        item = await self._tables.get("keys", _key(account_id, region))
        return from_item(Watched, item) if item else None

    async def keep(self, account_id: str, region: str, watched: Watched) -> None:
        """Remember a watch that has come to its end."""
        values: Item = {"againAt": REMOVE, **to_item(watched)}
        values["expiresAt"] = int((watched.watched_at + REMEMBERED).timestamp())
        await self._tables.write(Write("Update", "keys", (_key(account_id, region),), values))

    async def confirm(self, group_id: str, status: GroupStatus, begun_at: datetime) -> bool:
        """
        Write that every member that is ready was found as it was applied.

        Parameters:
            group_id: The group.
            status: Its status, as it was read before AWS was.
            begun_at: When the reading began.

        Returns:
            Whether it was written; False where the group is not as it was read any more.
        """
        # Where members failed, nothing is known of when all were last right.
        verified_at = max(status.verified_at, begun_at) if status.verified_at is not None else None
        moved = to_item(replace(status, watched_at=begun_at, verified_at=verified_at))
        values: Item = {name: moved[name] for name in ("watchedAt", "verifiedAt") if name in moved}
        try:
            await self._tables.write(
                Write("Update", "groups", (group_id, "status"), values, condition=is_status(status))
            )
        except ConditionFailed:
            return False
        return True

    async def note_unlisted(self, group_id: str, status: GroupStatus, unlisted: Unlisted) -> None:
        """
        Note who matches a group's tags and is no member, unless the group is not as it was read any more.

        Parameters:
            group_id: The group.
            status: Its status, as it was read.
            unlisted: Who was found.
        """
        values: Item = {"unlisted": to_item(unlisted)}
        try:
            await self._tables.write(
                Write("Update", "groups", (group_id, "status"), values, condition=is_status(status))
            )
        except ConditionFailed:
            return


def _key(account_id: str, region: str) -> str:
    return f"watched#{account_id}#{region}"
