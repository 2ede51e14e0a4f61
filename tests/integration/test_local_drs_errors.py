"""Which errors DRS answers, from which call, with which status, and what botocore makes of them."""

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local.process import StandIn

Clients = Callable[..., Any]


@pytest.fixture
def server(local: StandIn) -> Iterator[str]:
    (source_server_id,) = local.control("POST", "servers", {"count": 1})["sourceServerIds"]
    yield source_server_id
    local.control("DELETE", f"servers/{source_server_id}")


CALLS: dict[str, Callable[[Any, str], object]] = {
    "GetLaunchConfiguration": lambda drs, server: drs.get_launch_configuration(sourceServerID=server),
    "UpdateLaunchConfiguration": lambda drs, server: drs.update_launch_configuration(sourceServerID=server, name="n"),
    "DescribeSourceServers": lambda drs, _: drs.describe_source_servers(),
    "DescribeJobs": lambda drs, _: drs.describe_jobs(),
    "StartRecovery": lambda drs, server: drs.start_recovery(sourceServers=[{"sourceServerID": server}]),
}
OF_EVERY_CALL: list[tuple[str, int | None, int]] = [
    ("AccessDeniedException", None, 403),
    ("ExpiredTokenException", None, 403),
    ("ThrottlingException", None, 429),
    ("ThrottlingException", 400, 400),
    ("ServiceUnavailable", None, 503),
    ("InternalServerException", None, 500),
    ("UninitializedAccountException", None, 400),
]
OF_ONE_CALL: dict[str, list[tuple[str, int | None, int]]] = {
    "GetLaunchConfiguration": [("ResourceNotFoundException", None, 404)],
    "UpdateLaunchConfiguration": [
        ("ResourceNotFoundException", None, 404),
        ("ConflictException", None, 409),
        ("ValidationException", None, 400),
    ],
    "StartRecovery": [("ConflictException", None, 409), ("ServiceQuotaExceededException", None, 402)],
}


@pytest.mark.parametrize("operation", CALLS)
def test_any_call_can_meet_each_of_its_errors(local: StandIn, client: Clients, server: str, operation: str) -> None:
    """By its code, whatever the status: the client reads `Error.Code`, and the call has had no effect."""
    drs = client("drs")
    seen = []
    wanted = [*OF_EVERY_CALL, *OF_ONE_CALL.get(operation, [])]
    for code, scripted, _ in wanted:
        fault = {"service": "drs", "operation": operation, "code": code, "times": 1}
        local.control("PUT", "faults", [fault | ({} if scripted is None else {"status": scripted})])
        with pytest.raises(ClientError) as caught:
            CALLS[operation](drs, server)
        error = caught.value.response
        assert error["ResponseMetadata"]["RequestId"]
        seen.append((error["Error"]["Code"], scripted, error["ResponseMetadata"]["HTTPStatusCode"]))
    assert seen == wanted
    (found,) = drs.describe_source_servers(filters={"sourceServerIDs": [server]})["items"]
    assert found["lastLaunchResult"] == "NOT_STARTED"
    assert drs.get_launch_configuration(sourceServerID=server)["name"] != "n"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("GetLaunchConfiguration", b'{"sourceServerID"', 400, "ValidationException"),
        ("GetLaunchConfiguration", b"\xff\xfe", 400, "ValidationException"),
        ("GetLaunchConfiguration", b"[]", 400, "ValidationException"),
        ("GetLaunchConfiguration", b"", 400, "ValidationException"),
        ("DescribeJobs?Action=InitializeService", b"", 200, None),
        ("Nope", b"{}", 404, "UnknownOperationException"),
        ("", b"Action=DescribeJobs", 404, "UnknownOperationException"),
    ],
)
def test_what_is_no_request_of_drs_is_told_so(
    local: StandIn, path: str, body: bytes, status: int, code: str | None
) -> None:
    """Whatever comes, the answer is JSON with a code and a request id; path and method alone name the operation."""
    credential = "Credential=123456789012/20261125/us-east-1/drs/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=x"}
    address = urlsplit(local.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
    with closing(connection):
        connection.request("POST", f"/{path}", body, headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (status, code)
    assert (told.get("code"), "items" in told) == (code, code is None)
    assert answer.headers["x-amzn-RequestId"]


def test_a_fault_may_have_a_status_that_its_code_has_not(local: StandIn, client: Clients) -> None:
    """In every protocol."""
    for service, call in (("ec2", "describe_launch_templates"), ("sqs", "list_queues"), ("iam", "list_roles")):
        fault = {"service": service, "operation": "*", "code": "Throttling", "status": 418}
        local.control("PUT", "faults", [fault])
        with pytest.raises(ClientError) as caught:
            getattr(client(service), call)()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 418


def retrying(local: StandIn) -> Any:
    return boto3.client(
        "drs",
        endpoint_url=local.url,
        region_name="us-east-1",
        aws_access_key_id="AKIAPRELAUNCHLOCAL00",
        aws_secret_access_key="local",
        config=Config(retries={"mode": "standard", "total_max_attempts": 3}),
    )


def test_botocore_does_not_retry_a_conflict(local: StandIn, server: str) -> None:
    """A conflict is the caller's to wait out."""
    fault = {"service": "drs", "operation": "UpdateLaunchConfiguration", "code": "ConflictException"}
    local.control("PUT", "faults", [fault])
    with pytest.raises(ClientError, match="ConflictException"):
        retrying(local).update_launch_configuration(sourceServerID=server, copyTags=True)
    assert local.control("GET", "calls")["drs.UpdateLaunchConfiguration"]["count"] == 1


@pytest.mark.parametrize(
    ("code", "told"), [("ThrottlingException", "300"), ("InternalServerException", 300)], ids=["text", "number"]
)
def test_botocore_does_not_wait_as_long_as_it_is_told(local: StandIn, server: str, code: str, told: str | int) -> None:
    """`retryAfterSeconds` is text with a throttle and a number with an internal error; botocore ignores both."""
    fault = {"service": "drs", "operation": "*", "code": code, "retryAfterSeconds": 300}
    local.control("PUT", "faults", [fault])
    waits: list[float] = []
    with (
        patch("botocore.endpoint.time.sleep", waits.append),
        pytest.raises(ClientError) as caught,
    ):
        retrying(local).get_launch_configuration(sourceServerID=server)
    response = caught.value.response
    assert response["retryAfterSeconds"] == told
    assert response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "300"
    assert len(waits) == 2
    assert max(waits) < 60
