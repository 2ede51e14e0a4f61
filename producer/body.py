"""Reading a request's body as JSON: bounded in size and depth, strict, and never a crash."""

import json
from typing import Any

from fastapi import Request

from workers.core.model.errors import FieldError, InvalidBody
from workers.core.requests import RequestRefused

MAX_BODY_BYTES = 1024 * 1024


async def read_json(request: Request, *, empty: object = None) -> object:
    """
    Read the body.

    Parameters:
        request: The request.
        empty: What a body of no bytes means; None refuses it.

    Returns:
        Any JSON value.

    Raises:
        RequestRefused: It is over 1 MiB.
        InvalidBody: It is no JSON.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise RequestRefused("The body is over 1 MiB.", code="BODY_TOO_LARGE")
    if not body and empty is not None:
        return empty
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        wrong = FieldError("", "INVALID_BODY", f"The body is no JSON: {reason}.", None)
        raise InvalidBody((wrong,)) from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
