"""Tables over the twin: pages, batches, conditions, contention, and what is asked for again."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr

from tests.fakes.twin.dynamodb import PAGE, refuse
from tests.fakes.twin.store import TwinStore, over_the_twin
from tests.fakes.twin.world import Trouble
from tests.fakes.virtual_time import now, run_virtually
from workers.core.errors import ServiceUnavailable, SetupError
from workers.core.store.refusals import ConditionFailed, TableMissing
from workers.core.store.tables import (
    BATCH_READ,
    BATCH_WRITE,
    CONTENTION_TRIES,
    FIRST_WAIT,
    LONGEST_WAIT,
    Tables,
)
from workers.core.store.writes import LONGEST_KEYS, Write, decode, encode

TOO_LONG = "x" * (LONGEST_KEYS[0] + 1)
MANY = [f"server#{number:04d}" for number in range(2 * PAGE + 30)]


async def fill(store: TwinStore, *names: str, partition: str = "pg-1") -> None:
    await store.put(*(Write("Put", "runs", (partition, name), {"n": position}) for position, name in enumerate(names)))
    store.calls.clear()


def operations(store: TwinStore) -> list[str]:
    return [call.operation for call in store.calls]


class Scripted:
    """A client of DynamoDB's that gives these answers, and notes what it was asked and when."""

    def __init__(self, *answers: Mapping[str, Any] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Any]] = []

    def __getattr__(self, operation: str) -> Any:
        async def call(**request: Any) -> Any:
            self.asked.append((operation, request))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


@over_the_twin
async def test_every_table_is_looked_for(store: TwinStore) -> None:
    """Five of the stack's own; of another stack's a SetupError says that it is missing."""
    await store.tables.check()
    assert {call.request["TableName"] for call in store.calls} == {
        "twin-groups",
        "twin-runs",
        "twin-keys",
        "twin-waves",
        "twin-rate-buckets",
    }
    with pytest.raises(SetupError, match="'other'") as missing:
        await Tables(store.client, "other").check()
    assert missing.value.code == "TABLE_MISSING"
    assert isinstance(missing.value, TableMissing)
    assert missing.value.names == ("other-groups",)


@over_the_twin
async def test_an_item_is_read_as_it_was_written(store: TwinStore) -> None:
    """In Python's types, whole numbers and bytes among them; what is not there is None."""
    values = {"text": "a", "count": 3, "on": True, "data": b"\x00\x01", "list": [1, {"deep": 2}], "none": None}
    await store.put(Write("Put", "runs", ("pg-1", "head#1"), values))
    item = await store.tables.get("runs", "pg-1", "head#1")
    assert item == {"groupId": "pg-1", "item": "head#1", **values}
    assert {type(item[name]) for name in ("count", "data")} == {int, bytes}
    assert await store.tables.get("runs", "pg-1", "head#2") is None


@pytest.mark.parametrize("key", [("", "a"), ("a", ""), (TOO_LONG, "a"), ("a", "ä" * 513)])
@over_the_twin
async def test_a_key_that_no_item_can_have_is_not_asked_for(store: TwinStore, key: tuple[str, str]) -> None:
    """Empty, or of more bytes than DynamoDB takes: it would be refused as an error of ours."""
    assert await store.tables.get("runs", *key) is None
    assert await store.tables.get_many("runs", [key]) == []
    if key[0] != "a":
        assert [item async for item in store.tables.query("runs", key[0], "")] == []
        assert await store.tables.read_back("runs", key[0], "", limit=5, before=None) == []
    assert store.calls == []


@over_the_twin
async def test_the_longest_keys_are_asked_for(store: TwinStore) -> None:
    """To the byte."""
    key = ("p" * LONGEST_KEYS[0], "s" * LONGEST_KEYS[1])
    await store.put(Write("Put", "runs", key, {"n": 1}))
    assert await store.tables.get("runs", *key) == {"groupId": key[0], "item": key[1], "n": 1}
    assert len([item async for item in store.tables.query("runs", key[0], "")]) == 1


@over_the_twin
async def test_many_items_are_read_a_hundred_a_call(store: TwinStore) -> None:
    """Each once; those that there are, and none for a key that there cannot be."""
    await fill(store, *MANY)
    keys = [("pg-1", name) for name in [*MANY, *(f"absent#{n}" for n in range(120))]]
    items = await store.tables.get_many("runs", [*keys, ("pg-1", "")])
    assert sorted(item["item"] for item in items) == MANY
    asked = [len(call.request["RequestItems"]["twin-runs"]["Keys"]) for call in store.calls]
    assert asked == [BATCH_READ, BATCH_READ, 50]
    assert await store.tables.get_many("runs", []) == []


