"""Updates: what is applied again is what changed, what joined and what is not ready; nothing else, and nothing lost."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from tests.integration.databases import over_every_database
from tests.integration.product import TESTER, Product
from tests.integration.stack.test_opening import items, runs_of
from workers.core.errors import ServiceUnavailable
from workers.core.model.errors import InvalidBody
from workers.core.model.group_parse import parse_group_update
from workers.core.requests import NotFound, RequestRefused
from workers.core.runs.change import Reapply, Updated

pytestmark = [pytest.mark.asyncio(loop_scope="session"), over_every_database]

LARGE = {"instanceType": "m5.2xlarge", "targetInstanceTypeRightSizingMethod": "NONE"}
LOST = {"service": "dynamodb", "operation": "TransactWriteItems", "afterEffect": True}


def override(server: str, **config: Any) -> dict[str, Any]:
    return {"sourceServerId": server, "launchConfig": config}


def listed(updated: Updated) -> set[str]:
    assert updated.reapply is not None
    return set(updated.reapply.source_server_ids)


async def refusal(product: Product, group_id: str, change: dict[str, Any], **more: Any) -> RequestRefused:
    with pytest.raises(RequestRefused) as refused:
        await product.update(group_id, change, **more)
    return refused.value


async def test_trace_23_only_the_changed_server_is_applied_again(product: Product) -> None:
    """An override of one of three lists that one; the others stay as they were verified, and unread."""
    members = product.add_servers(3)
    group_id = await product.create_ready(members)
    before = await product.status(group_id)
    updated = await product.update(group_id, {"servers": [override(members[1], instanceType="m5.2xlarge")]})
    assert (updated.head.version, listed(updated)) == (2, {members[1]})
    pending = await product.status(group_id)
    assert (pending["status"], pending["appliedServers"], pending["pendingServers"]) == ("pending", 2, 1)
    product.count_anew()
    await product.drain()
    after = await product.status(group_id)
    assert (after["status"], after["generation"]) == ("ready", 2)
    assert product.calls()["drs.GetLaunchConfiguration"] == 1
    for member in (members[0], members[2]):
        assert after["serverConfigs"][member] == before["serverConfigs"][member]
    # Trace 23: still the oldest member's.
    recorded = await product.workers._apply._runs.read_servers(group_id)
    oldest = min(item.verified_at for item in recorded.values() if item.verified_at is not None)
    assert datetime.fromisoformat(after["verifiedAt"]) == oldest
    assert product.template(members[1])["LaunchTemplateData"]["InstanceType"] == "m5.2xlarge"


async def test_what_changes_nothing_is_a_new_version_and_no_run(product: Product) -> None:
    """A new name or description leaves the status as it is, member by member; the old name is free again."""
    members = product.add_servers(2)
    group_id = await product.create_ready(members)
    before = await product.status(group_id)
    old_name = (await product.services.queries.group(group_id)).definition.name
    updated = await product.update(group_id, {"groupName": f"{old_name} EU", "description": "moved"})
    assert (updated.head.version, updated.reapply) == (2, None)
    assert await product.status(group_id) == before
    assert product.take_jobs() == []
    await product.create(product.add_servers(1), groupName=old_name)
    refused = await refusal(product, group_id, {"groupName": old_name})
    assert refused.code == "GROUP_NAME_EXISTS"
    assert (await product.services.queries.group(group_id)).head.version == 2


def stored(product: Product, group_id: str) -> list[dict[str, Any]]:
    """Read all that is stored of where a group stands: its status, its source servers, and its runs."""
    found = [item for table in ("groups", "runs") for item in items(product, table) if item["groupId"]["S"] == group_id]
    return [
        item for item in found if item["item"]["S"].partition("#")[0] in {"status", "server", "head", "list", "change"}
    ]


async def test_what_changes_nothing_leaves_the_status_to_the_byte(product: Product) -> None:
    """The answer, and every item that it is made of, are the same before and after; nothing is sent."""
    members = product.add_servers(3)
    group_id = await product.create_ready(members, servers=[override(members[0], copyTags=True)])
    path = f"/protection-groups/{group_id}/launch-config-status"
    before, answered = stored(product, group_id), (await product.api.get(path)).content
    for change in ({"description": "other"}, {"autoRepair": True}, {}):
        assert (await product.update(group_id, change)).reapply is None
        assert (await product.api.get(path)).content == answered
    assert stored(product, group_id) == before
    assert product.take_jobs() == []


async def test_an_update_lists_who_changed_who_joined_and_who_is_not_ready(product: Product) -> None:
    """Of six: one left, one joins, one changed, one lost a field, one had failed; the one that is left is not read."""
    left, changed, lost, failed, right, joins = members = product.add_servers(6)
    fault = {"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ValidationException", "times": 1}
    product.faults({**fault, "sourceServerId": failed})
    config = {**LARGE, "copyTags": True}
    own = [override(lost, ebsOptimized=False)]
    group_id = await product.create(members[:5], launchConfig=config, servers=own)
    await product.drain()
    product.faults()
    before = await product.status(group_id)
    assert (before["appliedServers"], before["failedServers"]) == (4, 1)
    product.clock.advance(product.settings.settle_time)
    change = {"sourceServerIds": [changed, lost, failed, right, joins], "servers": [override(changed, monitoring=True)]}
    updated = await product.update(group_id, change)
    assert listed(updated) == {changed, lost, failed, joins}
    product.count_anew()
    await product.drain()
    after = await product.status(group_id)
    assert (after["status"], after["appliedServers"], after["pendingServers"]) == ("ready", 5, 0)
    assert left not in after["serverConfigs"]
    assert after["serverConfigs"][right] == before["serverConfigs"][right]
    assert product.calls()["drs.GetLaunchConfiguration"] == 4
    assert product.template(lost)["LaunchTemplateData"]["EbsOptimized"] is True


async def test_equal_configs_written_otherwise_change_nothing(product: Product) -> None:
    """Sets in another order, and a default moved into every override, ask for the same: no run."""
    members = product.add_servers(2)
    groups = product.add_security_groups(2)
    config = {"monitoring": True, "subnetId": product.subnet_id, "securityGroupIds": groups}
    group_id = await product.create(members, launchConfig=config)
    moved = [override(member, monitoring=True) for member in members]
    same = {"subnetId": product.subnet_id, "securityGroupIds": groups[::-1]}
    product.take_jobs()
    updated = await product.update(group_id, {"launchConfig": same, "servers": moved})
    # Nothing changed, and the run that is under way lists all of it already.
    status = await product.status(group_id)
    assert updated.reapply == Reapply(status["runId"], tuple(sorted(members)))
    assert (status["generation"], product.take_jobs()) == (1, [])


async def test_members_come_and_go(product: Product) -> None:
    """Who joins is applied, who leaves is neither counted nor shown, and is free for another group."""
    first, second, third = product.add_servers(3)
    group_id = await product.create_ready([first, second])
    updated = await product.update(group_id, {"sourceServerIds": [second, third]})
    assert listed(updated) == {third}
    await product.drain()
    status = await product.status(group_id)
    assert (status["status"], status["appliedServers"], set(status["serverConfigs"])) == ("ready", 2, {second, third})
    other = await product.create_ready([first])
    refused = await refusal(product, group_id, {"sourceServerIds": [first, second, third]})
    assert (refused.code, refused.errors[0].pointer) == ("SERVER_CONFLICT", "/sourceServerIds/0")
    assert other in refused.errors[0].message


async def test_trace_05_the_only_failed_server_is_removed(product: Product) -> None:
    """Trace 5: failed, pending, ready by a generation with an empty list, with no job and no call to AWS."""
    good, bad = product.add_servers(2)
    fault = {"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ValidationException"}
    product.faults({**fault, "sourceServerId": bad})
    group_id = await product.create([good, bad], launchConfig={**LARGE, "copyTags": True})
    await product.drain()
    assert (await product.status(group_id))["status"] == "failed"
    product.count_anew()
    updated = await product.update(group_id, {"sourceServerIds": [good]})
    assert updated.reapply is not None
    assert updated.reapply.source_server_ids == ()
    status = await product.status(group_id)
    assert (status["status"], status["generation"], status["appliedServers"]) == ("ready", 2, 1)
    assert product.take_jobs() == []
    assert product.aws_writes() == {}


async def test_trace_01_a_change_carries_over_what_the_run_before_left(product: Product) -> None:
    """Trace 1: B changed and its job lost, then A changed: the last generation lists both, and both come right."""
    a, b = product.add_servers(2)
    group_id = await product.create_ready([a, b])
    await product.update(group_id, {"servers": [override(b, instanceType="m5.2xlarge")]})
    product.take_jobs()  # lost
    both = [override(a, instanceType="m5.4xlarge"), override(b, instanceType="m5.2xlarge")]
    updated = await product.update(group_id, {"servers": both})
    assert listed(updated) == {a, b}
    runs = runs_of(product, group_id)
    assert runs["2"]["supersededBy"]["N"] == "3"
    assert "settledAt" in runs["2"]
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"
    types = [product.template(member)["LaunchTemplateData"]["InstanceType"] for member in (a, b)]
    assert types == ["m5.4xlarge", "m5.2xlarge"]


async def test_trace_04_a_late_outcome_of_a_removed_server_counts_for_nothing(product: Product) -> None:
    """Trace 4: the job of a member that was removed meanwhile writes nothing to AWS and nothing to the counts."""
    kept, removed = product.add_servers(2)
    group_id = await product.create([kept, removed])
    late = [job for job in product.take_jobs() if job.arguments["sourceServerId"] == removed]
    await product.update(group_id, {"sourceServerIds": [kept]})
    product.count_anew()
    await product.drain(late)
    assert product.aws_writes() == {}
    await product.drain()
    status = await product.status(group_id)
    assert (status["status"], status["appliedServers"], list(status["serverConfigs"])) == ("ready", 1, [kept])


async def test_force_takes_every_member(product: Product) -> None:
    """With force all members are observed anew; what is right is not written."""
    members = product.add_servers(3)
    group_id = await product.create_ready(members)
    product.clock.advance(product.settings.settle_time)
    updated = await product.update(group_id, {"force": True})
    assert listed(updated) == set(members)
    product.count_anew()
    await product.drain()
    assert product.calls()["drs.GetLaunchConfiguration"] == 3
    assert product.aws_writes() == {}
    assert (await product.status(group_id))["status"] == "ready"


async def test_what_failed_is_applied_again(product: Product) -> None:
    """An update that changes nothing else lists the members that are not ready."""
    good, bad = product.add_servers(2)
    fault = {"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ValidationException", "times": 1}
    product.faults({**fault, "sourceServerId": bad})
    group_id = await product.create([good, bad], launchConfig={"copyTags": True})
    await product.drain()
    updated = await product.update(group_id, {"description": "again"})
    assert listed(updated) == {bad}
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"


async def test_a_launch_config_that_comes_later_opens_the_first_generation(product: Product) -> None:
    """not_configured, then pending and ready; without one there is no generation however the group changes."""
    members = product.add_servers(2)
    group_id = await product.create(members, launchConfig=None)
    updated = await product.update(group_id, {"description": "still nothing"})
    assert updated.reapply is None
    assert (await product.status(group_id))["status"] == "not_configured"
    updated = await product.update(group_id, {"launchConfig": LARGE})
    assert listed(updated) == set(members)
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"


async def test_an_update_is_laid_over_the_version_that_was_read(product: Product) -> None:
    """Of two updates over one version one wins; the other is refused and changes nothing."""
    members = product.add_servers(2)
    group_id = await product.create_ready(members)
    changes = [{"launchConfig": {**LARGE, "monitoring": value}} for value in (True, False)]
    outcomes = await asyncio.gather(
        *(product.update(group_id, change, version=1) for change in changes), return_exceptions=True
    )
    (lost,) = (outcome for outcome in outcomes if isinstance(outcome, RequestRefused))
    assert lost.code == "VERSION_CONFLICT"
    assert "version 2" in lost.detail
    (won,) = (outcome for outcome in outcomes if isinstance(outcome, Updated))
    stored = (await product.services.queries.group(group_id)).definition.launch_config.values["monitoring"]
    assert stored is changes[outcomes.index(won)]["launchConfig"]["monitoring"]
    assert (await product.status(group_id))["generation"] == 2
    late = await refusal(product, group_id, {}, version=1)
    assert late.code == "VERSION_CONFLICT"


async def test_trace_14_an_update_whose_answer_is_lost_is_a_success(product: Product) -> None:
    """Trace 14: the transaction commits and nobody is told: no conflict with oneself, one generation, sent once."""
    members = product.add_servers(2)
    group_id = await product.create_ready(members)
    reasons = ["ConditionalCheckFailed"]
    faults: tuple[dict[str, Any], ...] = (
        {**LOST, "times": 1, "code": "InternalServerError"},
        {**LOST, "times": 1, "code": "TransactionCanceledException", "cancellationReasons": reasons},
        {**LOST, "times": 9, "code": "InternalServerError"},
    )
    for generation, fault in enumerate(faults, start=2):
        product.faults(fault)
        updated = await product.update(group_id, {"launchConfig": {**LARGE, "tags": {"g": str(generation)}}})
        product.faults()
        assert updated.head.version == generation
        assert len(product.take_jobs()) == 2
        assert (await product.status(group_id))["generation"] == generation


async def test_what_was_not_stored_and_not_answered_is_said(product: Product) -> None:
    """Where DynamoDB refuses and the update is not there, the requester is told; nothing was sent."""
    group_id = await product.create_ready(product.add_servers(1))
    product.faults({**LOST, "afterEffect": False, "code": "InternalServerError"})
    with pytest.raises(ServiceUnavailable):
        await product.update(group_id, {"launchConfig": LARGE})
    product.faults()
    assert (await product.services.queries.group(group_id)).head.version == 1
    assert product.take_jobs() == []


async def test_a_group_stays_in_its_account_and_region(product: Product) -> None:
    """Another Region or account is refused, both at once; the same ones, said or not, are not."""
    group_id = await product.create_ready(product.add_servers(1))
    with pytest.raises(InvalidBody) as refused:
        await product.update(group_id, {"region": "eu-west-1", "accountId": "210987654321"})
    assert {error.pointer for error in refused.value.errors} == {"/region", "/accountId"}
    assert (await product.update(group_id, {"accountId": None})).head.account_id == "123456789012"


async def test_an_external_id_that_is_not_repeated_is_kept(product: Product) -> None:
    """The external id is never shown, so an update without it keeps it; without the role it goes."""
    role: dict[str, Any] = {"assumeRoleName": "DrsRole", "externalId": "a-secret"}
    roles = [{"roleName": "DrsRole", "externalId": "a-secret"}]
    product.local.control("PUT", "accounts/123456789012", {"roles": roles})
    group_id = await product.create(product.add_servers(1), launchConfig=None, **role)

    async def stored() -> str | None:
        return (await product.services.queries.group(group_id)).definition.target.external_id

    await product.update(group_id, {"description": "x"})
    assert await stored() == "a-secret"
    product.local.control("PUT", "accounts/123456789012", {"roles": [{**roles[0], "externalId": "another"}]})
    await product.update(group_id, {"externalId": "another"})
    assert await stored() == "another"
    await product.update(group_id, {"assumeRoleName": None})
    assert await stored() is None


async def test_a_new_role_is_used_by_the_run_that_follows(product: Product) -> None:
    """Servers that failed for a role are applied with the new one, also while the old run is pending."""
    members = product.add_servers(1, accountId="210987654321")
    with product.unchecked():
        group_id = await product.create(members, assumeRoleName="NoSuchRole", accountId="210987654321")
    product.local.control("PUT", "accounts/210987654321", {"roles": [{"roleName": "Right"}]})
    updated = await product.update(group_id, {"assumeRoleName": "Right"})
    assert updated.reapply is not None
    run = await product.services.submission._with.runs.read_run(group_id, 2)
    assert run is not None
    assert run.target.assume_role_name == "Right"


async def test_an_unknown_group_is_not_found(product: Product) -> None:
    """There is nothing to change, and nothing comes of it."""
    group_id = await product.create_ready(product.add_servers(1))
    body = {**(await product.services.queries.group(group_id)).definition.to_body(), "version": 1}
    before = items(product, "groups")
    with pytest.raises(NotFound) as refused:
        await product.services.changes.update_group("pg-none", parse_group_update(body), TESTER)
    assert refused.value.code == "GROUP_NOT_FOUND"
    assert items(product, "groups") == before
