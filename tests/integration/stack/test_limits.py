"""What DynamoDB never takes: a key that no item can have is not there; an item that is too large is a bug of ours."""

import pytest
from botocore.exceptions import ClientError

from tests.integration.databases import over_every_database
from tests.integration.product import Product
from workers.core.outcome import Acknowledge
from workers.core.requests import NotFound
from workers.core.store.writes import Write

pytestmark = [pytest.mark.asyncio(loop_scope="session"), over_every_database]

LONG = "x" * 2100
"""DynamoDB takes partition keys of at most 2,048 bytes, and refuses a read of a longer one as it does a write."""
IMPOSSIBLE = ["", LONG, "é" * 1025]
"""An empty key, and ones of more than 2,048 bytes: the last one has fewer characters."""


@pytest.mark.parametrize("key", IMPOSSIBLE)
async def test_nothing_is_found_under_a_key_that_no_item_can_have(product: Product, key: str) -> None:
    """Read alone, with others or as a partition; the others are found."""
    group_id = await product.create(product.add_servers(1))
    tables = product.services.tables
    assert await tables.get("groups", key, "group") is None
    assert await tables.get("runs", group_id, key) is None
    found = await tables.get_many("groups", [(key, "group"), (group_id, "group"), (key, "status")])
    assert [item["groupId"] for item in found] == [group_id]
    assert [item async for item in tables.query("groups", key, "config#")] == []
    assert await tables.read_back("runs", key, "head#", limit=1, before=None) == []


async def test_a_message_for_such_a_group_is_done_with(product: Product) -> None:
    """A job or a wave that cannot be is acknowledged like any other unknown one, and does not come again."""
    product.count_anew()
    assert await product.workers.apply(LONG, "s-00000000000000000") == Acknowledge("group_unknown")
    assert isinstance(await product.workers.start_wave(LONG), Acknowledge)
    assert product.writes() == {}


@pytest.mark.parametrize("name", [LONG, "x" * 2043 + "é"])
async def test_a_group_of_such_a_name_is_not_found(product: Product, name: str) -> None:
    """The command line takes a name for an id: neither is there, and its own key is longer than the name."""
    with pytest.raises(NotFound) as missing:
        await product.services.queries.find(name)
    assert missing.value.code == "GROUP_NOT_FOUND"


async def test_what_can_never_be_stored_is_no_trouble_that_passes(product: Product) -> None:
    """Alone or in a transaction, and however the database words it: it is not answered by asking for another try."""
    write = Write("Put", "groups", ("pg-large", "group"), {"data": "x" * 410_000})
    for writing in (product.services.tables.write(write), product.services.tables.transact([write])):
        with pytest.raises(ClientError, match="Validation"):
            await writing
    assert await product.services.tables.get("groups", "pg-large", "group") is None
