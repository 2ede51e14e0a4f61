"""
The stand-in's DynamoDB is a database: nothing that was committed is lost, whoever else writes.

What it answers is what Amazon's DynamoDB Local answers, over which the same tests run.
"""

import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.conftest import make_client

Clients = Callable[..., Any]


@pytest.fixture(params=["stand-in", "dynamodb-local"])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(where: str, request: pytest.FixtureRequest) -> Clients:
    """Makes clients that never retry, of the stand-in or of DynamoDB Local."""
    url = request.getfixturevalue("dynamodb_local") if where == "dynamodb-local" else None
    return lambda service: make_client(service, url or request.getfixturevalue("local").url)


@pytest.fixture
def table(client: Clients) -> Iterator[str]:
    name = f"test-{uuid.uuid4()}"
    dynamodb = client("dynamodb")
    make_table(dynamodb, name)
    yield name
    dynamodb.delete_table(TableName=name)


def make_table(dynamodb: Any, name: str) -> None:
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("groupId", "item")],
        KeySchema=[
            {"AttributeName": "groupId", "KeyType": "HASH"},
            {"AttributeName": "item", "KeyType": "RANGE"},
        ],
    )


def key(item: str) -> dict[str, Any]:
    return {"groupId": {"S": "g"}, "item": {"S": item}}


