"""A file of groups against the stack: what others change meanwhile, other accounts, tags, and what AWS holds."""

import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from producer.render_fleet import render_outcome
from tests.integration.product import TESTER, Product
from workers.core.contract import Queue
from workers.core.errors import RetryableError
from workers.core.fleet.changes import FieldChange, GroupChange, Kind, remove
from workers.core.fleet.file import parse_fleet, render_fleet
from workers.core.fleet.outcome import Outcome, find_adrift
from workers.core.model.errors import InvalidBody
from workers.core.model.group import Target
from workers.core.requests import Conflict, RequestRefused
from workers.core.runs.removal import Removal

pytestmark = pytest.mark.asyncio(loop_scope="session")
SECRET = "the-external-id"
MONITORED = {"monitoring": True}


async def plan(product: Product, *bodies: dict[str, Any]) -> list[GroupChange]:
    return await product.services.fleet.plan(parse_fleet({"groups": list(bodies)}), prune=False)


async def apply(product: Product, changes: Sequence[GroupChange]) -> list[Outcome]:
    return [outcome async for outcome in product.services.fleet.apply(changes, TESTER)]


def codes_of(outcomes: Sequence[Outcome]) -> dict[str, str | None]:
    errors = {each.change.name: each.error for each in outcomes}
    return {name: error.code if isinstance(error, RequestRefused) else None for name, error in errors.items()}


async def open_role(product: Product, account_id: str) -> dict[str, str]:
    roles = [{"roleName": "recovery", "externalId": SECRET}]
    product.local.control("PUT", f"accounts/{account_id}", {"initialised": True, "roles": roles})
    return {"accountId": account_id, "assumeRoleName": "recovery", "externalId": SECRET}


async def test_what_somebody_else_changes_is_named_and_the_others_go_on(product: Product) -> None:
    """An update, a creation and a deletion that come too late change nothing; each other change is made."""
    a, b, c, d = product.add_servers(4)
    bodies = [product.body([member]) for member in (a, b, c)]
    for body in bodies[:2]:
        await product.create(body["sourceServerIds"], **body)
    doomed = await product.services.queries.group(await product.create([d]))
    changes = await plan(product, *({**body, "launchConfig": MONITORED} for body in bodies))
    changes.append(remove(doomed.head, doomed.definition))
    await product.update(changes[0].head.group_id if changes[0].head else "", {"description": "by another"})
    await product.update(doomed.head.group_id, {"description": "by another"})
    await product.create([], **{**bodies[2], "sourceServerIds": product.add_servers(1)})
    outcomes = await apply(product, changes)
    assert codes_of(outcomes) == {
        bodies[0]["groupName"]: "VERSION_CONFLICT",
        bodies[1]["groupName"]: None,
        bodies[2]["groupName"]: "GROUP_NAME_EXISTS",
        doomed.head.name: "VERSION_CONFLICT",
    }
    (updated,) = [each.updated for each in outcomes if each.updated is not None]
    assert updated.definition.launch_config.to_json() == MONITORED
    assert (await product.services.queries.group(doomed.head.group_id)).definition.description == "by another"


async def test_a_file_that_was_applied_changes_nothing(product: Product) -> None:
    """Nothing is asked of the accounts, nothing is written anywhere, and no job is sent."""
    members = product.add_servers(2)
    body = product.body(members, servers=[{"sourceServerId": members[0], "launchConfig": {"copyTags": True}}])
    assert [each.error for each in await apply(product, await plan(product, body))] == [None]
    assert len(product.take_jobs()) == 2
    product.count_anew()
    again = await plan(product, body)
    assert [each.kind for each in again] == [Kind.NONE]
    assert await apply(product, again) == []
    assert product.writes() == {}
    assert not any(name.startswith(("drs.", "ec2.")) for name in product.calls())
    assert product.take_jobs() == []


