"""What the stand-in's front refuses before any service is called."""

from typing import Any

import pytest

from infra.local.buckets import Buckets
from infra.local.faults import FaultScript
from infra.local.front import CallCounts, Front
from infra.local.httpd import Answer, Request
from infra.local.late import LateEffects
from infra.local.world import WORLD

HERE = {"us-east-1", "eu-west-1", "us-gov-west-1"}
FORMS: dict[str, tuple[dict[str, str], str, str]] = {
    "ec2": ({}, "Action=DescribeSubnets", "<Code>AuthFailure</Code>"),
    "sts": ({}, "Action=GetCallerIdentity", "<Code>SignatureDoesNotMatch</Code>"),
    "dynamodb": ({"x-amz-target": "DynamoDB_20120810.GetItem"}, "{}", "#InvalidSignatureException"),
    "sqs": ({"x-amz-target": "AmazonSQS.ListQueues"}, "{}", "#InvalidSignatureException"),
    "drs": ({}, "{}", "not 'us-east-99'"),
    "iam": ({}, "Action=ListRoles", ""),
}


class Served:
    """Every service: remembers the requests that reached it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def __call__(self, request: Request, _account_id: str, _service: str) -> Answer:
        self.requests.append(request)
        return Answer(200, b"")


def make_front(services: Served) -> Front:
    unused: Any = None
    return Front(
        services=services,
        control=unused,
        account_of=lambda _: "123456789012",
        counts=CallCounts(),
        faults=FaultScript(lambda _: None),
        buckets=Buckets("off", lambda: 0.0),
        late=LateEffects(WORLD),
        observe=lambda _call, _answer: None,
    )


def sign(service: str, region: str) -> Request:
    headers, body, _ = FORMS[service]
    scope = f"AWS4-HMAC-SHA256 Credential=AK/20260101/{region}/{service}/aws4_request, SignedHeaders=host"
    return Request("POST", "/DescribeJobs", {"authorization": scope, **headers}, body.encode())


@pytest.mark.parametrize("service", sorted(FORMS.keys() - {"iam"}))
def test_a_region_without_the_service_is_refused_as_aws_refuses_it(service: str) -> None:
    """In the service's own form, with a request id; the service never sees it, and its own Regions still work."""
    served = Served()
    front = make_front(served)
    answer = front(sign(service, "us-east-99"))
    assert 400 <= answer.status < 500
    assert FORMS[service][2] in answer.body.decode()
    assert answer.headers["x-amzn-RequestId"]
    assert served.requests == []
    assert {front(sign(service, region)).status for region in HERE} == {200}


def test_a_service_without_regions_is_asked_from_everywhere() -> None:
    """IAM is one for a whole partition."""
    served = Served()
    assert make_front(served)(sign("iam", "us-east-99")).status == 200
    assert len(served.requests) == 1
