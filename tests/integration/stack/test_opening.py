"""Opening a generation: exactly one wins, nothing is half written, and a lost answer is no lost request."""

import asyncio
from typing import Any

import pytest

from tests.integration.databases import over_every_database
from tests.integration.product import TESTER, Product, problem_of
from workers.core.model.group_parse import parse_group
from workers.core.runs.selection import ApplyRequest

pytestmark = [pytest.mark.asyncio(loop_scope="session"), over_every_database]

GROUPS = "/protection-groups"
ROUNDS = 20


def items(product: Product, table: str) -> list[dict[str, Any]]:
    dynamodb = product.client("dynamodb")
    pages = dynamodb.get_paginator("scan").paginate(TableName=f"{product.settings.stack}-{table}", ConsistentRead=True)
    return [item for page in pages for item in page["Items"]]


def runs_of(product: Product, group_id: str) -> dict[str, dict[str, Any]]:
    """Read the heads of a group's runs by their generation."""
    found = [item for item in items(product, "runs") if item["groupId"]["S"] == group_id]
    return {item["item"]["S"].lstrip("head#0"): item for item in found if item["item"]["S"].startswith("head#")}


async def test_of_two_groups_that_share_a_server_one_is_made(product: Product) -> None:
    """Created at once, whatever the order, one of two groups wins whole and of the other nothing is stored."""
    for _ in range(ROUNDS):
        shared, left, right = product.add_servers(3)
        bodies = [product.body([left, shared]), product.body([right, shared])]
        answers = await asyncio.gather(*(product.api.post(GROUPS, json=body) for body in bodies))
        assert sorted(answer.status_code for answer in answers) == [201, 409]
        (won,) = (answer for answer in answers if answer.status_code == 201)
        (lost,) = (answer for answer in answers if answer.status_code == 409)
        assert problem_of(lost)["code"] == "SERVER_CONFLICT"
        assert won.json()["groupId"] in problem_of(lost)["detail"]
        loser = bodies[answers.index(lost)]
        # Neither its name nor its other server is taken by the group that was not made.
        retried = await product.api.post(GROUPS, json={**loser, "sourceServerIds": loser["sourceServerIds"][:1]})
        assert retried.status_code == 201, retried.text
    stored = {item["groupId"]["S"] for item in items(product, "groups")}
    named = {item["groupId"]["S"] for item in items(product, "keys") if item["key"]["S"].startswith("name#")}
    assert stored == named


async def test_groups_without_a_shared_server_never_refuse_each_other(product: Product) -> None:
    """Groups made at once that share nothing but the index's shards are all made."""
    members = product.add_servers(60)
    bodies = [product.body(members[start : start + 20]) for start in range(0, 60, 20)]
    answers = await asyncio.gather(*(product.api.post(GROUPS, json=body) for body in bodies))
    assert [answer.status_code for answer in answers] == [201] * 3
    owners = {
        server: owner["S"]
        for item in items(product, "keys")
        if item["key"]["S"].startswith("servers#")
        for server, owner in item["owners"]["M"].items()
    }
    for answer, body in zip(answers, bodies, strict=True):
        assert {owners[server] for server in body["sourceServerIds"]} == {answer.json()["groupId"]}


