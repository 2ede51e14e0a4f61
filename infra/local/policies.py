"""
ListEntitiesForPolicy where moto does less: who has a policy as a permissions boundary is listed too.

IAM leaves those out where PolicyUsageFilter is PermissionsPolicy (IAM's API reference). A reader that takes a boundary
for a permission must not get away with it.
"""

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.responses import IamResponse

from infra.local.mend import replace


def install() -> None:
    """Mend moto's IAM."""
    replace(IamResponse, "list_entities_for_policy", _mend)


def _mend(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def list_entities(self: Any) -> ActionResult:
        result = original(self).result
        asked = {name: self._get_param(name) for name in ("PolicyArn", "EntityFilter", "PolicyUsageFilter")}
        bounded = []
        if asked["PolicyUsageFilter"] != "PermissionsPolicy" and asked["EntityFilter"] in {None, "Role"}:
            bounded = [
                role for role in self.backend.roles.values() if role.permissions_boundary_arn == asked["PolicyArn"]
            ]
        kept = [] if asked["PolicyUsageFilter"] == "PermissionsBoundary" else result["PolicyRoles"]
        return ActionResult({**result, "PolicyRoles": kept + [role for role in bounded if role not in kept]})

    return list_entities
