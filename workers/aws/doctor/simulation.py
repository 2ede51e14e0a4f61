"""
May a principal do this? IAM's SimulatePrincipalPolicy says what the policies allow, without a call being made.

It knows the principal's own policies and boundary, and whether Organizations allows it; it does not know policies of
resources or of sessions (IAM's API reference).
"""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from workers.aws.calls import Calls
from workers.core.doctor.ports import Verdict
from workers.core.errors import PrelaunchError
from workers.core.model.group import Target

_ASSUMED_ROLE = re.compile(r"arn:([\w-]+):sts::(\d{12}):assumed-role/([^/]+)/.+")
_PRINCIPAL = re.compile(r"arn:[\w-]+:iam::\d{12}:(user|role|group)/.+")
PAGE = 1000


class Simulation:
    """Asks IAM on behalf of a target."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def ask(self, target: Target, arn: str, resources: Mapping[str, Collection[str]]) -> Sequence[Verdict]:
        """
        Ask what the principal may do.

        Parameters:
            target: Who asks, and where.
            arn: The principal: a user, a role, or a session of one.
            resources: Actions by the resource's ARN.

        Returns:
            A verdict for each action of each resource; what IAM does not tell is not known, and says why.
        """
        principal = _find_principal(arn)
        if principal is None:
            why = f"IAM simulates users and roles, and {arn} is neither"
            return [Verdict(action, None, why) for actions in resources.values() for action in actions]
        # One for all resources with the same actions: there are more resources than kinds of them.
        kinds: dict[tuple[str, ...], list[str]] = {}
        for resource, actions in resources.items():
            kinds.setdefault(tuple(actions), []).append(resource)
        asking = (self._ask(target, principal, actions, arns) for actions, arns in kinds.items())
        return [verdict for found in await asyncio.gather(*asking) for verdict in found]

    async def _ask(
        self, target: Target, principal: str, actions: tuple[str, ...], resources: list[str]
    ) -> Sequence[Verdict]:
        request = {"ActionNames": list(actions), "ResourceArns": resources, "MaxItems": PAGE}
        try:
            found = await self._simulate(target, principal, request)
        except PrelaunchError as error:
            why = f"iam:SimulatePrincipalPolicy of {principal} answered {error.code}: {error.message}"
            return [Verdict(action, None, why) for action in actions]
        return [_read(found, action, resources) for action in actions]

    async def _simulate(self, target: Target, principal: str, request: dict[str, Any]) -> list[Any]:
        try:
            return await self._read_pages(target, {**request, "PolicySourceArn": principal})
        except PrelaunchError as error:
            if error.code != "NoSuchEntity" or ":role/" not in principal:
                raise
        # The ARN of a session leaves out its role's path.
        role = await self._calls.call(target, "iam", "GetRole", {"RoleName": principal.rpartition("/")[2]})
        return await self._read_pages(target, {**request, "PolicySourceArn": role["Role"]["Arn"]})

    async def _read_pages(self, target: Target, request: dict[str, Any]) -> list[Any]:
        results: list[Any] = []
        while True:
            page = await self._calls.call(target, "iam", "SimulatePrincipalPolicy", request)
            results += page["EvaluationResults"]
            if not page.get("IsTruncated"):
                return results
            request = {**request, "Marker": page["Marker"]}


def _find_principal(arn: str) -> str | None:
    """Find whose policies count: those of a session are its role's."""
    session = _ASSUMED_ROLE.fullmatch(arn)
    if session:
        partition, account_id, role = session.groups()
        return f"arn:{partition}:iam::{account_id}:role/{role}"
    return arn if _PRINCIPAL.fullmatch(arn) else None


def _read(results: list[Any], action: str, resources: list[str]) -> Verdict:
    """Read what IAM says of an action on each of the resources: allowed only where it is on all of them."""
    decisions = {name: (decision, missing) for name, decision, missing in _list_decisions(results, action)}
    unsaid = [resource for resource in resources if resource not in decisions]
    if unsaid:
        return Verdict(action, None, f"IAM's simulation says nothing of {unsaid[0]}")
    refused = [(name, *decided) for name, decided in decisions.items() if decided[0] != "allowed"]
    if not refused:
        return Verdict(action, True)
    name, decision, missing = refused[0]
    if missing and decision != "explicitDeny":
        return Verdict(action, None, f"the policies have conditions on {', '.join(missing)}, which a simulation lacks")
    return Verdict(action, False, f"{decision} by IAM's simulation, on {name}")


def _list_decisions(results: list[Any], action: str) -> list[tuple[str, str, list[str]]]:
    found = []
    for result in results:
        if result["EvalActionName"].lower() != action.lower():
            continue
        parts = result.get("ResourceSpecificResults") or []
        found += [
            (part["EvalResourceName"], part["EvalResourceDecision"], part.get("MissingContextValues") or [])
            for part in parts
        ]
        if not parts:
            missing = result.get("MissingContextValues") or []
            found.append((result.get("EvalResourceName", "*"), result["EvalDecision"], missing))
    return found
