"""
What AWS would refuse, undo or leave behind, each with the words that the user sees.

The traps are those of DRS and of launch templates; a message says what is wrong, with which source server and field,
and what to do.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.product import REGION, Product, Sent, problem_of
from tests.integration.stack.test_plan import ask, planned_fields
from workers.core.contract import WATCH_ACTOR, Queue

pytestmark = pytest.mark.asyncio(loop_scope="session")

ACCOUNT = "123456789012"
GROUPS = "/protection-groups"
WHERE = f"account {ACCOUNT}, {REGION}"
INSTANCE = "i-0123456789abcdef0"
GROUP = "sg-0123456789abcdef0"
INTO = {"launchIntoEC2InstanceID": INSTANCE}
NONE = {"targetInstanceTypeRightSizingMethod": "NONE"}
TYPED = {"instanceType": "m5.xlarge", **NONE}
_BY_DRS = "DRS sets it for each launch from what it replicated; a value of ours would break the launch."
NOT_REPAIRED = (
    "The group repairs nothing by itself (autoRepair): apply it with force to put that back, or update it to what AWS"
    " holds."
)
_BOOLEAN = "DRS holds true or false here, never nothing; give one of them, or leave the field out to keep it."

REFUSED: Mapping[str, tuple[dict[str, Any], str, str]] = {
    "a type that right-sizing overwrites": (
        {"instanceType": "m5.large", "targetInstanceTypeRightSizingMethod": "BASIC"},
        "instanceType",
        (
            "instanceType cannot stand with targetInstanceTypeRightSizingMethod BASIC: right-sizing overwrites the"
            " type in the launch template. Set targetInstanceTypeRightSizingMethod to NONE, or leave out instanceType."
        ),
    ),
    "a type that right-sizing in AWS overwrites": (
        {"instanceType": "m5.large", "targetInstanceTypeRightSizingMethod": "IN_AWS"},
        "instanceType",
        (
            "instanceType cannot stand with targetInstanceTypeRightSizingMethod IN_AWS: right-sizing overwrites the"
            " type in the launch template. Set targetInstanceTypeRightSizingMethod to NONE, or leave out instanceType."
        ),
    ),
    "an address that the copied one overwrites": (
        {"staticPrivateIp": "172.31.0.200", "copyPrivateIp": True},
        "staticPrivateIp",
        (
            "staticPrivateIp cannot stand with copyPrivateIp true: DRS writes the source server's address over it. Set"
            " copyPrivateIp to false, or leave out staticPrivateIp."
        ),
    ),
    "security groups without a subnet": (
        {"securityGroupIds": [GROUP]},
        "securityGroupIds",
        (
            "securityGroupIds needs a subnetId: security groups belong to the VPC of the subnet, and without one EC2"
            " launches into the default VPC. Add subnetId to the defaults or to the server, or leave out"
            " securityGroupIds."
        ),
    ),
    "an address copied into an existing instance": (
        {"launchIntoInstanceProperties": INTO, "copyPrivateIp": True},
        "launchIntoInstanceProperties",
        (
            "launchIntoInstanceProperties cannot stand with copyPrivateIp true: an existing instance keeps its own"
            " address. Set copyPrivateIp to false, or leave out launchIntoInstanceProperties."
        ),
    ),
    "tags copied into an existing instance": (
        {"launchIntoInstanceProperties": INTO, "copyTags": True},
        "launchIntoInstanceProperties",
        (
            "launchIntoInstanceProperties cannot stand with copyTags true: an existing instance keeps its own tags. Set"
            " copyTags to false, or leave out launchIntoInstanceProperties."
        ),
    ),
    "an image": ({"imageId": "ami-1"}, "imageId", f"The image is managed by DRS: {_BY_DRS}"),
    "user data": ({"userData": "IyE="}, "userData", f"User data is managed by DRS: {_BY_DRS}"),
    "disks": ({"blockDeviceMappings": []}, "blockDeviceMappings", f"Disks are managed by DRS: {_BY_DRS}"),
    "a disk's size": ({"volumeSize": 8}, "volumeSize", f"Disk sizes are managed by DRS: {_BY_DRS}"),
    "a device's name": ({"deviceName": "/dev/sda"}, "deviceName", f"Device names are managed by DRS: {_BY_DRS}"),
    "a snapshot": ({"snapshotId": "snap-1"}, "snapshotId", f"Snapshots are managed by DRS: {_BY_DRS}"),
    "a key pair": (
        {"keyName": "mine"},
        "keyName",
        (
            "The key pair is managed by DRS: a recovery instance starts from the replicated disks, with the accounts"
            " and keys of its source server."
        ),
    ),
    "the launch template's name": (
        {"launchTemplateName": "mine"},
        "launchTemplateName",
        "The launch template and its name are managed by DRS, which finds it by them.",
    ),
    "network interfaces": (
        {"networkInterfaces": []},
        "networkInterfaces",
        (
            "The list of network interfaces is managed by DRS; the primary one is set by subnetId, securityGroupIds,"
            " staticPrivateIp and associatePublicIp, others are kept as they are."
        ),
    ),
    "nothing, where DRS holds true or false": (
        {"copyPrivateIp": None},
        "copyPrivateIp",
        f"copyPrivateIp cannot be null: {_BOOLEAN}",
    ),
    "a way of right-sizing that DRS does not know": (
        {"targetInstanceTypeRightSizingMethod": "FAST"},
        "targetInstanceTypeRightSizingMethod",
        'targetInstanceTypeRightSizingMethod must be "NONE", "BASIC" or "IN_AWS", not "FAST".',
    ),
    "a disposition that DRS does not know": (
        {"launchDisposition": "PAUSED"},
        "launchDisposition",
        'launchDisposition must be "STOPPED" or "STARTED", not "PAUSED".',
    ),
    "a name that is longer than DRS takes": (
        {"name": "n" * 129},
        "name",
        (
            "name must be text of 1 to 128 characters without control characters (null empties it), not"
            f' "{"n" * 79}\u2026.'
        ),
    ),
    "an instance whose id is none": (
        {"launchIntoInstanceProperties": {"launchIntoEC2InstanceID": "i-1"}},
        "launchIntoInstanceProperties/launchIntoEC2InstanceID",
        (
            "launchIntoInstanceProperties.launchIntoEC2InstanceID must be an EC2 instance id such as"
            ' i-0123456789abcdef0, not "i-1".'
        ),
    ),
    "a tag by which DRS finds its own": (
        {"tags": {"AWSElasticDisasterRecoveryManaged": "no"}},
        "tags/AWSElasticDisasterRecoveryManaged",
        (
            'The tag "AWSElasticDisasterRecoveryManaged" is managed by DRS, which finds its own by such tags; leave it'
            " out."
        ),
    ),
    "a licence of one's own on shared hardware": (
        {"licensing": {"osByol": True}, "tenancy": "dedicated"},
        "licensing",
        (
            "licensing.osByol true needs tenancy host on a source server with Windows: its licence is bound to a"
            " dedicated host. Set tenancy to host, or osByol to false."
        ),
    ),
    "a profile that is not there": (
        {"instanceProfileName": "nobodys"},
        "instanceProfileName",
        (
            f"There is no instance profile nobodys in {WHERE}. Name one that is there; its role needs the policy"
            " AWSElasticDisasterRecoveryRecoveryInstancePolicy."
        ),
    ),
    "a type that does not exist": (
        {"instanceType": "m5.3xlarge", **NONE},
        "instanceType",
        f"EC2 offers no instance type m5.3xlarge in {WHERE}. Choose one that it does.",
    ),
    "an instance that is not there": (
        {"launchIntoInstanceProperties": INTO, "copyPrivateIp": False, "copyTags": False},
        "launchIntoInstanceProperties",
        f"There is no instance {INSTANCE} in {WHERE} to launch into. Name one that is there.",
    ),
}


@pytest.mark.parametrize("trap", REFUSED)
async def test_what_cannot_be_is_refused_in_words(product: Product, trap: str) -> None:
    """One error, at the field, of the source server, in these words; nothing of it is stored or sent."""
    config, field, message = REFUSED[trap]
    member = find_windows(product)
    body = product.body([member], launchConfig=None, servers=[{"sourceServerId": member, "launchConfig": config}])
    product.count_anew()
    # What the account lacks is told beside a conflict: it holds what is named.
    with product.unchecked() if _is_conflict(message) else nullcontext():
        answer = await product.api.post(GROUPS, json=body)
    assert answer.status_code == 400, answer.text
    words = f"{field} cannot be set. {message}" if _is_managed(message) else message
    assert problem_of(answer)["errors"] == [
        {
            "pointer": f"/servers/0/launchConfig/{field}",
            "sourceServerId": member,
            "code": "INVALID_LAUNCH_CONFIG",
            "message": words,
        }
    ]
    assert product.writes().keys() <= {"dynamodb.UpdateItem"}, "more than turns to ask was written"


def _is_conflict(message: str) -> bool:
    return " cannot stand with " in message or " needs a subnetId: " in message


def _is_managed(message: str) -> bool:
    return "managed by DRS" in message and not message.startswith("The tag ")


def find_windows(product: Product) -> str:
    """Make source servers until one of them has Windows."""
    members = product.add_servers(10)
    answer = product.client("drs").describe_source_servers(filters={"sourceServerIDs": members})
    return next(
        str(server["sourceServerID"])
        for server in answer["items"]
        if "windows" in server["sourceProperties"]["os"]["fullString"].lower()
    )


async def fail_one(product: Product, member: str, *others: str, **changes: Any) -> dict[str, Any]:
    """Apply a group of which one source server must fail and the others become ready; answer the one error."""
    with product.unchecked():
        group_id = await product.create([member, *others], **changes)
    await product.drain()
    return await read_one_error(product, group_id, member, ready=len(others))


async def read_one_error(product: Product, group_id: str, member: str, *, ready: int) -> dict[str, Any]:
    status = await product.status(group_id)
    assert (status["status"], status["appliedServers"], status["failedServers"]) == ("failed", ready, 1)
    (error,) = status["errors"]
    assert error["sourceServerId"] == member
    assert status["serverConfigs"][member]["errors"] == [error]
    return {name: error[name] for name in ("code", "message", "operation") if name in error}


async def test_what_drs_would_undo_is_said_before_anything_is_written(product: Product) -> None:
    """A type, and right-sizing that nobody asked us about is on in DRS: refused in words, not written."""
    member, other = product.add_servers(2)
    product.client("drs").update_launch_configuration(sourceServerID=other, **NONE)
    product.count_anew()
    assert await fail_one(product, member, other, launchConfig={"instanceType": "m5.xlarge"}) == {
        "code": "INVALID_LAUNCH_CONFIG",
        "message": "instanceType cannot stand with targetInstanceTypeRightSizingMethod BASIC: right-sizing overwrites"
        " the type in the launch template. Set targetInstanceTypeRightSizingMethod to NONE, or leave out instanceType.",
    }
    assert product.version_count(member) == 1


async def test_a_version_that_ec2_warns_of(product: Product) -> None:
    """HTTP 200 with Warning.Errors is a failure in EC2's words, with the version that is not promoted."""
    member, other = product.add_servers(2)
    override = {"sourceServerId": member, "launchConfig": {"instanceType": "m5.3xlarge"}}
    assert await fail_one(product, member, other, servers=[override]) == {
        "code": "InvalidInstanceType",
        "message": f"EC2 stored version 2 of {product.template_id(member)} with a warning, and it was not promoted:"
        " InvalidInstanceType: The instance type 'm5.3xlarge' does not exist.",
        "operation": "ec2.CreateLaunchTemplateVersion",
    }
    assert product.template(member)["VersionNumber"] == 1


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (
            "VersionLimitExceeded",
            (
                " {template} can hold no more versions: delete old ones (ec2 delete-launch-template-versions, never the"
                " default one), then apply again."
            ),
        ),
        # The code is not documented: with one of another kind the words are EC2's alone.
        ("InvalidParameterValue", ""),
    ],
)
async def test_a_template_that_is_full(product: Product, code: str, advice: str) -> None:
    """With as many versions as EC2 takes the server fails alone, and is told what to do; that done, it is applied."""
    member, other = product.add_servers(2)
    template, ec2 = product.template_id(member), product.client("ec2")
    for _ in range(3):
        ec2.create_launch_template_version(
            LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"EbsOptimized": False}
        )
    message = "A launch template can have at most 4 versions."
    if code == "VersionLimitExceeded":
        product.local.control("PUT", "versions", {"limit": 4})
    else:
        script = {"service": "ec2", "operation": "CreateLaunchTemplateVersion", "code": code, "sourceServerId": member}
        product.faults(script)
        message = "CreateLaunchTemplateVersion was refused: a fault scripted by PUT /_local/faults."
    group_id = await product.create([member, other])
    await product.drain()
    assert await read_one_error(product, group_id, member, ready=1) == {
        "code": code,
        "message": message + advice.format(template=template),
        "operation": "ec2.CreateLaunchTemplateVersion",
    }
    assert product.template(member)["VersionNumber"] == 1
    product.faults()
    ec2.delete_launch_template_versions(LaunchTemplateId=template, Versions=["2", "3"])
    await product.apply(group_id, onlyFailed=True)
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"
    assert product.template(member)["VersionNumber"] == 5


