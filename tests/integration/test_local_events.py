"""CloudTrail's events at the requests queue, as EventBridge delivers them: accepted writes, and nothing else."""

import json
import urllib.error
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.local.process import StandIn

Clients = Callable[..., Any]
TARGET = "232323232323"


@pytest.fixture
def queue(local: StandIn, client: Clients) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Events are on; takes what has come to the empty requests queue. A write's event is there when it answers."""
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName="prelaunch-requests")["QueueUrl"]

    def take() -> list[dict[str, Any]]:
        taken: list[dict[str, Any]] = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                taken.append(json.loads(message["Body"]))
        return taken

    take()
    local.control("PUT", "events", {"on": True})
    yield take
    local.control("PUT", "events", {"on": False})


@pytest.fixture
def server(local: StandIn) -> str:
    (source_server_id,) = local.control("POST", "servers", {"count": 1})["sourceServerIds"]
    return str(source_server_id)


Queue = Callable[[], list[dict[str, Any]]]


def test_a_write_to_drs_is_a_request_to_check_for_drift(queue: Queue, client: Clients, server: str) -> None:
    """The body names account, Region, call, time, caller and source servers, beside the event itself."""
    drs = client("drs")
    answer = drs.update_launch_configuration(sourceServerID=server, copyTags=True, name="web-1")
    (request,) = queue()
    event = request.pop("event")
    detail = event["detail"]
    assert request == {
        "operation": "check_drift",
        "accountId": "123456789012",
        "region": "us-east-1",
        "eventName": "UpdateLaunchConfiguration",
        "eventTime": detail["eventTime"],
        "userIdentity": "arn:aws:iam::123456789012:root",
        "sourceServerIds": [server],
    }
    assert (event["detail-type"], event["source"]) == ("AWS API Call via CloudTrail", "aws.drs")
    assert (event["account"], event["region"], event["time"]) == ("123456789012", "us-east-1", detail["eventTime"])
    assert detail["requestParameters"] == {"sourceServerID": server, "copyTags": True, "name": "web-1"}
    assert detail["responseElements"] == {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    assert detail["requestID"] == answer["ResponseMetadata"]["RequestId"]
    told = {"eventSource": "drs.amazonaws.com", "eventType": "AwsApiCall", "readOnly": False}
    told |= {"awsRegion": "us-east-1", "recipientAccountId": "123456789012", "managementEvent": True}
    assert {name: detail[name] for name in told} == told


def test_a_write_to_a_template_is_told_as_cloudtrail_tells_ec2(queue: Queue, client: Clients, server: str) -> None:
    """Request and response by their EC2 names, numbers as numbers, a list of one as its item with its `tag`."""
    ec2 = client("ec2")
    template = client("drs").get_launch_configuration(sourceServerID=server)["ec2LaunchTemplateID"]
    ec2.create_launch_template_version(
        LaunchTemplateId=template,
        SourceVersion="1",
        ClientToken="once",
        LaunchTemplateData={
            "EbsOptimized": True,
            "SecurityGroupIds": ["sg-1", "sg-2"],
            "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": ["sg-3"]}],
        },
    )
    ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="2", ClientToken="then")
    created, modified = queue()
    assert (created["launchTemplateId"], modified["launchTemplateId"]) == (template, template)
    assert created["event"]["detail"]["requestParameters"] == {
        "CreateLaunchTemplateVersionRequest": {
            "LaunchTemplateId": template,
            "SourceVersion": 1,
            "ClientToken": "once",
            "LaunchTemplateData": {
                "EbsOptimized": True,
                "SecurityGroupId": [{"tag": 1, "content": "sg-1"}, {"tag": 2, "content": "sg-2"}],
                "NetworkInterface": {
                    "tag": 1,
                    "DeviceIndex": 0,
                    "SecurityGroupId": {"tag": 1, "content": "sg-3"},
                },
            },
        }
    }
    version = created["event"]["detail"]["responseElements"]["CreateLaunchTemplateVersionResponse"]
    assert version["launchTemplateVersion"]["versionNumber"] == 2
    assert version["launchTemplateVersion"]["defaultVersion"] is False
    detail = modified["event"]["detail"]
    assert detail["eventSource"] == "ec2.amazonaws.com"
    assert detail["requestParameters"] == {
        "ModifyLaunchTemplateRequest": {"LaunchTemplateId": template, "SetDefaultVersion": 2, "ClientToken": "then"}
    }
    assert detail["responseElements"]["ModifyLaunchTemplateResponse"]["launchTemplate"]["launchTemplateId"] == template


