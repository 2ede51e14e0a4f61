"""
Every operation that the stand-in builds itself, DRS and launch templates, as Amazon's own command line sees it.

A table has one case an operation: an operation without a case is an error, and so is a case that does not call it.
"""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from botocore import xform_name

from infra.local.aws_models import load_model
from infra.local.drs.responses import DRSResponse
from infra.local.launch_templates.operations import OPERATIONS as TEMPLATE_OPERATIONS
from tests.acceptance.aws_command_line import AWS, AwsCommandLine

pytestmark = pytest.mark.xdist_group("aws command line")

DRS_OPERATIONS = [name for name in load_model("drs").operation_names if xform_name(name) in vars(DRSResponse)]
NOBODY = "s-00000000000000000"
NOWHERE = "lt-00000000000000000"

Case = Callable[[AwsCommandLine], None]
CASES: dict[Case, tuple[str, ...]] = {}


def shows(*operations: str) -> Callable[[Case], Case]:
    """Enter a function as the case of operations."""

    def enter(case: Case) -> Case:
        CASES[case] = operations
        return case

    return enter


def start_drill(aws: AwsCommandLine, *servers: str) -> dict[str, Any]:
    named = [f"sourceServerID={server}" for server in servers]
    job: dict[str, Any] = aws.ask("drs", "start-recovery", "--is-drill", "--source-servers", *named)["job"]
    return job


def read_configuration(aws: AwsCommandLine, server: str) -> dict[str, Any]:
    read: dict[str, Any] = aws.ask("drs", "get-launch-configuration", "--source-server-id", server)
    return read


def find_template(aws: AwsCommandLine) -> str:
    (server,) = aws.add_servers(1)
    return str(read_configuration(aws, server)["ec2LaunchTemplateID"])


def read_versions(aws: AwsCommandLine, template: str, *more: str) -> list[dict[str, Any]]:
    answer = aws.ask("ec2", "describe-launch-template-versions", "--launch-template-id", template, *more)
    return list(answer["LaunchTemplateVersions"])


def add_version(aws: AwsCommandLine, template: str, instance_type: str) -> dict[str, Any]:
    named = ["--launch-template-id", template, "--source-version", "1"]
    data = ["--launch-template-data", json.dumps({"InstanceType": instance_type})]
    answer: dict[str, Any] = aws.ask("ec2", "create-launch-template-version", *named, *data)
    return answer


@shows("drs.DescribeJobLogItems")
def a_job_tells_its_story(aws: AwsCommandLine) -> None:
    """Every step of a job of one server, the start first."""
    job = start_drill(aws, *aws.add_servers(1))
    items = aws.ask("drs", "describe-job-log-items", "--job-id", job["jobID"])["items"]
    assert items[0]["event"] == "JOB_START"


@shows("drs.DescribeLaunchConfigurationTemplates")
def the_template_of_launch_configurations_is_listed(aws: AwsCommandLine) -> None:
    """What DRS gives a source server that is new: one template an account."""
    (template,) = aws.ask("drs", "describe-launch-configuration-templates")["items"]
    assert template["launchConfigurationTemplateID"].startswith("lct-")


@shows("drs.DescribeJobs")
def jobs_are_listed_with_what_became_of_each_server(aws: AwsCommandLine) -> None:
    servers = aws.add_servers(2)
    job = start_drill(aws, *servers)
    aws.aws.control("PUT", "clock", {"advanceSeconds": 600})
    (found,) = aws.ask("drs", "describe-jobs", "--filters", f"jobIDs={job['jobID']}")["items"]
    assert (found["status"], found["type"], found["initiatedBy"]) == ("COMPLETED", "LAUNCH", "START_DRILL")
    parts = {part["sourceServerID"]: part["launchStatus"] for part in found["participatingServers"]}
    assert parts == dict.fromkeys(servers, "LAUNCHED")