RELOADED = [
    ("CreateLaunchTemplateVersion", "InvalidLaunchTemplateId.NotFound"),
    ("CreateLaunchTemplateVersion", "InvalidLaunchTemplateId.VersionNotFound"),
    ("CreateLaunchTemplateVersion", "IdempotentParameterMismatch"),
    ("ModifyLaunchTemplate", "InvalidLaunchTemplateId.VersionNotFound"),
    ("DescribeLaunchTemplateVersions", "InvalidLaunchTemplateId.NotFound"),
]


@pytest.mark.parametrize(("operation", "code"), RELOADED)
async def test_a_template_that_goes_in_the_middle(product: Product, operation: str, code: str) -> None:
    """Gone between two calls it is read and planned anew, once; where that meets the same, EC2's words are the end."""
    member, other = product.add_servers(2)
    gone = {"service": "ec2", "operation": operation, "code": code, "sourceServerId": member}
    product.faults({**gone, "times": 1})
    group_id = await product.create_ready([member, other])
    assert product.template(member)["LaunchTemplateData"]["InstanceType"] == "m5.xlarge"
    product.faults(gone)
    await product.update(group_id, {"launchConfig": {**TYPED, "instanceType": "m5.2xlarge"}})
    await product.drain()
    assert await read_one_error(product, group_id, member, ready=1) == {
        "code": code,
        "message": f"{operation} was refused: a fault scripted by PUT /_local/faults.",
        "operation": f"ec2.{operation}",
    }


