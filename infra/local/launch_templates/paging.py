"""
Cut a listing into pages.

A token names the last item seen and not a position, so that what is made or deleted between two pages neither
repeats nor hides anything else.
"""

import base64
import json
from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")
Key = tuple[str, int]


class UnreadableToken(Exception):
    """The token is none that a page answered."""


def cut_page(keyed: Iterable[tuple[Key, Item]], token: str | None, limit: int) -> tuple[list[Item], str | None]:
    """
    Take the next page.

    Parameters:
        keyed: Every item with its key; keys differ.
        token: What the page before answered, if there was one.
        limit: The most items of a page.

    Returns:
        The items in the order of their keys, and the token of the next page if more follow. A token that is
        none of ours is an `UnreadableToken`.
    """
    start = None if token is None else _read_token(token)
    rest = sorted(((key, item) for key, item in keyed if start is None or key > start), key=lambda pair: pair[0])
    page = rest[:limit]
    more = len(rest) > limit
    return [item for _, item in page], _write_token(page[-1][0]) if more else None


def _write_token(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def _read_token(token: str) -> Key:
    try:
        name, number = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (TypeError, ValueError) as error:
        raise UnreadableToken(token) from error
    if not isinstance(name, str) or not isinstance(number, int):
        raise UnreadableToken(token)
    return name, number
