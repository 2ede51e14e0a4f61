"""The stand-in's DRS against what is known of the real one, through boto3 and HTTP."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local import drs
from infra.local.world import WORLD
from tests.integration.local_services import (
    REGION,
    Account,
    advance,
    all_at_once,
    open_account,
    own_world,
    refused,
)

UNKNOWN = "s-0123456789abcdefX"
BUSY = "One or more of the Source Servers included in API call are currently being processed by a Job"


@pytest.fixture
def account(endpoint: str) -> Iterator[Account]:
    with own_world():
        WORLD.job_seconds = 60
        yield open_account(endpoint)


def configuration_of(account: Account, source_server_id: str) -> dict[str, Any]:
    answer = account.drs.get_launch_configuration(sourceServerID=source_server_id)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def update(account: Account, source_server_id: str, **fields: Any) -> dict[str, Any]:
    answer = account.drs.update_launch_configuration(sourceServerID=source_server_id, **fields)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def start(account: Account, ids: list[str], **more: Any) -> dict[str, Any]:
    servers = [{"sourceServerID": source_server_id} for source_server_id in ids]
    return dict(account.drs.start_recovery(sourceServers=servers, **more)["job"])


def job_of(account: Account, job_id: str) -> dict[str, Any]:
    (job,) = account.drs.describe_jobs(filters={"jobIDs": [job_id]})["items"]
    return dict(job)


def launch_statuses(job: dict[str, Any]) -> dict[str, str]:
    return {server["sourceServerID"]: server["launchStatus"] for server in job["participatingServers"]}


def template_data(account: Account, source_server_id: str) -> dict[str, Any]:
    template_id = configuration_of(account, source_server_id)["ec2LaunchTemplateID"]
    return dict(account.default_version(template_id)["LaunchTemplateData"])


def change_template(account: Account, source_server_id: str, data: dict[str, Any]) -> int:
    """Promote a changed version by EC2 calls alone, so that DRS is not looked at."""
    template_id = drs.template_id_of(source_server_id)
    number = account.ec2.create_launch_template_version(
        LaunchTemplateId=template_id, SourceVersion="$Default", LaunchTemplateData=data
    )["LaunchTemplateVersion"]["VersionNumber"]
    account.ec2.modify_launch_template(LaunchTemplateId=template_id, DefaultVersion=str(number))
    return int(number)


def pass_time(seconds: float) -> None:
    """Advance the clock as the control does."""
    advance(seconds)
    drs.apply_background_changes(WORLD.now())


def test_a_source_server_has_a_template_worth_losing(account: Account) -> None:
    """DRS makes one template a server: tagged, with disks, IMDSv2, tags and a second interface, no image."""
    ids = account.add_servers(6, app="shop")
    template_ids = {configuration_of(account, each)["ec2LaunchTemplateID"] for each in ids}
    assert len(template_ids) == 6
    described = account.ec2.describe_launch_templates(LaunchTemplateIds=sorted(template_ids))
    for template in described["LaunchTemplates"]:
        assert "AWSElasticDisasterRecoveryManaged" in {tag["Key"] for tag in template["Tags"]}
    for each in ids:
        data = template_data(account, each)
        assert {disk["Ebs"]["VolumeType"] for disk in data["BlockDeviceMappings"]} == {"gp3", "io1"}
        assert data["MetadataOptions"]["HttpTokens"] == "required"
        assert [nic["DeviceIndex"] for nic in data["NetworkInterfaces"]] == [0, 1]
        assert {spec["ResourceType"] for spec in data["TagSpecifications"]} == {"instance", "volume"}
        assert "ImageId" not in data


def test_a_template_made_by_drs_is_warned_of_nothing(account: Account) -> None:
    """A version that inherits all of it carries no warning: its subnets and groups exist."""
    for source_server_id in account.add_servers(3):
        answer = account.ec2.create_launch_template_version(
            LaunchTemplateId=configuration_of(account, source_server_id)["ec2LaunchTemplateID"],
            SourceVersion="1",
            LaunchTemplateData={"EbsOptimized": False},
        )
        assert "Warning" not in answer


def test_source_servers_are_described_by_id_200_a_call(account: Account) -> None:
    """200 ids are answered in one page, 201 refused; an id that is not there is left out."""
    ids = account.add_servers(201)
    found = account.drs.describe_source_servers(filters={"sourceServerIDs": [*ids[:199], UNKNOWN]})["items"]
    assert [server["sourceServerID"] for server in found] == ids[:199]
    error = refused(lambda: account.drs.describe_source_servers(filters={"sourceServerIDs": ids}))
    assert error == ("ValidationException", 400)


def test_source_servers_come_in_pages(account: Account) -> None:
    """The paginator sees each server once, by pages of the size that was asked for."""
    ids = account.add_servers(7)
    pages = list(account.drs.get_paginator("describe_source_servers").paginate(maxResults=3))
    assert [len(page["items"]) for page in pages] == [3, 3, 1]
    assert [server["sourceServerID"] for page in pages for server in page["items"]] == ids


def test_source_servers_can_be_filtered(account: Account) -> None:
    """By staging account and by hardware id; every filter must hold."""
    ids = account.add_servers(2, app="shop")
    describe = account.drs.describe_source_servers
    server = describe(filters={"sourceServerIDs": ids[1:]})["items"][0]
    hardware_id = server["sourceProperties"]["identificationHints"]["vmWareUuid"]
    assert server["tags"] == {"app": "shop"}
    assert server["dataReplicationInfo"]["dataReplicationState"] == "CONTINUOUS"
    (found,) = describe(filters={"hardwareId": hardware_id})["items"]
    assert found["sourceServerID"] == ids[1]
    assert describe(filters={"hardwareId": hardware_id, "sourceServerIDs": ids[:1]})["items"] == []
    assert len(describe(filters={"stagingAccountIDs": [account.account_id]})["items"]) == 2
    assert describe(filters={"stagingAccountIDs": ["999999999999"]})["items"] == []


UNUSUAL = {
    "name": "web-1",
    "launchDisposition": "STOPPED",
    "targetInstanceTypeRightSizingMethod": "NONE",
    "copyPrivateIp": True,
    "copyTags": True,
    "licensing": {"osByol": True},
    "postLaunchEnabled": True,
    "launchIntoInstanceProperties": {"launchIntoEC2InstanceID": "i-0123456789abcdef0"},
}
"""Every field of a launch configuration, each with another value than a new server has."""


@pytest.mark.parametrize("field", UNUSUAL)
def test_an_update_changes_its_field_and_answers_everything(account: Account, field: str) -> None:
    """Fields left out are left alone; the answer is the whole launch configuration with the template's id."""
    (source_server_id,) = account.add_servers(1)
    new = configuration_of(account, source_server_id)
    one = update(account, source_server_id, **{field: UNUSUAL[field]})
    assert one == {**new, field: UNUSUAL[field]} == configuration_of(account, source_server_id)
    assert one != new
    update(account, source_server_id, **UNUSUAL)
    back = update(account, source_server_id, **{field: new[field]})
    assert back == {**new, **UNUSUAL, field: new[field]} == configuration_of(account, source_server_id)
    assert back["ec2LaunchTemplateID"].startswith("lt-")


