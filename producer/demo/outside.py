"""Somebody else's hand on launch templates that are ready, by the plain SDK and past prelaunch."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from producer.local_stack.sdk import plain_client

Data: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Edit:
    """One launch template that was edited."""

    source_server_id: str
    template_id: str
    before: Data
    """What the default version held before."""


def _smaller_type(_: Data) -> Data:
    return {"InstanceType": "t3.micro"}


def _without_monitoring(_: Data) -> Data:
    return {"Monitoring": {"Enabled": False}}


def _another_application(data: Data) -> Data:
    renamed = [
        {
            **each,
            "Tags": [{**tag, **({"Value": "theirs"} if tag["Key"] == "Application" else {})} for tag in each["Tags"]],
        }
        for each in data["TagSpecifications"]
    ]
    return {"TagSpecifications": renamed}


EDITS: Sequence[Callable[[Data], Data]] = (_smaller_type, _without_monitoring, _another_application)
"""Each makes, of what a launch template holds, the members that somebody else writes over it."""


def edit_templates(environment: Mapping[str, str], source_server_ids: Sequence[str]) -> list[Edit]:
    """
    Write and promote a version of each source server's launch template.

    Parameters:
        environment: Endpoint and credentials.
        source_server_ids: As many as there are `EDITS`, each of which is made to one.

    Returns:
        What was edited.
    """
    drs, ec2 = (plain_client(service, environment) for service in ("drs", "ec2"))
    edits = []
    for source_server_id, edit in zip(source_server_ids, EDITS, strict=True):
        template_id = drs.get_launch_configuration(sourceServerID=source_server_id)["ec2LaunchTemplateID"]
        before = _read_default(ec2, template_id)
        made = ec2.create_launch_template_version(
            LaunchTemplateId=template_id, SourceVersion="$Default", LaunchTemplateData=edit(before)
        )
        version = str(made["LaunchTemplateVersion"]["VersionNumber"])
        ec2.modify_launch_template(LaunchTemplateId=template_id, DefaultVersion=version)
        edits.append(Edit(source_server_id, template_id, before))
    return edits


def count_restored(environment: Mapping[str, str], edits: Sequence[Edit]) -> int:
    """Count the launch templates whose default version holds all that it held before, and nothing else."""
    ec2 = plain_client("ec2", environment)
    return sum(_read_default(ec2, edit.template_id) == edit.before for edit in edits)


def ask_for_a_watch(environment: Mapping[str, str]) -> None:
    """Ask by a message, as anyone may who can send one: look for drift everywhere."""
    sqs = plain_client("sqs", environment)
    queue = sqs.get_queue_url(QueueName=f"{environment['PRELAUNCH_STACK']}-requests")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"operation": "check_drift", "invokedBy": "the demo"}))


def _read_default(ec2: Any, template_id: str) -> Data:
    answer = ec2.describe_launch_template_versions(LaunchTemplateId=template_id, Versions=["$Default"])
    data: Data = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    return data