async def test_a_server_that_vanished(product: Product) -> None:
    """Deleted in DRS after it was checked: DRS's words."""
    member, other = product.add_servers(2)
    product.local.control("DELETE", f"servers/{member}")
    assert await fail_one(product, member, other) == {
        "code": "ResourceNotFoundException",
        "message": f"SourceServer with ID {member} does not exist",
        "operation": "drs.GetLaunchConfiguration",
    }


def _no_template(member: str) -> dict[str, str]:
    return {
        "code": "LAUNCH_TEMPLATE_MISSING",
        "message": f"DRS names no launch template for {member}: it deletes that of a source server whose agent is"
        " disconnected. Connect the agent again, or take the source server out of the group, then apply.",
        "operation": "drs.GetLaunchConfiguration",
    }


async def test_a_disconnected_server_has_no_template(product: Product) -> None:
    """DRS has deleted its launch template: said with the cause and the way out."""
    member, other = product.add_servers(2)
    product.local.control("PATCH", f"servers/{member}", {"state": "DISCONNECTED"})
    assert await fail_one(product, member, other) == _no_template(member)


async def test_a_template_that_lost_the_tag_of_drs(product: Product) -> None:
    """Whoever may write by that tag alone is denied the write of this one: EC2's words, and no version is left."""
    member, other = product.add_servers(2)
    product.local.control("PATCH", f"servers/{member}", {"drsTag": False})
    assert await fail_one(product, member, other) == {
        "code": "UnauthorizedOperation",
        "message": "You are not authorized to perform this operation. Allow ec2:CreateLaunchTemplateVersion on"
        f" {product.template_id(member)}. Where a policy allows that by the tag AWSElasticDisasterRecoveryManaged, see"
        " whether the launch template has it still; then apply again.",
        "operation": "ec2.CreateLaunchTemplateVersion",
    }
    assert product.version_count(member) == 1


