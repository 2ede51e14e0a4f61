"""
Laws of applying, over the whole product: doors, queue, workers and the twin of DRS and EC2.

For any launch template that DRS and people could leave, any launch configuration and any launch config.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
from hypothesis import given

from tests.fakes.launch_templates import meaning, members_tried, request_shape, response_shape, template_data
from tests.fakes.strategies import effective_launch_configs, held_launch_configurations
from tests.fakes.twin.door import open_door
from tests.fakes.twin.fleet import Fleet
from tests.fakes.twin.servers import Template
from tests.fakes.twin.world import World
from tests.fakes.virtual_time import run_virtually
from tests.fakes.wanted import expected_meaning
from tests.faults.scenarios import WITHIN, A
from workers.aws.templates import to_request_shape
from workers.core.model.launch_config import FIELDS, Half, LaunchConfig

HELD = {
    "copyPrivateIp": False,
    "copyTags": False,
    "targetInstanceTypeRightSizingMethod": "NONE",
    "launchDisposition": "STARTED",
    "licensing": {"osByol": False},
    "postLaunchEnabled": False,
    # Of a later release: nothing of ours.
    "recoveryMode": "OPTIMAL",
}
"""A launch configuration that no launch config conflicts with."""
CREATE, PROMOTE, UPDATE = "create_launch_template_version", "modify_launch_template", "update_launch_configuration"
_CONFIGS = effective_launch_configs().filter(lambda config: bool(config.values))


@dataclass(frozen=True)
class Stage:
    """One group of one source server, over the twin."""

    world: World
    fleet: Fleet
    door: httpx.AsyncClient
    desired: LaunchConfig

    @property
    def template(self) -> Template:
        return self.world.servers.template_of(A)

    def means(self) -> dict[tuple[str, ...], Any]:
        """What DRS would launch, setting by setting."""
        return meaning(to_request_shape(self.template.data, request_shape()))

    def holds(self) -> dict[str, Any]:
        """What DRS holds."""
        return dict(self.world.servers.configurations[A])

    def leave(self, data: dict[str, Any], held: dict[str, Any]) -> None:
        """Leave the source server as somebody else would."""
        self.template.promote(self.template.add(data), self.world.seconds())
        self.world.servers.configurations[A] = dict(held)

    async def create(self) -> str:
        """Create the group, and let its run settle; answer where it is."""
        body = {"groupName": "web", "region": "us-east-1", "sourceServerIds": [A]} | {
            "servers": [{"sourceServerId": A, "launchConfig": self.desired.to_json()}]
        }
        answer = await self.door.post("/protection-groups", json=body)
        assert answer.status_code == 201, answer.text
        await self.fleet.settle(WITHIN)
        return answer.headers["Location"]

    async def apply(self, group: str) -> None:
        """Apply everything anew, and let it settle."""
        answer = await self.door.post(f"{group}/apply-launch-configs", json={"force": True})
        assert answer.status_code == 202, answer.text
        await self.fleet.settle(WITHIN)

    async def server(self, group: str) -> dict[str, Any]:
        """Ask for the source server's status."""
        answer = await self.door.get(f"{group}/launch-config-status")
        found: dict[str, Any] = answer.json()["serverConfigs"][A]
        return found

    async def plan(self, group: str) -> dict[str, Any]:
        """Ask for the source server's plan."""
        answer = await self.door.get(f"{group}/launch-config-plan")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["serverPlans"][A]
        return found

    async def changes(self, group: str) -> list[dict[str, Any]]:
        """Ask what the newest run changed."""
        runs = (await self.door.get(f"{group}/apply-runs")).json()["applyRuns"]
        run = (await self.door.get(f"{group}/apply-runs/{runs[0]['runId']}")).json()
        changed: list[dict[str, Any]] = [field for change in run["changes"] for field in change["fields"]]
        return changed

    def writes(self, begun: int = 0) -> dict[str, int]:
        """Count the writes to DRS and EC2 from a call on."""
        return dict(Counter(call.operation for call in self.world.calls[begun:] if call.is_target_write))


def play(desired: LaunchConfig, data: dict[str, Any], story: Callable[[Stage], Awaitable[None]]) -> None:
    """Play a story over a source server whose template holds the data."""

    async def tell() -> None:
        world = World()
        fleet = Fleet(world)
        world.servers.add(A)
        world.servers.configurations[A] = dict(HELD)
        template = world.servers.template_of(A)
        template.versions = {1: data}
        async with open_door(fleet) as door:
            await story(Stage(world, fleet, door, desired))

    run_virtually(tell)


@given(desired=_CONFIGS, data=template_data())
def test_applying_changes_our_fields_and_no_other(desired: LaunchConfig, data: dict[str, Any]) -> None:
    """Member by member, interface by interface, tag by tag; of DRS's half the fields that are wanted alone."""

    async def story(stage: Stage) -> None:
        before = stage.means()
        group = await stage.create()
        assert (await stage.server(group))["errors"] == []
        assert stage.means() == expected_meaning(desired, before)
        wanted = {name: value for name, value in desired.values.items() if FIELDS[name].half is Half.DRS}
        named = {"name": wanted["name"] or ""} if "name" in wanted else {}
        assert {"name": "", **stage.holds()} == {"name": "", **HELD, **wanted, **named}

    play(desired, data, story)


@given(desired=_CONFIGS, data=template_data())
def test_applying_twice_writes_once(desired: LaunchConfig, data: dict[str, Any]) -> None:
    """What differs is written by one call each, what does not by none; the second time nothing is."""

    async def story(stage: Stage) -> None:
        before, held = stage.means(), {"name": "", **stage.holds()}
        group = await stage.create()
        differs = stage.means() != before
        assert stage.writes() == {
            **({CREATE: 1, PROMOTE: 1} if differs else {}),
            **({UPDATE: 1} if {"name": "", **stage.holds()} != held else {}),
        }
        assert sorted(stage.template.versions) == ([1, 2] if differs else [1])
        begun = len(stage.world.calls)
        await stage.apply(group)
        assert (await stage.server(group))["status"] == "ready"
        assert stage.writes(begun) == {}

    play(desired, data, story)


@given(desired=_CONFIGS, data=template_data(), later=template_data(), held=held_launch_configurations)
def test_plan_then_apply_then_nothing_is_planned(
    desired: LaunchConfig, data: dict[str, Any], later: dict[str, Any], held: dict[str, Any]
) -> None:
    """After whatever others did: the run changes what was planned, field by field, or fails as the plan said."""

    async def story(stage: Stage) -> None:
        group = await stage.create()
        stage.leave(later, held)
        before, begun = stage.means(), len(stage.world.calls)
        plan = await stage.plan(group)
        assert stage.writes(begun) == {}
        await stage.apply(group)
        said = await stage.server(group)
        if plan["errors"]:
            assert (said["status"], stage.writes(begun), stage.means()) == ("failed", {}, before)
            assert [error["message"] for error in said["errors"]] == [error["message"] for error in plan["errors"]]
            return
        assert said["status"] == "ready"
        assert stage.means() == expected_meaning(desired, before)
        planned = [field for step in plan["steps"] for field in step["fields"]]
        assert sorted(await stage.changes(group), key=str) == sorted(planned, key=str)
        assert await stage.plan(group) == {"steps": [], "errors": []}

    play(desired, data, story)


def test_any_member_can_be_in_a_template_that_is_tried() -> None:
    """The laws above speak of every top-level member that EC2 answers."""
    assert members_tried() == set(response_shape().members)
