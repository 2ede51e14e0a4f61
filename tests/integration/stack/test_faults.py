"""AWS refusing, throttling, failing or lying for a while: what fails is the one server, and only for good reason."""

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.databases import over_every_database
from tests.integration.product import Product

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def settle(product: Product, members: list[str], **changes: Any) -> dict[str, Any]:
    """Create a group, whatever is in its account, do its jobs, and read where it stands then."""
    with product.unchecked():
        group_id = await product.create(members, **changes)
    await product.drain()
    return await product.status(group_id)


def fault(name: str, **more: Any) -> dict[str, Any]:
    service, _, operation = name.partition(".")
    return {"service": service, "operation": operation, **more}


REFUSALS = [
    ("drs.UpdateLaunchConfiguration", "ValidationException", "ValidationException"),
    ("drs.GetLaunchConfiguration", "ResourceNotFoundException", "ResourceNotFoundException"),
    ("drs.UpdateLaunchConfiguration", "AccessDeniedException", "AccessDeniedException"),
    ("ec2.CreateLaunchTemplateVersion", "InvalidParameterValue", "InvalidParameterValue"),
    ("ec2.ModifyLaunchTemplate", "UnauthorizedOperation", "UnauthorizedOperation"),
    ("ec2.DescribeLaunchTemplateVersions", "SomethingNobodyKnows", "SomethingNobodyKnows"),
]


@pytest.mark.parametrize(("call", "code", "shown"), REFUSALS)
async def test_a_refusal_fails_the_one_server(product: Product, call: str, code: str, shown: str) -> None:
    """What AWS refuses for one server fails that server alone, at once, with AWS's code and request id."""
    members = sorted(product.add_servers(3))
    product.faults(fault(call, code=code, sourceServerId=members[1]))
    status = await settle(product, members)
    assert (status["status"], status["appliedServers"], status["failedServers"]) == ("failed", 2, 1)
    (error,) = status["errors"]
    assert (error["sourceServerId"], error["code"], error["operation"]) == (members[1], shown, call)
    assert (error["attempt"], bool(error["requestId"]), bool(error["message"])) == (1, True, True)
    assert len(product.results) == 3


async def test_a_server_that_is_gone_fails_alone(product: Product) -> None:
    """A source server deleted in DRS fails with DRS's own words; the others become ready."""
    members = product.add_servers(3)
    product.local.control("DELETE", f"servers/{members[0]}")
    status = await settle(product, members)
    assert (status["appliedServers"], status["failedServers"]) == (2, 1)
    assert (status["errors"][0]["sourceServerId"], status["errors"][0]["code"]) == (
        members[0],
        "ResourceNotFoundException",
    )


async def test_a_template_that_may_not_be_written_fails_alone(product: Product) -> None:
    """A template that lost DRS's tag refuses every write: that server fails, the others become ready."""
    members = product.add_servers(3)
    product.local.control("PATCH", f"servers/{members[2]}", {"drsTag": False})
    status = await settle(product, members)
    assert (status["appliedServers"], status["failedServers"]) == (2, 1)
    assert status["errors"][0]["code"] == "UnauthorizedOperation"


async def test_a_template_that_is_gone_is_made_anew_by_drs(product: Product) -> None:
    """A deleted template is DRS's to recreate, under a new id: the server becomes ready with that one."""
    (member,) = product.add_servers(1)
    product.local.control("PATCH", f"servers/{member}", {"template": None})
    assert (await settle(product, [member]))["status"] == "ready"
    assert product.template(member)["LaunchTemplateData"]["InstanceType"] == "m5.xlarge"


async def test_a_version_stored_with_a_warning_is_never_the_default(product: Product) -> None:
    """EC2 stores a type that does not exist with HTTP 200 and a warning: failed, and DRS launches as before."""
    members = product.add_servers(2)
    before = product.template(members[0])
    override = {"sourceServerId": members[0], "launchConfig": {"instanceType": "m5.3xlarge"}}
    product.count_anew()
    status = await settle(product, members, servers=[override])
    assert (status["appliedServers"], status["failedServers"]) == (1, 1)
    (error,) = status["errors"]
    assert (error["sourceServerId"], error["code"]) == (members[0], "InvalidInstanceType")
    assert "m5.3xlarge" in error["message"]
    assert error["requestId"]
    assert product.calls()["ec2.ModifyLaunchTemplate"] == 1
    assert product.template(members[0]) == before


