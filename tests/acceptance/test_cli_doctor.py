"""`prelaunch doctor` over a real stack: what it finds, what it says, and how it ends."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.process import StandIn
from tests.acceptance.commands import connect, make_environment, make_group_body, run, run_on_terminal
from tests.acceptance.in_process import Command
from tests.acceptance.test_cli_group import FAILED, NOT_REACHABLE, command, environment, shared_aws

__all__ = ["command", "environment", "shared_aws"]
pytestmark = pytest.mark.xdist_group("cli_doctor")
SECRET = "ours-and-nobody-elses"
OTHER = "600000000001"
THINNED = "600000000002"
"""Of one test alone: what another leaves in DRS is tried too, where no member is there."""


@pytest.fixture(autouse=True)
def _left_as_found(shared_aws: StandIn) -> Iterator[None]:
    """No fault, and no job: of one that nobody takes a minute later is a problem, of whichever test it was."""
    yield
    shared_aws.control("PUT", "faults", [])
    sqs = connect(shared_aws, "sqs")
    jobs = sqs.get_queue_url(QueueName="prelaunch-jobs")["QueueUrl"]
    while found := sqs.receive_message(QueueUrl=jobs, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages"):
        for each in found:
            sqs.delete_message(QueueUrl=jobs, ReceiptHandle=each["ReceiptHandle"])


def examine(command: Command) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
    """Answer the exit status, and the findings by check and subject."""
    status, printed, errors = command("doctor", "--json")
    assert errors == ""
    found = json.loads(printed)["findings"]
    return status, {(each["check"], each["subject"]): each for each in found}


def test_a_stack_that_is_well_has_no_problem(command: Command, shared_aws: StandIn) -> None:
    """Exit 0: each line is ok, or not known and why; nothing is written but turns in the fleet's buckets."""
    shared_aws.control("POST", "servers", {"count": 1})
    shared_aws.control("DELETE", "calls")
    status, found = examine(command)
    assert status == 0, [each for each in found.values() if each["outcome"] == "problem"]
    outcomes = {what: each["outcome"] for what, each in found.items()}
    # IAM simulates no root, which the stand-in's first key is.
    unknown = {what for what, outcome in outcomes.items() if outcome != "ok"}
    assert {outcomes[what] for what in unknown} == {"not known"}
    unsimulated = {"permissions dynamodb", "permissions sqs", "permissions drs", "task tokens"}
    # And no worker runs.
    assert {check for check, _ in unknown} - {"consumers"} == unsimulated
    assert all("IAM simulates users and roles" in found[what]["saw"] for what in unknown if what[0] != "consumers")
    assert {check for check, _ in found} - {check for check, _ in unknown} - {"consumers"} == {
        "clock",
        "credentials",
        "dead letters",
        "DRS",
        "permissions ec2",
        "permissions iam",
        "queue",
        "quotas",
        "recovery jobs",
        "replies",
        "rule",
        "table",
        "TTL",
    }
    calls = shared_aws.control("GET", "calls")
    assert calls["ec2.CreateLaunchTemplateVersion"]["count"] == 1
    reads = ("Get", "Describe", "List", "Query", "Simulate")
    writes = {name for name in calls if not name.partition(".")[2].startswith(reads)}
    # The first two are dry runs, and a paced call takes its turn from the table.
    assert writes == {"ec2.CreateLaunchTemplateVersion", "ec2.ModifyLaunchTemplate", "dynamodb.UpdateItem"}


