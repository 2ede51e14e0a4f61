"""What is said of a stack that is not there, or not whole."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from producer.stack import find_queues
from workers.core.contract import Queue
from workers.core.errors import ServiceUnavailable, SetupError
from workers.core.queue.errors import QueueMissing, QueueUnreachable
from workers.core.queue.send import JobSender
from workers.core.store.refusals import TableMissing
from workers.core.store.tables import Tables
from workers.core.store.writes import KEYS, Write

TABLES = [f"blue-{table}" for table in KEYS]
QUEUES = [f"blue-{queue.value}" for queue in Queue]


class World:
    """DynamoDB and SQS, with the tables and queues that are not there."""

    def __init__(self, missing: list[str], *, refused: str = "") -> None:
        self.missing, self.refused = missing, refused
        self.meta = type("Meta", (), {"endpoint_url": "http://world"})

    async def get_item(self, **request: Any) -> dict[str, Any]:
        return self._answer("GetItem", "ResourceNotFoundException", request["TableName"])

    async def query(self, **request: Any) -> dict[str, Any]:
        return {"Items": [], **self._answer("Query", "ResourceNotFoundException", request["TableName"])}

    async def batch_get_item(self, **request: Any) -> dict[str, Any]:
        return {"Responses": {}, **self._answer("BatchGetItem", "ResourceNotFoundException", *request["RequestItems"])}

    async def batch_write_item(self, **request: Any) -> dict[str, Any]:
        return self._answer("BatchWriteItem", "ResourceNotFoundException", *request["RequestItems"])

    async def update_item(self, **request: Any) -> dict[str, Any]:
        return self._answer("UpdateItem", "ResourceNotFoundException", request["TableName"])

    async def transact_write_items(self, **request: Any) -> dict[str, Any]:
        names = [member["TableName"] for item in request["TransactItems"] for member in item.values()]
        return self._answer("TransactWriteItems", "ResourceNotFoundException", *names)

    async def get_queue_url(self, **request: Any) -> dict[str, Any]:
        self._answer("GetQueueUrl", "AWS.SimpleQueueService.NonExistentQueue", request["QueueName"])
        return {"QueueUrl": f"http://world/{request['QueueName']}"}

    def _answer(self, operation: str, code: str, *names: str) -> dict[str, Any]:
        code = self.refused if self.refused and operation == "GetQueueUrl" else code
        if self.refused or {*names} & {*self.missing}:
            # In AWS's words, which name nothing.
            raise ClientError({"Error": {"Code": code, "Message": "Requested resource not found"}}, operation)
        return {}


async def look(world: World) -> None:
    made: Any = world
    await find_queues("blue", Tables(made, "blue"), JobSender(made, stack="blue"))


async def test_a_stack_that_is_nowhere_is_told_as_one_thing() -> None:
    """Its tables and queues are named together, with what to set: no queue is blamed alone."""
    with pytest.raises(SetupError) as refused:
        await look(World([*TABLES, *QUEUES]))
    for word in (*TABLES, *QUEUES, "'blue'", "PRELAUNCH_STACK"):
        assert word in refused.value.message
    assert not isinstance(refused.value, QueueMissing | TableMissing)


@pytest.mark.parametrize("missing", [QUEUES, QUEUES[1:2], [*QUEUES, *TABLES[1:]], [*TABLES, *QUEUES[1:]]])
async def test_queues_that_are_missing_are_named_each(missing: list[str]) -> None:
    """Where the stack is there in part: all of those that lack, and no other."""
    with pytest.raises(QueueMissing) as refused:
        await look(World(missing))
    assert [*refused.value.names] == [name for name in QUEUES if name in missing]


async def test_a_stack_that_is_whole_is_no_trouble() -> None:
    """Its tables are not looked at here."""
    await look(World([]))
    await look(World(TABLES))


async def test_queues_that_cannot_be_asked_for_are_not_missing() -> None:
    """What SQS denies is told as that."""
    with pytest.raises(QueueUnreachable) as refused:
        await look(World([], refused="AccessDenied"))
    assert isinstance(refused.value, ServiceUnavailable)


REQUESTS: dict[str, tuple[Callable[[Tables], Any], list[str]]] = {
    "get": (lambda tables: tables.get("groups", "pg-1", "group"), ["blue-groups"]),
    "get_many": (lambda tables: tables.get_many("runs", [("pg-1", "x")]), ["blue-runs"]),
    "read_back": (lambda tables: tables.read_back("runs", "pg-1", "", limit=1, before=None), ["blue-runs"]),
    "write": (lambda tables: tables.write(Write("Update", "keys", ("name#web",), {"a": "b"})), ["blue-keys"]),
    "transact": (
        lambda tables: tables.transact(
            [Write("Delete", "keys", ("name#web",)), *(Write("Delete", "runs", ("pg-1", each)) for each in "xy")]
        ),
        ["blue-keys", "blue-runs"],
    ),
}


@pytest.mark.parametrize("request_name", REQUESTS)
async def test_every_request_names_the_tables_that_it_asked_for(request_name: str) -> None:
    """And no other: that one may be there."""
    ask, named = REQUESTS[request_name]
    world: Any = World(TABLES)
    with pytest.raises(TableMissing) as refused:
        await ask(Tables(world, "blue"))
    assert [*refused.value.names] == named
    assert refused.value.code == "TABLE_MISSING"
    assert sum(table in refused.value.message for table in TABLES) == len(named)