THROTTLED = [
    fault("drs.GetLaunchConfiguration", code="ThrottlingException"),
    fault("ec2.CreateLaunchTemplateVersion", code="RequestLimitExceeded", afterEffect=True),
]


@pytest.mark.parametrize("throttle", THROTTLED)
async def test_a_throttle_uses_up_no_attempt(product: Product, throttle: dict[str, Any]) -> None:
    """
    Throttled, the server becomes ready at its first attempt, in its first delivery.

    It takes two seconds: so much of the bucket is left alone after AWS said that its own is empty.
    """
    (member,) = product.add_servers(1)
    versions = product.version_count(member)
    product.faults({**throttle, "times": 1})
    assert (await settle(product, [member]))["status"] == "ready"
    assert product.results == ["ready"]
    assert product.version_count(member) == versions + 1


async def test_a_long_retry_after_is_not_waited_for_in_a_slot(product: Product) -> None:
    """A throttle that asks for a minute hands the job back for that long, which costs no attempt."""
    (member,) = product.add_servers(1)
    product.faults(fault("drs.GetLaunchConfiguration", code="ThrottlingException", retryAfterSeconds=60, times=1))
    before = product.clock()
    status = await settle(product, [member])
    assert product.results == ["again: ThrottlingException", "ready"]
    assert product.clock() - before >= timedelta(seconds=60)
    assert status["status"] == "ready"


TRANSIENT = [
    ("drs.GetLaunchConfiguration", {"code": "InternalServerException"}),
    ("drs.UpdateLaunchConfiguration", {"code": "InternalServerException"}),
    ("drs.UpdateLaunchConfiguration", {"afterEffect": True}),
    ("ec2.CreateLaunchTemplateVersion", {"code": "InternalError"}),
    ("ec2.CreateLaunchTemplateVersion", {"kind": "reset"}),
    ("ec2.CreateLaunchTemplateVersion", {"afterEffect": True}),
    ("ec2.CreateLaunchTemplateVersion", {"afterEffect": True, "code": "InternalError"}),
    ("ec2.ModifyLaunchTemplate", {"afterEffect": True}),
    ("ec2.ModifyLaunchTemplate", {"code": "Unavailable"}),
]


@pytest.mark.parametrize(("call", "how"), TRANSIENT)
async def test_a_short_trouble_of_aws_fails_nobody(product: Product, call: str, how: dict[str, Any]) -> None:
    """An answer that is an error or is lost, effect or no effect: ready, and one new version, no more."""
    (member,) = product.add_servers(1)
    versions = product.version_count(member)
    product.faults(fault(call, times=1, **how))
    assert (await settle(product, [member]))["status"] == "ready"
    assert product.version_count(member) == versions + 1
    assert product.template(member)["LaunchTemplateData"]["InstanceType"] == "m5.xlarge"


async def test_internal_errors_in_a_row_are_waited_for(product: Product) -> None:
    """Twice InternalServerException, and the third try of the same delivery succeeds."""
    (member,) = product.add_servers(1)
    product.faults(fault("drs.UpdateLaunchConfiguration", code="InternalServerException", times=2))
    assert (await settle(product, [member]))["status"] == "ready"
    assert product.results == ["ready"]


async def test_a_version_made_unheard_is_the_one_that_is_promoted(product: Product) -> None:
    """No answer to any create in one delivery: the next one finds the version by its token; there is never a second."""
    (member,) = product.add_servers(1)
    versions = product.version_count(member)
    product.faults(fault("ec2.CreateLaunchTemplateVersion", afterEffect=True, times=4))
    assert (await settle(product, [member]))["status"] == "ready"
    assert product.results[0].startswith("again")
    assert product.version_count(member) == versions + 1