def test_problems_are_told_with_their_remedies(command: Command, shared_aws: StandIn) -> None:
    """Exit 1: dead letters, a queue without its redrive policy, a backlog, a denied call, DRS's jobs used up."""
    sqs, drs = connect(shared_aws, "sqs"), connect(shared_aws, "drs")
    urls = {name: sqs.get_queue_url(QueueName=f"prelaunch-{name}")["QueueUrl"] for name in ("jobs-bulk", "jobs-dlq")}
    sqs.send_message(QueueUrl=urls["jobs-dlq"], MessageBody="nobody could do it")
    before = sqs.get_queue_attributes(QueueUrl=urls["jobs-bulk"], AttributeNames=["RedrivePolicy"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=urls["jobs-bulk"], Attributes={"VisibilityTimeout": "7"})
    servers = shared_aws.control("POST", "servers", {"count": 20})["sourceServerIds"]
    for server in servers:
        drs.start_recovery(sourceServers=[{"sourceServerID": server}], isDrill=True)
    denial = {"service": "ec2", "operation": "ModifyLaunchTemplate", "code": "UnauthorizedOperation"}
    shared_aws.control("PUT", "faults", [denial])
    try:
        status, printed, _ = command("doctor")
    finally:
        sqs.purge_queue(QueueUrl=urls["jobs-dlq"])
        sqs.set_queue_attributes(QueueUrl=urls["jobs-bulk"], Attributes={**before, "VisibilityTimeout": "60"})
        shared_aws.control("PUT", "clock", {"advanceSeconds": 200})
    first, *lines = printed.splitlines()
    problems = [line.split("\t")[1:] for line in lines if line.startswith("problem\t")]
    assert status == FAILED
    assert first.startswith("4 problems, ")
    by_check = {check: (subject, saw, remedy) for check, subject, saw, remedy in problems}
    assert by_check["dead letters"][:2] == ("prelaunch-jobs-dlq", "about 1 that nobody could do")
    assert "prelaunch dlq redrive --all" in by_check["dead letters"][2]
    assert by_check["queue"][:2] == ("prelaunch-jobs-bulk", "its visibility is 7 s, not 60 s")
    assert "ec2:ModifyLaunchTemplate" in by_check["permissions ec2"][1]
    assert by_check["permissions ec2"][2].endswith("ec2:ModifyLaunchTemplate.")
    assert by_check["recovery jobs"][1].startswith("20 of 20 recovery jobs in progress, 20 of 500")


def test_tables_and_queues_that_may_not_be_seen_are_not_well(command: Command, shared_aws: StandIn) -> None:
    """Exit 3, not 0: nobody saw them; what to allow is told."""
    denied = [("dynamodb", "DescribeTable", "AccessDeniedException"), ("sqs", "GetQueueUrl", "AccessDenied")]
    faults = [{"service": service, "operation": operation, "code": code} for service, operation, code in denied]
    shared_aws.control("PUT", "faults", faults)
    status, found = examine(command)
    assert status == NOT_REACHABLE
    assert {each["outcome"] for (check, _), each in found.items() if check in {"table", "queue"}} == {"not known"}
    assert "dynamodb:DescribeTable" in found["table", "prelaunch-runs"]["remedy"]
    assert "sqs:GetQueueUrl" in found["queue", "prelaunch-jobs"]["remedy"]


def test_what_keeps_time_and_tells_is_looked_at(command: Command, shared_aws: StandIn) -> None:
    """A rule or expiry that is off, a bus that is not there; and what may not be asked names its permission."""
    events, dynamodb, sqs = (connect(shared_aws, service) for service in ("events", "dynamodb", "sqs"))
    command.set("PRELAUNCH_EVENT_BUS", "nobody")
    expiry = {"Enabled": False, "AttributeName": "expiresAt"}
    replies = sqs.create_queue(QueueName="prelaunch-replies-mine")["QueueUrl"]
    events.disable_rule(Name="prelaunch-watch")
    dynamodb.update_time_to_live(TableName="prelaunch-keys", TimeToLiveSpecification=expiry)
    denial = {"service": "events", "operation": "ListTargetsByRule", "code": "AccessDeniedException", "times": 1}
    try:
        status, found = examine(command)
        shared_aws.control("PUT", "faults", [denial])
        denied = examine(command)[1]
    finally:
        events.enable_rule(Name="prelaunch-watch")
        dynamodb.update_time_to_live(TableName="prelaunch-keys", TimeToLiveSpecification={**expiry, "Enabled": True})
        sqs.delete_queue(QueueUrl=replies)
    assert status == FAILED
    problems = {what for what, each in found.items() if each["outcome"] == "problem"}
    assert problems == {("rule", "prelaunch-watch"), ("TTL", "prelaunch-keys"), ("event bus", "nobody")}
    assert found["rule", "prelaunch-watch"]["remedy"] == "Turn it on: `aws events enable-rule --name prelaunch-watch`."
    assert found["replies", "prelaunch-replies…"]["saw"].startswith("prelaunch-replies-mine: ")
    (unread,) = (each for (check, _), each in denied.items() if check == "rule" and each["outcome"] == "not known")
    assert unread["remedy"] == "Allow events:ListTargetsByRule to whoever runs this, to have it looked at."


def test_a_consumer_is_known_by_its_receives(command: Command, shared_aws: StandIn) -> None:
    """Also where it finds nothing: a queue that nobody asks for messages is not known to have one."""
    sqs = connect(shared_aws, "sqs")
    url = sqs.get_queue_url(QueueName="prelaunch-jobs-urgent")["QueueUrl"]
    before = examine(command)[1]["consumers", "prelaunch-jobs-urgent"]
    assert (before["outcome"], "CloudWatch knows of no receive" in before["saw"]) == ("not known", True)
    sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0)
    after = examine(command)[1]["consumers", "prelaunch-jobs-urgent"]
    assert (after["outcome"], "asked for messages 1 times" in after["saw"]) == ("ok", True)


