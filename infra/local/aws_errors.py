"""
Errors as each AWS service writes them on the wire, so that an SDK raises ClientError with the code meant.

Nothing here decides that a call fails. An error must never go out without a request id: the product keeps it.
"""

import json
from html import escape
from typing import Any
from uuid import uuid4

from infra.local.aws_models import load_description
from infra.local.call import Call
from infra.local.httpd import Answer

THROTTLING_CODES = frozenset(
    {
        "ThrottlingException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottledException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
    }
)
"""Codes that tell a client to call less often."""

_STATUS: dict[str, int] = {
    "AccessDenied": 403,
    "AuthFailure": 401,
    "ExpiredToken": 403,
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServerError": 500,
    "InvalidClientTokenId": 403,
    "OptInRequired": 403,
    "RequestLimitExceeded": 503,
    "ServiceUnavailable": 503,
    "SignatureDoesNotMatch": 403,
    "Unavailable": 503,
    "UnauthorizedOperation": 403,
}
"""Statuses that no model tells: query and EC2 services share them (AWS's lists of common errors)."""

_SERVER_FAULT = 500

_REST_STATUS: dict[str, int] = {
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "InvalidSignatureException": 403,
    "IncompleteSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "RequestExpired": 403,
    "UnrecognizedClientException": 403,
    "UnknownOperationException": 404,
    "ThrottlingException": 429,
    "TooManyRequestsException": 429,
    "InternalServerException": 500,
}


def render_error(
    call: Call,
    code: str,
    message: str,
    *,
    retry_after_seconds: int | None = None,
    members: dict[str, Any] | None = None,
    status: int | None = None,
) -> Answer:
    """
    Write an error as the called service would.

    Parameters:
        call: The call that fails.
        code: The error's code.
        message: Its message.
        retry_after_seconds: When to come back; sent as `Retry-After`, which DRS's model reads.
        members: Further members of the error's body, for the JSON protocols.
        status: The HTTP status, if it is not the code's own.

    Returns:
        The answer in the service's own format.
    """
    request_id = str(uuid4())
    headers = {"x-amzn-RequestId": request_id}
    if retry_after_seconds is not None:
        headers["Retry-After"] = str(retry_after_seconds)
    status = status or error_status(call, code)
    match call.protocol:
        case "ec2":
            return Answer(status, _ec2_body(code, message, request_id), {**headers, "Content-Type": "text/xml"})
        case "query":
            text = query_error_body(status, code, message, request_id)
            return Answer(status, text.encode(), {**headers, "Content-Type": "text/xml"})
        case "json":
            headers |= {"Content-Type": "application/x-amz-json-1.0"}
            if call.service == "sqs":
                headers["x-amzn-query-error"] = f"{code};{_blame(status)}"
            body = json.dumps({"__type": _json_type(call.service, code), "message": message, **(members or {})})
            return Answer(status, body.encode(), headers)
        case "rest-json":
            headers |= {"Content-Type": "application/json", "x-amzn-ErrorType": code}
            body = json.dumps({"message": message, "code": code, **(members or {})})
            return Answer(status, body.encode(), headers)


def error_status(call: Call, code: str) -> int:
    """Tell the HTTP status of an error code: the service model's word, else AWS's common lists."""
    if call.protocol == "rest-json":
        modelled = _modelled_status(call.service, code)
        return modelled or _REST_STATUS.get(code) or _STATUS.get(code, 400)
    return _STATUS.get(code, 400)


def _blame(status: int) -> str:
    return "Sender" if status < _SERVER_FAULT else "Receiver"


def _modelled_status(service: str, code: str) -> int | None:
    shape = ((load_description(service) or {}).get("shapes") or {}).get(code) or {}
    status = (shape.get("error") or {}).get("httpStatusCode")
    return int(status) if status else None


def _json_type(service: str, code: str) -> str:
    common = {"InvalidSignatureException", "UnrecognizedClientException", "AccessDeniedException"}
    if code in common:
        return f"com.amazon.coral.service#{code}"
    return {"dynamodb": "com.amazonaws.dynamodb.v20120810", "sqs": "com.amazonaws.sqs"}.get(
        service, f"com.amazonaws.{service}"
    ) + f"#{code}"


def _ec2_body(code: str, message: str, request_id: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Response><Errors><Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error></Errors>"
        f"<RequestID>{request_id}</RequestID></Response>"
    ).encode()


def query_error_body(status: int, code: str, message: str, request_id: str | None = None) -> str:
    """Write the body of an error of STS, IAM, CloudFormation or the old SQS."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<ErrorResponse><Error><Type>{_blame(status)}</Type><Code>{escape(code)}</Code>"
        f"<Message>{escape(message)}</Message></Error>"
        f"<RequestId>{request_id or uuid4()}</RequestId></ErrorResponse>"
    )
