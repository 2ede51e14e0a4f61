"""
EC2 launch templates: the default version is read, a version is created from it, exactly that one is promoted.

A template is never recreated, for DRS needs its tag; `$Latest` is never promoted, for others write versions too.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from botocore.model import ListShape, Shape, StructureShape

from workers.aws.calls import Calls
from workers.core.errors import AccessDenied, InvalidLaunchConfig, StaleTemplate, VersionRefused
from workers.core.model.group import Target
from workers.core.plan.observed import ObservedTemplate
from workers.core.plan.plan import CreateTemplateVersion
from workers.core.ports import Clock, Guard

PAGE = 200
"""Versions a call. Source: EC2 API reference, DescribeLaunchTemplateVersions, MaxResults."""

LIMIT_CODES = "LimitExceeded"
"""How EC2's codes for a limit that is reached end; that for 10,000 versions of a launch template is not documented."""
DENIED_CODE = "UnauthorizedOperation"
MANAGED_TAG = "AWSElasticDisasterRecoveryManaged"
"""By it DRS's policies let a launch template be written (DRS user guide; AWS managed policies)."""


class Ec2LaunchTemplates:
    """Launch templates over the EC2 API."""

    def __init__(self, calls: Calls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock

    async def read_default(self, target: Target, template_id: str) -> ObservedTemplate:
        """Read the default version, in the shape of a request."""
        begun_at = self._clock()
        request = {"LaunchTemplateId": template_id, "Versions": ["$Default"]}
        answer = await self._calls.call(target, "ec2", "DescribeLaunchTemplateVersions", request)
        versions = answer["LaunchTemplateVersions"]
        if not versions:
            raise StaleTemplate(f"{template_id} has no default version any more.")
        return _observe(template_id, versions[0], await self._find_shape(target), begun_at)

    async def read_all_defaults(self, target: Target) -> Mapping[str, ObservedTemplate]:
        """Read the default version of every template of the account and Region, 200 a call."""
        # Source: EC2 API reference, DescribeLaunchTemplateVersions without a template: its versions are `$Default`.
        request: dict[str, Any] = {"Versions": ["$Default"], "MaxResults": PAGE}
        shape = await self._find_shape(target)
        found: dict[str, ObservedTemplate] = {}
        while True:
            begun_at = self._clock()
            page = await self._calls.call(target, "ec2", "DescribeLaunchTemplateVersions", request)
            for version in page["LaunchTemplateVersions"]:
                template_id = version["LaunchTemplateId"]
                found[template_id] = _observe(template_id, version, shape, begun_at)
            if not page.get("NextToken"):
                return found
            request["NextToken"] = page["NextToken"]

    async def _find_shape(self, target: Target) -> Shape:
        shape = await self._calls.find_input_shape(target, "ec2", "CreateLaunchTemplateVersion")
        data: Shape = shape.members["LaunchTemplateData"]
        return data

    async def read_default_versions(self, target: Target, template_ids: Sequence[str]) -> Mapping[str, int]:
        """Read which version is the default of each of at most 200 templates."""
        request: dict[str, Any] = {"LaunchTemplateIds": list(template_ids)}
        versions: dict[str, int] = {}
        while True:
            page = await self._calls.call(target, "ec2", "DescribeLaunchTemplates", request)
            templates = page["LaunchTemplates"]
            versions.update({each["LaunchTemplateId"]: int(each["DefaultVersionNumber"]) for each in templates})
            if not page.get("NextToken"):
                return versions
            request["NextToken"] = page["NextToken"]

    async def create_version(self, target: Target, step: CreateTemplateVersion, guard: Guard) -> int:
        """Create a version; what EC2 stores with a warning could not be launched, so it is a failure."""
        request: dict[str, Any] = {
            "LaunchTemplateId": step.template_id,
            "ClientToken": step.client_token,
            "VersionDescription": step.description,
            "LaunchTemplateData": dict(step.members),
        }
        if step.inherits:
            request["SourceVersion"] = str(step.source_version)
        answer = await self._write(target, "CreateLaunchTemplateVersion", request, guard)
        warnings = (answer.get("Warning") or {}).get("Errors") or []
        version = int(answer["LaunchTemplateVersion"]["VersionNumber"])
        if warnings:
            raise VersionRefused(
                f"EC2 stored version {version} of {step.template_id} with a warning, and it was not promoted: "
                + "; ".join(f"{warning.get('Code')}: {warning.get('Message')}" for warning in warnings),
                version=version,
                code=warnings[0].get("Code"),
                request_id=answer.get("ResponseMetadata", {}).get("RequestId"),
                operation="ec2.CreateLaunchTemplateVersion",
            )
        return version

    async def promote(self, target: Target, template_id: str, version: int, guard: Guard) -> None:
        """Make this version the default."""
        request = {
            "LaunchTemplateId": template_id,
            "DefaultVersion": str(version),
            # Always a new token: a repeated one would turn a repair into a success that does nothing.
            "ClientToken": str(uuid.uuid4()),
        }
        await self._write(target, "ModifyLaunchTemplate", request, guard)

    async def _write(self, target: Target, operation: str, request: dict[str, Any], guard: Guard) -> Any:
        try:
            return await self._calls.call(target, "ec2", operation, request, guard=guard)
        except (AccessDenied, InvalidLaunchConfig) as error:
            advice = _advise(error, operation, request["LaunchTemplateId"])
            if advice is None:
                raise
            raise type(error)(
                f"{error.message} {advice}", code=error.code, request_id=error.request_id, operation=error.operation
            ) from error


def _advise(error: AccessDenied | InvalidLaunchConfig, operation: str, template_id: str) -> str | None:
    """Say what to do where EC2 does not; None where its words are enough."""
    if error.code.endswith(LIMIT_CODES):
        return (
            f"{template_id} can hold no more versions: delete old ones (ec2 delete-launch-template-versions, never the"
            " default one), then apply again."
        )
    if error.code == DENIED_CODE:
        return (
            f"Allow ec2:{operation} on {template_id}. Where a policy allows that by the tag {MANAGED_TAG}, see whether"
            " the launch template has it still; then apply again."
        )
    return None


def _observe(template_id: str, version: Mapping[str, Any], shape: Shape, begun_at: datetime) -> ObservedTemplate:
    data = to_request_shape(version.get("LaunchTemplateData") or {}, shape)
    return ObservedTemplate(template_id, version["VersionNumber"], data, begun_at)


def to_request_shape(data: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """
    Drop what only an answer has from launch template data, so that it can be sent back.

    Parameters:
        data: ResponseLaunchTemplateData, as botocore parsed it.
        shape: RequestLaunchTemplateData, as botocore's model of EC2 has it.

    Returns:
        What a request knows of it.
    """
    pruned = _prune(data, shape)
    return pruned if isinstance(pruned, dict) else {}


def _prune(value: Any, shape: Shape) -> Any:
    match shape:
        case StructureShape():
            known = {name: value[name] for name in value if name in shape.members}
            return {name: _prune(member, shape.members[name]) for name, member in known.items()}
        case ListShape():
            return [_prune(member, shape.member) for member in value]
        case _:
            return value