async def test_more_servers_than_an_account_can_have(product: Product) -> None:
    """And ids that DRS never gives, or that are there twice: each at its place."""
    answer = await product.api.post(GROUPS, json=product.body([f"s-{number:017d}" for number in range(4001)]))
    assert (answer.status_code, problem_of(answer)["detail"]) == (
        413,
        "A protection group holds at most 4000 source servers; this one has 4001. Split it into several groups.",
    )
    member = "s-0123456789abcdefg"
    answer = await product.api.post(GROUPS, json=product.body([member, "s-1", member]))
    assert [(error["pointer"], error["message"]) for error in problem_of(answer)["errors"]] == [
        (
            "/sourceServerIds/1",
            (
                '"s-1" does not belong here: sourceServerIds must be a list of source server ids, each s- and 17'
                " letters or digits."
            ),
        ),
        ("/sourceServerIds/2", f"{member} stands in sourceServerIds twice; take one out."),
        (
            "/sourceServerIds/0",
            f"DRS knows no source server {member} in {WHERE}. Take it out, or correct account and Region.",
        ),
    ]


async def test_an_account_in_which_drs_is_not_initialised(product: Product) -> None:
    """Refused at the door with what to do; where it comes later, every source server fails in DRS's words."""
    account_id = "400000000001"
    product.local.control("PUT", f"accounts/{account_id}", {"initialised": True, "roles": [{"roleName": "recovery"}]})
    members, others = (product.add_servers(2, accountId=account_id) for _ in range(2))
    access = {"accountId": account_id, "assumeRoleName": "recovery"}
    group_id = await product.create(members, **access)
    product.local.control("PUT", f"accounts/{account_id}", {"initialised": False})
    await product.drain()
    status = await product.status(group_id)
    assert (status["status"], status["failedServers"]) == ("failed", 2)
    assert {(each["code"], each["message"]) for each in status["errors"]} == {
        ("UninitializedAccountException", "The account has not been initialized for AWS Elastic Disaster Recovery."),
    }
    answer = await product.api.post(GROUPS, json=product.body(others, **access))
    assert (answer.status_code, problem_of(answer)["code"]) == (409, "ACCOUNT_NOT_INITIALIZED")
    where = f"account {account_id}, {REGION}"
    assert problem_of(answer)["detail"] == (
        f"Nothing was stored, for {where} does not say whether it holds what the group names: DRS is not initialised in"
        f" {where}. Initialise it there, or name another account or Region."
    )


