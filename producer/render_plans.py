"""What AWS holds now beside what is wanted, as JSON. See `render`."""

from collections.abc import Iterable, Sequence
from typing import Any

from workers.core.plan.drift import DriftItem
from workers.core.plan.plan import CreateTemplateVersion, UpdateLaunchConfiguration
from workers.core.preview import GroupPlan, ServerPlan
from workers.core.server_plan import Step
from workers.core.store.records import FieldChange, to_item


def render_plan(plan: GroupPlan) -> dict[str, Any]:
    """Render what an apply run would do with a page of a group's members."""
    answer = {
        "groupId": plan.view.head.group_id,
        "version": plan.view.head.version,
        "serverPlans": {
            server.source_server_id: {
                "steps": [_step(step) for step in server.steps],
                "errors": _errors(server),
            }
            for server in plan.servers
        },
    }
    return answer if plan.next_token is None else {**answer, "nextToken": plan.next_token}


def render_live(server: ServerPlan) -> dict[str, Any]:
    """Render what of a source server is not as it is wanted."""
    return {"drift": [field for step in server.steps for field in render_fields(step.drift)], "errors": _errors(server)}


def render_fields(fields: Iterable[DriftItem | FieldChange]) -> list[dict[str, Any]]:
    """Render fields, observed and desired."""
    return [{"field": each.field, "observed": each.observed, "desired": each.desired} for each in fields]


def _step(step: Step) -> dict[str, Any]:
    match step:
        case UpdateLaunchConfiguration():
            return {"step": "drs.UpdateLaunchConfiguration", "fields": render_fields(step.drift)}
        case CreateTemplateVersion():
            # Creating alone changes nothing for DRS: the number that EC2 answers is promoted with it.
            return {
                "step": "ec2.CreateLaunchTemplateVersion",
                "launchTemplateId": step.template_id,
                "sourceVersion": step.source_version,
                "fields": render_fields(step.drift),
            }


def _errors(server: ServerPlan) -> Sequence[dict[str, Any]]:
    return [to_item(server.error)] if server.error is not None else []