def test_drs_has_no_field_of_ec2(account: Account) -> None:
    """Type, subnet, groups, profile and address live in the template: DRS neither takes nor answers them."""
    (source_server_id,) = account.add_servers(1)
    before = configuration_of(account, source_server_id)
    change_template(account, source_server_id, {"InstanceType": "c5.9xlarge"})
    assert configuration_of(account, source_server_id) == before
    assert set(before) == {
        *account.drs.meta.service_model.operation_model("UpdateLaunchConfiguration").input_shape.members,
        "ec2LaunchTemplateID",
    }


VALID = {"sourceServerID": UNKNOWN}


@pytest.mark.parametrize(
    ("operation", "request_", "fields"),
    [
        ("get_launch_configuration", {}, ["sourceServerID"]),
        ("get_launch_configuration", {"sourceServerID": "s-1"}, ["sourceServerID", "sourceServerID"]),
        ("get_launch_configuration", {"sourceServerID": "s-0123456789abcdef_"}, ["sourceServerID"]),
        ("get_launch_configuration", {"sourceServerID": 7}, ["sourceServerID"]),
        ("update_launch_configuration", {**VALID, "launchDisposition": "started"}, ["launchDisposition"]),
        ("update_launch_configuration", {**VALID, "name": "n" * 129}, ["name"]),
        ("update_launch_configuration", {**VALID, "copyTags": "true"}, ["copyTags"]),
        ("update_launch_configuration", {**VALID, "licensing": {"osByol": 1}}, ["licensing.osByol"]),
        (
            "update_launch_configuration",
            {**VALID, "launchIntoInstanceProperties": {"launchIntoEC2InstanceID": "x"}},
            ["launchIntoInstanceProperties.launchIntoEC2InstanceID"],
        ),
        (
            "update_launch_configuration",
            {**VALID, "targetInstanceTypeRightSizingMethod": "MAX", "launchDisposition": "UP"},
            ["launchDisposition", "targetInstanceTypeRightSizingMethod"],
        ),
        ("start_recovery", {}, ["sourceServers"]),
        ("start_recovery", {"sourceServers": []}, ["sourceServers"]),
        ("start_recovery", {"sourceServers": [VALID] * 201}, ["sourceServers"]),
        ("start_recovery", {"sourceServers": [VALID, {}]}, ["sourceServers[1].sourceServerID"]),
        ("start_recovery", {"sourceServers": [VALID], "tags": {"k" * 257: "v"}}, [f"tags.{'k' * 257}"]),
        ("describe_jobs", {"maxResults": 0}, ["maxResults"]),
        ("describe_jobs", {"filters": {"fromDate": "yesterday"}}, ["filters.fromDate", "filters.fromDate"]),
        ("describe_jobs", {"filters": {"toDate": "2026-02-31T00:00:00Z"}}, ["filters.toDate"]),
        ("describe_source_servers", {"nextToken": "nope"}, ["nextToken"]),
        ("tag_resource", {"resourceArn": "arn:" + "x" * 20, "tags": {"aws:x": "y"}}, ["tags"]),
    ],
)
def test_a_request_is_checked_against_the_service_model(
    account: Account, operation: str, request_: dict[str, Any], fields: list[str]
) -> None:
    """What botocore lets through and DRS does not is a ValidationException that names every field."""
    with pytest.raises(ClientError) as caught:
        getattr(account.drs, operation)(**request_)
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (
        "ValidationException",
        400,
    )
    assert sorted(field["name"] for field in response["fieldList"]) == sorted(fields)
    assert response["reason"] == "fieldValidationFailed"


