"""What stands before every service: an SDK must see it exactly as it would see AWS."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from infra.local.process import StandIn

Clients = Callable[..., Any]


@pytest.fixture
def server(local: StandIn) -> Iterator[str]:
    """A source server of its own."""
    (source_server_id,) = local.control("POST", "servers", {"count": 1})["sourceServerIds"]
    yield source_server_id
    local.control("DELETE", f"servers/{source_server_id}")


def fail(local: StandIn, **fault: Any) -> None:
    local.control("PUT", "faults", [fault])


def error_of(call: Callable[[], object]) -> Any:
    with pytest.raises(ClientError) as raised:
        call()
    return raised.value.response


def test_ec2_throttles_as_ec2_does(local: StandIn, client: Clients) -> None:
    """After as many calls as the bucket holds the next one is RequestLimitExceeded, 503, and counted."""
    ec2 = client("ec2")
    local.control("PUT", "rates", {"rates": 0.01})
    ec2.describe_launch_templates()
    response = error_of(ec2.describe_launch_templates)
    assert response["Error"]["Code"] == "RequestLimitExceeded"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert response["ResponseMetadata"]["RequestId"]
    assert local.control("GET", "calls") == {"ec2.DescribeLaunchTemplates": {"count": 2, "throttled": 1}}


def test_drs_throttles_with_a_time_to_come_back(local: StandIn, client: Clients, server: str) -> None:
    """ThrottlingException, 429, with Retry-After in seconds."""
    drs = client("drs")
    local.control("PUT", "rates", {"rates": 0.01})
    drs.get_launch_configuration(sourceServerID=server)
    response = error_of(lambda: drs.get_launch_configuration(sourceServerID=server))
    assert response["Error"]["Code"] == "ThrottlingException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "10"
    assert response["retryAfterSeconds"] == "10"
    assert response["ResponseMetadata"]["RequestId"]


CALLS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "ec2": ("DescribeLaunchTemplates", lambda ec2: ec2.describe_launch_templates()),
    "drs": ("DescribeSourceServers", lambda drs: drs.describe_source_servers()),
    "dynamodb": ("ListTables", lambda dynamodb: dynamodb.list_tables()),
    "sqs": ("ListQueues", lambda sqs: sqs.list_queues()),
    "sts": ("GetCallerIdentity", lambda sts: sts.get_caller_identity()),
    "iam": ("ListRoles", lambda iam: iam.list_roles()),
    "cloudformation": ("ListStacks", lambda cloudformation: cloudformation.list_stacks()),
}


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("ec2", "InternalError", 500),
        ("ec2", "Unavailable", 503),
        ("ec2", "UnauthorizedOperation", 403),
        ("ec2", "InvalidLaunchTemplateId.NotFound", 400),
        ("drs", "ValidationException", 400),
        ("drs", "ConflictException", 409),
        ("drs", "ResourceNotFoundException", 404),
        ("drs", "UninitializedAccountException", 400),
        ("drs", "AccessDeniedException", 403),
        ("drs", "InternalServerException", 500),
        ("drs", "ExpiredTokenException", 403),
        ("dynamodb", "ProvisionedThroughputExceededException", 400),
        ("dynamodb", "InternalServerError", 500),
        ("dynamodb", "AccessDeniedException", 400),
        ("sqs", "AWS.SimpleQueueService.NonExistentQueue", 400),
        ("sqs", "ServiceUnavailable", 503),
        ("sts", "AccessDenied", 403),
        ("sts", "ExpiredToken", 403),
        ("iam", "Throttling", 400),
        ("cloudformation", "InternalFailure", 500),
    ],
)
def test_a_scripted_error_arrives_with_its_code(
    local: StandIn, client: Clients, service: str, code: str, status: int
) -> None:
    """In every service's own format: code, HTTP status and a request id."""
    operation, call = CALLS[service]
    fail(local, service=service, operation=operation, code=code)
    response = error_of(lambda: call(client(service)))
    assert response["Error"]["Code"] == code
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert response["ResponseMetadata"]["RequestId"]
    local.control("PUT", "faults", [])
    call(client(service))


