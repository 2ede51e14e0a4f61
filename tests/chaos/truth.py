"""
What AWS really holds, and who wrote it: asked of the stand-in by plain boto3, and never of the product.

Writes are CloudTrail's events, with the user agent that tells which process sent them. They are read from a queue of
our own: those at the requests queue are prelaunch's, which looks for drift at each.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import boto3
from botocore.config import Config

from infra.local.process import StandIn

OURS = "prelaunch "
"""What the description of our versions begins with; the digest of what was asked for follows."""
AT_ONCE = 4
LONGER_THAN_ALL_SECONDS = 36_000
TRAIL = "chaos-trail"
"""The queue."""
TAGGED = ("instance", "volume")
_APP = re.compile(r"\bapp/(\S+)")


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a source server's launch template."""

    source_server_id: str
    number: int
    description: str
    mark: str | None


@dataclass(frozen=True, slots=True)
class AwsWrite:
    """A write that AWS has accepted."""

    at: float
    """Wall clock, seconds."""
    who: str
    """The process."""
    operation: str
    source_server_id: str
    version: int | None
    """The version of the launch template that was made or promoted."""
    source: str | None
    """The version that it was made from."""
    description: str | None
    mark: str | None
    """What tells for which version of the group it was made: DRS's name, or the tag in the template's version."""