async def test_a_file_without_an_external_id_keeps_it(product: Product) -> None:
    """Exported, changed, applied in another account: its role still opens. One that the file names takes its place."""
    access = await open_role(product, "111122223333")
    (member,) = product.add_servers(1, accountId="111122223333")
    body = product.body([member], **access)
    (created,) = await apply(product, await plan(product, body))
    exported = render_fleet(await product.services.fleet.read([created.group_id]))
    assert SECRET not in str(exported)
    assert [each.kind for each in await product.services.fleet.plan(parse_fleet(exported), prune=False)] == [Kind.NONE]
    without = {name: value for name, value in body.items() if name != "externalId"}
    (change,) = await plan(product, {**without, "launchConfig": MONITORED})
    assert "externalId" not in {each.field for each in change.fields}
    (outcome,) = await apply(product, [change])
    assert outcome.error is None
    assert (await product.services.queries.group(created.group_id)).definition.target.external_id == SECRET
    with pytest.raises(Conflict) as refused:
        await plan(product, {**body, "launchConfig": MONITORED, "externalId": "another"})
    (error,) = refused.value.errors
    assert (error.code, error.pointer) == ("ACCESS_DENIED", "/groups/0/assumeRoleName")
    assert "another" not in error.message


async def test_errors_of_all_accounts_come_at_once(product: Product) -> None:
    """A role that is missing, a Region that a group cannot move to, what an account lacks: each at its group."""
    a, b, c = product.add_servers(3)
    there = product.body([a])
    await product.create([a], **there)
    product.count_anew()
    lacking = {"subnetId": "subnet-" + "0" * 17}
    with pytest.raises(InvalidBody) as refused:
        await plan(
            product,
            {**there, "region": "eu-west-1"},
            product.body([c], launchConfig=lacking),
            product.body([b], accountId="444455556666"),
            product.body(["s-" + "0" * 17]),
        )
    assert [each.pointer for each in refused.value.errors] == [
        "/groups/0/region",
        "/groups/1/launchConfig/subnetId",
        "/groups/2/accountId",
        "/groups/3/sourceServerIds/0",
    ]
    assert not any("TransactWrite" in name or name.startswith("sqs.") for name in product.writes())


async def test_who_matches_a_files_tags_now_joins(product: Product) -> None:
    """As with every update of such a group: the file says by which tags, the account who that is today."""
    tags = {"team": uuid.uuid4().hex}
    first = product.add_servers(1, tags=tags)
    body = product.body([], sourceServerIds=None, serverSelectionTags=tags)
    await apply(product, await plan(product, body))
    assert [each.kind for each in await plan(product, body)] == [Kind.NONE]
    second = product.add_servers(1, tags=tags)
    (change,) = await plan(product, body)
    assert (change.kind, change.joining, change.fields) == (Kind.UPDATE, tuple(second), ())
    (outcome,) = await apply(product, [change])
    assert outcome.updated is not None
    assert sorted(outcome.updated.definition.source_server_ids) == sorted(first + second)


async def test_what_another_account_holds_becomes_groups_by_a_tag(product: Product) -> None:
    """Each value of the tag a group, applied as it is read: nothing is to be changed in AWS, and nothing is written."""
    account_id = "222233334444"
    access = await open_role(product, account_id)
    app = uuid.uuid4().hex
    web = product.add_servers(2, accountId=account_id, region="eu-west-1", tags={"app": app})
    rest = product.add_servers(1, accountId=account_id, region="eu-west-1")
    told: list[tuple[int, int]] = []
    target = Target("eu-west-1", account_id, "recovery", SECRET)
    imported = await product.services.live_import.read([target], by_tag="app", tell=lambda *far: told.append(far))
    names = {group.name: list(group.source_server_ids) for group in imported.groups}
    assert names == {app: sorted(web), f"{account_id} eu-west-1": rest}
    assert (told[-1], imported.unread) == ((3, 3), [])
    exported: Any = render_fleet(imported.groups)["groups"]
    # The file never has it: a person adds it.
    outcomes = await apply(
        product, await plan(product, *({**group, "externalId": access["externalId"]} for group in exported))
    )
    product.count_anew()
    await product.drain()
    assert product.aws_writes() == {}
    for outcome in outcomes:
        assert (await product.status(outcome.group_id))["status"] == "ready"
    again = await product.services.live_import.read([target], by_tag=None, tell=lambda *_far: None)
    assert again.groups == []
    (change,) = await plan(product, {**exported[0], "autoRepair": True})
    assert change.fields == (FieldChange("autoRepair", False, None, True, True),)


