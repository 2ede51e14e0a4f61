"""What a check found, and what to do about it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from workers.core.errors import AccessDenied, PrelaunchError

DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
"""Other refusals, of a key that is not valid say, are about no single call."""
IAM_NAMES: Mapping[str, str] = {"service-quotas": "servicequotas", "stepfunctions": "states"}
"""What IAM calls a service, where it is not the SDK's word."""


class Outcome(StrEnum):
    """What is known after a check."""

    OK = "ok"
    PROBLEM = "problem"
    NOT_KNOWN = "not known"
    """AWS did not tell: that is never taken for well."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    check: str
    """What was looked at, in a word or two."""
    subject: str
    """Of what: a table, a queue, an account and Region."""
    outcome: Outcome
    saw: str
    """What was seen, or why it is not known."""
    remedy: str = ""
    """What to do about a problem; of what is not known, which permission would let it be seen."""


def ok(check: str, subject: str, saw: str) -> Finding:
    """Say that something is as it has to be."""
    return Finding(check, subject, Outcome.OK, saw)


def problem(check: str, subject: str, saw: str, remedy: str) -> Finding:
    """Say that something is wrong, and what to do."""
    return Finding(check, subject, Outcome.PROBLEM, saw, remedy)


def not_known(check: str, subject: str, why: str, remedy: str = "") -> Finding:
    """Say that something cannot be told, and why."""
    return Finding(check, subject, Outcome.NOT_KNOWN, why, remedy)


def unanswered(check: str, subject: str, error: PrelaunchError, *, before: str = "", after: str = "") -> Finding:
    """
    Say that AWS did not tell; where it may not be asked, which permission it takes.

    Parameters:
        check: What was to be looked at.
        subject: Of what.
        error: What AWS answered instead.
        before: Words before that.
        after: Words after it.

    Returns:
        The finding.
    """
    service, _, operation = error.operation.partition(".")
    is_denied = isinstance(error, AccessDenied) and error.code in DENIED and operation
    action = f"{IAM_NAMES.get(service, service)}:{operation}"
    remedy = f"Allow {action} to whoever runs this, to have it looked at." if is_denied else ""
    return not_known(check, subject, f"{before}{error.code}: {error.message}{after}", remedy)
