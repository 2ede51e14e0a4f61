"""Receipts over the twin's tables: a key names one request for a day, whoever repeats it when."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.twin.store import TwinStore, over_the_twin
from workers.core.requests import Conflict, Requester, RequestKey, RequestRefused
from workers.core.store.receipts import KEPT, Receipt
from workers.core.store.refusals import ConditionFailed

KEYED = Requester("alice", "http", "requested", key=RequestKey("k", "f" * 64))
UNKEYED = replace(KEYED, key=None)
RECEIPT = Receipt("pg-1", 3, accepted=True)


async def put(store: TwinStore, requester: Requester = KEYED, receipt: Receipt = RECEIPT) -> None:
    await store.tables.transact(store.receipts.put(requester, receipt))


@over_the_twin
async def test_a_repeated_request_finds_what_the_first_did(store: TwinStore) -> None:
    """Under the same key of the same requester; nobody else's key reaches into it."""
    assert await store.receipts.find(KEYED) is None
    at = replace(RECEIPT, at=store.world.now())
    await put(store, receipt=at)
    assert await store.receipts.find(KEYED) == at
    for principal, key in (("bob", "k"), ("alice", "l"), ("alic", "ek"), ("alicek", ""), ("11:alice", "k")):
        other = replace(KEYED, principal=principal, key=RequestKey(key, "f" * 64))
        assert await store.receipts.find(other) is None
    (item,) = store.world.tables.every("keys")
    assert re.fullmatch("request#[0-9a-f]{64}", item["key"]["S"])


@over_the_twin
async def test_a_key_names_one_request(store: TwinStore) -> None:
    """Another request under it is refused, and says for how long; its receipt cannot be written either."""
    await put(store)
    other = replace(KEYED, key=RequestKey("k", "e" * 64))
    with pytest.raises(RequestRefused, match=r"'k'.* 24 hours") as refused:
        await store.receipts.find(other)
    assert refused.value.code == "IDEMPOTENCY_KEY_REUSED"
    with pytest.raises(ConditionFailed):
        await put(store, other, replace(RECEIPT, subject="pg-2"))
    assert await store.receipts.find(KEYED) == RECEIPT


@over_the_twin
async def test_after_a_day_a_key_names_another_request(store: TwinStore) -> None:
    """Also while DynamoDB has not deleted the item yet; until then it does not."""
    await put(store)
    item = next(store.world.tables.every("keys"))
    ends_in = int(item["expiresAt"]["N"]) - store.world.now().timestamp()
    assert abs(ends_in - KEPT.total_seconds()) < 2
    await asyncio.sleep(ends_in - 1.5)
    assert await store.receipts.find(KEYED) == RECEIPT
    with pytest.raises(ConditionFailed):
        await put(store)
    await asyncio.sleep(1.5)
    assert await store.receipts.find(KEYED) is None
    other = replace(KEYED, key=RequestKey("k", "e" * 64))
    await put(store, other, replace(RECEIPT, subject="pg-2"))
    assert await store.receipts.find(other) == replace(RECEIPT, subject="pg-2")


@over_the_twin
async def test_the_very_moment_ends_a_receipt(store: TwinStore) -> None:
    """For who reads as for who writes, so that no request falls between the two."""
    await put(store)
    item = next(store.world.tables.every("keys"))
    at = store.world.now().replace(microsecond=0)
    at += timedelta(seconds=int(item["expiresAt"]["N"]) - int(at.timestamp()))
    store.receipts._clock = lambda: at
    assert await store.receipts.find(KEYED) is None
    await put(store)


@over_the_twin
async def test_without_a_key_there_is_no_receipt(store: TwinStore) -> None:
    """Nothing is looked for or written."""
    assert await store.receipts.find(UNKEYED) is None
    assert store.receipts.put(UNKEYED, RECEIPT) == []
    assert store.calls == []


@over_the_twin
async def test_what_is_asked_is_done_once(store: TwinStore) -> None:
    """Attempted where there is no receipt, and else answered as before; an attempt without an answer has none."""
    done: list[str] = []

    async def attempt() -> str | None:
        done.append("attempt")
        await put(store)
        return "new"

    async def nothing() -> None:
        return None

    async def repeat(receipt: Receipt) -> str:
        return f"again {receipt.subject}"

    assert await store.receipts.do_once(KEYED, nothing, repeat) is None
    assert await store.receipts.do_once(KEYED, attempt, repeat) == "new"
    assert await store.receipts.do_once(KEYED, attempt, repeat) == "again pg-1"
    assert done == ["attempt"]


@over_the_twin
async def test_what_its_own_twin_did_refuses_nobody(store: TwinStore) -> None:
    """A refusal that the same request caused, sent at once, is answered as that was; any other refusal stands."""

    async def repeat(receipt: Receipt) -> str:
        return f"again {receipt.subject}"

    async def refused() -> str:
        raise Conflict("It is there already.")

    async def overtaken() -> str:
        await put(store)
        return await refused()

    with pytest.raises(Conflict):
        await store.receipts.do_once(KEYED, refused, repeat)
    assert await store.receipts.do_once(KEYED, overtaken, repeat) == "again pg-1"
