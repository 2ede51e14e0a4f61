"""Choose which templates and versions a describe call is about. Only reads."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from infra.local.launch_templates.exceptions import (
    InvalidParameterCombination,
    InvalidParameterValue,
    MissingParameter,
)
from infra.local.launch_templates.models import LaunchTemplateBackend
from infra.local.launch_templates.template import LaunchTemplate, TemplateVersion

Selected = Iterator[tuple[LaunchTemplate, TemplateVersion]]

MOST_NAMED = 200
_OF_ALL = frozenset({"$Default", "$Latest"})


def select_versions(backend: LaunchTemplateBackend, parameters: dict[str, Any], moment: datetime) -> Selected:
    """
    Find the versions that a request names, each once.

    Parameters:
        backend: The account and Region asked.
        parameters: Parameters of DescribeLaunchTemplateVersions.
        moment: For which moment to answer.

    Raises:
        InvalidParameterCombination: Id and name, or versions and a range.
        InvalidParameterValue: More versions are named than a request may name.

    Returns:
        The versions, each with its template.
    """
    template_id, name = parameters.get("LaunchTemplateId"), parameters.get("LaunchTemplateName")
    aliases = parameters.get("Versions", [])
    if template_id is not None and name is not None:
        raise InvalidParameterCombination("Specify either a launch template ID or a launch template name.")
    if len(aliases) > MOST_NAMED:
        raise InvalidParameterValue(f"At most {MOST_NAMED} versions can be named in a request.")
    if template_id is None and name is None:
        return _of_all_templates(backend, aliases, moment)
    template = backend.find_template(template_id, name, moment)
    if aliases and ("MinVersion" in parameters or "MaxVersion" in parameters):
        raise InvalidParameterCombination("Specify either versions or a range of versions.")
    if aliases:
        return _named(backend, template, aliases, moment)
    return _in_range(template, parameters, moment)


def keep_templates(templates: Iterator[LaunchTemplate], filters: list[dict[str, Any]]) -> Iterator[LaunchTemplate]:
    """Keep the launch templates that pass every filter; an unknown filter is InvalidParameterValue."""
    for condition in filters:
        name, wanted = condition.get("Name", ""), frozenset(condition.get("Values", []))
        if name not in ("launch-template-name", "tag-key") and not name.startswith("tag:"):
            raise InvalidParameterValue(f"The filter '{name}' is invalid")
        templates = filter(_template_test(name, wanted), templates)
    return templates


def keep_versions(selected: Selected, filters: list[dict[str, Any]], moment: datetime) -> Selected:
    """Keep the versions that pass every filter; an unknown filter is InvalidParameterValue."""
    for condition in filters:
        name, wanted = condition.get("Name", ""), frozenset(condition.get("Values", []))
        if name not in ("is-default-version", "instance-type", "image-id"):
            raise InvalidParameterValue(f"The filter '{name}' is invalid")
        selected = filter(_version_test(name, wanted, moment), selected)
    return selected


def _template_test(name: str, wanted: frozenset[str]) -> Any:
    if name == "launch-template-name":
        return lambda template: template.name in wanted
    if name == "tag-key":
        return lambda template: not wanted.isdisjoint(template.tags)
    return lambda template: template.tags.get(name.removeprefix("tag:")) in wanted


def _version_test(name: str, wanted: frozenset[str], moment: datetime) -> Any:
    if name == "is-default-version":
        return lambda pair: str(pair[1].number == pair[0].default_at(moment)).lower() in wanted
    member = {"instance-type": "InstanceType", "image-id": "ImageId"}[name]
    return lambda pair: pair[1].data.get(member) in wanted


def _of_all_templates(backend: LaunchTemplateBackend, aliases: list[str], moment: datetime) -> Selected:
    if not aliases:
        raise MissingParameter("LaunchTemplateId, LaunchTemplateName or Versions")
    if not _OF_ALL.issuperset(aliases):
        raise InvalidParameterValue("Of all launch templates only $Default and $Latest can be described.")
    return (pair for template in backend.templates_at(moment) for pair in _named(backend, template, aliases, moment))


def _named(backend: LaunchTemplateBackend, template: LaunchTemplate, aliases: list[str], moment: datetime) -> Selected:
    versions = [backend.find_version(template, alias, moment) for alias in aliases]
    return ((template, version) for version in {version.number: version for version in versions}.values())


def _in_range(template: LaunchTemplate, parameters: dict[str, Any], moment: datetime) -> Selected:
    low = _number(parameters.get("MinVersion", "1"))
    high = _number(parameters.get("MaxVersion", str(len(template.versions))))
    return ((template, template.versions[number]) for number in template.numbers_at(moment) if low <= number <= high)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise InvalidParameterValue(f"Value ({text}) is invalid: it is not a version number.")
    return int(text)
