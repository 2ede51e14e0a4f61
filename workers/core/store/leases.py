"""
Leases: one a source server, across all groups. They are what keeps two workers from writing at once.

A holder's time is measured on its monotonic clock from *before* the write that took the lease, so it always
believes to have less than it has; a taker waits some seconds past the expiry that it reads.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from boto3.dynamodb.conditions import Attr

from workers.core.clock import Time
from workers.core.errors import LeaseHeld, LeaseLost
from workers.core.settings import Settings
from workers.core.store.refusals import ConditionFailed
from workers.core.store.tables import Tables
from workers.core.store.writes import REMOVE, Item, Write, decode

REMEMBERED = timedelta(days=1)
"""How long a lease that has ended still tells when its source server was last written to."""


@dataclass(slots=True)
class Lease:
    """A lease that is held; it is renewed until it is given back."""

    key: str
    owner: str
    attempt: int
    """From 1: how many workers have taken this work without reporting an outcome, this one included."""
    ends_at: float
    """Monotonic seconds."""
    margin: timedelta
    hand_backs: int = 0
    """How often this work was handed back in order since it was last recorded."""
    last_write_at: datetime | None = None
    """When an earlier holder may last have written to AWS without recording it."""
    hold: timedelta = timedelta(0)
    """How long a write that was not answered keeps others away."""
    unanswered_at: datetime | None = None
    """When this holder last had no answer to a write."""
    time: Time = field(default_factory=Time, repr=False)

    def check(self) -> None:
        """
        Refuse to start a call that might outlive the lease.

        Raises:
            LeaseLost: Less than the margin is left.
        """
        if self.ends_at - self.time.monotonic() < self.margin.total_seconds():
            raise self.lost()

    def note_unanswered(self) -> None:
        """Keep others away for a while after this lease is given back: what was not answered may come late."""
        self.unanswered_at = self.time.wall()

    @property
    def held_until(self) -> int:
        """Tell until when others stay away once this lease is given back: milliseconds; 0 where they need not."""
        return 0 if self.unanswered_at is None else _milliseconds(self.unanswered_at + self.hold)

    def lost(self) -> LeaseLost:
        """Make the error that says so."""
        return LeaseLost(f"The lease {self.key} has too little time left or is another worker's.")


class LeaseStore:
    """Takes, renews and gives back leases."""

    def __init__(self, tables: Tables, settings: Settings, time: Time) -> None:
        self._tables = tables
        self._settings = settings
        self._time = time

    async def take(self, account_id: str, region: str, source_server_id: str, *, work: str = "") -> Lease:
        """
        Take the lease of a source server.

        Parameters:
            account_id: The account that the source server is in.
            region: Its Region.
            source_server_id: The source server.
            work: What it is taken for: claims without an outcome are counted for the same work only.

        Returns:
            The lease, ours until its time ends.

        Raises:
            LeaseHeld: Another worker holds it; `retry_after` is when it may be taken.
        """
        key = f"lease#{account_id}#{region}#{source_server_id}"
        owner = uuid.uuid4().hex
        before = self._time.monotonic()
        now, free = self._time.wall(), Attr("key").not_exists()
        stale = Attr("until").lt(_milliseconds(now - self._settings.lease_grace))
        until = _milliseconds(now + self._settings.lease)
        values = {"owner": owner, "until": until, "work": work, "expiresAt": REMOVE}
        # Ours already, where the SDK repeats a write whose answer was lost: one does not wait for oneself.
        ours = Attr("owner").eq(owner)
        write = Write("Update", "keys", (key,), values, condition=free | stale | ours, add={"attempts": 1})
        try:
            previous = await self._tables.write(write, returning="ALL_OLD", shows_refused=True)
            same = previous.get("work", work) == work
            if not same:
                anew = {"attempts": 1, "handBacks": 0}
                await self._tables.write(Write("Update", "keys", (key,), anew, condition=ours))
        except ConditionFailed as failed:
            held = LeaseHeld(f"Another worker is at work on {source_server_id}.", retry_after=self._settings.lease / 4)
            holder = decode(failed.item or {})
            held.for_same_work = "owner" in holder and holder.get("work") == work
            raise held from failed
        return Lease(
            key=key,
            owner=owner,
            attempt=previous.get("attempts", 0) + 1 if same else 1,
            ends_at=before + self._settings.lease.total_seconds(),
            margin=self._settings.lease_margin,
            hand_backs=previous.get("handBacks", 0) if same else 0,
            last_write_at=_last_write(previous, now),
            hold=self._settings.unanswered_hold,
            time=self._time,
        )

    async def renew(self, lease: Lease) -> None:
        """
        Prolong a lease that is still ours.

        Parameters:
            lease: The lease; told of its new end.

        Raises:
            LeaseLost: It is not.
        """
        before = self._time.monotonic()
        until = _milliseconds(self._time.wall() + self._settings.lease)
        write = Write("Update", "keys", (lease.key,), {"until": until}, condition=_is_ours(lease))
        try:
            await self._tables.write(write)
        except ConditionFailed as failed:
            raise lease.lost() from failed
        lease.ends_at = before + self._settings.lease.total_seconds()

    async def give_back(self, lease: Lease, *, last_write_at: datetime | None, outcome: bool) -> None:
        """
        Give a lease back without a record.

        Parameters:
            lease: The lease; one that is not ours any more is left alone.
            last_write_at: When this holder last sent a write to AWS, if it did.
            outcome: Whether this is an orderly hand-back, which does not count as an attempt.
        """
        # Without its owner, so that a renewal that is still on the wire cannot take it again.
        values: Item = {"until": lease.held_until, "owner": REMOVE}
        if last_write_at is not None:
            values["lastWriteAt"] = last_write_at.isoformat()
        add = {"attempts": -1, "handBacks": 1} if outcome else {}
        write = Write("Update", "keys", (lease.key,), values, condition=_is_ours(lease), add=add)
        try:
            await self._tables.write(write)
        except ConditionFailed:
            return


def end_lease(lease: Lease, last_write_at: datetime | None) -> Write:
    """
    Give the lease back with the record of the outcome.

    Parameters:
        lease: The lease.
        last_write_at: When anyone of ours may last have written to AWS; whichever group has the source server next
            must not believe a reading from before.

    Returns:
        One write, which holds only while the lease is ours.
    """
    if last_write_at is None and not lease.held_until:
        return Write("Delete", "keys", (lease.key,), condition=_is_ours(lease))
    gone = dict.fromkeys(("owner", "attempts", "handBacks", "work"), REMOVE)
    ended: Item = {"until": lease.held_until, **gone, "expiresAt": int((lease.time.wall() + REMEMBERED).timestamp())}
    if last_write_at is not None:
        ended["lastWriteAt"] = last_write_at.isoformat()
    return Write("Update", "keys", (lease.key,), ended, condition=_is_ours(lease))


def _is_ours(lease: Lease) -> Attr:
    return Attr("owner").eq(lease.owner)


def _last_write(previous: Item, now: datetime) -> datetime | None:
    if previous.get("until"):
        # Its holder died: it may have written to AWS until this very moment, for all that anyone knows.
        return now
    recorded = previous.get("lastWriteAt")
    return datetime.fromisoformat(str(recorded)) if recorded else None


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
