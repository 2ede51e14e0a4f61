"""
The token by which a page of an answer leads to the next one. Pure.

It is bound to all that the page is one of: its route, its group, its filter. What no answer gave, or an answer to
another question, is refused and never taken for a place in this one. It is no secret, and opens nothing.
"""

import base64
import hashlib
import json
from collections.abc import Sequence

from workers.core.requests import RequestRefused

CHECK_BYTES = 6
"""Against a token that was cut off, edited or made up; whoever makes one with care may read what all may read."""


def write_token(asked: Sequence[str], place: Sequence[object]) -> str:
    """
    Make the token of the next page.

    Parameters:
        asked: What the page is one of: the route's name, then what tells two of its questions apart.
        place: Where the page ended, in texts and whole numbers.

    Returns:
        Text for a URL.
    """
    body = json.dumps([*asked, *place], ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_check(body) + body).decode()


def read_token(token: str | None, asked: Sequence[str]) -> list[object] | None:
    """
    Read the token that a request carries.

    Parameters:
        token: What the requester gave; None for the first page.
        asked: What the request asks for, as `write_token` is told it.

    Returns:
        Where the page before ended; None for the first page. Its kinds are still to be matched.

    Raises:
        RequestRefused: No answer to this question gave the token.
    """
    if token is None:
        return None
    try:
        body = base64.b64decode(token, altchars=b"-_", validate=True)[CHECK_BYTES:]
        match json.loads(body):
            case [*parts] if parts[: len(asked)] == [*asked]:
                place = parts[len(asked) :]
                # Written again, for there is one spelling of each, and the check is part of it.
                if write_token(asked, place) == token:
                    return place
    except (ValueError, RecursionError):
        pass
    raise bad_token()


def bad_token() -> RequestRefused:
    """Make the error for a page's token that no answer to this question gave."""
    return RequestRefused(
        "nextToken is none that an answer to this very question gave: the same route, group and filter."
        " Begin without it.",
        code="INVALID_BODY",
    )


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:CHECK_BYTES]