async def test_a_job_of_drs_that_does_not_end(product: Product) -> None:
    """ConflictException until the deadline: DRS's words, and how often it was tried."""
    (member,) = product.add_servers(1)
    group_id = await product.create([member])
    product.faults({"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ConflictException"})
    jobs = product.take_jobs()
    await product.run(jobs[0])
    product.clock.advance(timedelta(hours=1))
    await product.drain(jobs)
    assert await read_one_error(product, group_id, member, ready=0) == {
        "code": "ConflictException",
        "message": "UpdateLaunchConfiguration was refused: a fault scripted by PUT /_local/faults. The deadline of the"
        " run has come: apply again when that has passed.",
        "operation": "drs.UpdateLaunchConfiguration",
    }


# --- what comes later, and the watch finds


async def watch(product: Product, member: str) -> None:
    """Look at one source server, and do what comes of it."""
    product.clock.advance(product.settings.settle_time + timedelta(seconds=1))
    await product.drain([Sent(WATCH_ACTOR, {"accountId": ACCOUNT, "region": REGION, "sourceServerId": member})])
    await product.drain(product.take_jobs(Queue.BULK))


async def test_right_sizing_that_overwrites_the_type_later(product: Product) -> None:
    """Switched on by somebody, it writes the type an hour and more later: the watch names both fields."""
    member, other = product.add_servers(2)
    group_id = await product.create_ready([member, other], launchConfig=TYPED)
    product.client("drs").update_launch_configuration(
        sourceServerID=member, targetInstanceTypeRightSizingMethod="BASIC"
    )
    product.local.control("PUT", "clock", {"advanceSeconds": 90 * 60})
    overwritten = product.template(member)["LaunchTemplateData"]["InstanceType"]
    assert overwritten != "m5.xlarge"
    await watch(product, member)
    assert await read_one_error(product, group_id, member, ready=1) == {
        "code": "DRIFT_FOUND",
        "message": "Changed since it was applied: targetInstanceTypeRightSizingMethod = 'BASIC' instead of 'NONE';"
        f" instanceType = '{overwritten}' instead of 'm5.xlarge'. {NOT_REPAIRED}",
    }