def record(dynamodb: Any, table: str, server: int, generation: int) -> None:
    """Record a server's outcome as a worker does: its item and its lease together, then the counter."""
    dynamodb.transact_write_items(
        TransactItems=[
            {
                "Put": {
                    "TableName": table,
                    "Item": {**key(f"server#{server}#{generation}"), "status": {"S": "ready"}},
                    "ConditionExpression": "attribute_not_exists(groupId)",
                }
            },
            {
                "Update": {
                    "TableName": table,
                    "Key": key(f"lease#{server}"),
                    "UpdateExpression": "SET releases = if_not_exists(releases, :zero) + :one",
                    "ExpressionAttributeValues": {":zero": {"N": "0"}, ":one": {"N": "1"}},
                }
            },
        ]
    )
    dynamodb.update_item(
        TableName=table,
        Key=key("head"),
        UpdateExpression="ADD done :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


def collide(dynamodb: Any, table: str, server: int) -> None:
    """Try a transaction that must be cancelled after its first item, as a late duplicate of a job does."""
    ghost = {"TableName": table, "Item": {**key(f"ghost#{server}"), "status": {"S": "no"}}}
    release = {
        "TableName": table,
        "Key": key(f"lease#{server}"),
        "UpdateExpression": "SET releases = releases + :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    check = {"TableName": table, "Key": key("never"), "ConditionExpression": "attribute_exists(groupId)"}
    steps = [{"Put": ghost}, {"Update": release}, {"ConditionCheck": check}]
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        dynamodb.transact_write_items(TransactItems=steps)


def record_by_many(url: str, table: str, servers: int, clients: int, until: float) -> set[tuple[int, int]]:
    """
    Record every server twice from many clients at once.

    Returns:
        The (server, generation) pairs that DynamoDB has confirmed.
    """
    dynamodb = make_client("dynamodb", url)
    todo = iter([(server, generation) for generation in (1, 2) for server in range(servers)])
    lock = threading.Lock()
    confirmed: set[tuple[int, int]] = set()

    def run() -> None:
        while time.monotonic() < until:
            with lock:
                pair = next(todo, None)
            if pair is None:
                return
            # Plain moto answers 500 now and then: such a write was never confirmed.
            with suppress(ClientError):
                record(dynamodb, table, *pair)
                with lock:
                    confirmed.add(pair)
                collide(dynamodb, table, pair[0])

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return confirmed


def read_all(dynamodb: Any, table: str) -> dict[str, dict[str, Any]]:
    pages = dynamodb.get_paginator("query").paginate(
        TableName=table,
        ConsistentRead=True,
        KeyConditionExpression="groupId = :g",
        ExpressionAttributeValues={":g": {"S": "g"}},
    )
    return {item["item"]["S"]: item for page in pages for item in page["Items"]}


def audit(found: dict[str, dict[str, Any]], confirmed: set[tuple[int, int]]) -> tuple[list[str], list[str]]:
    """Name what was confirmed and is not there, and what is there although nobody confirmed it."""
    told = {f"server#{server}#{generation}": 1 for server, generation in confirmed}
    told |= {f"lease#{server}": 0 for server, _ in confirmed} | {"head": len(confirmed)}
    for server, _ in confirmed:
        told[f"lease#{server}"] += 1
    seen = {name: read_number(item) for name, item in found.items()}
    return (
        [name for name, number in told.items() if seen.get(name, 0) < number],
        [name for name, number in seen.items() if told.get(name, 0) < number],
    )


def read_number(item: dict[str, Any]) -> int:
    return int(item.get("releases", item.get("done", {"N": "1"}))["N"])


@pytest.fixture
def hasty(where: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A stand-in whose threads take turns a thousand times as often as usual, and so meet where they can."""
    if where == "dynamodb-local":
        # Its threads meet as they are.
        yield request.getfixturevalue("dynamodb_local")
        return
    hurry = (
        "import sys; sys.setswitchinterval(5e-6)",
        "from infra.local.services import Services; Services.one_at_a_time = False",
        "from infra.local.__main__ import main; sys.exit(main())",
    )
    command = [sys.executable, "-c", "; ".join(hurry), "--port", "0", "--until-stdin-closes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip().partition("=")[2]
        process.terminate()


def test_every_write_of_many_clients_is_found_and_the_counter_is_exact(hasty: str) -> None:
    """300 servers recorded twice each by 32 clients, cancelled transactions in between: nothing is lost."""
    dynamodb, name = make_client("dynamodb", hasty), f"test-{uuid.uuid4()}"
    make_table(dynamodb, name)
    confirmed = record_by_many(hasty, name, servers=300, clients=32, until=time.monotonic() + 120)
    assert len(confirmed) == 600
    assert audit(read_all(dynamodb, name), confirmed) == ([], [])


def test_of_many_who_write_on_the_same_condition_one_wins(hasty: str) -> None:
    """Check and write are one step: as many conditional updates succeed as the version moves."""
    dynamodb, name = make_client("dynamodb", hasty), f"test-{uuid.uuid4()}"
    make_table(dynamodb, name)
    dynamodb.put_item(TableName=name, Item={**key("status"), "version": {"N": "0"}})

    def claim(version: int) -> int:
        values = {":seen": {"N": str(version)}, ":next": {"N": str(version + 1)}}
        try:
            dynamodb.update_item(
                TableName=name,
                Key=key("status"),
                UpdateExpression="SET version = :next",
                ConditionExpression="version = :seen",
                ExpressionAttributeValues=values,
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        for version in range(40):
            assert sum(pool.map(claim, [version] * 16)) == 1


@contextmanager
def plain_moto() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", "from moto.server import main; main()", "-p", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        for line in process.stderr:
            if "Running on" in line:
                break
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        drain.join()
        process.stderr.close()


def test_plain_moto_loses_committed_writes() -> None:
    """What the mends are for: the same scenario, cut after six seconds, against moto as it comes."""
    with plain_moto() as url:
        dynamodb = make_client("dynamodb", url)
        make_table(dynamodb, "plain")
        confirmed = record_by_many(url, "plain", servers=300, clients=32, until=time.monotonic() + 6)
        lost, _ = audit(read_all(dynamodb, "plain"), confirmed)
        assert confirmed
        assert lost


def transact(dynamodb: Any, table: str, token: str, status: str) -> None:
    put = {"TableName": table, "Item": {**key("once"), "status": {"S": status}}}
    dynamodb.transact_write_items(TransactItems=[{"Put": put}], ClientRequestToken=token)


def test_a_token_seen_before_is_a_success_without_effect(client: Clients, table: str) -> None:
    """A repeated TransactWriteItems with the same token succeeds and leaves what was written since."""
    dynamodb, token = client("dynamodb"), str(uuid.uuid4())
    transact(dynamodb, table, token, "first")
    transact(dynamodb, table, str(uuid.uuid4()), "second")
    transact(dynamodb, table, token, "first")
    assert read_all(dynamodb, table)["once"]["status"] == {"S": "second"}


def test_a_token_binds_binary_attributes_too(client: Clients, table: str) -> None:
    """A transaction that holds bytes takes a token like any other."""
    dynamodb, token = client("dynamodb"), str(uuid.uuid4())
    put = {"TableName": table, "Item": {**key("once"), "data": {"B": b"\x00\xff"}}}
    for _ in range(2):
        dynamodb.transact_write_items(TransactItems=[{"Put": put}], ClientRequestToken=token)
    assert read_all(dynamodb, table)["once"]["data"] == {"B": b"\x00\xff"}


def test_a_token_with_other_content_is_refused(client: Clients, table: str) -> None:
    """The same token with other parameters is an IdempotentParameterMismatchException."""
    dynamodb, token = client("dynamodb"), str(uuid.uuid4())
    transact(dynamodb, table, token, "first")
    with pytest.raises(dynamodb.exceptions.IdempotentParameterMismatchException):
        transact(dynamodb, table, token, "other")


def test_a_cancelled_transaction_tells_the_reason_of_each_item(client: Clients, table: str) -> None:
    """Reasons come in the order of the items, `None` for those not to blame, with the item if asked for."""
    dynamodb = client("dynamodb")
    dynamodb.put_item(TableName=table, Item={**key("held"), "by": {"S": "w1"}})
    mine = {"TableName": table, "Item": key("free")}
    theirs = {
        "TableName": table,
        "Key": key("held"),
        "ConditionExpression": "#by = :me",
        "ExpressionAttributeNames": {"#by": "by"},
        "ExpressionAttributeValues": {":me": {"S": "w2"}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as cancelled:
        dynamodb.transact_write_items(TransactItems=[{"Put": mine}, {"Delete": theirs}])
    reasons = cancelled.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed"]
    assert reasons[1]["Item"]["by"] == {"S": "w1"}
    assert set(read_all(dynamodb, table)) == {"held"}


WRONG_TYPE = {
    # As the documentation of TransactWriteItems has it.
    "stand-in": ("TransactionCanceledException", ["ValidationError"]),
    "dynamodb-local": ("ValidationException", []),
}
"""What a transaction is answered that ADDs to a text."""


def test_a_failed_update_leaves_the_item_as_it_was(client: Clients, table: str, where: str) -> None:
    """An expression that fails at its second clause has not applied its first."""
    dynamodb = client("dynamodb")
    dynamodb.put_item(TableName=table, Item={**key("a"), "words": {"S": "x"}, "tally": {"N": "1"}})
    update = {
        "TableName": table,
        "Key": key("a"),
        "UpdateExpression": "SET tally = :two ADD words :two",
        "ExpressionAttributeValues": {":two": {"N": "2"}},
    }
    with pytest.raises(ClientError, match="ValidationException"):
        dynamodb.update_item(**update)
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(TransactItems=[{"Update": update}])
    reasons = [reason["Code"] for reason in refused.value.response.get("CancellationReasons", [])]
    assert (refused.value.response["Error"]["Code"], reasons) == WRONG_TYPE[where]
    assert read_all(dynamodb, table)["a"]["tally"] == {"N": "1"}


def test_every_type_is_read_as_it_was_written(client: Clients, table: str) -> None:
    """At each depth, by each operation that answers items."""
    dynamodb = client("dynamodb")
    plain = {
        "text": {"S": ""},
        "number": {"N": "-1.5"},
        "bytes": {"B": b"\x00\xff"},
        "yes": {"BOOL": True},
        "no": {"BOOL": False},
        "nothing": {"NULL": True},
        "texts": {"SS": ["a"]},
        "numbers": {"NS": ["1"]},
        "manyBytes": {"BS": [b"\x01"]},
        "emptyMap": {"M": {}},
        "emptyList": {"L": []},
    }
    nested = {"M": {**plain, "deeper": {"L": [*plain.values(), {"M": plain}]}}}
    item = {**key("all"), **plain, "nested": nested}
    assert dynamodb.put_item(TableName=table, Item=item).get("Attributes") is None
    assert dynamodb.get_item(TableName=table, Key=key("all"))["Item"] == item
    assert dynamodb.scan(TableName=table)["Items"] == [item]
    assert query(dynamodb, table)["Items"] == [item]
    assert dynamodb.delete_item(TableName=table, Key=key("all"), ReturnValues="ALL_OLD")["Attributes"] == item


def test_a_query_answers_its_partition_in_order_and_by_pages(client: Clients, table: str) -> None:
    """Whatever other partitions hold."""
    dynamodb = client("dynamodb")
    names = ["a", "a#1", "b", "b#2", "c"]
    for name in reversed(names):
        for partition in ("other", "g"):
            dynamodb.put_item(TableName=table, Item={**key(name), "groupId": {"S": partition}, "in": {"S": partition}})
    first = query(dynamodb, table, Limit=2)
    assert {each["in"]["S"] for each in first["Items"]} == {"g"}
    assert [each["item"]["S"] for each in first["Items"]] == names[:2]
    rest = query(dynamodb, table, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert [each["item"]["S"] for each in rest["Items"]] == names[2:]
    assert "LastEvaluatedKey" not in rest
    backwards = query(dynamodb, table, ScanIndexForward=False)["Items"]
    assert [each["item"]["S"] for each in backwards] == [*reversed(names)]
    assert query(dynamodb, table, "nobody's")["Items"] == []


def query(dynamodb: Any, table: str, partition: str = "g", **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = dynamodb.query(
        TableName=table,
        KeyConditionExpression="groupId = :group",
        ExpressionAttributeValues={":group": {"S": partition}},
        ConsistentRead=True,
        **more,
    )
    return answer
