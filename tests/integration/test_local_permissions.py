"""What tells of permissions, quotas and ages and does nothing: dry runs, simulations, Service Quotas, a metric."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local import mend
from infra.local.process import StandIn

Clients = Callable[..., Any]
ACCOUNT = "555555555501"
READS = [
    "describe_instance_type_offerings",
    "describe_instances",
    "describe_launch_template_versions",
    "describe_launch_templates",
    "describe_network_interfaces",
    "describe_security_groups",
    "describe_subnets",
]


def code_of(call: Callable[..., Any], **request: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**request)
    return str(refused.value.response["Error"]["Code"])


def simulate(client: Clients, arn: str, *actions: str, **more: Any) -> list[tuple[str, str]]:
    answer = client("iam", access_key_id=ACCOUNT).simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=list(actions), **more
    )
    return [(each["EvalActionName"], each["EvalDecision"]) for each in answer["EvaluationResults"]]


@pytest.mark.parametrize("operation", READS)
def test_a_dry_run_of_a_read_reads_nothing(client: Clients, operation: str) -> None:
    """DryRunOperation, and no answer."""
    assert code_of(getattr(client("ec2"), operation), DryRun=True) == "DryRunOperation"


@pytest.mark.parametrize("operation", [each for each in READS if "launch" not in each and each != "describe_instances"])
def test_what_ec2_has_more_of_than_a_page_comes_in_pages(client: Clients, operation: str) -> None:
    """Each item once, MaxResults of them a page; without it all at once."""
    ec2 = client("ec2", access_key_id=ACCOUNT)
    ec2.create_network_interface(SubnetId=ec2.describe_subnets()["Subnets"][0]["SubnetId"])
    for _ in range(5):
        group = ec2.create_security_group(GroupName=f"paged {uuid.uuid4().hex}", Description="-")["GroupId"]
        ec2.create_network_interface(SubnetId=ec2.describe_subnets()["Subnets"][0]["SubnetId"], Groups=[group])
    ask = getattr(ec2, operation)
    whole = ask()
    (member,) = (name for name, value in whole.items() if isinstance(value, list))
    pages, request = [], {"MaxResults": 5}
    while True:
        page = ask(**request)
        pages.append(page[member])
        if "NextToken" not in page:
            break
        request["NextToken"] = page["NextToken"]
    assert [each for page in pages for each in page] == whole[member]
    assert len(pages) >= 2
    assert {len(page) for page in pages[:-1]} == {5}


def test_who_a_policy_bounds_is_listed_beside_who_has_it(client: Clients) -> None:
    """Unless PolicyUsageFilter asks for one of the two: a boundary grants nothing."""
    iam = client("iam", access_key_id=ACCOUNT)
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]}
    arn = iam.create_policy(PolicyName="both", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    iam.create_role(RoleName="bounded", AssumeRolePolicyDocument="{}", PermissionsBoundary=arn)
    iam.create_role(RoleName="attached", AssumeRolePolicyDocument="{}")
    iam.attach_role_policy(RoleName="attached", PolicyArn=arn)

    def listed(**how: str) -> set[str]:
        answer = iam.list_entities_for_policy(PolicyArn=arn, **how)
        return {role["RoleName"] for role in answer["PolicyRoles"]}

    assert listed() == listed(EntityFilter="Role") == {"bounded", "attached"}
    assert listed(PolicyUsageFilter="PermissionsPolicy") == {"attached"}
    assert listed(PolicyUsageFilter="PermissionsBoundary") == {"bounded"}
    assert listed(EntityFilter="User") == set()


def test_a_dry_run_of_a_write_writes_nothing(local: StandIn, client: Clients) -> None:
    """One that may not be made is UnauthorizedOperation, also then; a template that is not there is told as that."""
    ec2 = client("ec2", access_key_id=ACCOUNT)
    (server,) = local.control("POST", "servers", {"count": 1, "accountId": ACCOUNT})["sourceServerIds"]
    drs = client("drs", access_key_id=ACCOUNT)
    template = {"LaunchTemplateId": drs.get_launch_configuration(sourceServerID=server)["ec2LaunchTemplateID"]}
    data = {"SourceVersion": "$Default", "LaunchTemplateData": {"EbsOptimized": False}}
    before = ec2.describe_launch_templates()["LaunchTemplates"]
    assert code_of(ec2.create_launch_template_version, DryRun=True, **template, **data) == "DryRunOperation"
    assert code_of(ec2.modify_launch_template, DryRun=True, **template, DefaultVersion="1") == "DryRunOperation"
    assert ec2.describe_launch_templates()["LaunchTemplates"] == before
    missing = {"LaunchTemplateId": f"lt-{'0' * 17}"}
    code = code_of(ec2.create_launch_template_version, DryRun=True, **missing, **data)
    assert code == "InvalidLaunchTemplateId.NotFound"
    local.control("PATCH", f"servers/{server}", {"drsTag": False})
    assert code_of(ec2.modify_launch_template, DryRun=True, **template, DefaultVersion="1") == "UnauthorizedOperation"


def test_a_role_of_the_control_may_do_everything(local: StandIn, client: Clients) -> None:
    """As far as simulations tell: the stand-in denies nobody anything."""
    local.control("PUT", f"accounts/{ACCOUNT}", {"roles": [{"roleName": "hub"}]})
    arn = f"arn:aws:iam::{ACCOUNT}:role/hub"
    assert simulate(client, arn, "drs:StartRecovery") == [("drs:StartRecovery", "allowed")]


def test_the_policies_of_a_user_and_of_its_groups_decide(client: Clients) -> None:
    """Inline, attached, and those of groups; each action with each resource; by the session's own credentials too."""
    iam = client("iam", access_key_id=ACCOUNT)
    iam.create_user(UserName="ops")
    iam.create_group(GroupName="readers")
    iam.add_user_to_group(GroupName="readers", UserName="ops")
    arn = f"arn:aws:iam::{ACCOUNT}:user/ops"
    actions = ("drs:StartRecovery", "drs:TagResource", "sqs:SendMessage")
    assert {word for _, word in simulate(client, arn, *actions)} == {"implicitDeny"}

    def write(action: str, effect: str = "Allow") -> str:
        return json.dumps({"Statement": {"Effect": effect, "Action": action, "Resource": "*"}, "Version": "2012-10-17"})

    iam.put_user_policy(UserName="ops", PolicyName="inline", PolicyDocument=write("drs:StartRecovery"))
    attached = iam.create_policy(PolicyName="attached", PolicyDocument=write("drs:TagResource"))["Policy"]["Arn"]
    iam.attach_user_policy(UserName="ops", PolicyArn=attached)
    iam.put_group_policy(GroupName="readers", PolicyName="of-all", PolicyDocument=write("sqs:*", "Deny"))
    words = ["allowed", "allowed", "explicitDeny"]
    assert simulate(client, arn, *actions) == list(zip(actions, words, strict=True))
    twice = simulate(client, arn, actions[0], ResourceArns=["arn:aws:drs:::a", "arn:aws:drs:::b"])
    assert twice == [(actions[0], "allowed")] * 2


