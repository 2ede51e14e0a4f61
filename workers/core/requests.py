"""Requests that are refused, and who asks. Pure; every door renders these the same way."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from workers.core.errors import GroupDeleted
from workers.core.model.errors import LONGEST_SHOWN, FieldError

T = TypeVar("T")
DRIFT = "drift"
"""Why the watch asks for a run."""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What a requester names a request by, so that its repetition has no second effect."""

    key: str
    """The requester's own: the header Idempotency-Key, or a message's id."""
    fingerprint: str
    """SHA-256, hexadecimal, over the operation and everything that was asked of it."""


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks, from which door, and why: written down before anything is done."""

    principal: str
    door: str
    reason: str
    request_id: str = ""
    """Goes with every job into the workers' logs."""
    key: RequestKey | None = None
    task_token: str | None = field(default=None, repr=False)
    """What a task of Step Functions waits with for what comes of it: a secret."""


class RequestRefused(Exception):
    """A request that changes nothing; it carries every error at once."""

    code = "REFUSED"

    def __init__(self, detail: str, errors: tuple[FieldError, ...] = (), *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.code = code or type(self).code


class NotFound(RequestRefused):
    """There is no such thing."""


class Conflict(RequestRefused):
    """It cannot be as things stand."""


def quote(name: str) -> str:
    """Repeat a name that somebody gave, shortened as values of bodies are: it may be the content of a whole file."""
    return repr(name) if len(name) <= LONGEST_SHOWN else f"{name[:LONGEST_SHOWN]!r}…"


def group_not_found(group: str) -> NotFound:
    """Make the error for an unknown group, named by its id or its name."""
    return NotFound(f"There is no protection group {quote(group)} in this stack.", code="GROUP_NOT_FOUND")


def require_groups(looked_up: Sequence[T | BaseException], pointer: str) -> list[T]:
    """
    Take groups that were looked up, each named by one member of a list.

    Parameters:
        looked_up: What was found of each, or why it was not.
        pointer: Where the list stands in the request.

    Returns:
        All of them, in this order.

    Raises:
        NotFound: Some are not there; each of them is named.
    """
    missing = [(place, each) for place, each in enumerate(looked_up) if isinstance(each, NotFound)]
    for each in looked_up:
        if isinstance(each, BaseException) and not isinstance(each, NotFound):
            raise each
    if len(missing) == 1 and len(looked_up) == 1:
        raise missing[0][1]
    if missing:
        errors = tuple(FieldError(f"{pointer}/{place}", each.code, each.detail, None) for place, each in missing)
        told = f"{len(missing)} of {len(looked_up)} protection groups are not in this stack; see errors."
        raise NotFound(told, errors, code=missing[0][1].code)
    return [each for each in looked_up if not isinstance(each, BaseException)]


@contextmanager
def unless_deleted(group_id: str) -> Iterator[None]:
    """
    Refuse what is asked of a group that is deleted in the middle of it, like all that comes later.

    Parameters:
        group_id: The group.

    Yields:
        Nothing, once.

    Raises:
        NotFound: Its definition was cleared while it was read.
    """
    try:
        yield
    except GroupDeleted as gone:
        raise group_not_found(group_id) from gone
