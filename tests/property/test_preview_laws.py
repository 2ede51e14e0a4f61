"""Laws of the plan that is shown: it is what an apply run does, and nothing is left of it afterwards."""

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given

from tests.fakes.launch_templates import request_shape, template_data
from tests.fakes.source_server import FakeSourceServer
from tests.fakes.strategies import effective_launch_configs
from tests.unit.test_bring import HELD, bring
from workers.apply.bring import ObservationTooYoung
from workers.aws.templates import to_request_shape
from workers.core.model.group import Target
from workers.core.model.launch_config import LaunchConfig
from workers.core.plan.drift import DriftItem
from workers.core.server_plan import NOTHING_SEEN, ServerPlanner, Step

LONG = timedelta(minutes=1)


async def preview(fake: FakeSourceServer, desired: LaunchConfig) -> tuple[Step, ...]:
    planner = ServerPlanner(fake, fake)
    return await planner.plan(Target("us-east-1"), "s-0123456789abcdefg", desired, NOTHING_SEEN)


@given(desired=effective_launch_configs(), data=template_data())
async def test_what_is_planned_is_what_is_applied_and_then_nothing_is_left(
    desired: LaunchConfig, data: dict[str, object]
) -> None:
    """Planning writes nothing; the run's journal holds the planned fields, each once; planned again: nothing to do."""
    fake = FakeSourceServer(HELD, to_request_shape(data, request_shape()))
    planned = await preview(fake, desired)
    assert set(fake.calls) <= {"drs.read", "ec2.read"}
    journal: list[tuple[DriftItem, ...]] = []

    def write_down(drift: Sequence[DriftItem]) -> None:
        journal.append(tuple(drift))

    try:
        await bring(fake, desired, journal=write_down)
    except ObservationTooYoung:
        fake.now += LONG
        await bring(fake, desired, journal=write_down)
    assert journal == [step.drift for step in planned]
    fake.now += LONG
    assert await preview(fake, desired) == ()
