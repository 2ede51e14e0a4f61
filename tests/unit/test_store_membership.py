"""The membership index over the twin's tables: a source server is in one group at most, whoever is faster."""

import pytest

from tests.fakes.twin.store import TwinStore, over_the_twin
from workers.core.store.membership import SHARDS, change_members, find_owners, read_all_shards, read_shards
from workers.core.store.refusals import ConditionFailed

ACCOUNT, REGION = "111122223333", "us-east-1"
SERVERS = tuple(f"s-{number:017d}" for number in range(60))


async def join(store: TwinStore, group_id: str, *joining: str, leaving: tuple[str, ...] = ()) -> None:
    shards = await read_shards(store.tables, ACCOUNT, REGION, [*joining, *leaving])
    await store.tables.transact([*change_members(shards, group_id, joining=joining, leaving=leaving)])


async def owners(store: TwinStore, *servers: str) -> dict[str, str]:
    return find_owners(await read_shards(store.tables, ACCOUNT, REGION, servers), servers)


@over_the_twin
async def test_members_stand_in_as_few_shards_as_hold_them(store: TwinStore) -> None:
    """Each under its own account and Region; a second join grows the versions of the shards that it is in."""
    await join(store, "pg-1", *SERVERS[:40])
    assert await owners(store, *SERVERS) == dict.fromkeys(SERVERS[:40], "pg-1")
    keys = {item["key"]["S"] for item in store.world.tables.every("keys")}
    assert keys <= {f"servers#{ACCOUNT}#{REGION}#{number}" for number in range(SHARDS)}
    assert len(keys) > SHARDS / 2
    (shard,) = await read_shards(store.tables, ACCOUNT, REGION, SERVERS[:1])
    assert shard.version == 1
    # Where a source server stands may never change, or it could be taken twice.
    assert (SHARDS, shard.key) == (16, f"servers#{ACCOUNT}#{REGION}#13")
    await join(store, "pg-2", *SERVERS[40:])
    (again,) = await read_shards(store.tables, ACCOUNT, REGION, SERVERS[:1])
    assert again.version == 2
    assert await owners(store, *SERVERS) == {
        **dict.fromkeys(SERVERS[:40], "pg-1"),
        **dict.fromkeys(SERVERS[40:], "pg-2"),
    }


@over_the_twin
async def test_who_reads_the_same_shard_loses_to_who_writes_first(store: TwinStore) -> None:
    """Also where it was not there yet: nothing of the loser's is written."""
    for _ in range(2):
        shards = await read_shards(store.tables, ACCOUNT, REGION, SERVERS[:1])
        await store.tables.transact([*change_members(shards, "pg-1", joining=SERVERS[:1])])
        with pytest.raises(ConditionFailed):
            await store.tables.transact([*change_members(shards, "pg-2", joining=SERVERS[:1])])
        assert await owners(store, SERVERS[0]) == {SERVERS[0]: "pg-1"}


@over_the_twin
async def test_who_leaves_leaves_its_own_group_alone(store: TwinStore) -> None:
    """A member goes and may join another group; one that is another group's stays there."""
    await join(store, "pg-1", *SERVERS[:20])
    await join(store, "pg-2", *SERVERS[20:40])
    await join(store, "pg-1", *SERVERS[40:50], leaving=(*SERVERS[:10], *SERVERS[20:30]))
    assert await owners(store, *SERVERS) == {
        **dict.fromkeys(SERVERS[10:20], "pg-1"),
        **dict.fromkeys(SERVERS[20:40], "pg-2"),
        **dict.fromkeys(SERVERS[40:50], "pg-1"),
    }


@over_the_twin
async def test_every_shard_that_there_is_is_read(store: TwinStore) -> None:
    """As each is read by itself; of another account or Region there is none."""
    assert await read_all_shards(store.tables, ACCOUNT, REGION) == []
    await join(store, "pg-1", *SERVERS)
    found = await read_all_shards(store.tables, ACCOUNT, REGION)
    assert sorted(found, key=lambda shard: int(shard.key.rpartition("#")[2])) == await read_shards(
        store.tables, ACCOUNT, REGION, SERVERS
    )
    assert find_owners(found, SERVERS) == dict.fromkeys(SERVERS, "pg-1")
    assert await read_all_shards(store.tables, ACCOUNT, "eu-west-1") == []


@over_the_twin
async def test_another_region_and_account_is_another_index(store: TwinStore) -> None:
    """The same id elsewhere is another source server."""
    await join(store, "pg-1", *SERVERS[:5])
    for account, region in ((ACCOUNT, "eu-west-1"), ("999988887777", REGION)):
        assert find_owners(await read_shards(store.tables, account, region, SERVERS[:5]), SERVERS[:5]) == {}
