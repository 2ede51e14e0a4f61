"""What the demo found, and whether it is what was promised. Pure."""

import json
from collections.abc import Mapping
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
class Result:
    """The demo's figures."""

    groups: list[dict[str, Any]]
    """As at the end."""
    failure: Mapping[str, Any]
    reapplied_servers: int
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
            "The wave did not take the fast path.": self.wave_path == "fast",
            "The wave made calls about settings.": self.count_config_calls("wave") == 0,
        }
        return [problem for problem, holds in checks.items() if not holds]