async def test_a_place_that_is_named_twice_is_read_once(product: Product) -> None:
    """Else its source servers would be in two groups, and the file could never be applied."""
    (member,) = product.add_servers(1, region="eu-west-1")
    own = [Target("eu-west-1"), Target("eu-west-1", "123456789012")]
    imported = await product.services.live_import.read(own, by_tag=None, tell=lambda *_far: None)
    members = [each for group in imported.groups for each in group.source_server_ids]
    assert members.count(member) == 1


async def test_a_group_that_only_let_go_is_told_as_that(product: Product) -> None:
    """In a circle one lets go first. Where the rest of its change fails it is not as it was, and that is told."""
    a, b, c, d = product.add_servers(4)
    first, second = product.body([a, b], groupName="circle 1 " + a), product.body([c, d], groupName="circle 2 " + a)
    await apply(product, await plan(product, first, second))
    changes = await plan(
        product, {**first, "sourceServerIds": [c, b]}, {**second, "sourceServerIds": [a, d], "description": "of two"}
    )
    heads = [change.head for change in changes if change.head is not None]
    await product.update(heads[1].group_id, {"description": "by another"})
    other, one = await apply(product, changes)
    assert codes_of([one, other]) == {first["groupName"]: "SERVER_CONFLICT", second["groupName"]: "VERSION_CONFLICT"}
    assert (other.released, other.updated) == (None, None)
    assert one.released is not None
    assert (one.released.head.version, one.released.definition.source_server_ids) == (2, (b,))
    assert render_outcome(one)["version"] == 2
    assert find_adrift([other, one]) == [a]


async def test_a_group_that_could_not_let_go_fails_once(product: Product) -> None:
    """The rest of its change is not tried: it is told of once, and so is everybody who waited for it."""
    a, b, c, d = product.add_servers(4)
    first, second = product.body([a, b]), product.body([c, d])
    await apply(product, await plan(product, first, second))
    changes = await plan(product, {**first, "sourceServerIds": [c, b]}, {**second, "sourceServerIds": [a, d]})
    heads = [change.head for change in changes if change.head is not None]
    await product.update(heads[0].group_id, {"description": "by another"})
    outcomes = await apply(product, changes)
    assert [(each.change.name, codes_of([each])[each.change.name]) for each in outcomes] == [
        (first["groupName"], "VERSION_CONFLICT"),
        (second["groupName"], "SERVER_CONFLICT"),
    ]
    assert find_adrift(outcomes) == []


async def test_a_group_that_is_changed_while_it_is_deleted_stays(product: Product, monkeypatch: Any) -> None:
    """Also by a change that comes between the look at its version and the transaction that deletes it."""
    (member,) = product.add_servers(1)
    view = await product.services.queries.group(await product.create([member]))
    look = Removal._plan  # the instant between the two

    async def change_before(removal: Removal, *args: Any) -> Any:
        monkeypatch.setattr(Removal, "_plan", look)
        await product.update(view.head.group_id, {"description": "by another"})
        return await look(removal, *args)

    monkeypatch.setattr(Removal, "_plan", change_before)
    (outcome,) = await apply(product, [remove(view.head, view.definition)])
    assert codes_of([outcome]) == {view.head.name: "VERSION_CONFLICT"}
    assert (await product.services.queries.group(view.head.group_id)).definition.description == "by another"


