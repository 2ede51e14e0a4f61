"""
Surveys: which version of each launch template was the default, and when that was asked; one a run, shared by a fleet.

A survey is never the truth about now: whoever uses it goes by when its page was begun, as with any observation.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from boto3.dynamodb.conditions import Attr

from workers.core.store.records import to_time
from workers.core.store.refusals import ConditionFailed
from workers.core.store.run_writes import padded
from workers.core.store.tables import Tables
from workers.core.store.writes import REMOVE, Write

CLAIMED_FOR = timedelta(seconds=30)
"""How long whoever makes a survey has it to himself: he may have died."""
KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Surveyed:
    """One launch template as a survey saw it."""

    template_id: str
    version: int
    """The default one."""
    begun_at: datetime
    """When the read began that showed it."""


Survey = Mapping[str, Surveyed]
"""By the launch template's id."""


class SurveyStore:
    """Keeps the surveys of runs."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def read(self, group_id: str, generation: int) -> Survey | None:
        """Read the survey of a run; None where it is not made yet."""
        item = await self._tables.get("runs", group_id, padded("survey", generation))
        if item is None or "templates" not in item:
            return None
        seen = json.loads(zlib.decompress(item["templates"]))
        return {each: Surveyed(each, version, datetime.fromisoformat(at)) for each, (version, at) in seen.items()}

    async def claim(self, group_id: str, generation: int, now: datetime) -> bool:
        """Take it on oneself to make the survey; False where somebody else did a moment ago, or has made it."""
        values = {"claimedAt": to_time(now), "expiresAt": int((now + KEPT).timestamp())}
        stale = Attr("claimedAt").not_exists() | Attr("claimedAt").lt(to_time(now - CLAIMED_FOR))
        try:
            await self._tables.write(
                Write(
                    "Update",
                    "runs",
                    (group_id, padded("survey", generation)),
                    values,
                    condition=stale & Attr("templates").not_exists(),
                )
            )
        except ConditionFailed:
            return False
        return True

    async def keep(self, group_id: str, generation: int, survey: Survey) -> None:
        """Keep a survey for whoever is at work on the same run."""
        seen = {each: (surveyed.version, to_time(surveyed.begun_at)) for each, surveyed in survey.items()}
        packed = zlib.compress(json.dumps(seen).encode())
        values = {"templates": packed, "claimedAt": REMOVE}
        await self._tables.write(Write("Update", "runs", (group_id, padded("survey", generation)), values))