@pytest.mark.parametrize("service", CALLS)
def test_every_answer_has_a_request_id_and_every_call_is_counted(local: StandIn, client: Clients, service: str) -> None:
    """By the names that the SDK uses."""
    operation, call = CALLS[service]
    answer: Any = call(client(service))
    assert answer["ResponseMetadata"]["RequestId"]
    assert local.control("GET", "calls") == {f"{service}.{operation}": {"count": 1, "throttled": 0}}


def test_calls_can_be_told_by_account(local: StandIn, client: Clients) -> None:
    """One account's calls are not the other's."""
    client("sqs").list_queues()
    client("sqs", access_key_id="210987654321").list_queues()
    assert local.control("GET", "calls")["sqs.ListQueues"]["count"] == 2
    assert local.control("GET", "calls?accountId=210987654321")["sqs.ListQueues"]["count"] == 1
    local.control("DELETE", "calls")
    assert local.control("GET", "calls") == {}


def test_a_scripted_throttle_carries_its_retry_after(local: StandIn, client: Clients, server: str) -> None:
    """`retryAfterSeconds` of the script is what the SDK reads."""
    fail(local, service="drs", operation="*", code="ThrottlingException", retryAfterSeconds=7)
    response = error_of(lambda: client("drs").get_launch_configuration(sourceServerID=server))
    assert response["retryAfterSeconds"] == "7"
    fail(local, service="drs", operation="*", code="InternalServerException", retryAfterSeconds=7)
    response = error_of(lambda: client("drs").get_launch_configuration(sourceServerID=server))
    assert response["retryAfterSeconds"] == 7
    assert local.control("GET", "calls")["drs.GetLaunchConfiguration"] == {"count": 2, "throttled": 1}


def test_a_reset_connection_has_no_effect_and_no_answer(local: StandIn, client: Clients) -> None:
    """The client cannot tell whether it was done; here it was not."""
    fail(local, service="sqs", operation="CreateQueue", kind="reset")
    with pytest.raises(ConnectionClosedError):
        client("sqs").create_queue(QueueName="never")
    assert client("sqs").list_queues(QueueNamePrefix="never").get("QueueUrls", []) == []


def test_a_hanging_call_ends_with_the_client_patience(local: StandIn, client: Clients) -> None:
    """Nothing comes until the client gives up."""
    fail(local, service="sqs", operation="ListQueues", kind="hang")
    with pytest.raises(ReadTimeoutError):
        client("sqs", read_timeout=0.3).list_queues()


@pytest.mark.parametrize("how", [{}, {"kind": "reset"}])
def test_a_lost_answer_has_its_effect(local: StandIn, client: Clients, how: dict[str, str]) -> None:
    """`afterEffect`: done, but the client does not know."""
    name = f"lost-{len(how)}"
    fail(local, service="sqs", operation="CreateQueue", afterEffect=True, **how)
    with pytest.raises(ConnectionClosedError):
        client("sqs").create_queue(QueueName=name)
    assert len(client("sqs").list_queues(QueueNamePrefix=name)["QueueUrls"]) == 1


def test_an_effect_may_come_after_the_error(local: StandIn, client: Clients, server: str) -> None:
    """`effectDelaySeconds`: the answer is an error at once, the write lands later."""
    drs = client("drs")
    fail(local, service="drs", operation="*", code="InternalServerException", effectDelaySeconds=40, times=1)
    error_of(lambda: drs.update_launch_configuration(sourceServerID=server, copyTags=True))
    assert not drs.get_launch_configuration(sourceServerID=server)["copyTags"]
    local.control("PUT", "clock", {"advanceSeconds": 41})
    assert drs.get_launch_configuration(sourceServerID=server)["copyTags"]


