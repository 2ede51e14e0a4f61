"""Laws of putting back: whatever was applied in between, what is named no more is as if it had never been named."""

from datetime import timedelta
from typing import Any

from hypothesis import assume, example, given

from tests.fakes.launch_templates import meaning, request_shape, template_data
from tests.fakes.source_server import FakeSourceServer
from tests.fakes.strategies import effective_launch_configs
from tests.unit.test_bring import HELD, SETTINGS, make_work
from workers.apply.bring import BringServer, ObservationTooYoung, Trail
from workers.aws.templates import to_request_shape
from workers.core.errors import InvalidLaunchConfig
from workers.core.model.launch_config import LaunchConfig
from workers.core.plan.baseline import NO_BASELINE, Baseline, keep

LONG = timedelta(minutes=1)
ADDRESS = {"subnetId": None, "staticPrivateIp": "10.0.0.7"}
INTO = "launchIntoInstanceProperties"
"""DRS has no way to take it back."""


async def bring(fake: FakeSourceServer, desired: LaunchConfig, baseline: Baseline) -> Baseline:
    """Bring the server to it, and answer what is still to be known of before."""
    bringing = BringServer(configurations=fake, templates=fake, settings=SETTINGS, clock=fake.clock, sleep=fake.sleep)
    trail = Trail()
    fake.now += LONG
    try:
        await bringing.bring(make_work(desired, baseline), trail)
    except ObservationTooYoung:
        fake.now += LONG
        await bringing.bring(make_work(desired, {**trail.taken, **baseline}), trail)
    return keep(desired, {**trail.taken, **baseline})


def left_to_drs(desired: LaunchConfig) -> set[tuple[str, ...]]:
    """Tell which settings of the launch template DRS writes, as long as it is told so: nobody puts them back."""
    address = desired.values.get("copyPrivateIp") is True
    kind = desired.values.get("targetInstanceTypeRightSizingMethod") in {"BASIC", "IN_AWS"}
    paths: list[tuple[str, ...]] = [("nic", "0/0", "PrivateIpAddress")] * address + [("InstanceType",)] * kind
    return set(paths)


def without_into(desired: LaunchConfig) -> LaunchConfig:
    return LaunchConfig({name: value for name, value in desired.values.items() if name != INTO})


@example(first=LaunchConfig(ADDRESS), second=LaunchConfig({"copyPrivateIp": True}), data={})
@given(first=effective_launch_configs(), second=effective_launch_configs(), data=template_data())
async def test_what_was_applied_in_between_leaves_no_trace(
    first: LaunchConfig, second: LaunchConfig, data: dict[str, Any]
) -> None:
    """First one launch config and then another come to what the other alone comes to; then none, to what there was."""
    before = to_request_shape(data, request_shape())
    fake, other = FakeSourceServer(HELD, before), FakeSourceServer(HELD, before)
    first, second = without_into(first), without_into(second)
    try:
        await bring(other, second, NO_BASELINE)
    except InvalidLaunchConfig:
        assume(False)
    baseline = await bring(fake, second, await bring(fake, first, NO_BASELINE))
    left = left_to_drs(second)
    ours = [{path: value for path, value in meaning(each.data()).items() if path not in left} for each in (fake, other)]
    assert ours[0] == ours[1]
    assert fake.drs == other.drs
    assert await bring(fake, LaunchConfig(), baseline) == {}
    assert meaning(fake.data()) == meaning(before)
    assert fake.drs == dict(HELD)
