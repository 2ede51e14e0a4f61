"""
AWS's errors become ours here, in one table, by service and code: never by HTTP status and never by text.

What the table does not name is permanent for that source server and says AWS's own code.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)
from botocore.parsers import ResponseParserError

from workers.core.errors import (
    AccessDenied,
    AccountNotInitialized,
    CredentialsExpired,
    InvalidLaunchConfig,
    JobInProgress,
    PrelaunchError,
    QuotaExceeded,
    RetryableError,
    ServiceUnavailable,
    SourceServerNotFound,
    StaleTemplate,
    TaskGone,
    Throttled,
)

THROTTLED = ("ThrottlingException", "RequestLimitExceeded", "Throttling", "TooManyRequestsException", "429")
"""Where an answer names no code, as a load balancer's, botocore puts the HTTP status in the code's place."""
TRANSIENT = (
    "InternalServerException",
    "InternalError",
    "InternalFailure",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "Unavailable",
    "RequestTimeout",
    "500",
    "502",
    "503",
    "504",
)
DENIED = (
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "AuthFailure",
    "OptInRequired",
)
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")

ANY_SERVICE: Mapping[str, type[PrelaunchError]] = {
    **dict.fromkeys(THROTTLED, Throttled),
    **dict.fromkeys(TRANSIENT, ServiceUnavailable),
    **dict.fromkeys(DENIED, AccessDenied),
    **dict.fromkeys(EXPIRED, CredentialsExpired),
}
BY_SERVICE: Mapping[tuple[str, str], type[PrelaunchError]] = {
    ("drs", "ConflictException"): JobInProgress,
    ("drs", "ResourceNotFoundException"): SourceServerNotFound,
    ("drs", "UninitializedAccountException"): AccountNotInitialized,
    ("drs", "ServiceQuotaExceededException"): QuotaExceeded,
    ("drs", "ValidationException"): InvalidLaunchConfig,
    ("events", "InternalException"): ServiceUnavailable,
    ("iam", "ServiceFailure"): ServiceUnavailable,
    ("stepfunctions", "InvalidToken"): TaskGone,
    ("stepfunctions", "KmsThrottlingException"): Throttled,
    ("stepfunctions", "TaskDoesNotExist"): TaskGone,
    ("stepfunctions", "TaskTimedOut"): TaskGone,
    ("ec2", "IdempotentParameterMismatch"): StaleTemplate,
    ("ec2", "InvalidLaunchTemplateId.VersionNotFound"): StaleTemplate,
    ("ec2", "InvalidLaunchTemplateId.NotFound"): StaleTemplate,
}


def translate(error: Exception, service: str, operation: str) -> PrelaunchError:
    """
    Translate what botocore raised; raise the answer `from` the original.

    Parameters:
        error: A ClientError, another error of botocore's, or a TimeoutError.
        service: The SDK's name of the service.
        operation: AWS's name of the operation.

    Returns:
        The error of ours that says what happens next.
    """
    called = f"{service}.{operation}"
    if isinstance(error, ClientError):
        return _translate_answer(error.response, service, called)
    if isinstance(error, TimeoutError | ReadTimeoutError):
        return ServiceUnavailable(f"{called} was not answered in time.", code="RequestTimeout", operation=called)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return AccessDenied(f"{called} has no credentials: {error}", operation=called)
    if isinstance(error, CredentialRetrievalError | MetadataRetrievalError):
        return ServiceUnavailable(f"{called} could not be signed: {error}", operation=called)
    if isinstance(error, BotoConnectionError | HTTPClientError | IncompleteReadError | ResponseParserError):
        return ServiceUnavailable(f"{called} was not answered: {error}", operation=called)
    if isinstance(error, BotoCoreError):
        # A request that the SDK would not even send is a launch config that AWS cannot take.
        return InvalidLaunchConfig(f"{called} cannot be sent: {error}", operation=called)
    raise TypeError(f"{called} raised {type(error).__name__}, which is no answer of AWS.") from error


def _translate_answer(response: Any, service: str, called: str) -> PrelaunchError:
    error = response.get("Error", {})
    code = error.get("Code", "Unknown")
    kind = BY_SERVICE.get((service, code)) or ANY_SERVICE.get(code) or InvalidLaunchConfig
    metadata = response.get("ResponseMetadata", {})
    details = {"code": code, "request_id": metadata.get("RequestId"), "operation": called}
    message = error.get("Message") or code
    if issubclass(kind, RetryableError):
        return kind(message, retry_after=_retry_after(response, metadata), **details)
    return kind(message, **details)


def _retry_after(response: Any, metadata: Any) -> timedelta | None:
    # DRS sends a string on Throttling and a number on InternalServer; botocore parses and ignores both.
    stated = response.get("retryAfterSeconds") or metadata.get("HTTPHeaders", {}).get("retry-after")
    try:
        return max(timedelta(seconds=float(stated)), timedelta(0)) if stated is not None else None
    except (TypeError, ValueError, OverflowError):
        # A date, or nothing that a wait can be made of: our own back-off decides.
        return None
