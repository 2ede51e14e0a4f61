"""Which call a request is: exact names for every protocol."""

from collections.abc import Mapping
from urllib.parse import quote

import pytest

from infra.local.call import Call, read_call
from infra.local.faults import FAULTS, Fault, FaultScript
from infra.local.httpd import Request

SERVER, OTHER = "s-0123456789abcdef0", "s-0fedcba9876543210"
TEMPLATE = "lt-0123456789abcdef0"


def request(service: str, method: str = "POST", target: str = "/", body: str = "", **headers: str) -> Request:
    signed = f"AWS4-HMAC-SHA256 Credential=AK/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host"
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, target, {"authorization": signed, **told}, body.encode())


def call(made: Request, account_id: str = "123456789012") -> Call:
    read = read_call(made, lambda _: account_id)
    assert read is not None
    return read


ARN = quote(f"arn:aws:drs:eu-west-1:123456789012:source-server/{SERVER}", safe="")


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (request("ec2", body="Action=ModifyLaunchTemplate&Version=2016-11-15"), "ec2.ModifyLaunchTemplate"),
        (request("sts", body="Version=2011-06-15&Action=AssumeRole"), "sts.AssumeRole"),
        (request("iam", "GET", "/?Action=GetRole&RoleName=a"), "iam.GetRole"),
        (request("dynamodb", x_amz_target="DynamoDB_20120810.PutItem"), "dynamodb.PutItem"),
        (request("sqs", x_amz_target="AmazonSQS.SendMessageBatch"), "sqs.SendMessageBatch"),
        (request("drs", target="/UpdateLaunchConfiguration"), "drs.UpdateLaunchConfiguration"),
        (request("drs", target="/DescribeJobs"), "drs.DescribeJobs"),
        (request("drs", target=f"/tags/{ARN}"), "drs.TagResource"),
        (request("drs", "DELETE", f"/tags/{ARN}?tagKeys=a"), "drs.UntagResource"),
        (request("drs", "GET", f"/tags/{ARN}"), "drs.ListTagsForResource"),
    ],
)
def test_a_call_is_named_as_the_sdk_names_it(made: Request, name: str) -> None:
    """Service and operation are those of botocore's model, whatever the protocol."""
    assert call(made).name == name
    assert call(made).region == "eu-west-1"


def test_an_unsigned_request_is_no_call() -> None:
    """What is not signed is neither counted nor limited."""
    assert read_call(Request("GET", "/", {}, b""), lambda _: "") is None


def script(*faults: Mapping[str, object]) -> FaultScript:
    made = FaultScript({SERVER: TEMPLATE}.get)
    made.replace(FAULTS.validate_python(list(faults)))
    return made


UPDATE = call(request("drs", target="/UpdateLaunchConfiguration", body=f'{{"sourceServerID": "{SERVER}"}}'))
UPDATE_OTHER = call(request("drs", target="/UpdateLaunchConfiguration", body=f'{{"sourceServerID": "{OTHER}"}}'))
MODIFY = call(request("ec2", body=f"Action=ModifyLaunchTemplate&LaunchTemplateId={TEMPLATE}"))
BAD: dict[str, object] = {
    "service": "drs",
    "operation": "UpdateLaunchConfiguration",
    "code": "ValidationException",
}


def test_a_fault_of_a_server_meets_its_calls_only() -> None:
    """A fault with a sourceServerId leaves every other server alone."""
    faults = script({**BAD, "sourceServerId": SERVER})
    assert faults.meet(UPDATE_OTHER) is None
    assert faults.meet(UPDATE) is not None


def test_a_fault_of_a_server_meets_the_calls_on_its_template() -> None:
    """EC2 calls name the template: the server's fault is meant for them too."""
    faults = script({"service": "ec2", "operation": "*", "code": "InternalError", "sourceServerId": SERVER})
    assert faults.meet(MODIFY) is not None
    faults = script({"service": "ec2", "operation": "*", "code": "InternalError", "sourceServerId": OTHER})
    assert faults.meet(MODIFY) is None


def test_a_fault_fires_as_often_as_told() -> None:
    """`times: 2` is met by two calls; without it every call meets it."""
    faults = script({**BAD, "times": 2})
    assert [faults.meet(UPDATE) is not None for _ in range(3)] == [True, True, False]
    faults = script(BAD)
    assert all(faults.meet(UPDATE) for _ in range(50))


def test_a_fault_of_an_account_leaves_the_others_alone() -> None:
    """A stuck account is no other account's trouble."""
    faults = script({**BAD, "accountId": "999999999999"})
    assert faults.meet(UPDATE) is None
    assert faults.meet(call(UPDATE.request, "999999999999")) is not None


def test_the_first_fault_that_fires_wins_and_the_next_takes_over() -> None:
    """Faults are met in the order of the script."""
    faults = script({**BAD, "times": 1}, {**BAD, "code": "ConflictException"})
    met = [fault.code for fault in (faults.meet(UPDATE), faults.meet(UPDATE)) if fault]
    assert met == ["ValidationException", "ConflictException"]


def test_chance_is_chance() -> None:
    """`probability` fires on a share of the calls, neither all nor none."""
    faults = script({**BAD, "probability": 0.5})
    assert 0 < sum(faults.meet(UPDATE) is not None for _ in range(200)) < 200


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"service": "dsr"}, "service must be one of"),
        ({"operation": "UpdateLaunchConfig"}, "no operation"),
        ({"code": None}, "needs code"),
        ({"kind": "reset"}, "not both"),
        ({"times": 0}, "greater than 0"),
        ({"times": 1, "probability": 0.5}, "times or a probability"),
        ({"probability": 2}, "less than or equal to 1"),
        ({"sourceServerId": "s-1"}, "pattern"),
        ({"accountId": "me"}, "pattern"),
        ({"afterEffect": True, "effectDelaySeconds": 1}, "exclude each other"),
        ({"cancellationReasons": ["TransactionConflict"]}, "belong to dynamodb"),
        ({"tiems": 1}, "Extra inputs"),
    ],
)
def test_a_fault_that_means_nothing_is_refused(change: dict[str, object], complaint: str) -> None:
    """A typo would make a test wait for a fault that never comes."""
    with pytest.raises(ValueError, match=complaint):
        FAULTS.validate_python([{**BAD, **change}])


def test_a_fault_may_lose_an_answer_without_naming_how() -> None:
    """`afterEffect` alone is enough: the call takes effect, the connection is reset."""
    fault = Fault.model_validate({"service": "drs", "operation": "*", "afterEffect": True})
    assert fault.loses_answer