class Truth:
    """Asks the stand-in."""

    def __init__(self, aws: StandIn, members: Sequence[str], window_seconds: float) -> None:
        self._aws = aws
        self.window_seconds = window_seconds
        """How long a read of EC2 may show the state before a write."""
        self._drs, self._ec2, self._sqs = (self._connect(name) for name in ("drs", "ec2", "sqs"))
        self._trail_url = self._sqs.create_queue(QueueName=TRAIL)["QueueUrl"]
        aws.control("PUT", "events", {"on": True, "alsoTo": [TRAIL]})
        self.templates = {member: str(self.read_drs(member)["ec2LaunchTemplateID"]) for member in members}
        self._owners = {template: member for member, template in self.templates.items()}

    def read_drs(self, source_server_id: str) -> dict[str, Any]:
        """Read a launch configuration."""
        return dict(self._drs.get_launch_configuration(sourceServerID=source_server_id))

    def read_templates(self) -> dict[str, dict[str, Any]]:
        """Read the data of every source server's default version."""
        pages = self._ec2.get_paginator("describe_launch_template_versions").paginate(Versions=["$Default"])
        return {
            self._owners[version["LaunchTemplateId"]]: version["LaunchTemplateData"]
            for page in pages
            for version in page["LaunchTemplateVersions"]
            if version["LaunchTemplateId"] in self._owners
        }

    def read_versions(self) -> list[Version]:
        """Read every version of every launch template."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [version for found in pool.map(self._read_versions, self._owners) for version in found]

    def find_differences(
        self, wanted: Mapping[str, Mapping[str, Any]], asked_of_drs: Sequence[str] | None = None
    ) -> dict[str, str]:
        """
        Compare what AWS holds with launch configs.

        Parameters:
            wanted: The effective launch config of each source server.
            asked_of_drs: Whose half in DRS is read as well; None for all.

        Returns:
            Of each source server that holds something else: what, in words.
        """
        templates = self.read_templates()
        asked = list(wanted) if asked_of_drs is None else list(asked_of_drs)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            configurations = dict(zip(asked, pool.map(self.read_drs, asked), strict=True))
        found = {
            member: compare(config, templates[member], configurations.get(member)) for member, config in wanted.items()
        }
        return {member: "; ".join(differences) for member, differences in found.items() if differences}

    def read_writes(self, versions: Sequence[Version]) -> list[AwsWrite]:
        """
        Read every write that was delivered as an event since this was made; nobody else reads that queue.

        Parameters:
            versions: Every version of every launch template: what is written to EC2 is told by its number.

        Returns:
            The writes, oldest first.
        """
        marks = {(version.source_server_id, version.number): version.mark for version in versions}
        request: dict[str, Any] = {
            "QueueUrl": self._trail_url,
            "MaxNumberOfMessages": 10,
            "VisibilityTimeout": LONGER_THAN_ALL_SECONDS,
            "WaitTimeSeconds": 0,
        }
        writes: list[AwsWrite] = []
        while True:
            answer = self._sqs.receive_message(**request, AttributeNames=["SentTimestamp"])
            if not answer.get("Messages"):
                marked = (
                    write
                    if write.version is None
                    else replace(write, mark=marks.get((write.source_server_id, write.version)))
                    for write in writes
                )
                return sorted(marked, key=lambda write: write.at)
            for message in answer["Messages"]:
                at = int(message["Attributes"]["SentTimestamp"]) / 1000
                writes.extend(self._read_write(json.loads(message["Body"])["event"]["detail"], at))

    def _read_write(self, record: Mapping[str, Any], at: float) -> Iterator[AwsWrite]:
        operation, asked = record["eventName"], record["requestParameters"]
        app = _APP.search(record["userAgent"])
        who = app[1] if app else record["userAgent"]
        if operation == "UpdateLaunchConfiguration":
            yield AwsWrite(at, who, operation, asked["sourceServerID"], None, None, None, asked.get("name"))
            return
        asked = asked[f"{operation}Request"]
        owner = self._owners.get(asked["LaunchTemplateId"])
        if owner is None:
            return
        if operation == "ModifyLaunchTemplate":
            number = int(asked.get("DefaultVersion") or asked["SetDefaultVersion"])
            yield AwsWrite(at, who, operation, owner, number, None, None, None)
        elif operation == "CreateLaunchTemplateVersion":
            made = record["responseElements"][f"{operation}Response"]["launchTemplateVersion"]
            source = str(asked.get("SourceVersion"))
            description = asked.get("VersionDescription")
            yield AwsWrite(at, who, operation, owner, int(made["versionNumber"]), source, description, None)

    def _read_versions(self, template_id: str) -> list[Version]:
        pages = self._ec2.get_paginator("describe_launch_template_versions").paginate(LaunchTemplateId=template_id)
        return [
            Version(
                self._owners[template_id],
                version["VersionNumber"],
                version.get("VersionDescription", ""),
                read_tags(version["LaunchTemplateData"], "instance").get("Chaos"),
            )
            for page in pages
            for version in page["LaunchTemplateVersions"]
        ]

    def _connect(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self._aws.url,
            region_name=self._aws.environment["AWS_REGION"],
            aws_access_key_id=self._aws.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self._aws.environment["AWS_SECRET_ACCESS_KEY"],
            # Its faults are for whoever calls: a reader must outlast them.
            config=Config(retries={"mode": "standard", "total_max_attempts": 30}, read_timeout=10),
        )


def compare(wanted: Mapping[str, Any], template: Mapping[str, Any], drs: Mapping[str, Any] | None) -> list[str]:
    """Compare a launch config with a launch template and a launch configuration, by the words of AWS's API."""
    tags = wanted["tags"]
    pairs: dict[str, tuple[Any, Any]] = {
        "InstanceType": (wanted["instanceType"], template.get("InstanceType")),
        "Monitoring": (wanted["monitoring"], (template.get("Monitoring") or {}).get("Enabled")),
        **{
            f"tags of the {kind}": (tags, {name: read_tags(template, kind).get(name) for name in tags})
            for kind in TAGGED
        },
    }
    if drs is not None:
        names = ("name", "targetInstanceTypeRightSizingMethod", "copyPrivateIp")
        pairs |= {f"DRS's {name}": (wanted[name], drs.get(name)) for name in names}
    return [f"{what} is {held!r} instead of {asked!r}" for what, (asked, held) in pairs.items() if asked != held]


def read_tags(template: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Read the tags that a launch template gives to instances or volumes."""
    return {
        tag["Key"]: tag["Value"]
        for specification in template.get("TagSpecifications") or []
        if specification["ResourceType"] == kind
        for tag in specification.get("Tags") or []
    }