async def test_right_sizing_that_nobody_of_ours_named(product: Product) -> None:
    """Switched on where the launch config only names a type: the watch says what an apply would be refused for."""
    member, other = product.add_servers(2)
    drs = product.client("drs")
    for each in (member, other):
        drs.update_launch_configuration(sourceServerID=each, **NONE)
    group_id = await product.create_ready([member, other], launchConfig={"instanceType": "m5.xlarge"})
    drs.update_launch_configuration(sourceServerID=member, targetInstanceTypeRightSizingMethod="IN_AWS")
    product.local.control("PUT", "clock", {"advanceSeconds": 90 * 60})
    await watch(product, member)
    assert await read_one_error(product, group_id, member, ready=1) == {
        "code": "INVALID_LAUNCH_CONFIG",
        "message": REFUSED["a type that right-sizing in AWS overwrites"][2],
    }


async def test_a_static_address_where_drs_copies_one(product: Product) -> None:
    """On in DRS and not named by us: the source server fails alone, unwritten, until copyPrivateIp is set to false."""
    member, other = product.add_servers(2)
    product.client("drs").update_launch_configuration(sourceServerID=member, copyPrivateIp=True)
    copied = primary(product, member)["PrivateIpAddress"]
    group_id = await product.create([member, other], launchConfig={}, servers=static(member, other))
    product.count_anew()
    await product.drain()
    assert await read_one_error(product, group_id, member, ready=1) == {
        "code": "INVALID_LAUNCH_CONFIG",
        "message": REFUSED["an address that the copied one overwrites"][2],
    }
    assert product.aws_writes() == {"ec2.CreateLaunchTemplateVersion": 1, "ec2.ModifyLaunchTemplate": 1}
    assert primary(product, member)["PrivateIpAddress"] == copied
    await product.update(group_id, {"servers": static(member, other, copyPrivateIp=False)})
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"
    assert primary(product, member)["PrivateIpAddress"] == "172.31.9.200"


def static(*members: str, **more: Any) -> list[dict[str, Any]]:
    addresses = {member: f"172.31.9.{200 + number}" for number, member in enumerate(members)}
    return [
        {"sourceServerId": member, "launchConfig": {"staticPrivateIp": address, **more}}
        for member, address in addresses.items()
    ]


