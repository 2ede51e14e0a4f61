"""
The launch-template operations, each a function of one account's templates and of the parameters.

Each runs under the stand-in's lock and must not block.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from infra.local.launch_templates.exceptions import (
    DryRunOperation,
    EC2Error,
    InvalidParameterCombination,
    InvalidParameterValue,
    MissingParameter,
    VersionNotFound,
)
from infra.local.launch_templates.models import LaunchTemplateBackend
from infra.local.launch_templates.paging import UnreadableToken, cut_page
from infra.local.launch_templates.selection import keep_templates, keep_versions, select_versions
from infra.local.launch_templates.template import LaunchTemplate, TemplateVersion
from infra.local.world import WORLD

Parameters = dict[str, Any]
Result = dict[str, Any]

PAGE = 200
TOKEN_LENGTH = 128
DESCRIPTION_LENGTH = 255

_NAME = re.compile(r"[a-zA-Z0-9().\-/_]{3,128}\Z")


def create_launch_template(backend: LaunchTemplateBackend, parameters: Parameters) -> Result:
    """Make a launch template with its first version."""
    _require(parameters, "LaunchTemplateName", "LaunchTemplateData")
    _check_text(parameters)
    if not _NAME.match(parameters["LaunchTemplateName"]):
        raise EC2Error("InvalidLaunchTemplateName.MalformedException", "The launch template name is malformed.")
    _stop_dry_run(parameters)
    tags = _tags_of(parameters)

    def create() -> LaunchTemplate:
        return backend.create_template(
            parameters["LaunchTemplateName"],
            parameters["LaunchTemplateData"],
            tags=tags,
            description=parameters.get("VersionDescription"),
        )

    template = backend.once("Create", parameters.get("ClientToken"), _without_token(parameters), create)
    findings = backend.warn_of(template.versions[1])
    return {"LaunchTemplate": _describe(template, WORLD.now()), **_warning(findings)}


def create_launch_template_version(backend: LaunchTemplateBackend, parameters: Parameters) -> Result:
    """Add a version; the default version stays what it was."""
    _require(parameters, "LaunchTemplateData")
    _check_text(parameters)
    template = _find(backend, parameters)
    _stop_dry_run(parameters)

    def create() -> TemplateVersion:
        return backend.create_version(
            template,
            parameters["LaunchTemplateData"],
            source=parameters.get("SourceVersion"),
            description=parameters.get("VersionDescription"),
        )

    token = parameters.get("ClientToken")
    version = backend.once("CreateVersion", token, _without_token(parameters), create)
    findings = backend.warn_of(version)
    now = WORLD.now()
    return {"LaunchTemplateVersion": _describe_version(template, version, now), **_warning(findings)}


def modify_launch_template(backend: LaunchTemplateBackend, parameters: Parameters) -> Result:
    """Promote a version; a client token that was seen before is a success that does nothing."""
    _require(parameters, "DefaultVersion")
    _check_text(parameters)
    template = _find(backend, parameters)
    _stop_dry_run(parameters)
    backend.find_version(template, parameters["DefaultVersion"], WORLD.now())
    if backend.first_use("Modify", parameters.get("ClientToken")):
        backend.promote(template, parameters["DefaultVersion"])
    return {"LaunchTemplate": _describe(template, WORLD.now())}


def describe_launch_templates(backend: LaunchTemplateBackend, parameters: Parameters) -> Result:
    """List launch templates, 200 at most a call."""
    moment = backend.read_moment()
    ids, names = parameters.get("LaunchTemplateIds", []), parameters.get("LaunchTemplateNames", [])
    if len(ids) > PAGE or len(names) > PAGE:
        raise InvalidParameterValue(f"At most {PAGE} launch templates can be named in a request.")
    _stop_dry_run(parameters)
    named = [backend.find_template(template_id, None, moment) for template_id in ids]
    named += [backend.find_template(None, name, moment) for name in names]
    found = {template.template_id: template for template in named} if ids or names else None
    templates = backend.templates_at(moment) if found is None else iter(found.values())
    kept = keep_templates(templates, parameters.get("Filters", []))
    page, token = _cut((((template.template_id, 0), template) for template in kept), parameters)
    return {"LaunchTemplates": [_describe(template, moment) for template in page], "NextToken": token}


def describe_launch_template_versions(backend: LaunchTemplateBackend, parameters: Parameters) -> Result:
    """List versions of one launch template, or the default or latest ones of all."""
    moment = backend.read_moment()
    _stop_dry_run(parameters)
    selected = select_versions(backend, parameters, moment)
    kept = keep_versions(selected, parameters.get("Filters", []), moment)
    keyed = (((template.template_id, -version.number), (template, version)) for template, version in kept)
    page, token = _cut(keyed, parameters)
    described = [_describe_version(template, version, moment) for template, version in page]
    return {"LaunchTemplateVersions": described, "NextToken": token}


def delete_launch_template(backend: LaunchTemplateBackend, parameters: Parameters) -> Result:
    """Take a launch template away, with every version."""
    template = _find(backend, parameters)
    _stop_dry_run(parameters)
    described = _describe(template, WORLD.now())
    backend.delete_template(template)
    return {"LaunchTemplate": described}


def delete_launch_template_versions(backend: LaunchTemplateBackend, parameters: Parameters) -> Result:
    """Take versions away, each for itself: one that cannot go stops no other."""
    _require(parameters, "Versions")
    if len(parameters["Versions"]) > PAGE:
        raise InvalidParameterValue(f"At most {PAGE} versions can be deleted in a request.")
    template = _find(backend, parameters)
    _stop_dry_run(parameters)
    deleted, kept = [], []
    for alias in parameters["Versions"]:
        identity = {"LaunchTemplateId": template.template_id, "LaunchTemplateName": template.name}
        number = int(alias) if alias.isascii() and alias.isdigit() else None
        error = _delete_version(backend, template, alias)
        if error is None:
            deleted.append({**identity, "VersionNumber": number})
        else:
            kept.append({**identity, "VersionNumber": number, "ResponseError": error})
    return {
        "SuccessfullyDeletedLaunchTemplateVersions": deleted,
        "UnsuccessfullyDeletedLaunchTemplateVersions": kept,
    }


OPERATIONS: dict[str, Callable[[LaunchTemplateBackend, Parameters], Result]] = {
    "CreateLaunchTemplate": create_launch_template,
    "CreateLaunchTemplateVersion": create_launch_template_version,
    "ModifyLaunchTemplate": modify_launch_template,
    "DescribeLaunchTemplates": describe_launch_templates,
    "DescribeLaunchTemplateVersions": describe_launch_template_versions,
    "DeleteLaunchTemplate": delete_launch_template,
    "DeleteLaunchTemplateVersions": delete_launch_template_versions,
}


def _delete_version(backend: LaunchTemplateBackend, template: LaunchTemplate, alias: str) -> Result | None:
    now = WORLD.now()
    try:
        version = backend.find_version(template, alias, now)
    except VersionNotFound as error:
        return {"Code": "launchTemplateVersionDoesNotExist", "Message": error.message}
    if version.number == template.default_at(now):
        return {"Code": "unexpectedError", "Message": "Cannot delete the default launch template version."}
    backend.delete_version(template, version.number)
    return None


def _find(backend: LaunchTemplateBackend, parameters: Parameters) -> LaunchTemplate:
    template_id, name = parameters.get("LaunchTemplateId"), parameters.get("LaunchTemplateName")
    if template_id is None and name is None:
        raise MissingParameter("LaunchTemplateId or LaunchTemplateName")
    if template_id is not None and name is not None:
        raise InvalidParameterCombination("Specify either a launch template ID or a launch template name.")
    return backend.find_template(template_id, name, WORLD.now(), to_write=True)


def _require(parameters: Parameters, *names: str) -> None:
    for name in names:
        if name not in parameters:
            raise MissingParameter(name)


def _check_text(parameters: Parameters) -> None:
    if len(parameters.get("VersionDescription", "")) > DESCRIPTION_LENGTH:
        raise InvalidParameterValue(f"A version description has at most {DESCRIPTION_LENGTH} characters.")
    if len(parameters.get("ClientToken", "")) > TOKEN_LENGTH:
        raise InvalidParameterValue(f"A client token has at most {TOKEN_LENGTH} characters.")


def _stop_dry_run(parameters: Parameters) -> None:
    if parameters.get("DryRun"):
        raise DryRunOperation


def _without_token(parameters: Parameters) -> Parameters:
    return {name: value for name, value in parameters.items() if name != "ClientToken"}


def _tags_of(parameters: Parameters) -> dict[str, str]:
    tags: dict[str, str] = {}
    for specification in parameters.get("TagSpecifications", []):
        if specification.get("ResourceType") != "launch-template":
            raise InvalidParameterValue("Only the resource type launch-template can be tagged in this request.")
        tags.update((tag["Key"], tag.get("Value", "")) for tag in specification.get("Tags", []))
    return tags


def _cut(keyed: Iterator[tuple[tuple[str, int], Any]], parameters: Parameters) -> tuple[list[Any], str | None]:
    limit = parameters.get("MaxResults", PAGE)
    if not 1 <= limit <= PAGE:
        raise InvalidParameterValue(f"Value ( {limit} ) for parameter MaxResults is invalid. Expecting 1 to {PAGE}.")
    try:
        return cut_page(keyed, parameters.get("NextToken"), limit)
    except UnreadableToken as error:
        raise EC2Error("InvalidNextToken", "The specified NextToken is not valid.") from error


def _describe(template: LaunchTemplate, moment: Any) -> Result:
    return {
        "LaunchTemplateId": template.template_id,
        "LaunchTemplateName": template.name,
        "CreateTime": template.created_at,
        "CreatedBy": template.created_by,
        "DefaultVersionNumber": template.default_at(moment),
        "LatestVersionNumber": template.latest_at(moment),
        "Tags": [{"Key": key, "Value": value} for key, value in template.tags.items()],
    }


def _describe_version(template: LaunchTemplate, version: TemplateVersion, moment: Any) -> Result:
    return {
        "LaunchTemplateId": template.template_id,
        "LaunchTemplateName": template.name,
        "VersionNumber": version.number,
        "VersionDescription": version.description,
        "CreateTime": version.created_at,
        "CreatedBy": template.created_by,
        "DefaultVersion": version.number == template.default_at(moment),
        "LaunchTemplateData": _as_response(version.data),
    }


def _as_response(data: Parameters) -> Parameters:
    # EC2's answer holds members that its request refuses: a client that sends it back must drop them.
    if "MetadataOptions" not in data:
        return data
    return {**data, "MetadataOptions": {"State": "pending", **data["MetadataOptions"]}}


def _warning(findings: list[dict[str, str]]) -> Result:
    return {"Warning": {"Errors": findings}} if findings else {}
