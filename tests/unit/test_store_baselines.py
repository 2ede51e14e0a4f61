"""What was there before us, over the twin's tables: kept by who has read what is there, and by nobody else."""

from typing import Any

from tests.fakes.twin.store import TwinStore, over_the_twin
from tests.fakes.twin.world import EPOCH
from workers.core.status import Status
from workers.core.store.baselines import BaselineStore
from workers.core.store.records import ServerItem, to_item
from workers.core.store.writes import Write

A = "s-" + "a" * 17
FIRST: dict[str, Any] = {"instanceType": "m5.large", "tags.Owner": None, "securityGroupIds": ["sg-1", "sg-2"]}
MORE: dict[str, Any] = {**FIRST, "copyTags": False, "tags.Name": {"instance": "web", "volume": None}}
KEY = ("pg-1", f"server#{A}")


async def keep(
    store: TwinStore, baseline: dict[str, Any], instead_of: dict[str, Any] | None, generation: int = 2
) -> bool:
    return await BaselineStore(store.tables).keep(
        "pg-1", A, baseline, instead_of=instead_of, generation=generation, at=EPOCH
    )


def ready(generation: int) -> ServerItem:
    return ServerItem(A, Status.READY, generation, "sha256:a", EPOCH, 1)


@over_the_twin
async def test_what_is_kept_is_read_as_it_was(store: TwinStore) -> None:
    """Of a source server that nobody has settled yet, and beside what is recorded of one; it has no end."""
    assert await keep(store, FIRST, None)
    item = await store.runs.read_server("pg-1", A)
    assert item is not None
    assert (item.baseline, item.generation, item.status) == (FIRST, 0, Status.PENDING)
    await store.put(Write("Update", "runs", KEY, to_item(ready(1))))
    assert await keep(store, MORE, FIRST)
    recorded = await store.runs.read_server("pg-1", A)
    assert recorded is not None
    assert (recorded.baseline, recorded.generation, recorded.status) == (MORE, 1, Status.READY)
    assert "expiresAt" not in (store.item("runs", *KEY) or {})


@over_the_twin
async def test_only_what_was_read_is_written_over(store: TwinStore) -> None:
    """Who was stopped for longer than the lease finds that another one has kept more; a repeated write is a success."""
    assert await keep(store, FIRST, None)
    assert await keep(store, FIRST, None), "the SDK repeats a write whose answer was lost"
    assert await keep(store, MORE, FIRST)
    assert not await keep(store, {"ebsOptimized": True}, None)
    assert not await keep(store, {**FIRST, "ebsOptimized": True}, FIRST)
    item = await store.runs.read_server("pg-1", A)
    assert item is not None
    assert item.baseline == MORE


@over_the_twin
async def test_an_older_generation_keeps_nothing(store: TwinStore) -> None:
    """Once a generation as new is recorded, what is put back was put back: nothing of it comes to life again."""
    await store.put(Write("Update", "runs", KEY, to_item(ready(2))))
    assert not await keep(store, FIRST, None, generation=1)
    assert not await keep(store, FIRST, None, generation=2)
    assert await keep(store, FIRST, None, generation=3)


@over_the_twin
async def test_only_what_was_read_is_forgotten(store: TwinStore) -> None:
    """Of who was a member; who is one again meanwhile, and was taken over anew, keeps that."""
    await keep(store, FIRST, None)
    read = await store.runs.read_server("pg-1", A)
    assert read is not None
    await keep(store, MORE, FIRST)
    baselines = BaselineStore(store.tables)
    await baselines.forget("pg-1", [read])
    again = await store.runs.read_server("pg-1", A)
    assert again is not None
    assert again.baseline == MORE
    await baselines.forget("pg-1", [again])
    gone = await store.runs.read_server("pg-1", A)
    assert gone is not None
    assert gone.baseline is None
    before = len(store.calls)
    await baselines.forget("pg-1", [gone])
    assert len(store.calls) == before