def test_what_a_full_answer_leaves_over_is_asked_for_again() -> None:
    """Only that, after a rest; what was answered is kept."""
    keys = [encode({"groupId": "pg-1", "item": name}) for name in ("a", "b")]
    client = Scripted(
        {"Responses": {"s-runs": [keys[0]]}, "UnprocessedKeys": {"s-runs": {"Keys": keys[1:]}}},
        {"Responses": {}, "UnprocessedKeys": {"s-runs": {"Keys": keys[1:]}}},
        {"Responses": {"s-runs": [keys[1]]}},
    )

    async def read() -> list[dict[str, Any]]:
        began = now()
        items = await Tables(client, "s").get_many("runs", [("pg-1", "a"), ("pg-1", "b")])
        assert FIRST_WAIT.total_seconds() <= now() - began <= 3 * FIRST_WAIT.total_seconds()
        return items

    assert run_virtually(read) == [decode(key) for key in keys]
    wanted = [request["RequestItems"]["s-runs"] for _, request in client.asked]
    assert [each["Keys"] for each in wanted] == [keys, keys[1:], keys[1:]]
    assert all(each["ConsistentRead"] is True for each in wanted)


def test_what_is_left_over_for_ever_is_an_outage() -> None:
    """After as many tries as contention is given; reading and deleting alike."""
    keys = [encode({"groupId": "pg-1", "item": "a"})]
    client = Scripted({"Responses": {}, "UnprocessedKeys": {"s-runs": {"Keys": keys}}})

    async def read() -> None:
        with pytest.raises(ServiceUnavailable, match="s-runs unread"):
            await Tables(client, "s").get_many("runs", [("pg-1", "a")])

    run_virtually(read)
    assert len(client.asked) == CONTENTION_TRIES

    left = {"UnprocessedItems": {"s-runs": [{"DeleteRequest": {"Key": keys[0]}}]}}
    client = Scripted({"Items": keys}, left)

    async def delete() -> None:
        with pytest.raises(ServiceUnavailable, match="s-runs undeleted"):
            await Tables(client, "s").delete_all("runs", "pg-1", "")

    run_virtually(delete)
    assert len(client.asked) == 1 + CONTENTION_TRIES


@over_the_twin
async def test_a_partition_is_read_in_order_and_whole(store: TwinStore) -> None:
    """Over as many pages as it takes; only what begins with the prefix, and of no other partition."""
    await fill(store, *reversed(MANY), "head#1", "server$", "zz")
    await fill(store, "server#0000", partition="pg-2")
    assert [item["item"] async for item in store.tables.query("runs", "pg-1", "server#")] == MANY
    assert operations(store) == ["query"] * 3
    everything = [item["item"] async for item in store.tables.query("runs", "pg-1", "")]
    assert everything == sorted([*MANY, "head#1", "server$", "zz"])
    assert [item async for item in store.tables.query("runs", "pg-3", "")] == []


@pytest.mark.parametrize("limit", [1, 7, PAGE, 2 * PAGE + 1, len(MANY), 500])
@over_the_twin
async def test_a_page_is_read_from_the_end(store: TwinStore, limit: int) -> None:
    """As many as are asked for unless there are no more, however DynamoDB cuts them; the next begins behind them."""
    await fill(store, *MANY, "head#1", "zz")
    newest_first = MANY[::-1]
    page = await store.tables.read_back("runs", "pg-1", "server#", limit=limit, before=None)
    assert [item["item"] for item in page] == newest_first[:limit]
    before = page[-1]["item"]
    following = await store.tables.read_back("runs", "pg-1", "server#", limit=limit, before=before)
    assert [item["item"] for item in following] == newest_first[limit : 2 * limit]
    assert all(call.request["Limit"] <= limit for call in store.calls)


@over_the_twin
async def test_a_sparse_index_is_read_in_order(store: TwinStore) -> None:
    """Page after page, up to a greatest key where one is given; what is not in it is not answered."""
    for number in range(PAGE + 20):
        due = {"unsettled": "unsettled", "resendAfter": f"{number // 2:04d}"}
        await store.put(Write("Put", "runs", (f"pg-{number % 7}", f"head#{number:04d}"), due))
    await store.put(Write("Put", "runs", ("pg-1", "settled"), {"resendAfter": "0001"}))
    whole = await store.tables.read_index("unsettled", limit=500)
    assert [item["resendAfter"] for item in whole] == [f"{number // 2:04d}" for number in range(PAGE + 20)]
    assert {item["groupId"] for item in whole} == {f"pg-{number}" for number in range(7)}
    read = await store.tables.read_index("unsettled", limit=9)
    while page := await store.tables.read_index("unsettled", limit=9, after=read[-1]):
        read += page
    assert read == whole
    until = await store.tables.read_index("unsettled", limit=500, until="0003")
    assert [item["resendAfter"] for item in until] == ["0000", "0000", "0001", "0001", "0002", "0002", "0003", "0003"]


