"""Groups over the twin's tables: heads, definitions in chunks, statuses, names, and what each condition refuses."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.runs import MEMBERS, OPENED_AT, run_over, status_of
from tests.fakes.twin.store import TwinStore, over_the_twin
from tests.fakes.twin.world import EPOCH
from workers.core.errors import GroupDeleted
from workers.core.model.group import ServerOverride
from workers.core.model.launch_config import LaunchConfig
from workers.core.status import Status
from workers.core.store.groups import check_head, check_status, delete_head, put_definition, put_head
from workers.core.store.holds import delete_status
from workers.core.store.records import HISTORY_KEPT, GroupHead, to_item
from workers.core.store.refusals import ConditionFailed
from workers.core.store.writes import Write

RUN = run_over(MEMBERS, frozenset(MEMBERS))
DEFINITION = RUN.definition
HEAD = GroupHead("pg-1", "web", "us-east-1", "111122223333", 1, OPENED_AT, OPENED_AT, change_id="c")
STATUS = status_of(RUN)


async def put_status(store: TwinStore, group_id: str, status: Status) -> None:
    await store.put(Write("Put", "groups", (group_id, "status"), to_item(replace(STATUS, status=status))))


@over_the_twin
async def test_a_group_is_read_as_it_was_put(store: TwinStore) -> None:
    """What it is, where it stands, and by its name; what there is not is None."""
    await store.put(put_head(HEAD), Write("Put", "keys", ("name#web",), {"groupId": "pg-1"}))
    assert await store.groups.read_head("pg-1") == HEAD
    assert await store.groups.read_status("pg-1") is None
    await put_status(store, "pg-1", Status.READY)
    assert await store.groups.read_status("pg-1") == replace(STATUS, status=Status.READY)
    assert await store.groups.find_named("web") == "pg-1"
    assert await store.groups.find_named("db") is None
    assert await store.groups.read_head("pg-2") is None
    assert await store.groups.read_status("pg-2") is None


@over_the_twin
async def test_a_group_is_put_over_what_was_read_alone(store: TwinStore) -> None:
    """A new one over none, a changed one over its version; checked and deleted only while it is so."""
    await store.put(put_head(HEAD))
    with pytest.raises(ConditionFailed):
        await store.tables.write(put_head(HEAD))
    second = replace(HEAD, version=2)
    with pytest.raises(ConditionFailed):
        await store.tables.write(put_head(second, over=2))
    await store.put(put_head(second, over=1))
    assert await store.groups.read_head("pg-1") == second
    for stale in (check_head(HEAD), delete_head(HEAD)):
        with pytest.raises(ConditionFailed):
            await store.tables.transact([stale])
    await store.tables.transact([check_head(second)])
    assert store.item("groups", "pg-1", "group") is not None
    await store.tables.transact([delete_head(second)])
    assert store.item("groups", "pg-1", "group") is None


@over_the_twin
async def test_a_status_is_checked_as_it_was_read(store: TwinStore) -> None:
    """None, or its generation and its status together."""
    await store.tables.transact([check_status("pg-1", None)])
    await put_status(store, "pg-1", Status.PENDING)
    others = (None, replace(STATUS, generation=2), replace(STATUS, status=Status.READY))
    for other in others:
        with pytest.raises(ConditionFailed):
            await store.tables.transact([check_status("pg-1", other)])
    await store.tables.transact([check_status("pg-1", STATUS)])
    assert store.item("groups", "pg-1", "status") is not None


@over_the_twin
async def test_a_status_is_deleted_as_it_was_read(store: TwinStore) -> None:
    """At its generation, settled or not, and launched only if it was so when it was read."""
    await put_status(store, "pg-1", Status.PENDING)
    launched = replace(STATUS, launching=True, held_by="w-1")
    others = (replace(STATUS, generation=2), replace(STATUS, status=Status.READY), launched)
    for other in others:
        with pytest.raises(ConditionFailed):
            await store.tables.transact([delete_status("pg-1", other)])
    await store.tables.transact([delete_status("pg-1", STATUS)])
    assert store.item("groups", "pg-1", "status") is None
    await store.put(Write("Put", "groups", ("pg-1", "status"), to_item(launched)))
    for other in (STATUS, replace(launched, held_by="w-2")):
        with pytest.raises(ConditionFailed):
            await store.tables.transact([delete_status("pg-1", other)])
    await store.tables.transact([delete_status("pg-1", launched)])
    assert store.item("groups", "pg-1", "status") is None


@over_the_twin
async def test_a_definition_of_many_chunks_is_read_whole(store: TwinStore) -> None:
    """Its own version's and no other's, in order; where one is gone the group is."""
    overrides = {
        each: ServerOverride(each, use_group_defaults=True, launch_config=LaunchConfig({"name": each[::-1] * 7}))
        for each in MEMBERS
    }
    large = replace(DEFINITION, overrides=overrides)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workers.core.store.groups.CHUNK_BYTES", 50)
        chunks = [*put_definition("pg-1", 7, large)]
    assert len(chunks) > 10
    assert {len(write.values["data"]) for write in chunks[:-1]} == {50}
    assert {write.values["chunks"] for write in chunks} == {len(chunks)}
    await store.put(*chunks, *put_definition("pg-1", 70, DEFINITION))
    assert await store.groups.read_definition("pg-1", 7) == large
    assert await store.groups.read_definition("pg-1", 70) == DEFINITION
    for gone in ("pg-2", "pg-1"):
        with pytest.raises(GroupDeleted, match=gone):
            await store.groups.read_definition(gone, 8)
    await store.put(*put_definition("pg-3", 1, large))
    assert len([*put_definition("pg-3", 1, large)]) == 1, "a chunk holds what DynamoDB takes"
    await store.put(*(replace(write, key=("pg-4", write.key[1])) for write in chunks[1:]))
    with pytest.raises(GroupDeleted):
        await store.groups.read_definition("pg-4", 7)


@over_the_twin
async def test_definitions_end_once_they_are_history(store: TwinStore) -> None:
    """Each chunk of each version gets its end, and one that is gone meanwhile is not made anew."""
    for version in (1, 2, 3):
        await store.put(*put_definition("pg-1", version, DEFINITION))
    writes = await store.groups.expire_definitions("pg-1", [1, 3], EPOCH)
    assert [write.key for write in writes] == [("pg-1", f"config#{version:010d}#0000") for version in (1, 3)]
    await store.tables.transact(writes)
    ends = [store.item("groups", "pg-1", f"config#{version:010d}#0000") for version in (1, 2, 3)]
    at = int((EPOCH + HISTORY_KEPT).timestamp())
    assert [item.get("expiresAt") for item in ends if item] == [at, None, at]
    assert timedelta(days=30) < HISTORY_KEPT
    await store.groups.delete_definitions("pg-1")
    with pytest.raises(ConditionFailed):
        await store.tables.transact(writes)
    assert [*store.world.tables.every("groups")] == []


@over_the_twin
async def test_many_groups_are_read_in_one_call(store: TwinStore) -> None:
    """In the order that was asked, each with its status if it has one; one that is gone is left out."""
    heads = {f"pg-{n}": replace(HEAD, group_id=f"pg-{n}", name=f"web {n}") for n in (1, 2, 3)}
    await store.put(*map(put_head, heads.values()))
    await put_status(store, "pg-2", Status.FAILED)
    await put_status(store, "pg-9", Status.FAILED)
    store.calls.clear()
    read = await store.groups.read_many(["pg-3", "pg-9", "pg-2", "pg-8"])
    assert read == {"pg-3": (heads["pg-3"], None), "pg-2": (heads["pg-2"], replace(STATUS, status=Status.FAILED))}
    assert list(read) == ["pg-3", "pg-2"]
    assert len(store.calls) == 1


@over_the_twin
async def test_groups_are_listed_by_name_then_id(store: TwinStore) -> None:
    """Page after page, none twice and none left out."""
    names = {"pg-1": "b", "pg-2": "a", "pg-3": "b", "pg-4": "c"}
    await store.put(*(put_head(replace(HEAD, group_id=group, name=name)) for group, name in names.items()))
    by_name = [("a", "pg-2"), ("b", "pg-1"), ("b", "pg-3"), ("c", "pg-4")]
    assert await store.groups.read_named(10, None) == by_name
    assert await store.groups.read_named(2, None) == by_name[:2]
    assert await store.groups.read_named(10, by_name[1]) == by_name[2:]
    assert await store.groups.read_named(10, by_name[3]) == []


@over_the_twin
async def test_a_deleted_groups_definitions_go(store: TwinStore) -> None:
    """All versions of it; nothing else of it and nothing of another group."""
    await store.put(put_head(HEAD))
    for group in ("pg-1", "pg-2"):
        for version in (1, 2):
            await store.put(*put_definition(group, version, DEFINITION))
    await store.groups.delete_definitions("pg-1")
    left = {(item["groupId"]["S"], item["item"]["S"]) for item in store.world.tables.every("groups")}
    assert left == {("pg-1", "group"), *(("pg-2", f"config#{version:010d}#0000") for version in (1, 2))}