def test_a_template_named_by_its_name_is_told_by_its_id(queue: Queue, client: Clients) -> None:
    """Whatever the request names it by, the id is there."""
    ec2 = client("ec2")
    made = ec2.create_launch_template(LaunchTemplateName="events", LaunchTemplateData={"KeyName": "k"})
    ec2.delete_launch_template(LaunchTemplateName="events")
    ids = [request["launchTemplateId"] for request in queue()]
    assert ids == [made["LaunchTemplate"]["LaunchTemplateId"]] * 2


def test_reads_and_refused_writes_are_no_events(queue: Queue, local: StandIn, client: Clients, server: str) -> None:
    """Only a write that AWS accepted is an event: not a read, a refusal, a throttle, a dry run."""
    drs, ec2 = client("drs"), client("ec2")
    template = drs.get_launch_configuration(sourceServerID=server)["ec2LaunchTemplateID"]
    drs.describe_source_servers()
    ec2.describe_launch_templates()
    refusals: list[Callable[[], object]] = [
        lambda: drs.update_launch_configuration(sourceServerID=server, launchDisposition="UP"),
        lambda: drs.update_launch_configuration(sourceServerID="s-0123456789abcdefX", copyTags=True),
        lambda: ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="9"),
        lambda: ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="1", DryRun=True),
    ]
    for refusal in refusals:
        with pytest.raises(ClientError):
            refusal()
    local.control("PUT", "faults", [{"service": "drs", "operation": "*", "code": "ThrottlingException"}])
    with pytest.raises(ClientError):
        drs.update_launch_configuration(sourceServerID=server, copyTags=True)
    assert queue() == []


def test_a_write_whose_answer_was_lost_is_an_event(queue: Queue, local: StandIn, client: Clients, server: str) -> None:
    """AWS accepted it, whatever the client has heard."""
    fault = {"service": "drs", "operation": "*", "code": "InternalServerException", "afterEffect": True}
    local.control("PUT", "faults", [fault])
    with pytest.raises(ClientError):
        client("drs").update_launch_configuration(sourceServerID=server, copyTags=True)
    assert [request["sourceServerIds"] for request in queue()] == [[server]]


def test_events_are_off_until_they_are_turned_on(queue: Queue, local: StandIn, client: Clients, server: str) -> None:
    """Off means silent, and nothing is told afterwards of what was done meanwhile."""
    local.control("PUT", "events", {"on": False})
    client("drs").update_launch_configuration(sourceServerID=server, copyTags=True)
    local.control("PUT", "events", {"on": True})
    assert queue() == []


def test_further_queues_get_the_same(queue: Queue, local: StandIn, client: Clients, server: str) -> None:
    """Whoever reads a queue of its own takes nothing from the requests queue; one that is not there gets nothing."""
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="mine")["QueueUrl"]
    local.control("PUT", "events", {"on": True, "alsoTo": ["gone", "mine"]})
    client("drs").update_launch_configuration(sourceServerID=server, copyTags=True)
    (message,) = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(message["Body"])] == queue()
    local.control("PUT", "events", {"on": True})
    client("drs").update_launch_configuration(sourceServerID=server, copyTags=False)
    assert len(queue()) == 1
    assert "Messages" not in sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)


