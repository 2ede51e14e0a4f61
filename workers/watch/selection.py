"""Find who matches the tags of groups by now, and is no member of them. Reads only; an update takes them in."""

from collections.abc import Sequence

import structlog

from workers.core.errors import PermanentError, RetryableError
from workers.core.model.group import GroupDefinition, Target
from workers.core.model.selection import find_matching
from workers.core.ports import Clock, TargetAccounts
from workers.core.store.groups import GroupStore
from workers.core.store.records import UNLISTED_SHOWN, GroupHead, Unlisted
from workers.core.store.watches import WatchStore
from workers.watch.standing import Standing

log = structlog.get_logger()


class Selections:
    """Notes on each group that tags select who matches them besides its members."""

    def __init__(self, accounts: TargetAccounts, groups: GroupStore, store: WatchStore, clock: Clock) -> None:
        self._accounts = accounts
        self._groups = groups
        self._store = store
        self._clock = clock

    async def note(self, target: Target, standings: Sequence[Standing]) -> None:
        """
        Look once at all source servers of an account and Region, and note what has changed for its groups.

        Parameters:
            target: The account and Region.
            standings: Its groups; those that list their members are passed by, and without others nothing is read.
        """
        try:
            # As each group is now: an update that changes no member leaves its last run as it was.
            now = [(each, await self._read(each.head)) for each in standings]
            is_asked = any(definition.selection_tags for _, definition in now)
            servers = await self._accounts.list_source_servers(target) if is_asked else {}
        except (PermanentError, RetryableError) as error:
            # What is drifted can be found all the same, or the group was deleted meanwhile.
            known = {"account_id": target.account_id, "region": target.region}
            log.warning("watch.tags_not_read", **known, code=error.code, error=error.message)
            return
        tags = {server_id: server.tags for server_id, server in servers.items()}
        for standing, definition in now:
            members, wanted = frozenset(definition.source_server_ids), definition.selection_tags
            matching = find_matching(wanted, tags) if wanted else []
            await self._note(standing, [each for each in matching if each not in members])

    async def _read(self, head: GroupHead) -> GroupDefinition:
        return await self._groups.read_definition(head.group_id, head.version)

    async def _note(self, standing: Standing, found: Sequence[str]) -> None:
        version, before = standing.run.head.config_version, standing.status.unlisted
        after = Unlisted(
            count=len(found),
            source_server_ids=tuple(found[:UNLISTED_SHOWN]),
            config_version=version,
            seen_at=self._clock(),
        )
        was = (before.count, before.source_server_ids) if before and before.config_version == version else (0, ())
        if was != (after.count, after.source_server_ids):
            await self._store.note_unlisted(standing.head.group_id, standing.status, after)
            log.info("watch.unlisted", group_id=standing.head.group_id, count=after.count)