async def test_a_source_network_that_moves_the_subnet(product: Product) -> None:
    """DRS rewrites the subnet after it was ready: the watch names both, and an apply puts ours back."""
    member, other = product.add_servers(2)
    described = product.client("ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])
    ours, moved = (each["SubnetId"] for each in described["Subnets"][:2])
    group_id = await product.create_ready([member, other], launchConfig={"subnetId": ours})
    product.local.control("PATCH", f"servers/{member}", {"subnetId": moved})
    await watch(product, member)
    assert await read_one_error(product, group_id, member, ready=1) == {
        "code": "DRIFT_FOUND",
        "message": f"Changed since it was applied: subnetId = '{moved}' instead of '{ours}'. {NOT_REPAIRED}",
    }
    assert primary(product, member)["SubnetId"] == moved
    await product.apply(group_id, onlyFailed=True)
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"
    assert primary(product, member)["SubnetId"] == ours


async def test_an_address_that_a_copy_left_behind(product: Product) -> None:
    """Somebody's copyPrivateIp, switched off, leaves its address in the template; null takes it out, as planned."""
    (member,) = product.add_servers(1)
    product.client("drs").update_launch_configuration(sourceServerID=member, copyPrivateIp=True)
    address = primary(product, member)["PrivateIpAddress"]
    group_id = await product.create_ready([member], launchConfig={"copyPrivateIp": False})
    assert primary(product, member)["PrivateIpAddress"] == address
    emptied = [{"sourceServerId": member, "launchConfig": {"staticPrivateIp": None}}]
    await product.update(group_id, {"servers": emptied})
    assert planned_fields(await ask(product, group_id)) == {member: {"staticPrivateIp": (address, None)}}
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"
    assert "PrivateIpAddress" not in primary(product, member)


def primary(product: Product, member: str) -> dict[str, Any]:
    interfaces = product.template(member)["LaunchTemplateData"]["NetworkInterfaces"]
    return next(dict(each) for each in interfaces if each["DeviceIndex"] == 0)


async def test_a_template_that_drs_made_anew(product: Product) -> None:
    """Deleted after it was ready, and recreated under another id without our settings: the watch names the fields."""
    member, other = product.add_servers(2)
    group_id = await product.create_ready([member, other], launchConfig=TYPED)
    before = product.template_id(member)
    product.local.control("PATCH", f"servers/{member}", {"template": None})
    await watch(product, member)
    held = product.template(member)["LaunchTemplateData"]["InstanceType"]
    assert await read_one_error(product, group_id, member, ready=1) == {
        "code": "DRIFT_FOUND",
        "message": f"Changed since it was applied: instanceType = '{held}' instead of 'm5.xlarge'. {NOT_REPAIRED}",
    }
    await product.apply(group_id, onlyFailed=True)
    await product.drain()
    assert (await product.status(group_id))["status"] == "ready"
    assert product.template_id(member) != before
    assert product.template(member)["LaunchTemplateData"]["InstanceType"] == "m5.xlarge"


@pytest.mark.parametrize("gone", ["disconnected", "deleted"])
async def test_a_server_that_goes_after_it_was_ready(product: Product, gone: str) -> None:
    """The watch says of it what an apply would."""
    member, other = product.add_servers(2)
    group_id = await product.create_ready([member, other], launchConfig=TYPED)
    expected = {
        "code": "ResourceNotFoundException",
        "message": f"SourceServer with ID {member} does not exist",
        "operation": "drs.GetLaunchConfiguration",
    }
    if gone == "disconnected":
        product.local.control("PATCH", f"servers/{member}", {"state": "DISCONNECTED"})
        expected = _no_template(member)
    else:
        product.local.control("DELETE", f"servers/{member}")
    await watch(product, member)
    assert await read_one_error(product, group_id, member, ready=1) == expected
