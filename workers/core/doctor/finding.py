"""What a check found, and what to do about it. Pure."""

from dataclasses import dataclass
from enum import StrEnum


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
    """What to do; only of a problem."""


def ok(check: str, subject: str, saw: str) -> Finding:
    """Say that something is as it has to be."""
    return Finding(check, subject, Outcome.OK, saw)


def problem(check: str, subject: str, saw: str, remedy: str) -> Finding:
    """Say that something is wrong, and what to do."""
    return Finding(check, subject, Outcome.PROBLEM, saw, remedy)


def not_known(check: str, subject: str, why: str) -> Finding:
    """Say that something cannot be told, and why."""
    return Finding(check, subject, Outcome.NOT_KNOWN, why)
