"""
Does a queue's policy let a rule of EventBridge send to it? Pure.

Only what a deployed template says is understood. Whatever else a policy holds makes it not known, never allowed.
"""

import fnmatch
import json
import operator
from collections.abc import Iterator, Mapping
from typing import Any

SERVICE = "events.amazonaws.com"
SENDING = "sqs:sendmessage"
SOURCE = "aws:sourcearn"
EXACT = ("StringEquals",)
PATTERNS = ("ArnEquals", "ArnLike", "StringLike")
"""ArnEquals takes wildcards as ArnLike does (IAM User Guide, condition operators)."""


def lets_rule_send(policy: str | None, rule_arn: str) -> bool | None:
    """
    Tell whether a policy lets a rule send.

    Parameters:
        policy: The queue's, JSON; None where it has none: EventBridge may not send then.
        rule_arn: The rule's.

    Returns:
        None where the policy says more than is understood.
    """
    if policy is None:
        return False
    try:
        statements = list(_list_statements(json.loads(policy)))
        about = [each for each in statements if _names(each.get("Action"), SENDING) and _is_for_events(each)]
        decided = [(each["Effect"], _fits(each.get("Condition") or {}, rule_arn)) for each in about]
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    if any("NotAction" in each or "NotPrincipal" in each for each in statements):
        return None
    if any(effect == "Deny" and fits is not False for effect, fits in decided):
        return None
    allowed = [fits for effect, fits in decided if effect == "Allow"]
    return True if True in allowed else None if None in allowed else False


def _list_statements(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found = document["Statement"]
    yield from found if isinstance(found, list) else [found]


def _names(listed: object, wanted: str) -> bool:
    patterns = listed if isinstance(listed, list) else [listed]
    return any(fnmatch.fnmatchcase(wanted, str(pattern).lower()) for pattern in patterns)


def _is_for_events(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    if principal == "*":
        return True
    services = principal.get("Service") if isinstance(principal, dict) else None
    return (isinstance(principal, dict) and principal.get("AWS") == "*") or _names(services, SERVICE)


def _fits(condition: Mapping[str, Any], rule_arn: str) -> bool | None:
    """Tell whether a statement's condition is about this rule; None where it says more than its ARN."""
    answers: list[bool | None] = []
    for test, keys in condition.items():
        for key, listed in keys.items():
            values = listed if isinstance(listed, list) else [listed]
            if key.lower() != SOURCE or test not in EXACT + PATTERNS:
                answers.append(None)
            else:
                match = fnmatch.fnmatchcase if test in PATTERNS else operator.eq
                answers.append(any(match(rule_arn, str(value)) for value in values))
    return False if False in answers else None if None in answers else True
