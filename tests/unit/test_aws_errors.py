"""AWS's errors become ours by service and code, whatever the HTTP status and the text."""

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError, create_parser
from botocore.session import Session

from workers.aws.errors import translate
from workers.core.errors import (
    AccessDenied,
    AccountNotInitialized,
    CredentialsExpired,
    InvalidLaunchConfig,
    JobInProgress,
    PermanentError,
    PrelaunchError,
    QuotaExceeded,
    RetryableError,
    ServiceUnavailable,
    SourceServerNotFound,
    StaleTemplate,
    Throttled,
)

_BOTH = ("drs", "ec2")
_ROWS: list[tuple[tuple[str, ...], str, type[PrelaunchError]]] = [
    (_BOTH, "ThrottlingException RequestLimitExceeded Throttling TooManyRequestsException", Throttled),
    (
        _BOTH,
        "InternalServerException InternalError InternalFailure ServiceUnavailable Unavailable RequestTimeout",
        ServiceUnavailable,
    ),
    (("drs",), "ConflictException", JobInProgress),
    (("drs",), "ServiceQuotaExceededException", QuotaExceeded),
    (("drs",), "ResourceNotFoundException", SourceServerNotFound),
    (("drs",), "ValidationException", InvalidLaunchConfig),
    (("drs",), "UninitializedAccountException", AccountNotInitialized),
    (
        ("ec2",),
        "IdempotentParameterMismatch InvalidLaunchTemplateId.VersionNotFound InvalidLaunchTemplateId.NotFound",
        StaleTemplate,
    ),
    (
        ("ec2",),
        "InvalidLaunchTemplateId.Malformed InvalidParameterValue InvalidSubnetID.NotFound InvalidAMIID.NotFound",
        InvalidLaunchConfig,
    ),
    # What DRS means by these is nothing that EC2 means.
    (("ec2",), "ConflictException ResourceNotFoundException UninitializedAccountException", InvalidLaunchConfig),
    ((*_BOTH, "sts"), "AccessDenied AccessDeniedException UnauthorizedOperation OptInRequired", AccessDenied),
    ((*_BOTH, "sts"), "UnrecognizedClientException InvalidClientTokenId AuthFailure", AccessDenied),
    ((*_BOTH, "sts"), "ExpiredToken ExpiredTokenException RequestExpired", CredentialsExpired),
]
_TABLE = [(service, code, kind) for services, codes, kind in _ROWS for service in services for code in codes.split()]


def _answer(code: str, *, status: int = 400, headers: dict[str, str] | None = None, **more: Any) -> ClientError:
    metadata = {"RequestId": "req-1", "HTTPStatusCode": status, "HTTPHeaders": headers or {}}
    answer = {"Error": {"Code": code, "Message": "what AWS said"}, "ResponseMetadata": metadata, **more}
    return ClientError(answer, "AnyOperation")


@pytest.mark.parametrize("status", [400, 403, 429, 500, 503])
@pytest.mark.parametrize(("service", "code", "kind"), _TABLE)
def test_the_code_alone_decides(service: str, code: str, kind: type[PrelaunchError], status: int) -> None:
    """Each code of a service has one meaning, also under an unusual HTTP status; AWS's words and id are kept."""
    error = translate(_answer(code, status=status), service, "SomeOperation")
    assert type(error) is kind
    assert (error.code, error.message, error.request_id) == (code, "what AWS said", "req-1")
    assert error.operation == f"{service}.SomeOperation"


@pytest.mark.parametrize("code", ["MalformedQueryString", "DryRunOperation", "TagLimitExceeded", "X"])
@pytest.mark.parametrize("service", _BOTH)
def test_an_unknown_code_is_permanent_and_named(service: str, code: str) -> None:
    """What the table does not name fails the source server at once, under AWS's own code, whatever its status."""
    error = translate(_answer(code, status=503), service, "SomeOperation")
    assert isinstance(error, PermanentError)
    assert error.code == code


@pytest.mark.parametrize("service", ["drs", "ec2"])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", b"<html><body>Bad gateway</body></html>"])
def test_a_load_balancer_s_answer_is_no_verdict(service: str, status: int, body: bytes) -> None:
    """An answer without any code, as botocore really parses it, fails no source server for good."""
    model = Session().get_service_model(service)
    parser = create_parser(model.metadata["protocol"])
    answer = parser.parse({"body": body, "status_code": status, "headers": {}}, None)
    assert type(translate(ClientError(answer, "X"), service, "X")) is ServiceUnavailable


def test_a_gateway_s_throttle_is_one() -> None:
    """Where botocore has only the HTTP status to put in the code's place, 429 slows us as a code would."""
    assert type(translate(_answer("429"), "drs", "X")) is Throttled


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        *[("7", 7), (7, 7), ("1.5", 1.5), ("-3", 0)],
        *[(0, None), ("soon", None), ("", None), ([], None), (["7"], None), ("nan", None), ("1e999", None)],
    ],
)
def test_the_answer_s_wait_is_read_as_it_comes(stated: object, seconds: float | None) -> None:
    """DRS states its wait as text or number; what is no wait leaves it to our own back-off."""
    error = translate(_answer("ThrottlingException", retryAfterSeconds=stated), "drs", "X")
    assert isinstance(error, RetryableError)
    assert error.retry_after == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("header", "seconds"), [("12", 12), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("", None), ("-1", 0)]
)
def test_the_header_s_wait_counts_too(header: str, seconds: float | None) -> None:
    """Retry-After is honoured where the body states nothing."""
    error = translate(_answer("InternalServerException", headers={"retry-after": header}), "drs", "X")
    assert isinstance(error, RetryableError)
    assert error.retry_after == (None if seconds is None else timedelta(seconds=seconds))


def test_the_body_s_wait_goes_before_the_header_s() -> None:
    """DRS's own member is the more exact one."""
    error = translate(_answer("ThrottlingException", retryAfterSeconds="3", headers={"retry-after": "9"}), "drs", "X")
    assert isinstance(error, RetryableError)
    assert error.retry_after == timedelta(seconds=3)


_URL = {"endpoint_url": "https://drs"}


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (TimeoutError(), ServiceUnavailable),
        (ReadTimeoutError(**_URL), ServiceUnavailable),
        (ConnectTimeoutError(**_URL), ServiceUnavailable),
        (EndpointConnectionError(**_URL), ServiceUnavailable),
        (ConnectionClosedError(**_URL), ServiceUnavailable),
        (SSLError(**_URL, error="x"), ServiceUnavailable),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), ServiceUnavailable),
        (ResponseParserError("half an answer"), ServiceUnavailable),
        (CredentialRetrievalError(provider="container-role", error_msg="503"), ServiceUnavailable),
        (MetadataRetrievalError(error_msg="time-out"), ServiceUnavailable),
        (NoCredentialsError(), AccessDenied),
        (PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), AccessDenied),
        (ParamValidationError(report="Unknown parameter"), InvalidLaunchConfig),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_call_without_an_answer(raised: Exception, kind: type[PrelaunchError]) -> None:
    """What never reached AWS or came back broken can succeed later; what cannot be sent or signed cannot."""
    error = translate(raised, "drs", "SomeOperation")
    assert type(error) is kind
    assert "drs.SomeOperation" in error.message


def test_a_bug_is_not_an_answer() -> None:
    """An error that is none of the SDK's stays a bug, with its cause."""
    with pytest.raises(TypeError) as caught:
        translate(KeyError("x"), "drs", "X")
    assert isinstance(caught.value.__cause__, KeyError)