@over_the_twin
async def test_what_begins_with_a_prefix_is_deleted(store: TwinStore) -> None:
    """Twenty-five a call, and nothing else."""
    await fill(store, *MANY[:60], "head#1", "zz")
    await fill(store, "server#0000", partition="pg-2")
    await store.tables.delete_all("runs", "pg-1", "server#")
    deleted = [call.request["RequestItems"]["twin-runs"] for call in store.calls if call.operation.startswith("batch")]
    assert [len(each) for each in deleted] == [BATCH_WRITE, BATCH_WRITE, 10]
    assert [item["item"] async for item in store.tables.query("runs", "pg-1", "")] == ["head#1", "zz"]
    assert store.item("runs", "pg-2", "server#0000") is not None


def test_what_was_not_deleted_is_deleted_again() -> None:
    """Only that, after a rest."""
    keys = [encode({"groupId": "pg-1", "item": name}) for name in ("a", "b")]
    left = {"s-runs": [{"DeleteRequest": {"Key": keys[1]}}]}
    client = Scripted({"Items": keys}, {"UnprocessedItems": left}, {"UnprocessedItems": left}, {})

    async def delete() -> None:
        began = now()
        await Tables(client, "s").delete_all("runs", "pg-1", "")
        assert FIRST_WAIT.total_seconds() <= now() - began <= 3 * FIRST_WAIT.total_seconds()

    run_virtually(delete)
    whole = {"s-runs": [{"DeleteRequest": {"Key": key}} for key in keys]}
    assert [request["RequestItems"] for _, request in client.asked[1:]] == [whole, left, left]


def test_a_table_that_is_gone_is_named() -> None:
    """Whichever call meets it first: DynamoDB itself does not say which one is missing."""
    gone = refuse("ResourceNotFoundException", "BatchWriteItem")
    keys = [encode({"groupId": "pg-1", "item": "a"})]
    write = Write("Put", "runs", ("pg-1", "a"), {})
    both = [write, Write("Delete", "keys", ("name#web",)), Write("Delete", "runs", ("pg-1", "b"))]

    async def meet(work: Callable[[], Awaitable[object]], *names: str) -> None:
        with pytest.raises(TableMissing) as missing:
            await work()
        assert missing.value.names == (names or ("s-runs",))

    run_virtually(lambda: meet(lambda: Tables(Scripted(gone), "s").get("runs", "pg-1", "a")))
    run_virtually(lambda: meet(lambda: Tables(Scripted(gone), "s").delete_all("runs", "pg-1", "")))
    run_virtually(lambda: meet(lambda: Tables(Scripted(gone), "s").write(write)))
    run_virtually(lambda: meet(lambda: Tables(Scripted(gone), "s").transact(both), "s-runs", "s-keys"))
    run_virtually(lambda: meet(lambda: Tables(Scripted({"Items": keys}, gone), "s").delete_all("runs", "pg-1", "")))
    run_virtually(lambda: meet(lambda: Tables(Scripted(gone), "s").get_many("runs", [("pg-1", "a")])))


@over_the_twin
async def test_a_write_answers_what_it_leaves_or_found(store: TwinStore) -> None:
    """An update does; a put and a delete answer nothing."""
    key = ("pg-1", "head#1")
    item = {"groupId": "pg-1", "item": "head#1", "n": 1}
    assert await store.tables.write(Write("Put", "runs", key, {"n": 1})) == {}
    assert await store.tables.write(Write("Update", "runs", key, {"n": 2})) == {**item, "n": 2}
    assert await store.tables.write(Write("Update", "runs", key, {"n": 3}), returning="ALL_OLD") == {**item, "n": 2}
    new = Write("Update", "runs", ("pg-1", "new"), {"n": 1})
    assert await store.tables.write(new, returning="ALL_OLD") == {}
    assert await store.tables.write(Write("Delete", "runs", key)) == {}
    assert store.item("runs", *key) is None


@over_the_twin
async def test_a_refused_write_shows_what_stands_there(store: TwinStore) -> None:
    """Where it is asked for, and only there: it spares the read after it."""
    await fill(store, "one")
    refused = Write("Update", "runs", ("pg-1", "one"), {"n": 9}, condition=Attr("n").eq(8))
    with pytest.raises(ConditionFailed) as shown:
        await store.tables.write(refused, shows_refused=True)
    assert decode(shown.value.item or {}) == {"groupId": "pg-1", "item": "one", "n": 0}
    with pytest.raises(ConditionFailed) as silent:
        await store.tables.write(refused)
    assert silent.value.item is None
    asked = [call.request.get("ReturnValuesOnConditionCheckFailure") for call in store.calls]
    assert asked == ["ALL_OLD", None]


