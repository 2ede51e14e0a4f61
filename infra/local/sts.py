"""
moto's STS made to ask: a role is assumed only if it exists and its trust policy lets the caller in.

As it comes, moto hands out credentials of any role to anyone with any ExternalId. A condition that is not
understood here must never let a caller in.
"""

import fnmatch
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends
from moto.sts.responses import TokenResponse

from infra.local.aws_errors import query_error_body
from infra.local.mend import replace
from infra.local.simulation import allow_all

_PARTITION = "aws"
_ROLE_ARN = re.compile(r"arn:aws:iam::(\d{12}):role/.+")


def install() -> None:
    """Mend moto's STS."""
    replace(TokenResponse, "assume_role", _asking)


def put_role(account_id: str, role_name: str, external_id: str | None, trusted_account_id: str) -> None:
    """
    Make a role, or replace it.

    Parameters:
        account_id: Where the role is.
        role_name: Its name.
        external_id: What a caller must bring, if anything.
        trusted_account_id: Whose callers may assume it.
    """
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{trusted_account_id}:root"},
        "Action": "sts:AssumeRole",
    }
    if external_id is not None:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    backend = iam_backends[account_id][_PARTITION]
    try:
        backend.get_role(role_name).assume_role_policy_document = policy
    except NotFoundException:
        made = backend.create_role(
            role_name=role_name,
            assume_role_policy_document=policy,
            path="/",
            permissions_boundary=None,
            description="",
            tags=[],
            max_session_duration="3600",
        )
        allow_all(made)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for a role."""

    arn: str
    account_id: str
    external_id: str | None

    def facts(self) -> dict[str, str]:
        """Give the condition keys that are known, in small letters: AWS compares them so."""
        facts = {"aws:principalarn": self.arn, "aws:principalaccount": self.account_id}
        if self.external_id is not None:
            facts["sts:externalid"] = self.external_id
        return facts


def may_assume(trust_policy: str, caller: Caller) -> bool:
    """
    Tell whether a trust policy lets a caller in: one statement allows it and none denies it.

    Parameters:
        trust_policy: The role's policy, JSON.
        caller: Who asks.

    Returns:
        True if the caller may have the role.
    """
    statements = _as_list(json.loads(trust_policy).get("Statement"))
    effects = {statement.get("Effect") for statement in statements if _applies(statement, caller)}
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: dict[str, Any], caller: Caller) -> bool:
    actions = [action.lower() for action in _as_list(statement.get("Action"))]
    if not any(fnmatch.fnmatchcase("sts:assumerole", action) for action in actions):
        return False
    if not any(_is_principal(principal, caller) for principal in _aws_principals(statement.get("Principal"))):
        return False
    denies = statement.get("Effect") == "Deny"
    return all(
        _holds(operator, key, _as_list(wanted), caller.facts(), unknown=denies)
        for operator, keys in (statement.get("Condition") or {}).items()
        for key, wanted in keys.items()
    )


def _aws_principals(principal: Any) -> list[str]:
    return ["*"] if principal == "*" else _as_list((principal or {}).get("AWS"))


def _is_principal(principal: str, caller: Caller) -> bool:
    account_root = f"arn:{_PARTITION}:iam::{caller.account_id}:root"
    return principal in {"*", caller.arn, caller.account_id, account_root}


def _holds(operator: str, key: str, wanted: list[Any], facts: dict[str, str], *, unknown: bool) -> bool:
    fact = facts.get(key.lower())
    match operator:
        case "StringEquals" | "ArnEquals":
            return fact in wanted
        case "StringLike" | "ArnLike":
            return fact is not None and any(fnmatch.fnmatchcase(fact, pattern) for pattern in wanted)
        case "StringNotEquals":
            return fact not in wanted
        case _:
            return unknown


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _asking(original: Callable[[TokenResponse], Any]) -> Callable[[TokenResponse], Any]:
    def assume_role(self: TokenResponse) -> Any:
        caller = _caller(self)
        role_arn = self._get_param("RoleArn")
        policy = _trust_policy(role_arn)
        if policy is None or not may_assume(policy, caller):
            message = f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
            return query_error_body(403, "AccessDenied", message), {"status": 403, "Content-Type": "text/xml"}
        return original(self)

    return assume_role


def _caller(request: TokenResponse) -> Caller:
    account_id, key = request.current_account, request.get_access_key()
    external_id = request._get_param("ExternalId")  # noqa: SLF001 - moto's own way for its responses
    role = sts_backends[account_id][_PARTITION].get_assumed_role_from_access_key(key)
    if role:
        return Caller(role.role_arn, account_id, external_id)
    user = iam_backends[account_id][_PARTITION].get_user_from_access_key_id(key)
    return Caller(user.arn if user else f"arn:{_PARTITION}:iam::{account_id}:root", account_id, external_id)


def identify(account_id: str, access_key_id: str) -> dict[str, Any]:
    """
    Tell who an access key belongs to, in the words of CloudTrail's `userIdentity`.

    Parameters:
        account_id: The account of the key.
        access_key_id: The key.

    Returns:
        The identity: an assumed role, a user, or the account's root for a key that nobody gave out.
    """
    key = {"accountId": account_id, "accessKeyId": access_key_id}
    role = sts_backends[account_id][_PARTITION].get_assumed_role_from_access_key(access_key_id)
    if role:
        issuer = {"type": "Role", "arn": role.role_arn, "accountId": account_id}
        issuer |= {"principalId": role.user_id.partition(":")[0], "userName": role.role_arn.rpartition("/")[2]}
        session = {"sessionIssuer": issuer, "attributes": {"mfaAuthenticated": "false"}}
        return {
            "type": "AssumedRole",
            "principalId": role.user_id,
            "arn": role.arn,
            **key,
            "sessionContext": session,
        }
    user = iam_backends[account_id][_PARTITION].get_user_from_access_key_id(access_key_id)
    if user:
        return {"type": "IAMUser", "principalId": user.id, "arn": user.arn, **key, "userName": user.name}
    return {"type": "Root", "principalId": account_id, "arn": f"arn:{_PARTITION}:iam::{account_id}:root", **key}


def _trust_policy(role_arn: str) -> str | None:
    matched = _ROLE_ARN.fullmatch(role_arn)
    if matched is None:
        return None
    try:
        role = iam_backends[matched[1]][_PARTITION].get_role_by_arn(role_arn)
    except NotFoundException:
        return None
    return role.assume_role_policy_document or None