@pytest.mark.parametrize("body", [{}, {"on": 0}, {"on": "false"}, {"on": None}, {"on": False, "off": True}, []])
def test_a_wrong_body_leaves_events_on(
    queue: Queue, local: StandIn, client: Clients, server: str, body: object
) -> None:
    """Refused with a 400, and what was in force stays in force."""
    with pytest.raises(urllib.error.HTTPError, match="400"):
        local.control("PUT", "events", body)
    client("drs").update_launch_configuration(sourceServerID=server, copyTags=True)
    assert [request["sourceServerIds"] for request in queue()] == [[server]]


def test_another_accounts_writes_come_with_its_role(queue: Queue, local: StandIn, client: Clients) -> None:
    """Events of every account come to the stack's one queue; an assumed role is told with its session."""
    local.control("PUT", f"accounts/{TARGET}", {"roles": [{"roleName": "hub", "externalId": "let-me-in"}]})
    (made,) = local.control("POST", "servers", {"count": 1, "accountId": TARGET})["sourceServerIds"]
    role = f"arn:aws:iam::{TARGET}:role/hub"
    given = client("sts").assume_role(RoleArn=role, RoleSessionName="watch", ExternalId="let-me-in")["Credentials"]
    session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], "us-east-1")
    drs = session.client("drs", endpoint_url=local.url)
    drs.start_recovery(sourceServers=[{"sourceServerID": made}], isDrill=True, tags={"wave": "secret"})
    (request,) = queue()
    detail = request["event"]["detail"]
    assert (request["accountId"], request["sourceServerIds"]) == (TARGET, [made])
    assert request["userIdentity"] == f"arn:aws:sts::{TARGET}:assumed-role/hub/watch"
    assert detail["userIdentity"]["type"] == "AssumedRole"
    assert detail["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == role
    assert detail["requestParameters"]["tags"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    assert "secret" not in json.dumps(request)


def test_a_tagged_resource_is_named_by_its_arn(queue: Queue, client: Clients, server: str) -> None:
    """What stands in the path is a request parameter too."""
    drs = client("drs")
    (found,) = drs.describe_source_servers(filters={"sourceServerIDs": [server]})["items"]
    drs.tag_resource(resourceArn=found["arn"], tags={"app": "shop"})
    (request,) = queue()
    assert request["event"]["detail"]["requestParameters"]["resourceArn"] == found["arn"]
    assert request["event"]["detail"]["responseElements"] is None
    assert request["sourceServerIds"] == [server]


def test_what_drs_writes_itself_is_an_event_of_its_own_role(
    queue: Queue, local: StandIn, client: Clients, server: str
) -> None:
    """copyPrivateIp makes DRS call EC2: two more events, invoked by DRS, about the server's template."""
    answer = client("drs").update_launch_configuration(sourceServerID=server, copyPrivateIp=True)
    requests = {request["eventName"]: request for request in queue()}
    assert set(requests) == {"UpdateLaunchConfiguration", "CreateLaunchTemplateVersion", "ModifyLaunchTemplate"}
    for name in ("CreateLaunchTemplateVersion", "ModifyLaunchTemplate"):
        assert requests[name]["launchTemplateId"] == answer["ec2LaunchTemplateID"]
        assert "AWSServiceRoleForElasticDisasterRecovery" in requests[name]["userIdentity"]
        assert requests[name]["event"]["detail"]["userIdentity"]["invokedBy"] == "drs.amazonaws.com"
    asked = requests["CreateLaunchTemplateVersion"]["event"]["detail"]["requestParameters"]
    interfaces = asked["CreateLaunchTemplateVersionRequest"]["LaunchTemplateData"]["NetworkInterface"]
    (found,) = client("drs").describe_source_servers(filters={"sourceServerIDs": [server]})["items"]
    assert interfaces[0]["PrivateIpAddress"] == found["sourceProperties"]["networkInterfaces"][0]["ips"][0]
    promoted = requests["ModifyLaunchTemplate"]["event"]["detail"]["requestParameters"]
    assert promoted["ModifyLaunchTemplateRequest"]["SetDefaultVersion"] == 2
