"""Reading a request's body: JSON by its own word, bounded in size, off the event loop."""

import asyncio
import re
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from producer.strict_json import parse_json
from workers.core.model.errors import FieldError, InvalidBody
from workers.core.requests import RequestRefused

MAX_BODY_BYTES = 1024 * 1024
_T = TypeVar("_T")
_JSON = re.compile(r"application/json|[\w!#$&^.+-]+/[\w!#$&^.+-]+\+json", re.ASCII | re.IGNORECASE)
"""The media types of JSON (RFC 6839): none of them goes from one site to another before a browser has asked."""


async def read_body(request: Request, parse: Callable[[object], _T], *, empty: object = None) -> tuple[object, _T]:
    """
    Read the body, and make of it what is asked.

    Parameters:
        request: The request.
        parse: Checks the JSON in full and makes the request's value of it.
        empty: What a body of no bytes means; None refuses it.

    Returns:
        The JSON, found right, and what was made of it.

    Raises:
        RequestRefused: It is over 1 MiB.
        InvalidBody: It is no JSON by its header or by its content, it says one thing twice, or the parser refuses it.
    """
    body = bytearray()
    async for chunk in request.stream():
        if chunk and not body:
            _check_media_type(request)
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise RequestRefused("The body is over 1 MiB.", code="BODY_TOO_LARGE")

    def read() -> tuple[object, _T]:
        raw = empty if not body and empty is not None else parse_json(bytes(body))
        return raw, parse(raw)

    # To find all that is wrong with 1 MiB takes seconds: nobody else may wait for that.
    return await asyncio.to_thread(read)


def _check_media_type(request: Request) -> None:
    """Refuse what a page of another site could make a browser send without asking first: a form, or plain text."""
    given = request.headers.getlist("Content-Type")
    if len(given) != 1 or not _JSON.fullmatch(given[0].partition(";")[0].strip()):
        needed = "A body needs the header Content-Type: application/json."
        raise InvalidBody((FieldError("", "INVALID_BODY", needed, None),))