def test_an_operation_that_is_not_built_says_so(account: Account) -> None:
    """It answers UnknownOperationException, 404, as JSON."""
    error = refused(account.drs.describe_recovery_instances)
    assert error == ("UnknownOperationException", 404)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_launch_configuration(sourceServerID=UNKNOWN),
        lambda client: client.update_launch_configuration(sourceServerID=UNKNOWN, copyTags=True),
        lambda client: client.start_recovery(sourceServers=[{"sourceServerID": UNKNOWN}]),
        lambda client: client.list_tags_for_resource(resourceArn="arn:aws:drs:eu-west-1:1:job/x"),
    ],
    ids=["get", "update", "start", "tags"],
)
def test_what_is_not_there_is_not_found(account: Account, call: Callable[[Any], Any]) -> None:
    """An unknown resource is ResourceNotFoundException, 404."""
    assert refused(lambda: call(account.drs)) == ("ResourceNotFoundException", 404)


def test_an_account_that_was_not_set_up_answers_so_until_it_is(account: Account) -> None:
    """UninitializedAccountException 400 from every operation, until InitializeService (204)."""
    (source_server_id,) = account.add_servers(1)
    drs.set_initialised(account.account_id, False)
    calls = [
        lambda: configuration_of(account, source_server_id),
        lambda: update(account, source_server_id, copyTags=True),
        lambda: start(account, [source_server_id]),
        account.drs.describe_jobs,
        account.drs.describe_source_servers,
    ]
    assert {refused(call) for call in calls} == {("UninitializedAccountException", 400)}
    answer = account.drs.initialize_service()
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert configuration_of(account, source_server_id)["copyTags"] is False


