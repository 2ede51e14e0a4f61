"""
One look at the launch templates of a large run, 200 a call, instead of one read a source server.

It only ever spares a read: a template is taken for right without being read where its default version is the one that
was read back when the same launch config was last verified, for versions never change. Whatever a survey does not
know is read as ever.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial

import structlog

from workers.core.errors import PrelaunchError, StaleTemplate
from workers.core.ports import Clock, LaunchTemplates
from workers.core.priority import Priority, read_priority, use_priority
from workers.core.shared_work import SharedWork
from workers.core.status import Status
from workers.core.store.records import ServerItem
from workers.core.store.runs import Run, RunStore
from workers.core.store.surveys import Survey, Surveyed, SurveyStore

log = structlog.get_logger()

SURVEYED_FROM = 50
"""Runs that list more source servers than this begin with a survey."""
PAGE = 200
"""Launch templates a call. Source: EC2 API reference, DescribeLaunchTemplates."""
LOOKS, LOOK_SECONDS = 10, 0.5
"""How often, and how far apart, it is looked whether another process has made the survey: once, then at each job."""
LONGEST_MAKING = timedelta(seconds=15)
"""So long those wait who could use it, each in a slot; then what there is must do."""
SURVEYS_KEPT = 16


class Surveys:
    """The surveys of the runs that a process is at work on. Belongs to one event loop."""

    def __init__(
        self,
        *,
        runs: RunStore,
        store: SurveyStore,
        templates: LaunchTemplates,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._runs = runs
        self._store = store
        self._templates = templates
        self._clock = clock
        self._sleep = sleep
        self._making = SharedWork()
        self._made: OrderedDict[tuple[str, int], Survey] = OrderedDict()
        self._awaited: deque[tuple[str, int]] = deque(maxlen=SURVEYS_KEPT)
        """Those that another process was waited for in vain."""

    async def find(self, run: Run, item: ServerItem | None) -> Surveyed | None:
        """
        Find what the survey of a run says of a source server's launch template.

        Parameters:
            run: The run.
            item: What is recorded of the source server.

        Returns:
            What was seen, if its version is the one that was last read back with the same launch config; else None.
        """
        if item is None or len(run.listed) <= SURVEYED_FROM or not _is_verified(run, item):
            return None
        survey = await self._find_survey(run)
        surveyed = survey.get(item.launch_template_id or "")
        return surveyed if surveyed is not None and surveyed.version == item.launch_template_version else None

    async def _find_survey(self, run: Run) -> Survey:
        key = (run.group_id, run.head.generation)
        if key not in self._made and read_priority() is not Priority.URGENT:
            # What is urgent waits for no survey, which may be bulk work's: it reads its own template.
            await self._making.join(key, partial(self._survey, run, read_priority()))
        if key not in self._made:
            return {}
        self._made.move_to_end(key)
        return self._made[key]

    async def _survey(self, run: Run, priority: Priority) -> None:
        use_priority(priority)
        key = (run.group_id, run.head.generation)
        try:
            survey = await self._read_or_make(run)
        except PrelaunchError as error:
            # It would only have spared reads.
            log.warning("survey.not_made", group_id=run.group_id, run_id=run.head.run_id, error=error.message)
            survey = {}
        if survey is None:
            # Another process is at it: the next job looks again, and does not wait.
            self._awaited.append(key)
            return
        self._made[key] = survey
        while len(self._made) > SURVEYS_KEPT:
            self._made.popitem(last=False)

    async def _read_or_make(self, run: Run) -> Survey | None:
        group_id, generation = run.group_id, run.head.generation
        for look in range(1 if (group_id, generation) in self._awaited else LOOKS):
            if look:
                await self._sleep(LOOK_SECONDS)
            survey = await self._store.read(group_id, generation)
            if survey is not None:
                return survey
            if await self._store.claim(group_id, generation, self._clock()):
                survey = await self._make(run)
                await self._store.keep(group_id, generation, survey)
                return survey
        return None

    async def _make(self, run: Run) -> Survey:
        items = await self._runs.read_servers(run.group_id)
        verified = (item for item in items.values() if item.source_server_id in run.listed and _is_verified(run, item))
        ids = sorted(item.launch_template_id for item in verified if item.launch_template_id)
        survey: dict[str, Surveyed] = {}
        try:
            async with asyncio.timeout(LONGEST_MAKING.total_seconds()):
                for start in range(0, len(ids), PAGE):
                    survey.update(await self._read_page(run, ids[start : start + PAGE]))
        except (PrelaunchError, TimeoutError) as error:
            # What keeps one page from being read keeps the next one too: those that are left are read one by one.
            log.warning("survey.cut_short", run_id=run.head.run_id, templates=len(survey), error=str(error))
        log.info("survey.made", group_id=run.group_id, run_id=run.head.run_id, templates=len(survey))
        return survey

    async def _read_page(self, run: Run, ids: Sequence[str]) -> Survey:
        begun_at = self._clock()
        try:
            versions = await self._templates.read_default_versions(run.target, ids)
        except StaleTemplate as error:
            # One template that is gone fails the whole page: those on it are read one by one.
            log.info("survey.page_failed", run_id=run.head.run_id, error=error.message)
            return {}
        return {each: Surveyed(each, version, begun_at) for each, version in versions.items()}


def _is_verified(run: Run, item: ServerItem) -> bool:
    """Tell whether the template's recorded version was read back with the launch config that is wanted now."""
    wanted = run.config_hashes.get(item.source_server_id)
    return item.status is Status.READY and item.config_hash == wanted and item.launch_template_version is not None
