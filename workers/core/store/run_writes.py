"""The writes of runs: their head and list, their end, and what was done to a group without one. No I/O."""

from datetime import datetime

from boto3.dynamodb.conditions import Attr

from workers.core.store.records import GroupEvent, RunHead, expiry, to_item, to_time
from workers.core.store.writes import REMOVE, Index, Item, Write

UNSETTLED: Index = "unsettled"
"""The sparse index's partition: a run is in it until it has settled or is superseded."""
CLEARING = "clearing"
"""The item of a deleted group whose other items go."""


def put_run(group_id: str, head: RunHead, listed: frozenset[str]) -> list[Write]:
    """Put the head and the list of a new run; the head is in the sparse index until it settles."""
    values = {**to_item(head), UNSETTLED: UNSETTLED, "resendAfter": to_time(head.resend_after)}
    absent = Attr("groupId").not_exists()
    return [
        Write("Put", "runs", (group_id, padded("head", head.generation)), values, condition=absent),
        Write(
            "Put",
            "runs",
            (group_id, padded("list", head.generation)),
            {"sourceServerIds": sorted(listed)},
            condition=absent,
        ),
    ]


def close_run(group_id: str, generation: int, **values: str | int | Item) -> Write:
    """Take a run out of the sparse index, as settled, superseded or deleted with its group."""
    key = (group_id, padded("head", generation))
    return Write("Update", "runs", key, {**values, UNSETTLED: REMOVE}, condition=Attr("runId").exists())


def expire_run(group_id: str, generation: int, at: datetime, **values: str | int | Item) -> list[Write]:
    """Write that a run is history, since a newer generation owns its group."""
    head = {**values, UNSETTLED: REMOVE, **expiry(at)}
    known = Attr("groupId").exists()
    return [
        Write("Update", "runs", (group_id, padded("head", generation)), head, condition=known),
        Write("Update", "runs", (group_id, padded("list", generation)), {**expiry(at)}, condition=known),
    ]


def begin_run(group_id: str, head: RunHead, begins_at: datetime, look_at: datetime) -> Write:
    """
    Write from when a run's time counts: from now, as nothing keeps its jobs back any more, or until when a wave does.

    Parameters:
        group_id: The group.
        head: The run's head as it was read.
        begins_at: From when its time counts. It is unsent then: its jobs are sent once more, whether they were or not.
        look_at: When the sweeper is to look whether it was sent.

    Returns:
        A write that holds unless the run was sent since it was read.
    """
    deadline = head.deadline - head.counts_from + begins_at
    times = {"beginsAt": to_time(begins_at), "deadline": to_time(deadline), "resendAfter": to_time(look_at)}
    sent_at = Attr("sentAt")
    as_read = sent_at.not_exists() if head.sent_at is None else sent_at.eq(to_time(head.sent_at))
    key = (group_id, padded("head", head.generation))
    return Write("Update", "runs", key, {**times, "sentAt": REMOVE}, condition=Attr("runId").exists() & as_read)


def put_event(group_id: str, event: GroupEvent) -> Write:
    """Put on record what was done to a group without a run."""
    key = (group_id, f"event#{to_time(event.at)}#{event.kind}")
    return Write("Put", "runs", key, {**to_item(event), **expiry(event.at)})


def put_clearing(group_id: str, due_at: datetime) -> Write:
    """Put a deleted group into the sparse index, so that what is left of its items is looked for at that time."""
    return Write("Put", "runs", (group_id, CLEARING), {UNSETTLED: UNSETTLED, "resendAfter": to_time(due_at)})


def end_clearing(group_id: str) -> Write:
    """Write that nothing of a deleted group is left to clear."""
    return Write("Delete", "runs", (group_id, CLEARING))


def padded(kind: str, generation: int) -> str:
    """Name an item of a generation, so that the names are in the order of generations."""
    return f"{kind}#{generation:010d}"
