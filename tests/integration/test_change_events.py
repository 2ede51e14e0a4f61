"""From a write that CloudTrail records to what the watch is asked: the deployed rule and the stand-in say the same."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra.local.process import StandIn
from producer.change_events import read_check
from producer.operations import ENVELOPE
from tests.integration.test_local_template import read_resources
from workers.core.drift_checks import DriftCheck

Clients = Callable[..., Any]
Take = Callable[[], list[dict[str, Any]]]
ACCOUNT, REGION = "123456789012", "us-east-1"
WHO = f"arn:aws:iam::{ACCOUNT}:root"


@pytest.fixture
def take(local: StandIn, client: Clients) -> Iterator[Take]:
    """Events are on; takes what has come to the empty requests queue."""
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName="prelaunch-requests")["QueueUrl"]

    def receive() -> list[dict[str, Any]]:
        taken: list[dict[str, Any]] = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                taken.append(json.loads(message["Body"]))
        return taken

    receive()
    local.control("PUT", "events", {"on": True})
    yield receive
    local.control("PUT", "events", {"on": False})


def transform(event: dict[str, Any]) -> dict[str, Any]:
    """Do what EventBridge does with an event by the deployed rule's input transformer."""
    (target,) = read_resources()["ChangesRule"]["Properties"]["Targets"]
    transformer = target["InputTransformer"]
    text = transformer["InputTemplate"]
    for name, path in transformer["InputPathsMap"].items():
        value: Any = event
        for part in path.removeprefix("$.").split("."):
            value = value[part]
        text = text.replace(f"<{name}>", value)
    request: dict[str, Any] = json.loads(text.replace("<aws.events.event.json>", json.dumps(event)))
    return request


def read(message: dict[str, Any]) -> DriftCheck:
    """Read what a message asks for, as the door does."""
    return read_check({name: value for name, value in message.items() if name not in ENVELOPE})


def test_a_write_to_drs_names_its_source_server(take: Take, client: Clients, local: StandIn) -> None:
    """Account, Region, source server and who did it, with which call, when: from either form of the message."""
    (server,) = local.control("POST", "servers", {"count": 1})["sourceServerIds"]
    client("drs").update_launch_configuration(sourceServerID=server, copyTags=True)
    (request,) = take()
    at = request["eventTime"]
    expected = DriftCheck(
        account_id=ACCOUNT,
        region=REGION,
        source_server_ids=(server,),
        event_name="UpdateLaunchConfiguration",
        changed_by=f"UpdateLaunchConfiguration by {WHO} at {at}",
    )
    assert read(request) == expected
    assert read(transform(request["event"])) == expected


def test_a_promotion_names_its_launch_template(take: Take, client: Clients, local: StandIn) -> None:
    """Of EC2's own form of request and answer the template's id is read, whether it was named by id or by name."""
    (server,) = local.control("POST", "servers", {"count": 1})["sourceServerIds"]
    template_id = client("drs").get_launch_configuration(sourceServerID=server)["ec2LaunchTemplateID"]
    ec2 = client("ec2")
    (template,) = ec2.describe_launch_templates(LaunchTemplateIds=[template_id])["LaunchTemplates"]
    ec2.create_launch_template_version(
        LaunchTemplateId=template_id, SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.nano"}
    )
    ec2.modify_launch_template(LaunchTemplateId=template_id, DefaultVersion="2")
    ec2.modify_launch_template(LaunchTemplateName=template["LaunchTemplateName"], DefaultVersion="1")
    created, *promotions = take()
    assert len(promotions) == 2
    for request, version in zip(promotions, (2, 1), strict=True):
        expected = DriftCheck(
            account_id=ACCOUNT,
            region=REGION,
            launch_template_id=template_id,
            default_version=version,
            event_name="ModifyLaunchTemplate",
            changed_by=f"ModifyLaunchTemplate by {WHO} at {request['eventTime']}",
        )
        assert read(request) == expected
        assert read(transform(request["event"])) == expected
    assert read(created).event_name == "CreateLaunchTemplateVersion"


def test_the_rule_tells_of_every_write_that_can_be_drift() -> None:
    """The calls that change what DRS launches; a version that is only created is none of them."""
    pattern = read_resources()["ChangesRule"]["Properties"]["EventPattern"]
    assert pattern["detail-type"] == ["AWS API Call via CloudTrail"]
    assert {"UpdateLaunchConfiguration", "ModifyLaunchTemplate", "DeleteLaunchTemplate"} <= set(
        pattern["detail"]["eventName"]
    )
    assert "CreateLaunchTemplateVersion" not in pattern["detail"]["eventName"]
