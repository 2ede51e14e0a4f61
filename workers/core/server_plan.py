"""
Observe one source server and plan what brings it to its launch config. Over ports; nothing here writes.

The one planner, with two executors: an apply run carries its steps out, a preview shows them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from workers.core.errors import InvalidLaunchConfig, StaleTemplate
from workers.core.model.group import Target
from workers.core.model.launch_config import LaunchConfig
from workers.core.plan.baseline import NO_BASELINE, Baseline, Goal
from workers.core.plan.observed import ObservedConfiguration, ObservedTemplate
from workers.core.plan.plan import (
    CreateTemplateVersion,
    UpdateLaunchConfiguration,
    concerns_template,
    find_observed_conflicts,
    plan_launch_configuration,
    plan_template,
)
from workers.core.ports import LaunchConfigurationReads, LaunchTemplateReads

Step: TypeAlias = UpdateLaunchConfiguration | CreateTemplateVersion
NOTHING_SEEN: Mapping[str, ObservedTemplate] = {}


@dataclass(frozen=True, slots=True)
class PlannedConfiguration:
    """DRS's half: what was read, and what has to be sent."""

    observed: ObservedConfiguration
    step: UpdateLaunchConfiguration | None
    """None where nothing has to change."""


@dataclass(frozen=True, slots=True)
class PlannedTemplate:
    """EC2's half: what was read, and the version that has to be created and promoted."""

    observed: ObservedTemplate
    step: CreateTemplateVersion | None
    """None where nothing has to change."""


class ServerPlanner:
    """Plans what is to be done with source servers."""

    def __init__(self, configurations: LaunchConfigurationReads, templates: LaunchTemplateReads) -> None:
        self._configurations = configurations
        self._templates = templates

    async def plan_configuration(self, target: Target, source_server_id: str, goal: Goal) -> PlannedConfiguration:
        """
        Read DRS's half and plan it.

        Parameters:
            target: Where the source server is.
            source_server_id: The source server.
            goal: What it is to have.

        Returns:
            What was read, and the step.

        Raises:
            InvalidLaunchConfig: DRS holds, in a field that is not ours, what would undo or refuse what is wanted, or
                cannot hold again what it held before us.
        """
        observed = await self._configurations.read(target, source_server_id)
        wrong = [*find_observed_conflicts(goal.desired, observed, goal.put_back), *goal.find_left(observed)]
        if wrong:
            raise InvalidLaunchConfig(" ".join(wrong))
        return PlannedConfiguration(observed, plan_launch_configuration(goal.whole, observed))

    async def plan_template(
        self,
        target: Target,
        template_id: str,
        goal: Goal,
        *,
        salt: int = 0,
        seen: Mapping[str, ObservedTemplate] = NOTHING_SEEN,
    ) -> PlannedTemplate:
        """
        Read EC2's half and plan it.

        Parameters:
            target: Where the launch template is.
            template_id: The launch template that DRS names.
            goal: What the source server is to have.
            salt: 0, or the number of a version of ours that was refused or vanished.
            seen: Default versions that were read already, by template: these are not read again.

        Returns:
            What was read, and the step.

        Raises:
            StaleTemplate: The launch template is not there any more.
        """
        observed = seen.get(template_id) or await self._templates.read_default(target, template_id)
        return PlannedTemplate(observed, plan_template(goal.whole, observed, salt=salt))

    async def plan(
        self,
        target: Target,
        source_server_id: str,
        desired: LaunchConfig,
        seen: Mapping[str, ObservedTemplate],
        *,
        baseline: Baseline = NO_BASELINE,
    ) -> tuple[Step, ...]:
        """
        Plan both halves as they are now, in the order in which they are carried out.

        Parameters:
            target: Where the source server is.
            source_server_id: The source server.
            desired: Its effective launch config.
            seen: Default versions that were read already, by template.
            baseline: What was there before us; what of it is not ours any more is put back.

        Returns:
            The steps; none where there is nothing to do.

        Raises:
            PrelaunchError: It cannot be read, or not be applied.
        """
        goal = Goal(desired, baseline)
        try:
            return await self._plan_once(target, source_server_id, goal, seen)
        except StaleTemplate:
            # DRS recreates templates under another id: as an apply run does, it is asked once more.
            return await self._plan_once(target, source_server_id, goal, NOTHING_SEEN)

    async def _plan_once(
        self, target: Target, source_server_id: str, goal: Goal, seen: Mapping[str, ObservedTemplate]
    ) -> tuple[Step, ...]:
        configuration = await self.plan_configuration(target, source_server_id, goal)
        steps: list[Step] = [configuration.step] if configuration.step is not None else []
        if concerns_template(goal.whole):
            template_id = configuration.observed.launch_template_id
            template = await self.plan_template(target, template_id, goal, seen=seen)
            steps += [template.step] if template.step is not None else []
        return tuple(steps)