@over_the_twin
async def test_a_condition_decides(store: TwinStore) -> None:
    """Where it does not hold nothing is written, and of a transaction the positions are told."""
    absent = Attr("groupId").not_exists()
    first = Write("Put", "runs", ("pg-1", "a"), {"n": 1}, condition=absent)
    await store.put(first)
    with pytest.raises(ConditionFailed) as single:
        await store.tables.write(first)
    assert single.value.failed == (0,)
    with pytest.raises(ConditionFailed) as several:
        await store.tables.transact([Write("Put", "runs", ("pg-1", "b"), {}, condition=absent), first])
    assert several.value.failed == (1,)
    assert store.item("runs", "pg-1", "b") is None
    assert [call.operation for call in store.calls].count("transact_write_items") == 1, "a decision is not retried"


@over_the_twin
async def test_a_transaction_is_done_once_however_often_it_is_sent(store: TwinStore) -> None:
    """The SDK sends it again where the answer was lost: its token makes that nothing."""
    store.world.on_call = lambda _call: Trouble.REPEATED
    add = Write("Update", "runs", ("pg-1", "a"), add={"n": 1})
    await store.tables.transact([add])
    await store.tables.transact([add])
    item = store.item("runs", "pg-1", "a")
    assert item is not None
    assert item["n"] == 2


def test_contention_is_waited_out() -> None:
    """The same request, ever later up to a second apart, as often as there are tries; then it is an error."""
    reasons = [{"Code": "TransactionConflict"}]
    client = Scripted(refuse("TransactionCanceledException", "TransactWriteItems", CancellationReasons=reasons))

    async def write() -> float:
        began = now()
        with pytest.raises(ServiceUnavailable):
            await Tables(client, "s").transact([Write("Put", "runs", ("pg-1", "a"))])
        return now() - began

    waited = run_virtually(write)
    assert len(client.asked) == CONTENTION_TRIES
    assert all(each == client.asked[0] for each in client.asked)
    whole = sum(min(FIRST_WAIT * 2**n, LONGEST_WAIT).total_seconds() for n in range(CONTENTION_TRIES - 1))
    assert whole / 2 <= waited <= whole
    assert (timedelta(seconds=0.04), timedelta(seconds=1)) == (FIRST_WAIT, LONGEST_WAIT)


def test_what_is_no_contention_is_tried_once() -> None:
    """A request that DynamoDB cannot take is not sent again, and stays the error that it is."""
    refusal = refuse("ValidationException", "PutItem")
    client = Scripted(refusal)

    async def write() -> None:
        with pytest.raises(Exception, match="ValidationException") as raised:
            await Tables(client, "s").write(Write("Put", "runs", ("pg-1", "a")))
        assert raised.value is refusal

    run_virtually(write)
    assert len(client.asked) == 1


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("trouble", [None, Trouble.LOST, Trouble.CRASH_BEFORE])
@over_the_twin
async def test_what_a_lost_answer_said_is_read(store: TwinStore, trouble: Trouble | None, stored: bool) -> None:
    """Of a failed condition and of no answer what is stored decides; done without a doubt nothing is read."""
    asked = []

    async def is_stored() -> bool:
        asked.append(1)
        return stored

    wanted = Write("Put", "runs", ("pg-1", "a"), {"n": 1}, condition=Attr("groupId").not_exists())
    if trouble is None:
        assert await store.tables.commit([wanted], is_stored) is True
        assert asked == []
        assert await store.tables.commit([wanted], is_stored) is stored
    elif trouble is Trouble.LOST:
        store.world.on_call = lambda _call: trouble
        if stored:
            assert await store.tables.commit([wanted], is_stored) is True
        else:
            with pytest.raises(ServiceUnavailable, match="does not answer"):
                await store.tables.commit([wanted], is_stored)
    else:
        store.world.on_call = lambda _call: refuse("InternalServerError", "X", ResponseMetadata={"HTTPStatusCode": 500})
        if stored:
            assert await store.tables.commit([wanted], is_stored) is True
        else:
            with pytest.raises(ServiceUnavailable):
                await store.tables.commit([wanted], is_stored)
    assert len(asked) == 1


@over_the_twin
async def test_writers_at_the_same_moment_lose_nothing(store: TwinStore) -> None:
    """Twenty add one each while every third call meets another: twenty are added."""
    store.world.on_call = lambda call: Trouble.REFUSED if call.number % 3 == 0 else None
    add = Write("Update", "runs", ("pg-1", "a"), add={"n": 1}, first={"begun": "first"})
    await asyncio.gather(*(store.tables.transact([add]) for _ in range(20)))
    assert store.item("runs", "pg-1", "a") == {"groupId": "pg-1", "item": "a", "n": 20, "begun": "first"}
