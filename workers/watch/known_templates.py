"""
Whose launch template one is that an event names: kept in memory, for each write of ours is an event, too.

All source servers of an account are read to find out. A launch template belongs to one source server for good, so what
is known stays right, and whoever uses it compares it with the source server's own record. That one is nobody's here,
but another team's, say, only a reading can tell that was begun after it was asked for: many who ask at a time wait for
one.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from workers.watch.standing import Standings


@dataclass(slots=True)
class _Known:
    begun: int = 0
    """How many readings were begun."""
    read: int = 0
    """Which of them the owners are from."""
    owners: Mapping[str, str] = field(default_factory=dict)
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)


class KnownTemplates:
    """Launch templates of the source servers in groups."""

    def __init__(self, standings: Standings) -> None:
        self._standings = standings
        self._known: defaultdict[tuple[str, str], _Known] = defaultdict(_Known)

    async def find(self, account_id: str, region: str, launch_template_id: str) -> str | None:
        """
        Find the source server that a launch template belongs to.

        Parameters:
            account_id: The account.
            region: The Region.
            launch_template_id: The launch template.

        Returns:
            The source server's id; None where no group had one with this template when it was asked.
        """
        known = self._known[account_id, region]
        if launch_template_id not in known.owners:
            begun_before = known.begun
            async with known.one_at_a_time:
                if launch_template_id not in known.owners and known.read <= begun_before:
                    known.begun += 1
                    number = known.begun
                    known.owners = await self._standings.read_launch_templates(account_id, region)
                    known.read = number
        return known.owners.get(launch_template_id)