async def test_conflicts_and_what_accounts_lack_come_at_once(product: Product) -> None:
    """Whoever corrects one of them does not meet the other in the next try."""
    a, b = product.add_servers(2)
    await product.create([a])
    lacking = {"subnetId": "subnet-" + "0" * 17}
    with pytest.raises(InvalidBody) as refused:
        await plan(product, product.body([a]), product.body([b], launchConfig=lacking))
    assert [(each.pointer, each.code) for each in refused.value.errors] == [
        ("/groups/0/sourceServerIds/0", "SERVER_CONFLICT"),
        ("/groups/1/launchConfig/subnetId", "INVALID_LAUNCH_CONFIG"),
    ]


async def test_an_account_is_listed_once_for_all_groups_with_tags(product: Product) -> None:
    """However many of them a file has: each list is twenty calls where DRS has 4,000 source servers."""
    access = await open_role(product, "333344445555")
    tags = [{"team": uuid.uuid4().hex} for _ in range(3)]
    for each in tags:
        product.add_servers(1, accountId=access["accountId"], tags=each)
    bodies = [product.body([], sourceServerIds=None, serverSelectionTags=each, **access) for each in tags]
    assert [each.error for each in await apply(product, await plan(product, *bodies))] == [None] * 3
    product.count_anew()
    assert [each.kind for each in await plan(product, *bodies)] == [Kind.NONE] * 3
    assert product.calls()["drs.DescribeSourceServers"] == 1


async def test_who_is_being_launched_is_not_let_go_for_another_group(product: Product) -> None:
    """The whole file is refused: its group would let it go, and no other could have it until the wave is over."""
    a, b, c = product.add_servers(3)
    first, second = product.body([a, b], launchConfig=MONITORED), product.body([c], launchConfig=MONITORED)
    await apply(product, await plan(product, first, second))
    await product.drain()
    held = await product.services.fleet.find_named(first["groupName"])
    answer = await product.api.post("/waves", json={"groupIds": [held]})
    assert answer.status_code == 202, answer.text
    await product.drain()
    moved = [{**first, "sourceServerIds": [b]}, {**second, "sourceServerIds": [c, a]}]
    with pytest.raises(Conflict) as refused:
        await plan(product, *moved)
    (error,) = refused.value.errors
    assert (error.pointer, error.code) == ("/groups/1/sourceServerIds/1", "SERVER_CONFLICT")
    assert f"launched with protection group {held} by {answer.json()['waveId']}" in error.message
    # Somebody has let it go already: it is that group's all the same.
    await product.update(held or "", {"sourceServerIds": [b]})
    with pytest.raises(Conflict) as refused:
        await plan(product, *moved)
    assert [each.message for each in refused.value.errors] == [error.message]


async def test_an_account_is_asked_once_for_all_groups_that_change(product: Product) -> None:
    """Not once a group: by pages of 200 source servers, when the file is checked and when its changes are made."""
    members = product.add_servers(201)
    bodies = [product.body(part, launchConfig=MONITORED) for part in (members[:100], members[100:200], members[200:])]
    product.count_anew()
    changes = await plan(product, *bodies)
    assert product.calls()["drs.DescribeSourceServers"] == 2
    product.count_anew()
    assert [each.error for each in await apply(product, changes)] == [None] * 3
    assert product.calls()["drs.DescribeSourceServers"] == 2
    # An update asks for what it brings alone.
    product.count_anew()
    changes = await plan(product, *({**body, "launchConfig": {"ebsOptimized": True}} for body in bodies[:2]), bodies[2])
    assert [each.error for each in await apply(product, changes)] == [None] * 2
    assert product.calls()["drs.DescribeSourceServers"] == 2


async def test_what_an_account_loses_before_a_file_is_applied_is_refused(product: Product) -> None:
    """The accounts are asked anew when the changes are made: of groups that were right then, one fails alone."""
    a, b = product.add_servers(2)
    bodies = [product.body([a]), product.body([b])]
    changes = await plan(product, *bodies)
    product.local.control("DELETE", f"servers/{b}")
    kept, lost = await apply(product, changes)
    assert (kept.error, type(lost.error)) == (None, InvalidBody)


