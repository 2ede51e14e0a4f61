"""One source server behind the ports of DRS and EC2: versions, promotion, late reads, scripted failures."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fakes.launch_templates import execute
from workers.core.model.group import Target
from workers.core.model.launch_config import Json
from workers.core.plan.observed import ObservedConfiguration, ObservedTemplate
from workers.core.plan.plan import CreateTemplateVersion
from workers.core.ports import Guard

CALL_TAKES = timedelta(milliseconds=100)


class FakeSourceServer:
    """Keeps the words of both ports; its clock moves with every call and every sleep."""

    def __init__(self, drs: Mapping[str, Json], data: Mapping[str, Any]) -> None:
        self.drs = dict(drs)
        self.now = datetime(2026, 1, 2, tzinfo=UTC)
        self.template_id = "lt-0123456789abcdef0"
        self.versions: dict[int, Mapping[str, Any]] = {1: data}
        self.defaults = [(self.now - timedelta(days=1), 1)]
        """Which version was the default from when on."""
        self.stale = timedelta(0)
        """A read shows the default of so long ago."""
        self.calls: list[str] = []
        self.failures: dict[str, list[Exception | None]] = {}
        """What the next calls of a name raise."""
        self.effects: dict[str, Callable[[], None]] = {}
        """What else happens when a call of a name comes."""
        self.slept: list[float] = []

    def clock(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def promoted(self) -> int:
        return self.defaults[-1][1]

    def data(self) -> Mapping[str, Any]:
        return self.versions[self.promoted()]

    def set_default(self, version: int) -> None:
        self.defaults.append((self.now, version))

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.now += CALL_TAKES
        if effect := self.effects.get(name):
            effect()
        script = self.failures.get(name)
        failure = script.pop(0) if script else None
        if failure is not None:
            raise failure

    async def read(self, _target: Target, _source_server_id: str) -> ObservedConfiguration:
        self._call("drs.read")
        return ObservedConfiguration(dict(self.drs), self.template_id)

    async def update(
        self, _target: Target, _source_server_id: str, fields: Mapping[str, Json], guard: Guard
    ) -> ObservedConfiguration:
        guard.check()
        self.drs |= fields
        self._call("drs.update")
        return ObservedConfiguration(dict(self.drs), self.template_id)

    async def read_default(self, _target: Target, template_id: str) -> ObservedTemplate:
        begun_at = self.now
        self._call("ec2.read")
        assert template_id == self.template_id
        version = [
            number for since, number in self.defaults if since <= max(begun_at - self.stale, self.defaults[0][0])
        ][-1]
        return ObservedTemplate(template_id, version, self.versions[version], begun_at)

    async def read_default_versions(self, _target: Target, template_ids: Sequence[str]) -> Mapping[str, int]:
        self._call("ec2.list")
        return dict.fromkeys(template_ids, self.defaults[-1][1])

    async def read_all_defaults(self, target: Target) -> Mapping[str, ObservedTemplate]:
        return {self.template_id: await self.read_default(target, self.template_id)}

    async def create_version(self, _target: Target, step: CreateTemplateVersion, guard: Guard) -> int:
        guard.check()
        assert step.template_id == self.template_id
        self._call("ec2.create")
        number = max(self.versions) + 1
        source = ObservedTemplate(step.template_id, step.source_version, self.versions[step.source_version], self.now)
        self.versions[number] = execute(step, source).data
        return number

    async def promote(self, _target: Target, _template_id: str, version: int, guard: Guard) -> None:
        guard.check()
        self._call("ec2.promote")
        self.set_default(version)