async def test_a_conflict_is_waited_for_until_the_deadline(product: Product) -> None:
    """While DRS works on a server its job comes again; at the run's deadline the server fails and the group settles."""
    members = product.add_servers(2)
    conflict = fault("drs.UpdateLaunchConfiguration", code="ConflictException", sourceServerId=members[0])
    product.faults({**conflict, "times": 3})
    status = await settle(product, members)
    assert status["status"] == "ready"
    assert product.results.count("again: ConflictException") == 3

    group_id = await product.create(product.add_servers(1))
    product.faults(fault("drs.UpdateLaunchConfiguration", code="ConflictException"))
    (sent,) = product.take_jobs()
    for _ in range(8):  # more than the attempts of a server whose workers die: waiting is no attempt
        await product.run(sent)
    pending = await product.status(group_id)
    assert pending["status"] == "pending"
    product.clock.advance(timedelta(hours=1))
    await product.drain([sent])
    status = await product.status(group_id)
    assert status["status"] == "failed"
    assert status["errors"][0]["code"] == "ConflictException"
    assert status["lastApplied"] > pending["deadline"]


async def test_what_ec2_shows_late_is_waited_for(product: Product) -> None:
    """Reads that lag behind are no drift and no success: ready, right, and one version a change."""
    product.local.control("PUT", "consistency", {"seconds": 0.4})
    (member,) = product.add_servers(1)
    group_id = await product.create([member])
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"
    product.local.control("PUT", "consistency", {"seconds": 0})
    assert product.template(member)["LaunchTemplateData"]["InstanceType"] == "m5.xlarge"
    assert product.version_count(member) == 2


async def test_a_write_of_drs_is_not_missed_by_a_read_that_lags(product: Product) -> None:
    """
    A template that DRS is about to show changed is not believed to be right too soon.

    `copyPrivateIp` makes DRS write the template; asked for with nothing else to write, the server is not ready
    by a read from before that write.
    """
    (member,) = product.add_servers(1)
    product.local.control("PUT", "consistency", {"seconds": 0.4})
    group_id = await product.create([member], launchConfig={"copyPrivateIp": True, "monitoring": False})
    (sent,) = product.take_jobs()
    await product.run(sent)
    assert product.results == ["again: OBSERVATION_TOO_YOUNG"]
    await product.drain([sent])
    assert (await product.status(group_id))["status"] == "ready"


async def test_a_change_by_others_between_read_and_write_is_not_lost(product: Product) -> None:
    """Applied again over a template that somebody else wrote meanwhile: their change stays, ours is put back."""
    (member,) = product.add_servers(1)
    group_id = await product.create_ready([member])
    ec2, template_id = product.client("ec2"), product.template_id(member)
    made = ec2.create_launch_template_version(
        LaunchTemplateId=template_id,
        SourceVersion="$Default",
        LaunchTemplateData={"InstanceType": "t3.micro", "KeyName": "theirs"},
    )["LaunchTemplateVersion"]["VersionNumber"]
    ec2.modify_launch_template(LaunchTemplateId=template_id, DefaultVersion=str(made))
    await product.apply(group_id, force=True)
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"
    data = product.template(member)["LaunchTemplateData"]
    assert (data["InstanceType"], data["KeyName"]) == ("m5.xlarge", "theirs")


@over_every_database
async def test_our_tables_away_for_a_moment_cost_no_server(product: Product) -> None:
    """DynamoDB refusing in the middle of a job: the job comes again, and the server is not blamed."""
    members = product.add_servers(2)
    group_id = await product.create(members)
    jobs = product.take_jobs()
    product.faults(fault("dynamodb.TransactWriteItems", code="AccessDeniedException"))
    for sent in jobs:
        with pytest.raises(Exception, match="may not be used"):
            await product.run(sent)
    product.faults()
    await product.drain(jobs)
    status = await product.status(group_id)
    assert (status["status"], status["appliedServers"]) == ("ready", 2)


@over_every_database
async def test_every_single_answer_of_the_tables_may_be_lost(product: Product) -> None:
    """Each call of a job to DynamoDB in turn takes effect unheard: the server is ready, with one version made."""
    (probe,) = product.add_servers(1)
    await product.create([probe])
    jobs = product.take_jobs()
    product.count_anew()
    await product.drain(jobs)
    operations = [name for name in product.calls() if name.startswith("dynamodb.")]
    assert "dynamodb.UpdateItem" in operations
    for name in operations:
        (member,) = product.add_servers(1)
        group_id = await product.create([member])
        jobs = product.take_jobs()
        product.faults(fault(name, afterEffect=True, times=1))
        await product.drain(jobs)
        product.faults()
        assert (await product.status(group_id))["status"] == "ready", name
        assert product.version_count(member) == 2, name