async def test_several_groups_of_a_file_are_bulk_work(product: Product) -> None:
    """New ones and changed ones: whoever asks for one group meanwhile does not wait behind them. One is no bulk."""
    a, b = product.add_servers(2)
    bodies = [product.body([a]), product.body([b])]
    await apply(product, await plan(product, *bodies))
    assert (product.take_jobs(), len(product.take_jobs(Queue.BULK))) == ([], 2)
    await apply(product, await plan(product, *({**body, "launchConfig": MONITORED} for body in bodies)))
    assert (product.take_jobs(), len(product.take_jobs(Queue.BULK))) == ([], 2)
    await apply(product, await plan(product, bodies[0], {**bodies[1], "launchConfig": MONITORED}))
    assert (len(product.take_jobs()), product.take_jobs(Queue.BULK)) == (1, [])


async def test_what_is_wrong_in_the_text_hides_nothing_of_the_other_groups(product: Product) -> None:
    """They are checked in the stack and in their accounts in the same round; nothing is said of what may be right."""
    a, b, c, d = product.add_servers(4)
    giver, keeper = product.body([a, b]), product.body([c])
    await apply(product, await plan(product, giver, keeper))
    lacking = {"subnetId": "subnet-" + "0" * 17}
    taker = product.body([a, c], launchConfig=lacking)
    product.count_anew()
    with pytest.raises(InvalidBody) as refused:
        await plan(product, {**giver, "sourceServerIds": [b], "launchConfig": {"imageId": "ami-1"}}, taker)
    # Whoever corrects the first group may let go of a, but nobody lets go of c.
    assert [(each.pointer, each.code) for each in refused.value.errors] == [
        ("/groups/0/launchConfig/imageId", "INVALID_LAUNCH_CONFIG"),
        ("/groups/1/sourceServerIds/1", "SERVER_CONFLICT"),
        ("/groups/1/launchConfig/subnetId", "INVALID_LAUNCH_CONFIG"),
    ]
    nameless = {name: value for name, value in giver.items() if name != "groupName"}
    with pytest.raises(InvalidBody) as refused:
        await plan(product, nameless, taker, product.body([d], launchConfig=lacking))
    # Which group that is to be nobody knows: it may be the one that has c.
    assert [each.pointer for each in refused.value.errors] == [
        "/groups/0",
        "/groups/1/launchConfig/subnetId",
        "/groups/2/launchConfig/subnetId",
    ]
    assert product.writes().keys() <= {"dynamodb.UpdateItem"}, "more than turns of the reads"


async def test_what_is_wrong_is_told_where_an_account_cannot_be_asked(product: Product) -> None:
    """An outage of DRS hides neither the text's errors nor the stack's."""
    a, b = product.add_servers(2)
    await product.create([a])
    product.faults({"service": "drs", "operation": "DescribeSourceServers", "code": "InternalServerException"})
    with pytest.raises(InvalidBody) as refused:
        await plan(product, product.body([a]), product.body([b], regio=1))
    assert [each.pointer for each in refused.value.errors] == ["/groups/0/sourceServerIds/0", "/groups/1/regio"]
    with pytest.raises(RetryableError):
        await plan(product, product.body([b]))


async def test_what_is_wrong_in_a_group_hides_nothing_of_its_account(product: Product) -> None:
    """Of a new group and of one that is there: what is right of it is looked up, and told at its place."""
    there, new = product.add_servers(2)
    stored = product.body([there], launchConfig=MONITORED)
    await product.create([there], **stored)
    config = {"monitoring": 7, "instanceProfileName": "nobodys"}
    bodies = [{**product.body([new]), "launchConfig": config}, {**stored, "launchConfig": config}]
    with pytest.raises(InvalidBody) as refused:
        await plan(product, *bodies)
    assert [each.pointer for each in refused.value.errors] == [
        f"/groups/{place}/launchConfig/{field}" for place in (0, 1) for field in ("monitoring", "instanceProfileName")
    ]
