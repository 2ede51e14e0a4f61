"""The journal over the twin's tables: each change once, with what was first observed, whoever dies."""

from dataclasses import replace
from datetime import timedelta

from tests.fakes.twin.store import TwinStore, over_the_twin
from tests.fakes.twin.world import EPOCH
from workers.core.plan.drift import DriftItem
from workers.core.status import Status
from workers.core.store.records import HISTORY_KEPT, FieldChange, ServerChange, ServerItem

A, B = (f"s-{letter * 17}" for letter in "ab")
LATER = EPOCH + timedelta(minutes=5)
DRIFT = [DriftItem("tags.Owner", None, "ops"), DriftItem("securityGroupIds", ["sg-1"], None)]
FIELDS = (FieldChange("securityGroupIds", ["sg-1"], None), FieldChange("tags.Owner", None, "ops"))
READY = ServerItem(A, Status.READY, 3, "sha256:a", LATER, 1)


@over_the_twin
async def test_a_change_is_written_down_before_and_completed_after(store: TwinStore) -> None:
    """From what to what, when it was begun, and what came of it; only of its own run."""
    await store.journal.begin("pg-1", 3, A, DRIFT, EPOCH)
    begun = ServerChange(A, FIELDS, EPOCH, None, None)
    assert await store.journal.read("pg-1", 3) == [begun]
    await store.tables.write(store.journal.completion("pg-1", 3, READY))
    assert await store.journal.read("pg-1", 3) == [replace(begun, completed_at=LATER, outcome=Status.READY)]
    assert await store.journal.read("pg-1", 33) == []
    assert await store.journal.read("pg-2", 3) == []
    item = store.item("runs", "pg-1", f"change#{3:010d}#{A}")
    assert item is not None
    assert item["expiresAt"] == int((EPOCH + HISTORY_KEPT).timestamp())


@over_the_twin
async def test_the_first_observation_stays(store: TwinStore) -> None:
    """Whoever does the work again finds less, or our own value: neither takes the place of what stood there first."""
    await store.journal.begin("pg-1", 3, A, DRIFT[:1], EPOCH)
    again = [DriftItem("tags.Owner", "ops", "ops"), DRIFT[1]]
    await store.journal.begin("pg-1", 3, A, again, LATER)
    assert await store.journal.read("pg-1", 3) == [ServerChange(A, FIELDS, EPOCH, None, None)]
    item = store.item("runs", "pg-1", f"change#{3:010d}#{A}")
    assert item is not None
    assert item["expiresAt"] == int((LATER + HISTORY_KEPT).timestamp())


@over_the_twin
async def test_a_change_is_completed_once_and_only_if_it_was_begun(store: TwinStore) -> None:
    """An outcome that comes late changes nothing, and makes nothing."""
    await store.journal.complete("pg-1", 3, READY)
    assert await store.journal.read("pg-1", 3) == []
    await store.journal.begin("pg-1", 3, A, DRIFT, EPOCH)
    await store.journal.complete("pg-1", 3, READY)
    done = ServerChange(A, FIELDS, EPOCH, LATER, Status.READY)
    assert await store.journal.read("pg-1", 3) == [done]
    failed = replace(READY, status=Status.FAILED, last_applied=LATER + timedelta(1))
    await store.journal.complete("pg-1", 3, failed)
    assert await store.journal.read("pg-1", 3) == [done]


@over_the_twin
async def test_changes_are_read_by_source_server(store: TwinStore) -> None:
    """In order of their ids, whichever was begun first."""
    for server in (B, A):
        await store.journal.begin("pg-1", 3, server, [], EPOCH)
    await store.journal.begin("pg-1", 4, A, DRIFT, EPOCH)
    assert [change.source_server_id for change in await store.journal.read("pg-1", 3)] == [A, B]
    assert [change.fields for change in await store.journal.read("pg-1", 4)] == [FIELDS]
