"""Reading a request's body as JSON: bounded in size and depth, strict, and never a crash."""

from fastapi import Request

from producer.strict_json import parse_json
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
    return parse_json(body)