def test_a_job_is_accepted_with_its_tags(account: Account) -> None:
    """StartRecovery answers 202 with a PENDING job that keeps its tags; nothing is launched yet."""
    ids = account.add_servers(2)
    answer = account.drs.start_recovery(
        sourceServers=[{"sourceServerID": each} for each in ids], isDrill=True, tags={"wave": "w-1"}
    )
    job = answer["job"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert (job["status"], job["type"], job["initiatedBy"]) == ("PENDING", "LAUNCH", "START_DRILL")
    assert job["tags"] == {"wave": "w-1"} == job_of(account, job["jobID"])["tags"]
    assert launch_statuses(job) == dict.fromkeys(ids, "PENDING")


def test_a_job_goes_through_its_states_by_the_clock(account: Account) -> None:
    """PENDING, then STARTED when it launches, then COMPLETED with a recovery instance a server."""
    (source_server_id,) = account.add_servers(1)
    job_id = start(account, [source_server_id])["jobID"]
    seen = []
    for _ in range(3):
        job = job_of(account, job_id)
        seen.append((job["status"], launch_statuses(job)[source_server_id]))
        advance(60)
    assert seen == [("PENDING", "PENDING"), ("STARTED", "IN_PROGRESS"), ("COMPLETED", "LAUNCHED")]
    server = account.drs.describe_source_servers()["items"][0]
    (part,) = job_of(account, job_id)["participatingServers"]
    assert server["recoveryInstanceId"] == part["recoveryInstanceID"]
    assert (server["lastLaunchResult"], server["lifeCycle"]["lastLaunch"]["initiated"]["jobID"]) == (
        "SUCCEEDED",
        job_id,
    )


def test_templates_are_read_at_the_launch_and_not_at_the_call(account: Account) -> None:
    """A version promoted between StartRecovery and the launch is launched; one promoted after it is not."""
    ids = account.add_servers(2)
    job_id = start(account, ids)["jobID"]
    advance(30)
    before = change_template(account, ids[0], {"InstanceType": "c5.large"})
    advance(31)
    change_template(account, ids[1], {"InstanceType": "c5.large"})
    advance(60)
    sources = drs.launch_sources_of(job_id)
    launched = [(source.version_number, source.data["InstanceType"]) for source in sources.values() if source]
    assert launched == [(before, "c5.large"), (1, "r5.xlarge")]


def test_a_completed_job_may_hold_failed_servers(account: Account) -> None:
    """A server without a template or without a recovery point fails alone; the job is COMPLETED."""
    good, deleted, empty = account.add_servers(3)
    template_id = configuration_of(account, deleted)["ec2LaunchTemplateID"]
    job_id = start(account, [good, deleted, empty])["jobID"]
    account.ec2.delete_launch_template(LaunchTemplateId=template_id)
    drs.patch_source_server(empty, {"recoveryPoint": False})
    advance(120)
    job = job_of(account, job_id)
    assert job["status"] == "COMPLETED"
    assert launch_statuses(job) == {good: "LAUNCHED", deleted: "FAILED", empty: "FAILED"}


def test_a_job_has_at_most_100_servers(account: Account) -> None:
    """The model allows 200, the quota 100: 101 are ServiceQuotaExceededException, 402, and none starts."""
    ids = account.add_servers(101)
    assert refused(lambda: start(account, ids)) == ("ServiceQuotaExceededException", 402)
    assert account.drs.describe_jobs()["items"] == []
    assert len(start(account, ids[:100])["participatingServers"]) == 100


def test_at_most_20_jobs_are_in_progress(account: Account) -> None:
    """The 21st job is refused until one of the 20 has ended."""
    ids = account.add_servers(21)
    for source_server_id in ids[:20]:
        start(account, [source_server_id])
    assert refused(lambda: start(account, ids[20:]))[0] == "ServiceQuotaExceededException"
    advance(120)
    assert start(account, ids[20:])["status"] == "PENDING"


def test_at_most_500_servers_are_in_all_jobs(account: Account) -> None:
    """Five jobs of 100 are the most; one server more is refused."""
    ids = account.add_servers(501)
    for first in range(0, 500, 100):
        start(account, ids[first : first + 100])
    assert refused(lambda: start(account, ids[500:]))[0] == "ServiceQuotaExceededException"


def test_a_server_is_in_one_job_and_refuses_all_of_another(account: Account) -> None:
    """One busy server refuses the whole job with AWS's sentence, and none of its servers is started."""
    ids = account.add_servers(3)
    start(account, ids[:1])
    with pytest.raises(ClientError) as caught:
        start(account, ids)
    error = caught.value.response
    assert error["Error"] == {"Code": "ConflictException", "Message": BUSY}
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert len(account.drs.describe_jobs()["items"]) == 1
    assert start(account, ids[1:])["status"] == "PENDING"
    advance(120)
    assert start(account, ids)["status"] == "PENDING"


@pytest.mark.parametrize("twice_or_unknown", [0, 1], ids=["twice", "unknown"])
def test_one_wrong_server_starts_none(account: Account, twice_or_unknown: int) -> None:
    """Validation is all or nothing for a job."""
    ids = account.add_servers(2)
    wrong = [ids[0], UNKNOWN][twice_or_unknown]
    assert refused(lambda: start(account, [*ids, wrong]))[1] in (400, 404)
    assert account.drs.describe_jobs()["items"] == []


def test_jobs_are_listed_newest_first_and_by_date(account: Account) -> None:
    """fromDate and toDate bound the creation; pages go on where they stopped."""
    job_ids = []
    for source_server_id in account.add_servers(3):
        job_ids.append(start(account, [source_server_id])["jobID"])
        advance(3600)
    pages = account.drs.get_paginator("describe_jobs").paginate(maxResults=2)
    listed = [job for page in pages for job in page["items"]]
    assert [job["jobID"] for job in listed] == job_ids[::-1]
    middle = (WORLD.now() - timedelta(hours=2, minutes=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    late = account.drs.describe_jobs(filters={"fromDate": middle})["items"]
    early = account.drs.describe_jobs(filters={"toDate": middle})["items"]
    assert ([job["jobID"] for job in late], [job["jobID"] for job in early]) == (
        job_ids[:0:-1],
        job_ids[:1],
    )


def test_copying_the_private_ip_writes_the_template_and_ending_it_does_not(account: Account) -> None:
    """copyPrivateIp puts the server's address into the primary interface; turning it off leaves it there."""
    (source_server_id,) = account.add_servers(1)
    before = template_data(account, source_server_id)
    (server,) = account.drs.describe_source_servers()["items"]
    (address,) = server["sourceProperties"]["networkInterfaces"][0]["ips"]
    template_id = update(account, source_server_id, copyPrivateIp=True)["ec2LaunchTemplateID"]
    written = account.default_version(template_id)
    primary, second = before["NetworkInterfaces"]
    assert written["VersionNumber"] == 2
    assert written["LaunchTemplateData"] == {
        **before,
        "NetworkInterfaces": [{**primary, "PrivateIpAddress": address}, second],
    }
    update(account, source_server_id, copyPrivateIp=False)
    assert account.default_version(template_id) == written


def test_copying_the_private_ip_again_writes_nothing(account: Account) -> None:
    """What the template holds already is not written again."""
    (source_server_id,) = account.add_servers(1)
    for _ in range(2):
        template_id = update(account, source_server_id, copyPrivateIp=True)["ec2LaunchTemplateID"]
    assert account.default_version(template_id)["VersionNumber"] == 2


@pytest.mark.parametrize("method", ["BASIC", "IN_AWS"])
def test_right_sizing_overwrites_the_type_in_the_background(account: Account, method: str) -> None:
    """90 minutes after it was set DRS puts its own type in and keeps everything else; not before."""
    (source_server_id,) = account.add_servers(1)
    update(account, source_server_id, targetInstanceTypeRightSizingMethod=method)
    change_template(account, source_server_id, {"InstanceType": "c5.9xlarge"})
    before = template_data(account, source_server_id)
    pass_time(89 * 60)
    assert template_data(account, source_server_id) == before
    pass_time(2 * 60)
    assert template_data(account, source_server_id) == {**before, "InstanceType": "m5.large"}
    change_template(account, source_server_id, {"InstanceType": "c5.9xlarge"})
    pass_time(91 * 60)
    assert template_data(account, source_server_id)["InstanceType"] == "m5.large"


def test_a_static_address_does_not_last_beside_a_copied_one(account: Account) -> None:
    """With copyPrivateIp on DRS writes the server's own address over any other; with it off it leaves it alone."""
    copied, static = account.add_servers(2)
    for source_server_id in (copied, static):
        update(account, source_server_id, copyPrivateIp=source_server_id == copied)
        interfaces = template_data(account, source_server_id)["NetworkInterfaces"]
        set_by_hand = [{**interfaces[0], "PrivateIpAddress": "172.31.0.99"}, *interfaces[1:]]
        change_template(account, source_server_id, {"NetworkInterfaces": set_by_hand})
    pass_time(60)
    addresses = [template_data(account, each)["NetworkInterfaces"][0]["PrivateIpAddress"] for each in (copied, static)]
    assert addresses[0] != "172.31.0.99"
    assert addresses[1] == "172.31.0.99"


def test_a_source_network_operation_rewrites_the_subnet(account: Account) -> None:
    """DRS moves the primary interface to another subnet in a version of its own; everything else stays."""
    (source_server_id,) = account.add_servers(1)
    before = template_data(account, source_server_id)
    subnet = account.ec2.describe_subnets()["Subnets"][-1]["SubnetId"]
    drs.patch_source_server(source_server_id, {"subnetId": subnet})
    primary, second = before["NetworkInterfaces"]
    assert primary["SubnetId"] != subnet
    assert template_data(account, source_server_id) == {
        **before,
        "NetworkInterfaces": [{**primary, "SubnetId": subnet}, second],
    }


def test_without_right_sizing_the_type_stays(account: Account) -> None:
    """NONE leaves the template alone, and so does a type that is right already."""
    none, right = account.add_servers(2)
    update(account, none, targetInstanceTypeRightSizingMethod="NONE")
    number = change_template(account, none, {"InstanceType": "c5.9xlarge"})
    pass_time(24 * 3600)
    versions = [
        account.default_version(configuration_of(account, each)["ec2LaunchTemplateID"])["VersionNumber"]
        for each in (none, right)
    ]
    assert versions == [number, 1]


@pytest.mark.parametrize("by", ["control", "user"])
def test_a_deleted_template_is_made_again_under_a_new_id(account: Account, by: str) -> None:
    """Get answers a new template that DRS made from scratch; the old id stays unknown."""
    (source_server_id,) = account.add_servers(1)
    old = configuration_of(account, source_server_id)["ec2LaunchTemplateID"]
    change_template(account, source_server_id, {"InstanceType": "c5.9xlarge"})
    if by == "control":
        drs.patch_source_server(source_server_id, {"template": None})
    else:
        account.ec2.delete_launch_template(LaunchTemplateId=old)
    assert refused(lambda: account.default_version(old))[0] == "InvalidLaunchTemplateId.NotFound"
    new = configuration_of(account, source_server_id)["ec2LaunchTemplateID"]
    assert new != old
    assert template_data(account, source_server_id)["InstanceType"] == "m5.large"
    assert drs.template_id_of(source_server_id) == new
    assert {drs.source_server_of(old), drs.source_server_of(new)} == {source_server_id}


def test_a_disconnected_server_has_no_template_and_can_be_updated(account: Account) -> None:
    """DRS deletes the template of a DISCONNECTED server; its settings can still be changed."""
    (source_server_id,) = account.add_servers(1)
    old = configuration_of(account, source_server_id)["ec2LaunchTemplateID"]
    drs.patch_source_server(source_server_id, {"state": "DISCONNECTED"})
    (server,) = account.drs.describe_source_servers()["items"]
    assert server["dataReplicationInfo"]["dataReplicationState"] == "DISCONNECTED"
    assert "ec2LaunchTemplateID" not in configuration_of(account, source_server_id)
    assert update(account, source_server_id, copyTags=True)["copyTags"] is True
    drs.patch_source_server(source_server_id, {"state": "CONTINUOUS"})
    assert configuration_of(account, source_server_id)["ec2LaunchTemplateID"] != old


def test_a_template_without_drss_tag_refuses_writes(account: Account) -> None:
    """Writes answer UnauthorizedOperation 403, also to DRS; reads and all other templates go on."""
    denied, other = account.add_servers(2)
    drs.patch_source_server(denied, {"drsTag": False})
    error = refused(lambda: change_template(account, denied, {"InstanceType": "c5.large"}))
    assert error == ("UnauthorizedOperation", 403)
    template_id = update(account, denied, copyPrivateIp=True)["ec2LaunchTemplateID"]
    (template,) = account.ec2.describe_launch_templates(LaunchTemplateIds=[template_id])["LaunchTemplates"]
    assert template["LatestVersionNumber"] == 1
    assert "AWSElasticDisasterRecoveryManaged" not in {tag["Key"] for tag in template["Tags"]}
    assert change_template(account, other, {"InstanceType": "c5.large"}) == 2


def test_a_deleted_server_is_gone_with_its_template(account: Account) -> None:
    """Neither DRS nor EC2 knows it afterwards, and a running job counts it as failed."""
    gone, kept = account.add_servers(2)
    template_id = drs.template_id_of(gone)
    assert template_id is not None
    job_id = start(account, [gone, kept])["jobID"]
    drs.delete_source_server(gone)
    assert refused(lambda: configuration_of(account, gone))[0] == "ResourceNotFoundException"
    assert refused(lambda: account.default_version(template_id))[0] == "InvalidLaunchTemplateId.NotFound"
    advance(120)
    assert launch_statuses(job_of(account, job_id)) == {gone: "FAILED", kept: "LAUNCHED"}


def test_servers_and_jobs_can_be_tagged(account: Account) -> None:
    """Tags are merged by key and removed by key; what the list answers the description shows."""
    (source_server_id,) = account.add_servers(1, app="shop")
    (server,) = account.drs.describe_source_servers()["items"]
    for arn in (server["arn"], start(account, [source_server_id], tags={"app": "shop"})["arn"]):
        account.drs.tag_resource(resourceArn=arn, tags={"tier": "web", "app": "bank"})
        account.drs.untag_resource(resourceArn=arn, tagKeys=["tier", "none"])
        assert account.drs.list_tags_for_resource(resourceArn=arn)["tags"] == {"app": "bank"}
    assert account.drs.describe_source_servers()["items"][0]["tags"] == {"app": "bank"}


def test_accounts_and_regions_do_not_see_each_other(endpoint: str, account: Account) -> None:
    """A server is found in its own account and Region only."""
    (source_server_id,) = account.add_servers(1)
    elsewhere = open_account(endpoint, "us-east-1", account.account_id)
    for other in (open_account(endpoint), elsewhere):
        assert other.drs.describe_source_servers()["items"] == []
        assert refused(partial(configuration_of, other, source_server_id))[1] == 404
    assert drs.template_id_of(source_server_id) is not None
    assert drs.template_id_of(UNKNOWN) is None


def test_answers_hold_only_what_the_model_names(account: Account) -> None:
    """An answer with a member that DRS lacks would be dropped by botocore and hide a mistake here."""
    (source_server_id,) = account.add_servers(1)
    start(account, [source_server_id])
    advance(120)
    raw: dict[str, Any] = {}
    account.drs.meta.events.register(
        "response-received.drs", lambda response_dict, **_: raw.update(body=json.loads(response_dict["body"]))
    )
    model = account.drs.meta.service_model
    for operation, call in (
        ("DescribeSourceServers", account.drs.describe_source_servers),
        ("DescribeJobs", account.drs.describe_jobs),
        ("GetLaunchConfiguration", lambda: configuration_of(account, source_server_id)),
    ):
        call()
        assert unknown_members(model.operation_model(operation).output_shape, raw["body"]) == []


def unknown_members(shape: Any, value: Any) -> list[str]:
    """What an answer holds beyond its shape, by path."""
    if shape.type_name == "list":
        return [f"[]{path}" for item in value for path in unknown_members(shape.member, item)]
    if shape.type_name != "structure":
        return []
    strangers = [f".{name}" for name in value if name not in shape.members]
    return strangers + [
        f".{name}{path}"
        for name, child in value.items()
        if name in shape.members
        for path in unknown_members(shape.members[name], child)
    ]


@pytest.mark.parametrize(
    "change",
    [{"colour": "red"}, {"template": "lt-1"}, {"drsTag": True}, {"recoveryPoint": 0}, {"state": "disconnected"}],
)
def test_the_control_refuses_a_change_that_it_cannot_make(account: Account, change: dict[str, Any]) -> None:
    """A misspelt change must not pass for one that had no effect."""
    (source_server_id,) = account.add_servers(1)
    with pytest.raises(ValueError, match="cannot be changed so"):
        drs.patch_source_server(source_server_id, change)
    with pytest.raises(KeyError):
        drs.patch_source_server(UNKNOWN, {"recoveryPoint": False})


def test_of_64_clients_one_gets_the_server(account: Account) -> None:
    """Of 64 calls at once for one server one starts a job, and 63 are in conflict."""
    (source_server_id,) = account.add_servers(1)

    def try_to_start() -> str:
        try:
            return str(start(account, [source_server_id])["status"])
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    outcomes = all_at_once([try_to_start] * 64)
    assert sorted(outcomes) == ["ConflictException"] * 63 + ["PENDING"]


def test_64_updates_at_once_are_all_there(account: Account) -> None:
    """64 servers updated at once by 64 clients have each their own name and one new template version."""
    ids = account.add_servers(64)
    calls = [partial(update, account, each, name=f"name of {each}", copyPrivateIp=True) for each in ids]
    for source_server_id, answer in zip(ids, all_at_once(calls), strict=True):
        assert answer["name"] == f"name of {source_server_id}"
        assert account.default_version(answer["ec2LaunchTemplateID"])["VersionNumber"] == 2


def test_ids_are_the_services_own_kind(account: Account) -> None:
    """Ids of servers, jobs and instances have the form of the model, and REGION is in the ARN."""
    shape = account.drs.meta.service_model.shape_for
    (source_server_id,) = account.add_servers(1)
    job = start(account, [source_server_id])
    assert len(source_server_id) == shape("SourceServerID").metadata["max"]
    assert len(job["jobID"]) == shape("JobID").metadata["max"]
    assert job["arn"] == f"arn:aws:drs:{REGION}:{account.account_id}:job/{job['jobID']}"
