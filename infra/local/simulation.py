"""
IAM's SimulatePrincipalPolicy over moto's users and roles, which lacks it; and policies that say what the roles may do.

The stand-in lets every caller do everything that no fault refuses, so the control's roles have a policy that allows it.
A condition is never taken for fulfilled: its keys are answered as missing (IAM's API reference, EvaluationResult).
"""

import fnmatch
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from moto.core.responses import ActionResult
from moto.iam.exceptions import InvalidInput, NoSuchEntity, NotFoundException
from moto.iam.models import ManagedPolicy, Role, iam_backends
from moto.iam.responses import IamResponse

from infra.local.mend import add

ALLOW_ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
_PRINCIPAL = re.compile(r"arn:aws:iam::(\d{12}):(user|role|group)/(?:.*/)?([^/]+)")
PAGE = 100


@dataclass(slots=True)
class Decision:
    """What policies say of an action on a resource."""

    effects: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    """Keys of conditions that would have to be known."""

    @property
    def word(self) -> str:
        """Give IAM's word for it."""
        if "Deny" in self.effects:
            return "explicitDeny"
        return "allowed" if "Allow" in self.effects else "implicitDeny"


def install() -> None:
    """Give moto's IAM the operation."""
    add(IamResponse, "simulate_principal_policy", _simulate_principal_policy)


def allow_all(role: Role) -> None:
    """Let a role do everything, as far as simulations tell."""
    role.policies.setdefault("everything", ALLOW_ALL)


def decide(policies: list[str], action: str, resource: str) -> Decision:
    """
    Evaluate policies: a denial beats any permission, and what nothing allows is denied.

    Parameters:
        policies: Their documents, JSON.
        action: Such as `drs:StartRecovery`.
        resource: An ARN, or `*`.

    Returns:
        The decision.
    """
    decision = Decision()
    for statement in _statements(policies):
        if not _is_about(statement, action, resource):
            continue
        keys = {key for test in (statement.get("Condition") or {}).values() for key in test}
        if keys:
            decision.missing |= keys
        else:
            decision.effects.add(statement["Effect"])
    return decision


def _simulate_principal_policy(self: IamResponse) -> ActionResult:
    documents = _documents(self._get_param("PolicySourceArn"))
    actions = self._get_param("ActionNames") or []
    resources = self._get_param("ResourceArns") or ["*"]
    results = [_result(documents, action, resource) for action in actions for resource in resources]
    start = int(self._get_param("Marker") or 0)
    end = start + int(self._get_param("MaxItems") or PAGE)
    more = {"IsTruncated": True, "Marker": str(end)} if end < len(results) else {"IsTruncated": False}
    return ActionResult({"EvaluationResults": results[start:end], **more})


def _result(documents: list[str], action: str, resource: str) -> dict[str, Any]:
    decision = decide(documents, action, resource)
    return {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": decision.word,
        "MatchedStatements": [],
        "MissingContextValues": sorted(decision.missing),
    }


def _documents(arn: str) -> list[str]:
    matched = _PRINCIPAL.fullmatch(arn)
    if matched is None:
        raise InvalidInput(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
    account_id, kind, name = matched.groups()
    backend = iam_backends[account_id]["aws"]
    try:
        found = getattr(backend, f"get_{kind}")(name)
    except (NoSuchEntity, NotFoundException):
        found = None
    if found is None or found.arn != arn:
        raise NotFoundException(f"The {kind} with name {name} cannot be found.")
    holders = [found, *(backend.get_groups_for_user(name) if kind == "user" else [])]
    inline = [policy for holder in holders for policy in holder.policies.values()]
    attached = [_read_default(policy) for holder in holders for policy in holder.managed_policies.values()]
    return [unquote(document) if document.startswith("%") else document for document in (*inline, *attached)]


def _read_default(policy: ManagedPolicy) -> str:
    return next(version.document for version in policy.versions if version.is_default)


def _statements(policies: list[str]) -> Iterator[dict[str, Any]]:
    for policy in policies:
        statements = json.loads(policy)["Statement"]
        yield from statements if isinstance(statements, list) else [statements]


def _is_about(statement: dict[str, Any], action: str, resource: str) -> bool:
    actions = _fits(action.lower(), statement.get("Action"), statement.get("NotAction"), str.lower)
    return actions and _fits(resource, statement.get("Resource"), statement.get("NotResource"), str)


def _fits(value: str, wanted: Any, unwanted: Any, form: Any) -> bool:
    patterns = wanted if unwanted is None else unwanted
    listed = patterns if isinstance(patterns, list) else [patterns]
    # `[` means itself in IAM.
    is_listed = any(fnmatch.fnmatchcase(value, form(pattern).replace("[", "[[]")) for pattern in listed)
    return is_listed == (unwanted is None)