@shows("drs.DescribeRecoverySnapshots")
def points_in_time_are_listed_and_can_be_recovered_to(aws: AwsCommandLine) -> None:
    """Oldest first; a recovery takes one of its own source server's, and no other."""
    mine, other = aws.add_servers(2)
    found = aws.ask("drs", "describe-recovery-snapshots", "--source-server-id", mine)["items"]
    assert [each["timestamp"] for each in found] == sorted(each["timestamp"] for each in found)
    snapshot = found[0]["snapshotID"]
    asked = ("drs", "start-recovery", "--source-servers", f"sourceServerID={mine},recoverySnapshotID={snapshot}")
    assert aws.ask(*asked)["job"]["participatingServers"][0]["sourceServerID"] == mine
    asked = ("drs", "start-recovery", "--source-servers", f"sourceServerID={other},recoverySnapshotID={snapshot}")
    assert "ResourceNotFoundException" in aws.fail(*asked)


@shows("drs.DescribeSourceServers")
def source_servers_are_listed_page_by_page(aws: AwsCommandLine) -> None:
    servers = aws.add_servers(3)
    named = ("drs", "describe-source-servers", "--filters", f"sourceServerIDs={','.join(servers)}")
    with_pages = aws.ask(*named, "--page-size", "1")
    assert [server["sourceServerID"] for server in with_pages["items"]] == servers
    assert {server["dataReplicationInfo"]["dataReplicationState"] for server in with_pages["items"]} == {"CONTINUOUS"}
    first = aws.ask(*named, "--max-items", "2")
    rest = aws.ask(*named, "--starting-token", first["NextToken"])
    assert [server["sourceServerID"] for server in first["items"] + rest["items"]] == servers
    assert (len(first["items"]), len(rest["items"])) == (2, 1)
    assert aws.ask(*named, "--region", "eu-west-1") == {"items": []}


@shows("drs.GetLaunchConfiguration")
def a_launch_configuration_is_read(aws: AwsCommandLine) -> None:
    (server,) = aws.add_servers(1)
    read = read_configuration(aws, server)
    assert read.pop("ec2LaunchTemplateID").startswith("lt-")
    assert read.pop("name")
    assert read == {
        "sourceServerID": server,
        "copyPrivateIp": False,
        "copyTags": False,
        "launchDisposition": "STARTED",
        "launchIntoInstanceProperties": {},
        "licensing": {"osByol": False},
        "postLaunchEnabled": False,
        "targetInstanceTypeRightSizingMethod": "BASIC",
    }


@shows("drs.UpdateLaunchConfiguration")
def an_update_changes_what_it_names_and_answers_the_whole(aws: AwsCommandLine) -> None:
    (server,) = aws.add_servers(1)
    before = read_configuration(aws, server)
    changes = ["--copy-tags", "--licensing", "osByol=true", "--launch-disposition", "STOPPED"]
    answer = aws.ask("drs", "update-launch-configuration", "--source-server-id", server, *changes)
    assert answer == {**before, "copyTags": True, "licensing": {"osByol": True}, "launchDisposition": "STOPPED"}
    assert read_configuration(aws, server) == answer


@shows("drs.InitializeService")
def an_account_is_initialised(aws: AwsCommandLine) -> None:
    account = {"AWS_ACCESS_KEY_ID": "111122223333"}
    aws.aws.control("PUT", "accounts/111122223333", {"initialised": False})
    refused = aws.fail("drs", "describe-source-servers", **account)
    assert "(UninitializedAccountException)" in refused
    assert aws.ask("drs", "initialize-service", **account) is None
    assert aws.ask("drs", "describe-source-servers", **account) == {"items": []}


@shows("drs.ListTagsForResource", "drs.TagResource", "drs.UntagResource")
def tags_are_set_listed_and_taken_away(aws: AwsCommandLine) -> None:
    arn = start_drill(aws, *aws.add_servers(1))["arn"]
    assert aws.ask("drs", "tag-resource", "--resource-arn", arn, "--tags", "wave=one,owner=ops") is None
    listed = aws.ask("drs", "list-tags-for-resource", "--resource-arn", arn)
    assert listed == {"tags": {"wave": "one", "owner": "ops"}}
    assert aws.ask("drs", "untag-resource", "--resource-arn", arn, "--tag-keys", "wave") is None
    assert aws.ask("drs", "list-tags-for-resource", "--resource-arn", arn) == {"tags": {"owner": "ops"}}


