"""
The hold of a wave on a group: its writes and their conditions. No I/O.

A wave claims a group when it is accepted, so that no second wave recovers it beside; from when its recovery may be
started until every launch is final it *launches* it, and nobody writes to the launch templates. A recovery takes over
the hold of a drill, and no other one. All of it stands on the group's status item, beside what the settling and the
opening of generations write, which leave it alone.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from boto3.dynamodb.conditions import Attr, ConditionBase

from workers.core.status import Status
from workers.core.store.groups import is_status
from workers.core.store.records import GroupStatus, to_time
from workers.core.store.writes import REMOVE, Write

HOLD = ("heldBy", "heldUntil", "heldForDrill", "launching", "hasLeavers")
"""The attributes of a hold, and what is to be done when it ends."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What a wave asks of a group."""

    wave_id: str
    until: datetime
    """When it is over at the latest, whoever has died."""
    for_drill: bool

    def can_take(self, status: GroupStatus, now: datetime) -> bool:
        """Tell whether the group is free for it."""
        is_free = status.held_by is None or status.held_until is None or status.held_until <= now
        return is_free or status.held_by == self.wave_id or (status.held_for_drill and not self.for_drill)

    def claim(self, group_id: str, generation: int, now: datetime, *, launching: bool) -> Write:
        """
        Take the group.

        Parameters:
            group_id: The group.
            generation: At which it was read.
            now: The present.
            launching: Whether its recovery is about to be started: it has to be ready then.

        Returns:
            A write that holds only while the group is as it was read, and free.
        """
        free: ConditionBase = Attr("heldBy").not_exists() | Attr("heldUntil").lte(to_time(now))
        free |= Attr("heldBy").eq(self.wave_id)
        if not self.for_drill:
            free |= Attr("heldForDrill").eq(True)  # a value of DynamoDB's
        as_read: ConditionBase = Attr("generation").eq(generation)
        if launching:
            as_read &= Attr("status").eq(Status.READY.value)
        values = {
            "heldBy": self.wave_id,
            "heldUntil": to_time(self.until),
            "heldForDrill": self.for_drill,
            "launching": launching,
        }
        return Write("Update", "groups", (group_id, "status"), values, condition=as_read & free)

    def launch(self, group_id: str, status: GroupStatus) -> Write:
        """Keep everybody from a claimed group that is as it was read, from now on."""
        ours = Attr("heldBy").eq(self.wave_id) & is_status(status)
        return Write("Update", "groups", (group_id, "status"), {"launching": True}, condition=ours)

    def check(self, group_id: str) -> Write:
        """Check that the group is launched by this wave, so that nothing is started that others write to."""
        ours = Attr("heldBy").eq(self.wave_id) & Attr("launching").eq(True)  # a value of DynamoDB's
        return Write("ConditionCheck", "groups", (group_id, "status"), condition=ours)

    def release(self, group_id: str, status: GroupStatus) -> Write:
        """Give the group back, if it is this wave's and otherwise as it was read."""
        gone = dict.fromkeys(HOLD, REMOVE)
        ours = Attr("heldBy").eq(self.wave_id) & is_status(status)
        return Write("Update", "groups", (group_id, "status"), gone, condition=ours)


def hold_of(status: GroupStatus) -> dict[str, Any]:
    """Tell a status's hold, as the members that another status is made of."""
    names = ("held_by", "held_until", "held_for_drill", "launching", "has_leavers")
    return {name: getattr(status, name) for name in names}


def delete_status(group_id: str, status: GroupStatus) -> Write:
    """Delete a group's status that is still as it was read, and launched only if it was then."""
    return Write("Delete", "groups", (group_id, "status"), condition=is_status(status) & is_launched_as(status))


def is_launched_as(status: GroupStatus) -> ConditionBase:
    """Write the condition that whether a group is launched is still as it was read: by that a run is sent or not."""
    launching = Attr("launching")
    if status.launching:
        return launching.eq(True) & Attr("heldBy").eq(status.held_by)  # a value of DynamoDB's
    return launching.not_exists() | launching.eq(False)  # a value of DynamoDB's
