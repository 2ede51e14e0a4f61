"""Groups of 4,000 source servers: one transaction, chunks and shards, and a clear refusal of what is more."""

import json
import random
from typing import Any

import pytest

from tests.integration.databases import over_every_database
from tests.integration.product import TESTER, Product
from workers.core.model.group import GroupTooLarge
from workers.core.model.group_parse import parse_group
from workers.core.queries import Page
from workers.core.store.tables import Tables
from workers.core.store.writes import Write

pytestmark = [pytest.mark.asyncio(loop_scope="session"), over_every_database]

COUNT = 4000
MEMBERS = [f"s-{number:017x}" for number in range(COUNT)]


def five_fields(number: int) -> dict[str, Any]:
    return {
        "instanceType": f"m{number % 9}.{number % 24 + 1}xlarge",
        "subnetId": f"subnet-{number * 7919:017x}",
        "staticPrivateIp": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
        "name": f"server {number * 104729}",
        "tags": {"owner": f"team {number * 15485863 % 9973}"},
    }


def large_body(product: Product) -> dict[str, Any]:
    overrides = [
        {"sourceServerId": server, "launchConfig": five_fields(number)} for number, server in enumerate(MEMBERS)
    ]
    return product.body(MEMBERS, launchConfig={"targetInstanceTypeRightSizingMethod": "NONE"}, servers=overrides)


async def test_4000_servers_with_five_overrides_each(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is opened in one transaction of at most 30 items and 1 MB, sent in batches, and read page by page."""
    transactions: list[list[Write]] = []
    transact = Tables.transact

    async def watched(tables: Tables, writes: list[Write]) -> None:
        transactions.append(writes)
        await transact(tables, writes)

    monkeypatch.setattr(Tables, "transact", watched)
    body = large_body(product)
    assert len(json.dumps(body, separators=(",", ":"))) <= 1024 * 1024
    with product.unchecked():
        head = await product.services.submission.create_group(parse_group(body), TESTER)
    (writes,) = transactions
    assert len(writes) <= 30
    sizes = [sum(len(v) if isinstance(v, bytes) else len(json.dumps(v)) for v in w.values.values()) for w in writes]
    assert max(sizes) < 400_000
    assert sum(sizes) < 1_000_000
    assert product.calls()["sqs.SendMessageBatch"] == COUNT / 10
    seen: set[str] = set()
    token = None
    while True:
        view = await product.services.queries.status(head.group_id, Page(limit=1000, token=token))
        seen |= set(view.servers)
        token = view.next_token
        if token is None:
            break
    assert seen == set(MEMBERS)
    assert view.status is not None
    assert view.status.counts.pending == COUNT

    # Another half of the overrides: one more generation, and only what changed is listed.
    body["servers"] = body["servers"][: COUNT // 2]
    with product.unchecked():
        updated = await product.update(head.group_id, {"servers": body["servers"]})
    assert updated.reapply is not None
    assert len(updated.reapply.source_server_ids) == COUNT
    transactions.clear()
    await product.services.removal.delete_group(head.group_id, TESTER)
    assert [len(writes) <= 30 for writes in transactions] == [True]
    product.take_jobs()


async def test_more_than_a_transaction_holds_is_refused(product: Product) -> None:
    """A definition that does not compress below 1 MB is refused in words, and nothing of it is stored."""
    noise = random.Random(1)
    overrides = [
        {"sourceServerId": server, "launchConfig": {"tags": {str(n): noise.randbytes(125).hex() for n in range(50)}}}
        for server in MEMBERS[:200]
    ]
    definition = parse_group(product.body(MEMBERS[:200], servers=overrides))
    before = product.writes()
    with product.unchecked(), pytest.raises(GroupTooLarge, match="1000000 bytes"):
        await product.services.submission.create_group(definition, TESTER)
    assert product.writes() == before
