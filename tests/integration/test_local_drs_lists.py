"""What of DRS can only be read: job logs, the template of launch configurations, tags. Through boto3."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local import drs
from infra.local.world import WORLD
from tests.integration.local_services import Account, advance, open_account, own_world, refused


@pytest.fixture
def account(endpoint: str) -> Iterator[Account]:
    with own_world():
        WORLD.job_seconds = 60
        yield open_account(endpoint)


def start(account: Account, *ids: str) -> str:
    servers = [{"sourceServerID": source_server_id} for source_server_id in ids]
    return str(account.drs.start_recovery(sourceServers=servers, isDrill=True)["job"]["jobID"])


def log_of(account: Account, job_id: str, **paging: int) -> list[dict[str, Any]]:
    pages = account.drs.get_paginator("describe_job_log_items").paginate(jobID=job_id, **paging)
    return [item for page in pages for item in page["items"]]


def test_a_jobs_log_tells_what_happened_to_each_server(account: Account) -> None:
    """Start, conversion and launch of each server that can, the reason of each that cannot, and the end."""
    good, empty = account.add_servers(2)
    drs.patch_source_server(empty, {"recoveryPoint": False})
    job_id = start(account, good, empty)
    assert [item["event"] for item in log_of(account, job_id)] == ["JOB_START"]
    advance(60)
    assert log_of(account, job_id)[-1]["event"] != "JOB_END"
    advance(60)
    log = log_of(account, job_id)
    told = [(item["event"], item.get("eventData", {}).get("sourceServerID")) for item in log]
    assert told == [
        ("JOB_START", None),
        ("CONVERSION_START", good),
        ("CONVERSION_END", good),
        ("LAUNCH_START", good),
        ("SNAPSHOT_FAIL", empty),
        ("JOB_END", None),
    ]
    assert log[4]["eventData"]["rawError"]
    times = [item["logDateTime"] for item in log]
    assert times == sorted(times)
    assert times[0] < times[1] < times[5]


def test_a_jobs_log_comes_in_pages(account: Account) -> None:
    """The paginator sees each item once, in the order of the log."""
    job_id = start(account, *account.add_servers(3))
    advance(120)
    whole = log_of(account, job_id)
    assert len(whole) == 11
    assert log_of(account, job_id, maxResults=4) == whole
    first = account.drs.describe_job_log_items(jobID=job_id, maxResults=4)
    assert len(first["items"]) == 4
    assert refused(lambda: account.drs.describe_job_log_items(jobID=job_id, nextToken="x"))[1] == 400
    assert refused(lambda: account.drs.describe_job_log_items(jobID="job-1"))[0] == "ValidationException"


def test_a_job_of_another_account_has_no_log_here(endpoint: str, account: Account) -> None:
    """As DescribeJobs does not list it."""
    job_id = start(account, *account.add_servers(1))
    assert log_of(open_account(endpoint), job_id) == []


def test_an_account_has_one_template_of_launch_configurations(account: Account) -> None:
    """A server that is added starts with what the template says."""
    (template,) = account.drs.describe_launch_configuration_templates()["items"]
    (source_server_id,) = account.add_servers(1)
    new = account.drs.get_launch_configuration(sourceServerID=source_server_id)
    shared = set(template) & set(new)
    assert {"copyPrivateIp", "copyTags", "launchDisposition", "targetInstanceTypeRightSizingMethod"} <= shared
    assert {name: template[name] for name in shared} == {name: new[name] for name in shared}
    describe = account.drs.describe_launch_configuration_templates
    found = describe(launchConfigurationTemplateIDs=[template["launchConfigurationTemplateID"]])["items"]
    assert found == [template]
    unknown = "lct-0123456789abcdefX"
    assert refused(lambda: describe(launchConfigurationTemplateIDs=[unknown])) == ("ResourceNotFoundException", 404)


def test_the_template_of_launch_configurations_can_be_tagged(account: Account) -> None:
    """ListTagsForResource answers what the description shows."""
    (template,) = account.drs.describe_launch_configuration_templates()["items"]
    account.drs.tag_resource(resourceArn=template["arn"], tags={"tier": "web"})
    assert account.drs.list_tags_for_resource(resourceArn=template["arn"])["tags"] == {"tier": "web"}
    assert account.drs.describe_launch_configuration_templates()["items"][0]["tags"] == {"tier": "web"}


def test_what_the_model_has_and_the_stand_in_has_not_is_said(account: Account) -> None:
    """Every operation of DRS that is not built answers UnknownOperationException, 404; so does no operation."""
    built = {
        "DescribeJobLogItems",
        "DescribeJobs",
        "DescribeLaunchConfigurationTemplates",
        "DescribeRecoverySnapshots",
        "DescribeSourceServers",
        "GetLaunchConfiguration",
        "InitializeService",
        "ListTagsForResource",
        "StartRecovery",
        "TagResource",
        "UntagResource",
        "UpdateLaunchConfiguration",
    }
    names = account.drs.meta.method_to_api_mapping
    answers = {name: refused(getattr(account.drs, method)) for method, name in names.items() if name not in built}
    assert len(answers) > 20
    assert set(answers.values()) == {("UnknownOperationException", 404)}
