"""Items, records and the form of writes: what DynamoDB is told, to the letter."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import TypeSerializer

from tests.fakes.runs import MEMBERS, OPENED_AT, run_over
from workers.core.status import Status
from workers.core.store.records import HISTORY_KEPT, RunHead, ServerItem, expiry, from_item, to_item, to_time
from workers.core.store.writes import (
    LONGEST_KEYS,
    REMOVE,
    Write,
    can_be,
    decode,
    encode,
    key_of,
    render_query,
    render_write,
)

HEAD = run_over(MEMBERS[:2], frozenset()).head


def test_an_update_says_each_change_in_its_own_clause() -> None:
    """Values that are set, that go, that are set once, and that are added to; never the item's own key."""
    write = Write(
        "Update",
        "runs",
        ("pg-1", "head#1"),
        {"groupId": "pg-1", "item": "head#1", "a": 1, "b": REMOVE, "c": "x", "d": REMOVE},
        condition=Attr("owner").eq("me"),
        add={"n": 2},
        first={"f": "once"},
    )
    assert render_write(write, "s-runs") == {
        "TableName": "s-runs",
        "Key": {"groupId": {"S": "pg-1"}, "item": {"S": "head#1"}},
        "UpdateExpression": "SET #u0 = :u0, #u2 = :u2, #u4 = if_not_exists(#u4, :u4) REMOVE #u1, #u3 ADD #u5 :u5",
        "ConditionExpression": "#n0 = :v0",
        "ExpressionAttributeNames": {
            "#n0": "owner",
            "#u0": "a",
            "#u1": "b",
            "#u2": "c",
            "#u3": "d",
            "#u4": "f",
            "#u5": "n",
        },
        "ExpressionAttributeValues": {
            ":v0": {"S": "me"},
            ":u0": {"N": "1"},
            ":u2": {"S": "x"},
            ":u4": {"S": "once"},
            ":u5": {"N": "2"},
        },
    }


def test_a_put_holds_its_key_and_a_delete_names_it() -> None:
    """Without a condition or values there are no names and no values: empty ones are refused."""
    put = Write("Put", "keys", ("name#web",), {"groupId": "pg-1"})
    assert render_write(put, "s-keys") == {
        "TableName": "s-keys",
        "Item": {"key": {"S": "name#web"}, "groupId": {"S": "pg-1"}},
    }
    delete = Write("Delete", "keys", ("name#web",))
    assert render_write(delete, "s-keys") == {"TableName": "s-keys", "Key": {"key": {"S": "name#web"}}}
    check = Write("ConditionCheck", "keys", ("name#web",), condition=Attr("groupId").not_exists())
    assert render_write(check, "s-keys") == {
        "TableName": "s-keys",
        "Key": {"key": {"S": "name#web"}},
        "ConditionExpression": "attribute_not_exists(#n0)",
        "ExpressionAttributeNames": {"#n0": "groupId"},
    }
    removal = Write("Update", "keys", ("name#web",), {"groupId": REMOVE})
    assert "ExpressionAttributeValues" not in render_write(removal, "s-keys")


def test_a_query_names_its_keys() -> None:
    """As key conditions, which are written otherwise than conditions on a write."""
    assert render_query(Key("groupId").eq("pg-1") & Key("item").begins_with("head#")) == {
        "KeyConditionExpression": "(#n0 = :v0 AND begins_with(#n1, :v1))",
        "ExpressionAttributeNames": {"#n0": "groupId", "#n1": "item"},
        "ExpressionAttributeValues": {":v0": {"S": "pg-1"}, ":v1": {"S": "head#"}},
    }
    with pytest.raises(Exception, match="status"):
        render_query(Key("groupId").eq("pg-1") & Attr("status").eq("ready"))


def test_a_key_has_as_many_parts_as_its_table() -> None:
    """Too few or too many are an error of ours."""
    assert key_of("keys", ("a",)) == {"key": "a"}
    assert key_of("waves", ("a", "b")) == {"waveId": "a", "item": "b"}
    for key in (("a",), ("a", "b", "c")):
        with pytest.raises(ValueError, match="zip"):
            key_of("runs", key)


def test_the_keys_that_items_can_have() -> None:
    """One byte at least, and as many as DynamoDB takes at most, whatever characters they are."""
    hash_bytes, sort_bytes = LONGEST_KEYS
    assert (hash_bytes, sort_bytes) == (2048, 1024)
    for right in (("a",), ("a", "b"), ("x" * hash_bytes, "y" * sort_bytes), ("ä" * (hash_bytes // 2),), ("\ud800",)):
        assert can_be(right)
    for wrong in (("",), ("a", ""), ("x" * (hash_bytes + 1),), ("a", "y" * (sort_bytes + 1)), ("ä" * hash_bytes,)):
        assert not can_be(wrong)


def test_items_survive_dynamodbs_types() -> None:
    """Text, whole numbers, flags, nothing, bytes, and all of it nested."""
    item = {
        "s": "a",
        "n": 3,
        "b": True,
        "none": None,
        "bytes": b"\x00",
        "list": [1, {"n": [2]}],
        "map": {"a": {"n": 1}},
    }
    assert encode(item) == TypeSerializer().serialize(item)["M"]
    assert decode(encode(item)) == item
    assert isinstance(decode(encode(item))["list"][1]["n"][0], int)
    assert isinstance(decode(encode(item))["bytes"], bytes)


def test_records_survive_their_items() -> None:
    """In camelCase, what is None left out, times in UTC; members of a later release are passed over."""
    item = to_item(HEAD)
    assert from_item(RunHead, {**item, "laterMember": 1}) == HEAD
    assert item["configVersion"] == 1
    assert not {"sentAt", "settledAt", "supersededBy", "outcome"} & item.keys()
    server = ServerItem(MEMBERS[0], Status.READY, 1, "sha256:a", OPENED_AT, 1)
    assert to_item(server)["sourceServerId"] == MEMBERS[0]
    assert from_item(ServerItem, to_item(server)) == server
    assert not HEAD.is_superseded
    assert replace(HEAD, superseded_by=4).is_superseded


@pytest.fixture
def _tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock is not in UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_tokyo")
def test_texts_of_times_are_in_the_order_of_times() -> None:
    """Of equal length and in UTC, wherever they come from and however whole their seconds are."""
    whole = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert to_time(whole) == "2026-01-02T03:04:05.000000Z"
    assert to_time(whole.astimezone(timezone(timedelta(hours=2)))) == to_time(whole)
    times = [whole + timedelta(microseconds=n) for n in (0, 1, 999_999, 1_000_000)]
    assert [*map(to_time, times)] == sorted(map(to_time, times))
    assert expiry(whole) == {"expiresAt": int(whole.timestamp()) + int(HISTORY_KEPT.total_seconds())}
