"""
What CloudTrail's events of DRS and EC2 writes name, as a request to check for drift. Pure.

EventBridge's rule sends the event whole beside what it picks out of it; what a request says itself comes first.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from workers.core.drift_checks import DriftCheck

Json = Mapping[str, Any]
PROMOTION = "ModifyLaunchTemplate"
LONGEST_VERSION = 9
"""Digits; a launch template has 10,000 versions at the most."""


def read_check(request: Json) -> DriftCheck:
    """
    Read where to look for drift, and who made the change.

    Parameters:
        request: The request, any JSON object; what in it is of another kind than it should be is passed over.

    Returns:
        The check; who wants to look everywhere names nothing.
    """
    event = _object(request, "event")
    detail = _object(event, "detail")
    event_name = _text(request, "eventName") or _text(detail, "eventName")
    return DriftCheck(
        account_id=_text(request, "accountId") or _text(event, "account"),
        region=_text(request, "region") or _text(event, "region"),
        source_server_ids=tuple(dict.fromkeys(_find_servers(request, detail))),
        launch_template_id=_text(request, "launchTemplateId") or _find_template(detail),
        default_version=_find_version(detail) if event_name == PROMOTION else None,
        event_name=event_name,
        changed_by=_say_who(request, detail, event_name),
    )


def _find_servers(request: Json, detail: Json) -> Iterator[str]:
    asked = request.get("sourceServerIds")
    if isinstance(asked, list):
        yield from (each for each in asked if isinstance(each, str))
    else:
        named = _text(_object(detail, "requestParameters"), "sourceServerID")
        if named is not None:
            yield named


def _find_template(detail: Json) -> str | None:
    """Find the launch template of an event of EC2's: a request may name it by its name, the answer has its id."""
    for elements in ("requestParameters", "responseElements"):
        for each in _object(detail, elements).values():
            for place in (each, _object(each, "launchTemplate")) if isinstance(each, dict) else ():
                found = _text(place, "LaunchTemplateId") or _text(place, "launchTemplateId")
                if found is not None:
                    return found
    return None


def _find_version(detail: Json) -> int | None:
    """Find the version that a launch template's default was set to; None where it is not said as a number."""
    asked = (each for each in _object(detail, "requestParameters").values() if isinstance(each, dict))
    said = next((each["SetDefaultVersion"] for each in asked if "SetDefaultVersion" in each), None)
    text = str(said) if isinstance(said, str | int) and not isinstance(said, bool) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_VERSION else None


def _say_who(request: Json, detail: Json, event_name: str | None) -> str:
    identity = _object(detail, "userIdentity")
    who = _text(request, "userIdentity") or _text(identity, "arn") or _text(identity, "invokedBy")
    if who is None:
        return ""
    at = _text(request, "eventTime") or _text(detail, "eventTime")
    return f"{event_name or 'a call'} by {who}" + (f" at {at}" if at else "")


def _object(holder: Json, name: str) -> Json:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _text(holder: Json, name: str) -> str | None:
    value = holder.get(name)
    return value if isinstance(value, str) and value else None