@shows("drs.StartRecovery")
def a_recovery_starts_over_all_or_none(aws: AwsCommandLine) -> None:
    first, second = aws.add_servers(2)
    job = start_drill(aws, first)
    assert (job["status"], job["initiatedBy"], job["tags"]) == ("PENDING", "START_DRILL", {})
    both = [f"sourceServerID={server}" for server in (second, first)]
    refused = aws.fail("drs", "start-recovery", "--source-servers", *both)
    assert "(ConflictException)" in refused
    assert "currently being processed by a Job" in refused
    tagged = aws.ask("drs", "start-recovery", "--source-servers", both[0], "--tags", "wave=two")["job"]
    assert (tagged["initiatedBy"], tagged["tags"]) == ("START_RECOVERY", {"wave": "two"})


@shows("ec2.CreateLaunchTemplate", "ec2.DeleteLaunchTemplate")
def a_launch_template_is_made_and_deleted(aws: AwsCommandLine) -> None:
    named = ["--launch-template-name", "made-by-hand"]
    data = ["--launch-template-data", '{"InstanceType": "m5.large"}']
    tags = ["--tag-specifications", "ResourceType=launch-template,Tags=[{Key=owner,Value=ops}]"]
    made = aws.ask("ec2", "create-launch-template", *named, *data, *tags)["LaunchTemplate"]
    assert (made["DefaultVersionNumber"], made["LatestVersionNumber"]) == (1, 1)
    assert made["Tags"] == [{"Key": "owner", "Value": "ops"}]
    taken = aws.fail("ec2", "create-launch-template", *named, *data)
    assert "(InvalidLaunchTemplateName.AlreadyExistsException)" in taken
    deleted = aws.ask("ec2", "delete-launch-template", *named)["LaunchTemplate"]
    assert deleted["LaunchTemplateId"] == made["LaunchTemplateId"]
    gone = aws.fail("ec2", "describe-launch-templates", "--launch-template-ids", made["LaunchTemplateId"])
    assert "(InvalidLaunchTemplateId.NotFound)" in gone


@shows("ec2.CreateLaunchTemplateVersion")
def a_version_inherits_its_source_and_a_wrong_one_is_stored_with_a_warning(aws: AwsCommandLine) -> None:
    template = find_template(aws)
    (source,) = read_versions(aws, template)
    good = add_version(aws, template, "c5.large")
    assert set(good) == {"LaunchTemplateVersion"}
    version = good["LaunchTemplateVersion"]
    assert (version["VersionNumber"], version["DefaultVersion"]) == (2, False)
    assert version["LaunchTemplateData"] == {**source["LaunchTemplateData"], "InstanceType": "c5.large"}
    wrong = add_version(aws, template, "m5.nonsense")
    assert [error["Code"] for error in wrong["Warning"]["Errors"]] == ["InvalidInstanceType"]
    assert wrong["LaunchTemplateVersion"]["VersionNumber"] == 3


@shows("ec2.ModifyLaunchTemplate")
def a_version_is_promoted(aws: AwsCommandLine) -> None:
    template = find_template(aws)
    add_version(aws, template, "c5.large")
    modify = ("ec2", "modify-launch-template", "--launch-template-id", template, "--default-version")
    assert aws.ask(*modify, "2")["LaunchTemplate"]["DefaultVersionNumber"] == 2
    (default,) = read_versions(aws, template, "--versions", "$Default")
    assert (default["VersionNumber"], default["LaunchTemplateData"]["InstanceType"]) == (2, "c5.large")
    assert "(InvalidLaunchTemplateId.VersionNotFound)" in aws.fail(*modify, "3")


@shows("ec2.DescribeLaunchTemplates")
def launch_templates_are_listed_page_by_page(aws: AwsCommandLine) -> None:
    templates = sorted(find_template(aws) for _ in range(3))
    described = ("ec2", "describe-launch-templates", "--launch-template-ids", *templates)
    found = aws.ask(*described)["LaunchTemplates"]
    assert [template["LaunchTemplateId"] for template in found] == templates
    tagged = ["--filters", "Name=tag-key,Values=AWSElasticDisasterRecoveryManaged", "--page-size", "2"]
    everything = aws.ask("ec2", "describe-launch-templates", *tagged)["LaunchTemplates"]
    assert {template["LaunchTemplateId"] for template in everything} >= set(templates)


