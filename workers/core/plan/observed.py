"""What AWS holds for one source server, as plain values. Read by adapters, never made up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workers.core.model.launch_config import Json


@dataclass(frozen=True, slots=True)
class ObservedConfiguration:
    """A launch configuration as DRS answers it."""

    values: Mapping[str, Json]
    """Our field names with the values that DRS holds; what DRS left out is absent."""
    launch_template_id: str
    """The launch template that DRS launches this source server from."""


@dataclass(frozen=True, slots=True)
class ObservedTemplate:
    """The default version of a launch template, in the shape of a *request*."""

    template_id: str
    version: int
    """Number of the version that was the default when it was read."""
    data: Mapping[str, Any]
    """Launch template data as EC2 takes it: members that only answers have are dropped."""
    begun_at: datetime
    """When the read began: an observation is as old as its beginning."""
