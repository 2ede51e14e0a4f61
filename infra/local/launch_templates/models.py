"""
What one account and Region holds of launch templates, with EC2's rules for changing it.

Every change is made under the stand-in's one lock, and nothing slow is done under it. A read takes the moment
that it answers for: within the consistency window that is a moment before the latest writes.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from moto.core.base_backend import BackendDict, BaseBackend
from moto.ec2.models import ec2_backends

from infra.local.launch_templates.checks import Finding, find_warnings
from infra.local.launch_templates.exceptions import (
    IdempotentParameterMismatch,
    LaunchTemplateIdMalformed,
    LaunchTemplateIdNotFound,
    LaunchTemplateNameNotFound,
    LaunchTemplateNameTaken,
    UnauthorizedOperation,
    VersionLimitExceeded,
    VersionNotFound,
)
from infra.local.launch_templates.template import ALWAYS, LaunchTemplate, TemplateVersion
from infra.local.world import WORLD

_TEMPLATE_ID = re.compile(r"lt-(?:[0-9a-f]{17}|[0-9a-f]{8})\Z")


class LaunchTemplateBackend(BaseBackend):
    """The launch templates of one account and Region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.templates: dict[str, LaunchTemplate] = {}
        self._ids_by_name: dict[str, str] = {}
        self._answers: dict[tuple[str, str], tuple[str, Any]] = {}

    def read_moment(self) -> datetime:
        """Tell for which moment a read answers now."""
        return WORLD.now() - timedelta(seconds=WORLD.consistency_seconds)

    def once(self, operation: str, token: str | None, parameters: dict[str, Any], act: Callable[[], Any]) -> Any:
        """
        Do something once for a client token.

        Parameters:
            operation: The operation that the token belongs to.
            token: The client token; without one it is always done.
            parameters: Everything else that was asked for.
            act: What to do.

        Raises:
            IdempotentParameterMismatch: The token came before, with other parameters.

        Returns:
            What `act` returned, now or the first time.
        """
        if not token:
            return act()
        digest = hashlib.sha256(json.dumps(parameters, sort_keys=True, default=str).encode()).hexdigest()
        known = self._answers.get((operation, token))
        if known is None:
            known = self._answers[operation, token] = (digest, act())
        elif known[0] != digest:
            raise IdempotentParameterMismatch
        return known[1]

    def first_use(self, operation: str, token: str | None) -> bool:
        """Tell whether a client token is new, whatever else was asked for, and keep it."""
        if not token:
            return True
        known = (operation, token) in self._answers
        self._answers.setdefault((operation, token), ("", None))
        return not known

    def create_template(
        self,
        name: str,
        data: dict[str, Any],
        *,
        tags: dict[str, str],
        description: str | None = None,
        settled: bool = False,
    ) -> LaunchTemplate:
        """
        Make a launch template, whose first version is the default one.

        Parameters:
            name: A name that is free in the account and Region.
            data: Launch template data by the members of the request's shape.
            tags: Tags of the template itself.
            description: The first version's description.
            settled: Whether reads see it at once, even inside a consistency window.

        Raises:
            LaunchTemplateNameTaken: The name is not free.

        Returns:
            The template.
        """
        with WORLD.lock:
            if name in self._ids_by_name:
                raise LaunchTemplateNameTaken
            now = WORLD.now()
            template = LaunchTemplate(
                template_id=self._new_id(name),
                name=name,
                tags=dict(tags),
                created_at=now,
                visible_from=ALWAYS if settled else now,
                created_by=f"arn:{self.partition}:iam::{self.account_id}:root",
            )
            template.add_version(data, description, now, template.visible_from)
            template.defaults.append((template.visible_from, 1))
            self.templates[template.template_id] = template
            self._ids_by_name[name] = template.template_id
            return template

    def create_version(
        self,
        template: LaunchTemplate,
        data: dict[str, Any],
        *,
        source: str | None = None,
        description: str | None = None,
    ) -> TemplateVersion:
        """
        Add a version to a launch template; the default version stays what it was.

        Parameters:
            template: The launch template.
            data: The members that are sent; each replaces that member of the source whole.
            source: Version to inherit every other member from; without one they are lost.
            description: The new version's description.

        Raises:
            VersionLimitExceeded: The template is full.

        Returns:
            The new version. A source that does not exist is VersionNotFound.
        """
        if template.count_versions() >= WORLD.versions_a_template:
            raise VersionLimitExceeded(WORLD.versions_a_template)
        inherited = {} if source is None else self.find_version(template, source, WORLD.now()).data
        now = WORLD.now()
        return template.add_version({**inherited, **data}, description, now, now)

    def warn_of(self, version: TemplateVersion) -> list[Finding]:
        """List what EC2 warns of in a version, which is stored all the same."""
        return find_warnings(version.data, self._group_ids())

    def promote(self, template: LaunchTemplate, alias: str) -> None:
        """Make a version the default one, or raise VersionNotFound."""
        now = WORLD.now()
        template.defaults.append((now, self.find_version(template, alias, now).number))

    def delete_template(self, template: LaunchTemplate) -> None:
        """Take a launch template away, with every version."""
        template.deleted_at = WORLD.now()
        self._ids_by_name.pop(template.name, None)

    def delete_version(self, template: LaunchTemplate, number: int) -> None:
        """Take one version away; its number is never used again."""
        template.versions_deleted_at[number] = WORLD.now()

    def find_template(
        self, template_id: str | None, name: str | None, moment: datetime, *, to_write: bool = False
    ) -> LaunchTemplate:
        """
        Find a launch template by its id or by its name.

        Parameters:
            template_id: The id, if it was named by that.
            name: The name otherwise.
            moment: For which moment to answer.
            to_write: Whether the caller means to change it.

        Raises:
            LaunchTemplateIdMalformed: The id cannot be one.
            LaunchTemplateIdNotFound: No template had this id.
            LaunchTemplateNameNotFound: No template had this name.
            UnauthorizedOperation: The caller may not change it.

        Returns:
            The template.
        """
        if template_id is not None and not _TEMPLATE_ID.match(template_id):
            raise LaunchTemplateIdMalformed(template_id)
        template = self.templates.get(template_id or self._ids_by_name.get(name or "", ""))
        if template is None or not template.exists_at(moment):
            if template_id is None:
                raise LaunchTemplateNameNotFound(name or "")
            raise LaunchTemplateIdNotFound(template_id)
        if to_write and template.writes_denied:
            raise UnauthorizedOperation
        return template

    def find_version(self, template: LaunchTemplate, alias: str, moment: datetime) -> TemplateVersion:
        """Find a version by number, `$Default` or `$Latest`, or raise VersionNotFound."""
        version = template.version_at(alias, moment)
        if version is None:
            raise VersionNotFound(template.template_id, alias)
        return version

    def templates_at(self, moment: datetime) -> Iterator[LaunchTemplate]:
        """Go through the launch templates of a moment."""
        return (template for template in self.templates.values() if template.exists_at(moment))

    def _group_ids(self) -> frozenset[str]:
        groups = ec2_backends[self.account_id][self.region_name].groups
        return frozenset(group_id for in_vpc in list(groups.values()) for group_id in list(in_vpc))

    def _new_id(self, name: str) -> str:
        seed = f"{self.account_id}/{self.region_name}/{len(self.templates)}/{name}"
        return f"lt-0{hashlib.sha256(seed.encode()).hexdigest()[:16]}"


launch_template_backends = BackendDict(LaunchTemplateBackend, "ec2")
