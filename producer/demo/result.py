"""What the demo found, and whether it is what was promised. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Calls = Mapping[str, Mapping[str, int]]
"""Call name to `count` and `throttled`."""
CONFIG_CALLS = (
    "drs.GetLaunchConfiguration",
    "drs.UpdateLaunchConfiguration",
    "ec2.CreateLaunchTemplateVersion",
    "ec2.ModifyLaunchTemplate",
    "ec2.DescribeLaunchTemplates",
    "ec2.DescribeLaunchTemplateVersions",
)
"""Calls about settings: a wave over ready groups makes none of them."""


@dataclass(frozen=True, slots=True)
class Found:
    """One field that somebody else changed, as the history of a run names it."""

    group: str
    source_server_id: str
    field: str
    observed: Any
    desired: Any

    def to_body(self) -> dict[str, Any]:
        """Render as the doors do."""
        return {
            "sourceServerId": self.source_server_id,
            "field": self.field,
            "observed": self.observed,
            "desired": self.desired,
        }


@dataclass(frozen=True, slots=True)
class Drift:
    """What came of the launch templates that were edited from outside."""

    edited: Sequence[str]
    """The source servers whose launch templates they are."""
    found: Sequence[Found]
    found_seconds: float
    """From the request to watch until the groups had settled."""
    repaired_servers: int
    """How many source servers the repair touched."""
    repair_seconds: float
    restored_templates: int
    """How many of them hold all that they held before, and nothing else."""
    watch_calls: Calls
    repair_calls: Calls


@dataclass(frozen=True, slots=True)
class Result:
    """The demo's figures."""

    groups: list[dict[str, Any]]
    """As at the end."""
    failure: Mapping[str, Any]
    reapplied_servers: int
    drift: Drift
    ready_seconds: float
    """From the first POST until both groups were settled."""
    wave_path: str
    wave_seconds: float
    """From the request to the answer of the last StartRecovery."""
    serial_seconds: float
    calls: Mapping[str, Calls]

    @property
    def reduction(self) -> float:
        """Tell by which share the wave starts earlier."""
        return 1 - self.wave_seconds / self.serial_seconds

    def count_config_calls(self, part: str) -> int:
        """Count the calls about settings in `wave` or `serial`."""
        return sum(self.calls[part].get(name, {"count": 0})["count"] for name in CONFIG_CALLS)

    def to_json(self) -> str:
        """Render as one JSON object."""
        figures = {
            "groups": self.groups,
            "failure": {name: self.failure[name] for name in ("sourceServerId", "code", "message")},
            "correction": {"reappliedServers": self.reapplied_servers},
            "drift": {
                "editedTemplates": len(self.drift.edited),
                "found": [each.to_body() for each in self.drift.found],
                "foundSeconds": round(self.drift.found_seconds, 3),
                "repairedServers": self.drift.repaired_servers,
                "repairSeconds": round(self.drift.repair_seconds, 3),
                "restoredTemplates": self.drift.restored_templates,
            },
            "readySeconds": round(self.ready_seconds, 3),
            "wave": {
                "path": self.wave_path,
                "configCalls": self.count_config_calls("wave"),
                "requestToStartSeconds": round(self.wave_seconds, 3),
            },
            "serial": {
                "configCalls": self.count_config_calls("serial"),
                "requestToStartSeconds": round(self.serial_seconds, 3),
            },
            "reduction": round(self.reduction, 4),
            "calls": self.calls,
        }
        return json.dumps(figures, indent=2)

    def find_problems(self) -> list[str]:
        """Say what came out otherwise than it should; nothing here is about speed."""
        checks = {
            "Not every group is ready at the end.": all(group["status"] == "ready" for group in self.groups),
            "Not exactly one source server failed.": self.failure["sourceServerId"] is not None,
            "The correction touched other source servers too.": self.reapplied_servers == 1,
            "The watch did not name each edited launch template, and no other.": self._names_what_was_edited(),
            "The repair did not touch what was edited alone.": self.drift.repaired_servers == len(self.drift.edited),
            "Not every edited launch template is as it was.": self.drift.restored_templates == len(self.drift.edited),
            "The wave did not take the fast path.": self.wave_path == "fast",
            "The wave made calls about settings.": self.count_config_calls("wave") == 0,
        }
        return [problem for problem, holds in checks.items() if not holds]

    def _names_what_was_edited(self) -> bool:
        return {each.source_server_id for each in self.drift.found} == {*self.drift.edited}