def test_a_simulation_comes_in_pages(client: Clients) -> None:
    """MaxItems a page, and a marker that leads on."""
    iam = client("iam", access_key_id=ACCOUNT)
    iam.create_role(RoleName="paged", AssumeRolePolicyDocument="{}")
    request = {"PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:role/paged", "ActionNames": ["a:1", "a:2", "a:3"]}
    first = iam.simulate_principal_policy(**request, MaxItems=2)
    assert (len(first["EvaluationResults"]), first["IsTruncated"]) == (2, True)
    last = iam.simulate_principal_policy(**request, MaxItems=2, Marker=first["Marker"])
    assert ([each["EvalActionName"] for each in last["EvaluationResults"]], last["IsTruncated"]) == (["a:3"], False)


def test_who_is_not_there_and_who_is_no_principal_cannot_be_simulated(client: Clients) -> None:
    """NoSuchEntity, also for an ARN without the role's path; InvalidInput for a session and for root."""
    iam = client("iam", access_key_id=ACCOUNT)
    iam.create_role(RoleName="deep", Path="/teams/dr/", AssumeRolePolicyDocument="{}")
    ask = iam.simulate_principal_policy
    for name in ("role/nobody", "user/nobody", "role/deep"):
        arn = f"arn:aws:iam::{ACCOUNT}:{name}"
        assert code_of(ask, PolicySourceArn=arn, ActionNames=["drs:StartRecovery"]) == "NoSuchEntity"
    for arn in (f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:sts::{ACCOUNT}:assumed-role/hub/me"):
        assert code_of(ask, PolicySourceArn=arn, ActionNames=["drs:StartRecovery"]) == "InvalidInput"
    assert simulate(client, f"arn:aws:iam::{ACCOUNT}:role/teams/dr/deep", "a:b") == [("a:b", "implicitDeny")]


def test_the_quotas_of_drs_are_told_by_code(client: Clients) -> None:
    """Those that the stand-in's DRS keeps to; in pages; of another service there are none."""
    quotas = client("service-quotas")
    found = {each["QuotaCode"]: each["Value"] for each in quotas.list_service_quotas(ServiceCode="drs")["Quotas"]}
    assert (found["L-D88FAC3A"], found["L-05AFA8C6"], found["L-B827C881"]) == (20, 500, 100)
    pages = quotas.get_paginator("list_service_quotas").paginate(ServiceCode="drs", PaginationConfig={"PageSize": 4})
    assert [len(page["Quotas"]) for page in pages] == [4, len(found) - 4]
    assert code_of(quotas.list_service_quotas, ServiceCode="nothing") == "NoSuchResourceException"


def test_the_age_of_a_queues_oldest_message_is_a_metric(client: Clients) -> None:
    """In seconds; of an empty queue and of none there is no datapoint; other metrics are moto's."""
    sqs, cloudwatch = client("sqs"), client("cloudwatch")
    now = datetime.now(UTC)

    def ask(name: str, queue: str) -> list[Any]:
        answer = cloudwatch.get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName=name,
            Dimensions=[{"Name": "QueueName", "Value": queue}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now,
            Period=60,
            Statistics=["Maximum"],
        )
        return list(answer["Datapoints"])

    url = sqs.create_queue(QueueName="test-aged")["QueueUrl"]
    assert ask("ApproximateAgeOfOldestMessage", "test-aged") == []
    sqs.send_message(QueueUrl=url, MessageBody="old")
    (point,) = ask("ApproximateAgeOfOldestMessage", "test-aged")
    assert (0 <= point["Maximum"] < 60, point["Unit"]) == (True, "Seconds")
    assert ask("NumberOfMessagesSent", "test-aged") == []
    sqs.delete_queue(QueueUrl=url)
    assert ask("ApproximateAgeOfOldestMessage", "test-aged") == []


def test_a_queues_receives_are_metrics(client: Clients) -> None:
    """Messages that were received, and receives in vain; of a queue that nobody asks there is no datapoint."""
    sqs, cloudwatch = client("sqs"), client("cloudwatch")

    def ask(name: str, since: timedelta = timedelta(minutes=-5)) -> list[float]:
        now = datetime.now(UTC)
        answer = cloudwatch.get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName=name,
            Dimensions=[{"Name": "QueueName", "Value": "test-received"}],
            StartTime=now + since,
            EndTime=now + timedelta(hours=1),
            Period=60,
            Statistics=["Sum"],
        )
        return [point["Sum"] for point in answer["Datapoints"]]

    url = sqs.create_queue(QueueName="test-received")["QueueUrl"]
    assert (ask("NumberOfMessagesReceived"), ask("NumberOfEmptyReceives")) == ([], [])
    for body in ("one", "two"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    for _ in range(2):
        sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2)
    assert (ask("NumberOfMessagesReceived"), ask("NumberOfEmptyReceives")) == ([2.0], [1.0])
    assert ask("NumberOfMessagesReceived", timedelta(minutes=5)) == []
    sqs.delete_queue(QueueUrl=url)
    assert ask("NumberOfEmptyReceives") == []


@pytest.mark.parametrize(
    ("service", "client_name", "operation", "request_"),
    [
        ("servicequotas", "service-quotas", "list_service_quotas", {"ServiceCode": "drs"}),
        ("iam", "iam", "simulate_principal_policy", {"PolicySourceArn": "a" * 20, "ActionNames": ["a:b"]}),
        ("monitoring", "cloudwatch", "list_metrics", {}),
    ],
)
def test_they_can_be_denied(
    local: StandIn, client: Clients, *, service: str, client_name: str, operation: str, request_: dict[str, Any]
) -> None:
    """By a fault, like every call."""
    local.control("PUT", "faults", [{"service": service, "operation": "*", "code": "AccessDenied"}])
    assert code_of(getattr(client(client_name), operation), **request_) == "AccessDenied"


def test_what_moto_has_by_now_is_not_covered_up() -> None:
    """An operation that a newer moto brings stops the start, so that somebody looks."""

    class Response:
        def there(self) -> None: ...

    def made(self: Response) -> None: ...

    mend.add(Response, "lacking", made)
    mend.add(Response, "lacking", made)
    with pytest.raises(AttributeError, match=r"Response\.there"):
        mend.add(Response, "there", made)
