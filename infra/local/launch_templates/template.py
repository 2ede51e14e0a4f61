"""
A launch template and its versions, with enough of their past to tell what any earlier moment looked like.

A version never changes once it is stored. Nothing here asks for the time: every change and every question
carries its moment, so that a read can answer the state before a write, and a recovery job the state at its
launch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

ALWAYS = datetime.min.replace(tzinfo=UTC)
"""The moment of what was there before anyone looked."""


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """One immutable version of a launch template."""

    number: int
    data: dict[str, Any]
    """Launch template data, by the members of the request's shape. Never changed in place."""
    description: str | None
    created_at: datetime
    visible_from: datetime
    """`created_at`, or `ALWAYS` for what DRS had made before the stand-in was asked."""


@dataclass(slots=True)
class LaunchTemplate:
    """A launch template. Its owner holds the lock around every call."""

    template_id: str
    name: str
    tags: dict[str, str]
    created_at: datetime
    visible_from: datetime
    created_by: str
    versions: dict[int, TemplateVersion] = field(default_factory=dict)
    """Every version that was ever made, by number, in their order: deleted ones too."""
    defaults: list[tuple[datetime, int]] = field(default_factory=list)
    """When which version became the default one, oldest first."""
    versions_deleted_at: dict[int, datetime] = field(default_factory=dict)
    deleted_at: datetime | None = None
    writes_denied: bool = False
    """Whether the caller's policy refuses writes, because the tag that it asks for is gone."""

    def exists_at(self, moment: datetime) -> bool:
        """Tell whether the template was there at a moment."""
        return self.visible_from <= moment and (self.deleted_at is None or moment < self.deleted_at)

    def has_version_at(self, number: int, moment: datetime) -> bool:
        """Tell whether a version was there at a moment."""
        version = self.versions.get(number)
        if version is None or version.visible_from > moment:
            return False
        deleted_at = self.versions_deleted_at.get(number)
        return deleted_at is None or moment < deleted_at

    def default_at(self, moment: datetime) -> int:
        """Tell the number of the default version at a moment at which the template was there."""
        return next(number for promoted_at, number in reversed(self.defaults) if promoted_at <= moment)

    def latest_at(self, moment: datetime) -> int:
        """Tell the highest number at a moment at which the template was there."""
        return next(number for number in reversed(self.versions) if self.has_version_at(number, moment))

    def numbers_at(self, moment: datetime) -> Iterator[int]:
        """Go through the versions of a moment, newest first."""
        return (number for number in reversed(self.versions) if self.has_version_at(number, moment))

    def version_at(self, alias: str, moment: datetime) -> TemplateVersion | None:
        """
        Find a version as it was at a moment.

        Parameters:
            alias: `$Default`, `$Latest` or a number.
            moment: A moment at which the template was there.

        Returns:
            The version, if there was one.
        """
        if alias == "$Default":
            return self.versions[self.default_at(moment)]
        if alias == "$Latest":
            return self.versions[self.latest_at(moment)]
        if alias.isascii() and alias.isdigit() and self.has_version_at(int(alias), moment):
            return self.versions[int(alias)]
        return None

    def add_version(
        self, data: dict[str, Any], description: str | None, now: datetime, visible_from: datetime
    ) -> TemplateVersion:
        """Store a new version under the next number. A number is never used again."""
        version = TemplateVersion(len(self.versions) + 1, data, description, now, visible_from)
        self.versions[version.number] = version
        return version

    def count_versions(self) -> int:
        """Count the versions that were not deleted."""
        return len(self.versions) - len(self.versions_deleted_at)
