"""
Refusals and failures as RFC 9457 problems, the same for every door.

A problem says what happened, to which source server, and what to do; never a secret, never a traceback.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from workers.core.errors import GroupDeleted, PrelaunchError, RetryableError
from workers.core.model.errors import FieldError, GroupTooLarge, InvalidBody
from workers.core.requests import RequestRefused

STATUS_BY_CODE = {
    "INVALID_BODY": HTTPStatus.BAD_REQUEST,
    "INVALID_LAUNCH_CONFIG": HTTPStatus.BAD_REQUEST,
    "UNAUTHENTICATED": HTTPStatus.UNAUTHORIZED,
    "FORBIDDEN": HTTPStatus.FORBIDDEN,
    "GROUP_NOT_FOUND": HTTPStatus.NOT_FOUND,
    "RUN_NOT_FOUND": HTTPStatus.NOT_FOUND,
    "WAVE_NOT_FOUND": HTTPStatus.NOT_FOUND,
    "GROUP_NAME_EXISTS": HTTPStatus.CONFLICT,
    "SERVER_CONFLICT": HTTPStatus.CONFLICT,
    "VERSION_CONFLICT": HTTPStatus.CONFLICT,
    "STATUS_CHANGED": HTTPStatus.CONFLICT,
    "NOT_READY": HTTPStatus.CONFLICT,
    "ACCOUNT_NOT_INITIALIZED": HTTPStatus.CONFLICT,
    "ACCESS_DENIED": HTTPStatus.CONFLICT,
    "BODY_TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "GROUP_TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "IDEMPOTENCY_KEY_REUSED": HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""Every code that a request can be refused with."""

RETRY_AFTER_SECONDS = 5
MOST_ERRORS = 1000
"""How many errors a problem shows: an answer must not be many times as large as what it refuses."""


def problem(
    status: HTTPStatus, code: str, detail: str, errors: Sequence[FieldError] = ()
) -> tuple[int, dict[str, Any]]:
    """
    Render a problem.

    Parameters:
        status: The HTTP status.
        code: What programs tell problems apart by.
        detail: What people read.
        errors: Everything that is wrong with the request, at once.

    Returns:
        The status and the members of the problem document.
    """
    return status.value, {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "code": code,
        "detail": detail,
        "errors": [error.to_json() for error in errors[:MOST_ERRORS]],
    }


def render_error(error: Exception) -> tuple[int, dict[str, Any]]:
    """
    Render an error that a request met.

    Parameters:
        error: One of ours.

    Returns:
        The status and the members of the problem document.

    Raises:
        TypeError: It is none of ours, so a bug.
    """
    match error:
        case InvalidBody():
            count = len(error.errors)
            shown = "see errors" if count <= MOST_ERRORS else f"the first {MOST_ERRORS} are in errors"
            detail = f"{count} thing{'s are' if count > 1 else ' is'} wrong with the request; {shown}."
            return problem(STATUS_BY_CODE[error.code], error.code, detail, error.errors)
        case GroupTooLarge():
            return problem(STATUS_BY_CODE["GROUP_TOO_LARGE"], "GROUP_TOO_LARGE", str(error))
        case RequestRefused():
            return problem(STATUS_BY_CODE[error.code], error.code, error.detail, error.errors)
        case GroupDeleted():
            # A reader that began before the deletion: to ask again would find nothing either.
            return problem(STATUS_BY_CODE["GROUP_NOT_FOUND"], "GROUP_NOT_FOUND", error.message)
        case RetryableError() | PrelaunchError():
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, error.code, error.message)
    raise TypeError(f"{type(error).__name__} is no refusal") from error
