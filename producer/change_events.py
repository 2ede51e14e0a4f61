"""
What CloudTrail's events of DRS and EC2 writes name, as a request to check for drift. Pure.

EventBridge's rule sends the event whole beside what it picks out of it; what a request says itself comes first, and is
checked like every other body. What AWS writes into its event is taken where it is what it should be.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from workers.core.drift_checks import DriftCheck
from workers.core.model import types
from workers.core.model.errors import InvalidBody, Place, show
from workers.core.model.shape import members_of, read_object

Json = Mapping[str, Any]
PROMOTION = "ModifyLaunchTemplate"
LONGEST_VERSION = 9
"""Digits; a launch template has 10,000 versions at the most."""
EVENT = "event"
_Text = Annotated[str, Field(min_length=1)]


@with_config(ConfigDict(extra="forbid"))
class CheckDriftBody(TypedDict, total=False):
    """Where to look for drift; nothing: everywhere."""

    accountId: Annotated[types.AccountId, Field(description="an account's number of 12 digits")]
    region: Annotated[types.Region, Field(description="an AWS Region such as eu-central-1")]
    sourceServerIds: Annotated[
        list[types.SourceServerId], Field(description="a list of source server ids such as s-1a2b3c4d5e6f7a8b9")
    ]
    launchTemplateId: Annotated[
        str, Field(pattern="^lt-[0-9a-f]{1,32}$", description="a launch template's id such as lt-1a2b3c4d5e6f7a8b9")
    ]
    eventName: Annotated[_Text, Field(description="text: the call that changed something")]
    eventTime: Annotated[_Text, Field(description="text: when it was made")]
    userIdentity: Annotated[_Text, Field(description="text: who made it")]
    event: Annotated[
        dict[str, object], Field(description="an object: an event of CloudTrail's as EventBridge sends it")
    ]


_MEMBERS = members_of(CheckDriftBody)


def read_check(request: Json) -> DriftCheck:
    """
    Read where to look for drift, and who made the change.

    Parameters:
        request: The request, any JSON object.

    Returns:
        The check; who wants to look everywhere names nothing.

    Raises:
        InvalidBody: What it says itself is not what it should be; it carries every error.
    """
    root = Place("")
    said, errors = read_object(
        dict[object, object](request.items()), _MEMBERS, frozenset(), root, apart=frozenset({EVENT})
    )
    if EVENT in said and not isinstance(said[EVENT], dict):
        told = f"{EVENT} must be {_MEMBERS[EVENT].descriptions['']}, not {show(said[EVENT])}."
        errors.append(root.at(EVENT).error(told))
    if errors:
        raise InvalidBody(tuple(errors))
    event = _object(said, EVENT)
    detail = _object(event, "detail")
    event_name = _text(said, "eventName") or _text(detail, "eventName")
    changed = _find_template(detail)
    template = _text(said, "launchTemplateId") or changed
    return DriftCheck(
        account_id=_text(said, "accountId") or _text(event, "account"),
        region=_text(said, "region") or _text(event, "region"),
        source_server_ids=tuple(dict.fromkeys(_find_servers(said, detail))),
        launch_template_id=template,
        default_version=_find_version(detail) if event_name == PROMOTION and template == changed else None,
        event_name=event_name,
        changed_by=_say_who(said, detail, event_name),
    )


def _find_servers(request: Json, detail: Json) -> Iterator[str]:
    asked = request.get("sourceServerIds")
    if isinstance(asked, list):
        yield from asked
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