async def test_of_two_forced_applies_the_older_is_superseded(product: Product) -> None:
    """Each takes a generation of its own; the older run is closed as superseded, and its servers are carried over."""
    members = product.add_servers(4)
    group_id = await product.create_ready(members)
    answers = await asyncio.gather(*(product.apply(group_id, force=True) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [202, 202]
    assert (await product.status(group_id))["generation"] == 3
    runs = runs_of(product, group_id)
    assert {g: head["runId"]["S"] for g, head in runs.items()}.keys() == {"1", "2", "3"}
    assert runs["2"]["supersededBy"]["N"] == "3"
    assert "unsettled" not in runs["2"]
    assert "unsettled" in runs["3"]
    await product.drain()
    status = await product.status(group_id)
    assert (status["status"], status["appliedServers"]) == ("ready", 4)
    assert all("unsettled" not in head for head in runs_of(product, group_id).values())


async def test_a_newer_run_carries_over_what_the_older_one_left(product: Product) -> None:
    """Superseding loses no server: a run asked for one member lists also what is not ready yet."""
    members = product.add_servers(3)
    group_id = await product.create(members)
    product.take_jobs()  # lost
    answer = await product.apply(group_id, force=True, sourceServerIds=[members[0]])
    assert answer.json()["pendingServers"] == 3
    await product.drain()
    assert (await product.status(group_id))["appliedServers"] == 3


LOST = {"service": "dynamodb", "operation": "TransactWriteItems", "afterEffect": True}
"""The transaction takes effect, and nobody is told."""


async def test_a_group_whose_opening_is_not_answered_is_made_once(product: Product) -> None:
    """The transaction committed and its answer was lost: a success, and no conflict with oneself."""
    members = product.add_servers(2)
    for fault in ({**LOST, "times": 1}, {**LOST, "times": 1, "code": "InternalServerError"}):
        product.faults(fault)
        body = product.body([members.pop()])
        answer = await product.api.post(GROUPS, json=body)
        assert answer.status_code == 201, answer.text
        (name,) = (i for i in items(product, "keys") if i["key"]["S"] == f"name#{body['groupName']}")
        assert name["groupId"]["S"] == answer.json()["groupId"]
        await product.drain()
        assert (await product.status(answer.json()["groupId"]))["status"] == "ready"


async def test_a_group_that_finds_itself_stored_is_a_success(product: Product) -> None:
    """Also where the repeated transaction is answered by failed conditions, the group that is there is ours."""
    (member,) = product.add_servers(1)
    reasons = ["ConditionalCheckFailed"]
    product.faults({**LOST, "times": 1, "code": "TransactionCanceledException", "cancellationReasons": reasons})
    group_id = await product.create([member])
    await product.drain()
    assert (await product.status(group_id))["generation"] == 1


async def test_an_apply_whose_opening_is_not_answered_opens_once(product: Product) -> None:
    """A forced apply that committed unheard is one generation, not two, and its jobs are sent."""
    members = product.add_servers(2)
    group_id = await product.create_ready(members)
    product.faults(
        {**LOST, "times": 1, "code": "TransactionCanceledException", "cancellationReasons": ["ConditionalCheckFailed"]}
    )
    answer = await product.apply(group_id, force=True)
    assert answer.status_code == 202
    assert (await product.status(group_id))["generation"] == 2
    jobs = product.take_jobs()
    assert sorted(job.arguments["sourceServerId"] for job in jobs) == sorted(members)
    await product.drain(jobs)
    assert (await product.status(group_id))["status"] == "ready"


async def test_contention_is_no_refusal(product: Product) -> None:
    """Transactions that are cancelled for others' sake, three of four, are tried again until they go through."""
    conflict = {"service": "dynamodb", "operation": "TransactWriteItems", "times": 3}
    conflict["cancellationReasons"] = ["None", "TransactionConflict"]
    members = product.add_servers(3)
    product.faults(conflict)
    group_id = await product.create(members)
    product.faults(conflict)
    await product.drain()
    product.faults(conflict)
    assert (await product.apply(group_id, force=True)).status_code == 202
    product.faults(conflict)
    await product.drain()
    status = await product.status(group_id)
    assert (status["status"], status["generation"]) == ("ready", 2)


async def test_a_run_that_could_not_be_sent_is_sent_by_asking_again(product: Product) -> None:
    """SQS down at the send: accepted all the same and pending; an apply sends the jobs, once, without a new run."""
    members = product.add_servers(12)
    product.faults({"service": "sqs", "operation": "SendMessageBatch", "code": "AccessDenied"})
    answer = await product.api.post(GROUPS, json=product.body(members))
    assert answer.status_code == 201, answer.text
    group_id = answer.json()["groupId"]
    assert answer.json()["launchConfigStatus"]["status"] == "pending"
    product.faults()
    assert product.take_jobs() == []
    for _ in range(2):
        again = await product.apply(group_id)
        assert (again.status_code, again.json()["runId"]) == (202, answer.json()["launchConfigStatus"]["runId"])
    jobs = product.take_jobs()
    assert sorted(job.arguments["sourceServerId"] for job in jobs) == sorted(members)
    await product.drain(jobs)
    assert (await product.status(group_id))["status"] == "ready"


async def test_a_missing_queue_does_not_unmake_what_was_stored(product: Product) -> None:
    """Committed is accepted, also where the queue is gone: the caller learns the group's id, not a 503."""
    (member,) = product.add_servers(1)
    fault = {"service": "sqs", "operation": "SendMessageBatch", "code": "AWS.SimpleQueueService.NonExistentQueue"}
    product.faults(fault)
    answer = await product.api.post(GROUPS, json=product.body([member]))
    assert answer.status_code == 201, answer.text
    product.faults()
    assert (await product.apply(answer.json()["groupId"])).status_code == 202
    await product.drain()
    assert (await product.status(answer.json()["groupId"]))["status"] == "ready"


async def test_five_hundred_servers_are_one_transaction(product: Product) -> None:
    """The largest group is opened whole, by one transaction, and its jobs go out in batches of ten."""
    members = product.add_servers(500)
    product.count_anew()
    answer = await product.api.post(GROUPS, json=product.body(members))
    assert answer.status_code == 201
    calls = product.calls()
    assert (calls["dynamodb.TransactWriteItems"], calls["sqs.SendMessageBatch"]) == (1, 50)
    assert sorted(job.arguments["sourceServerId"] for job in product.take_jobs()) == sorted(members)
    shown = (await product.api.get(answer.headers["location"])).json()
    assert shown["sourceServerIds"] == members


async def test_a_generation_is_never_opened_over_another_state(product: Product) -> None:
    """Settling and superseding race: whichever comes first, the group ends ready at the newest generation."""
    (member,) = product.add_servers(1)
    group_id = await product.create_ready([member])
    submission = product.services.submission
    for _ in range(8):
        await submission.apply(group_id, ApplyRequest(force=True), TESTER)
        jobs = product.take_jobs()
        await asyncio.gather(product.run(jobs[0]), submission.apply(group_id, ApplyRequest(force=True), TESTER))
        # A job of the older generation is as good as one of the newer.
        await product.drain()
    status = await product.status(group_id)
    assert status["status"] == "ready"
    heads = runs_of(product, group_id)
    assert len(heads) == status["generation"] == 17
    assert [g for g, head in heads.items() if "unsettled" in head] == []


async def test_what_is_read_back_is_what_was_asked(product: Product) -> None:
    """A stored definition is the one that was sent, the external id with it."""
    members = product.add_servers(2)
    body = product.body(members, assumeRoleName="role", externalId="between:us", autoRepair=True)
    with product.unchecked():
        head = await product.services.submission.create_group(parse_group(body), TESTER)
    view = await product.services.queries.group(head.group_id)
    assert view.definition.to_json() == {**body, "description": "", "servers": [], "accountId": "123456789012"}
