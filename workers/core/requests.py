"""Requests that are refused, and who asks. Pure; every door renders these the same way."""

from dataclasses import dataclass

from workers.core.model.errors import FieldError


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks, from which door, and why: written down before anything is done."""

    principal: str
    door: str
    reason: str


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


def group_not_found(group_id: str) -> NotFound:
    """Make the error for an unknown group."""
    return NotFound(
        f"There is no protection group {group_id!r} in this stack.",
        code="GROUP_NOT_FOUND",
    )