def test_a_transaction_can_be_cancelled_by_script(local: StandIn, client: Clients) -> None:
    """TransactionConflict, which no emulator shows by itself."""
    reasons = ["None", {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}]
    fail(local, service="dynamodb", operation="TransactWriteItems", cancellationReasons=reasons, times=1)
    put = {"Put": {"TableName": "prelaunch-keys", "Item": {"key": {"S": "a"}}}}
    dynamodb = client("dynamodb")
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as cancelled:
        dynamodb.transact_write_items(TransactItems=[put])
    assert [reason["Code"] for reason in cancelled.value.response["CancellationReasons"]] == [
        "None",
        "TransactionConflict",
    ]
    assert "[None, TransactionConflict]" in str(cancelled.value)
    assert "Item" not in dynamodb.get_item(TableName="prelaunch-keys", Key={"key": {"S": "a"}})


def test_a_fault_of_a_server_reaches_its_template(local: StandIn, client: Clients, server: str) -> None:
    """EC2 calls on the server's template meet the server's fault, calls on another one do not."""
    drs, ec2 = client("drs"), client("ec2")
    (other,) = local.control("POST", "servers", {"count": 1})["sourceServerIds"]
    templates = [drs.get_launch_configuration(sourceServerID=name)["ec2LaunchTemplateID"] for name in (server, other)]
    fail(local, service="ec2", operation="*", code="InternalError", sourceServerId=server)
    response = error_of(lambda: ec2.describe_launch_templates(LaunchTemplateIds=templates[:1]))
    assert response["Error"]["Code"] == "InternalError"
    assert len(ec2.describe_launch_templates(LaunchTemplateIds=templates[1:])["LaunchTemplates"]) == 1


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("ec2", "RequestExpired", 400),
        ("drs", "InvalidSignatureException", 403),
        ("dynamodb", "InvalidSignatureException", 400),
        ("sts", "SignatureDoesNotMatch", 403),
    ],
)
@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_signature_of_another_time_is_refused(
    client: Clients, service: str, code: str, status: int, minutes: int
) -> None:
    """A request signed more than five minutes ago or ahead does nothing; four minutes are fine."""
    with signed(minutes):
        response = error_of(lambda: CALLS[service][1](client(service)))
    assert response["Error"]["Code"] == code
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    with signed(minutes * 2 // 3):
        CALLS[service][1](client(service))


def signed(minutes: int) -> Any:
    moment = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=minutes)
    return patch("botocore.auth.get_current_datetime", lambda *_, **__: moment)


def test_latency_slows_drs_and_ec2_only(local: StandIn, client: Clients) -> None:
    """Each call of DRS and EC2 takes so long; our own tables and queues do not."""
    clients = {service: client(service) for service in ("drs", "ec2", "dynamodb", "sqs")}
    for service, made in clients.items():
        CALLS[service][1](made)
    local.control("PUT", "latency", {"seconds": 0.4})
    took = {service: measure(CALLS[service][1], made) for service, made in clients.items()}
    assert took["drs"] >= 0.4
    assert took["ec2"] >= 0.4
    assert took["dynamodb"] < 0.4
    assert took["sqs"] < 0.4


def measure(call: Callable[[Any], object], made: Any) -> float:
    start = time.monotonic()
    call(made)
    return time.monotonic() - start


def test_what_is_not_built_says_so(client: Clients) -> None:
    """An operation that the stand-in lacks is an error of its service, never a success."""
    response = error_of(lambda: client("drs").describe_recovery_instances())
    assert response["Error"]["Code"] == "UnknownOperationException"
    response = error_of(lambda: client("dynamodb").list_global_tables())
    assert response["Error"]["Code"] == "UnknownOperationException"
    response = error_of(lambda: client("ec2").describe_fpga_images())
    assert response["Error"]["Code"] == "InvalidAction"