@shows("ec2.DescribeLaunchTemplateVersions")
def the_default_version_of_every_template_is_listed(aws: AwsCommandLine) -> None:
    template = find_template(aws)
    add_version(aws, template, "c5.large")
    assert [version["VersionNumber"] for version in read_versions(aws, template)] == [2, 1]
    everywhere = aws.ask("ec2", "describe-launch-template-versions", "--versions", "$Default", "--page-size", "2")
    numbers = [v["VersionNumber"] for v in everywhere["LaunchTemplateVersions"] if v["LaunchTemplateId"] == template]
    assert numbers == [1]


@shows("ec2.DeleteLaunchTemplateVersions")
def versions_are_deleted_each_for_itself(aws: AwsCommandLine) -> None:
    template = find_template(aws)
    add_version(aws, template, "c5.large")
    named = ["--launch-template-id", template, "--versions", "1", "2"]
    answer = aws.ask("ec2", "delete-launch-template-versions", *named)
    (deleted,) = answer["SuccessfullyDeletedLaunchTemplateVersions"]
    (kept,) = answer["UnsuccessfullyDeletedLaunchTemplateVersions"]
    assert (deleted["VersionNumber"], kept["VersionNumber"]) == (2, 1)
    assert "default" in kept["ResponseError"]["Message"]
    assert [version["VersionNumber"] for version in read_versions(aws, template)] == [1]


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "a source server that is not there": (
        ("drs", "get-launch-configuration", "--source-server-id", NOBODY),
        "ResourceNotFoundException",
    ),
    "an id that is none": (("drs", "get-launch-configuration", "--source-server-id", NOWHERE), "ValidationException"),
    "a value that the model does not know": (
        ("drs", "update-launch-configuration", "--source-server-id", NOBODY, "--launch-disposition", "ASLEEP"),
        "ValidationException",
    ),
    "tags of nothing": (
        ("drs", "list-tags-for-resource", "--resource-arn", f"arn:aws:drs:us-east-1:123456789012:job/{NOBODY}"),
        "ResourceNotFoundException",
    ),
    "a template that is not there": (
        ("ec2", "modify-launch-template", "--launch-template-id", NOWHERE, "--default-version", "1"),
        "InvalidLaunchTemplateId.NotFound",
    ),
    "a template's id that is none": (
        ("ec2", "describe-launch-template-versions", "--launch-template-id", "me"),
        "InvalidLaunchTemplateId.Malformed",
    ),
    "a DRS operation that is not built": (
        ("drs", "describe-recovery-instances"),
        "UnknownOperationException",
    ),
    "a DynamoDB operation that is not built": (("dynamodb", "list-global-tables"), "UnknownOperationException"),
    "an EC2 operation that is not built": (("ec2", "describe-fpga-images"), "InvalidAction"),
}


def test_every_operation_has_its_case() -> None:
    """An operation that is built and not shown by the command line is an error."""
    built = [f"drs.{name}" for name in DRS_OPERATIONS] + [f"ec2.{name}" for name in TEMPLATE_OPERATIONS]
    assert sorted(operation for operations in CASES.values() for operation in operations) == sorted(built)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_is_built_answers_the_command_line(command_line: AwsCommandLine, case: Case) -> None:
    """Real arguments are understood, the answer is read as the service model says, and it is true."""
    with command_line.calling(*CASES[case]):
        case(command_line)


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_reaches_the_command_line(command_line: AwsCommandLine, what: str) -> None:
    """What AWS would refuse ends `aws` with status 255 and a line that names the code and the operation."""
    arguments, code = REFUSED[what]
    operation = "".join(word.capitalize() for word in arguments[1].split("-"))
    said = command_line.fail(*arguments)
    assert said.startswith(f"An error occurred ({code}) when calling the {operation} operation: "), said
    assert not said.endswith(": ")


def test_what_stays_loaded_does_what_the_command_itself_does(command_line: AwsCommandLine) -> None:
    """`aws`, started as a person starts it, prints the same, says the same and ends with the same status."""
    (server,) = command_line.add_servers(1)
    for source_server_id in (server, NOBODY):
        arguments = ("drs", "get-launch-configuration", "--source-server-id", source_server_id)
        alone = subprocess.run(
            [AWS, *arguments], env=command_line.environment, capture_output=True, text=True, check=False
        )
        loaded = command_line.run(*arguments)
        assert (alone.returncode, alone.stdout, alone.stderr) == (loaded.status, loaded.output, loaded.errors)