def test_an_account_whose_role_does_not_open_is_one_problem(
    command: Command, shared_aws: StandIn, tmp_path: Path
) -> None:
    """Of a stored group, told with the group's name; the external id is shown nowhere."""
    roles = [{"roleName": "recovery", "externalId": SECRET}]
    shared_aws.control("PUT", f"accounts/{OTHER}", {"roles": roles})
    servers = shared_aws.control("POST", "servers", {"count": 1, "accountId": OTHER})["sourceServerIds"]
    access = {"accountId": OTHER, "assumeRoleName": "recovery", "externalId": SECRET, "sourceServerIds": servers}
    file = tmp_path / "group.json"
    file.write_text(json.dumps({**make_group_body(shared_aws, 1), **access, "groupName": "elsewhere"}))
    assert command("group", "create", "-f", str(file), "--no-wait")[0] == 0
    subject = f"account {OTHER}, us-east-1, role recovery"
    _, found = examine(command)
    assert {each["outcome"] for (_, of), each in found.items() if of == subject} == {"ok"}
    assert found["role", subject]["saw"] == "assumed, for elsewhere"
    assert "StartRecovery" in found["permissions drs", subject]["saw"]

    shared_aws.control("PUT", f"accounts/{OTHER}", {"roles": [{**roles[0], "externalId": "another"}]})
    status, found = examine(command)
    there = [each for (_, of), each in found.items() if of == subject]
    assert (status, [each["outcome"] for each in there]) == (FAILED, ["problem"])
    assert "elsewhere" in there[0]["saw"]
    assert "another ExternalId than the groups have (one)" in there[0]["remedy"]
    assert SECRET not in str(found)
    assert command("group", "delete", "elsewhere", "--yes")[0] == 0


def test_members_that_are_gone_do_not_hide_what_may_be_called(
    command: Command, shared_aws: StandIn, tmp_path: Path
) -> None:
    """The first is deleted in DRS, the second disconnected: the third tells."""
    shared_aws.control("PUT", f"accounts/{THINNED}", {"roles": [{"roleName": "recovery"}]})
    servers = sorted(shared_aws.control("POST", "servers", {"count": 3, "accountId": THINNED})["sourceServerIds"])
    access = {"accountId": THINNED, "assumeRoleName": "recovery", "sourceServerIds": servers}
    file = tmp_path / "group.json"
    file.write_text(json.dumps({**make_group_body(shared_aws, 1), **access, "groupName": "thinned"}))
    assert command("group", "create", "-f", str(file), "--no-wait")[0] == 0
    shared_aws.control("DELETE", f"servers/{servers[0]}")
    shared_aws.control("PATCH", f"servers/{servers[1]}", {"state": "DISCONNECTED"})
    _, found = examine(command)
    subject = f"account {THINNED}, us-east-1, role recovery"
    assert {each["outcome"] for (_, of), each in found.items() if of == subject} == {"ok"}
    shared_aws.control("DELETE", f"servers/{servers[2]}")
    told = examine(command)[1]["permissions ec2", subject]
    assert (told["outcome"], f"no launch template is there of {servers[0]}, " in told["saw"]) == ("not known", True)
    assert command("group", "delete", "thinned", "--yes")[0] == 0


def test_where_nothing_is_deployed_each_part_is_told(command: Command) -> None:
    """Exit 1: the tables and queues of that name are missing; our account is looked at all the same."""
    command.set("PRELAUNCH_STACK", "nowhere")
    status, found = examine(command)
    assert status == FAILED
    missing = {what for what, each in found.items() if each["saw"] == "it is not there"}
    assert [sorted(check for check, _ in missing).count(check) for check in ("table", "queue")] == [5, 4]
    assert all("PRELAUNCH_STACK" in found[what]["remedy"] for what in missing)
    assert found["DRS", "account 123456789012, us-east-1"]["outcome"] == "ok"
    assert found["groups", "stack nowhere"]["outcome"] == "not known"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "127.0.0.1:9"),
        ({"AWS_DEFAULT_REGION": None, "AWS_REGION": None}, "region"),
        (
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_EC2_METADATA_DISABLED": "true"},
            "credentials",
        ),
    ],
)
def test_an_aws_that_is_not_reached_is_told_as_that(
    command: Command, variables: dict[str, str | None], words: str
) -> None:
    """Exit 3, with what is wrong in words; one JSON document."""
    for name, value in variables.items():
        command.set(name, value)
    status, printed, errors = command("doctor", "--json")
    assert status == NOT_REACHABLE
    assert words in printed + errors
    assert json.loads(printed)


def test_the_command_by_itself_shows_a_table_on_a_terminal(shared_aws: StandIn) -> None:
    """With headings there, and fields between tabs in a pipe; the status is the process's own."""
    environment = make_environment(shared_aws.environment)
    shown = run_on_terminal(environment, "doctor")
    assert "Remedy" in shown.stdout
    assert "ok" in shown.stdout
    piped = run(environment, "doctor")
    assert (piped.returncode, piped.stderr) == (0, "")
    assert "ok\tclock\tthis machine\twithin 1 s of AWS's\t" in piped.stdout
