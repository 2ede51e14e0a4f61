"""
What schemathesis does otherwise than by default. Why stands in schemathesis.toml, where every exception stands.

No check is left out here, and no answer is changed.
"""

import os
from typing import Any

import schemathesis

MOST_SECONDS = 0.2
LONGEST_WAIT = 25
STATEFUL = "stateful"
GROUPS = ("/protection-groups", "/protection-groups/{groupId}")
NAMING = ("subnetId", "securityGroupIds", "instanceType", "instanceProfileName", "launchIntoInstanceProperties")
"""Fields that name something of the account."""
_free = iter(os.environ["PREPARED_SERVERS"].split(","))


@schemathesis.hook
def before_load_schema(_context: Any, schema: dict[str, Any]) -> None:
    """Take the greatest number of source servers away."""
    for body in ("GroupBody", "GroupUpdateBody"):
        del schema["components"]["schemas"][body]["properties"]["sourceServerIds"]["maxItems"]


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Ask for what is there where anything right would do, and do not wait for it."""
    _shorten_wait(case)
    _name_what_is_there(case)
    if case.meta is None or not case.meta.generation.mode.is_positive or case.meta.phase.name.value == STATEFUL:
        return
    if case.method == "GET":
        for name in case.path_parameters or {}:
            case.path_parameters[name] = os.environ[f"PREPARED_{name.upper()}"]
    elif case.path == "/waves" and isinstance(case.body, dict) and "groupIds" in case.body:
        case.body["groupIds"] = [os.environ["PREPARED_UNCONFIGURED"]]


def _name_what_is_there(case: Any) -> None:
    """Let a group that is right in itself be one of a source server that the account holds."""
    is_right = case.meta is not None and case.meta.generation.mode.is_positive
    if not (is_right and case.method in {"POST", "PUT"} and case.path in GROUPS and isinstance(case.body, dict)):
        return
    config = case.body.get("launchConfig")
    if isinstance(config, dict):
        case.body["launchConfig"] = {name: value for name, value in config.items() if name not in NAMING}
    for name in ("accountId", "assumeRoleName", "externalId", "servers", "serverSelectionTags"):
        case.body.pop(name, None)
    case.body |= {"region": "us-east-1", "sourceServerIds": [next(_free)]}


def _shorten_wait(case: Any) -> None:
    """Cut a wait that is right; one that is wrong stays as it is."""
    try:
        wait = float((case.query or {})["wait"])
    except (KeyError, TypeError, ValueError):
        return
    if MOST_SECONDS < wait <= LONGEST_WAIT:
        case.query["wait"] = MOST_SECONDS
