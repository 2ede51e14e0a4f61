"""Bringing one source server to its launch config: the safe order, what is believed, and what is not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.guards import ScriptedGuard
from tests.fakes.launch_templates import request_shape, template_data
from tests.fakes.source_server import CALL_TAKES, FakeSourceServer
from tests.fakes.strategies import effective_launch_configs
from workers.apply.bring import BringServer, Brought, ObservationTooYoung, Trail, Work
from workers.aws.templates import to_request_shape
from workers.core.errors import (
    DriftPersists,
    InvalidLaunchConfig,
    LeaseLost,
    ServiceUnavailable,
    StaleTemplate,
)
from workers.core.model.group import Target
from workers.core.model.launch_config import Json, LaunchConfig
from workers.core.plan.baseline import NO_BASELINE, Baseline
from workers.core.plan.drift import DriftItem, find_drs_drift, find_template_drift
from workers.core.plan.observed import ObservedConfiguration, ObservedTemplate
from workers.core.settings import Settings

HELD: Mapping[str, Json] = {
    "copyTags": False,
    "copyPrivateIp": False,
    "targetInstanceTypeRightSizingMethod": "NONE",
    "launchDisposition": "STARTED",
    "licensing": {"osByol": False},
    "postLaunchEnabled": False,
    "name": "",
}
DATA = {"InstanceType": "m5.large", "EbsOptimized": True, "NetworkInterfaces": [{"DeviceIndex": 0}]}
SETTINGS = Settings()
WHOLE_APPLY = ["drs.read", "drs.update", "ec2.read", "ec2.create", "ec2.promote", "ec2.read"]
BOTH_HALVES: Mapping[str, Json] = {"copyTags": True, "instanceType": "r5.xlarge"}


def server() -> FakeSourceServer:
    return FakeSourceServer(HELD, DATA)


def make_work(desired: LaunchConfig, baseline: Baseline = NO_BASELINE) -> Work:
    """Make the work of a server of which nobody wrote anything yet."""

    async def write_down(_drift: Sequence[DriftItem]) -> None:
        return

    return Work(
        target=Target("us-east-1"),
        source_server_id="s-0123456789abcdefg",
        desired=desired,
        last_write_at=None,
        guard=ScriptedGuard(lambda: None),
        journal=write_down,
        baseline=baseline,
    )


async def bring(
    fake: FakeSourceServer,
    desired: Mapping[str, Json] | LaunchConfig,
    *,
    last_write_at: datetime | None = None,
    trail: Trail | None = None,
    lease_lost_at: int | None = None,
    journal: Callable[[Sequence[DriftItem]], None] = lambda _: None,
    baseline: Baseline = NO_BASELINE,
    promoted: tuple[str, int] | None = None,
) -> Brought:
    """Bring the server to it; the lease is lost when the guard is asked for the so-manieth time."""
    asked = iter(range(1, 100))

    def guard() -> None:
        if next(asked) == lease_lost_at:
            raise LeaseLost("too little time left")

    async def write_down(drift: Sequence[DriftItem]) -> None:
        journal(drift)

    work = replace(
        make_work(desired if isinstance(desired, LaunchConfig) else LaunchConfig(desired), baseline),
        last_write_at=last_write_at,
        guard=ScriptedGuard(guard),
        journal=write_down,
        promoted=promoted,
    )
    bringing = BringServer(configurations=fake, templates=fake, settings=SETTINGS, clock=fake.clock, sleep=fake.sleep)
    return await bringing.bring(work, trail or Trail())


async def test_what_changes_is_written_down_before_it_is_sent() -> None:
    """Promise 12: each half's drift is in the journal before the first write of that half; what is right is not."""
    fake = server()
    written: list[tuple[list[str], list[str]]] = []
    await bring(
        fake, BOTH_HALVES, journal=lambda drift: written.append(([item.field for item in drift], list(fake.calls)))
    )
    (drs, before_drs), (ec2, before_ec2) = written
    assert set(drs) | set(ec2) == set(BOTH_HALVES)
    assert "update" not in str(before_drs).lower()
    assert "create" not in str(before_ec2).lower()
    again: list[object] = []
    fake.now += SETTINGS.settle_time
    await bring(fake, BOTH_HALVES, journal=again.append)
    assert again == []


async def test_the_order_is_the_safe_one() -> None:
    """DRS first, for its update may write the template; then read, create from it, promote, read back."""
    fake = server()
    started = fake.now
    brought = await bring(fake, BOTH_HALVES)
    assert fake.calls == WHOLE_APPLY
    assert brought.launch_template_version == fake.promoted() == 2
    assert fake.data() == {**DATA, "InstanceType": "r5.xlarge"}
    assert started <= brought.verified_at < fake.now


async def test_what_drs_writes_into_the_template_is_kept() -> None:
    """The version is created from what the update left, not from what was there before it."""
    fake = server()

    def drs_writes() -> None:
        fake.versions[2] = {**DATA, "NetworkInterfaces": [{"DeviceIndex": 0, "PrivateIpAddress": "10.0.0.9"}]}
        fake.set_default(2)

    fake.effects["drs.update"] = drs_writes
    await bring(fake, {"copyPrivateIp": True, "instanceType": "r5.xlarge"})
    assert fake.data() == {**fake.versions[2], "InstanceType": "r5.xlarge"}


async def test_what_is_right_is_not_written() -> None:
    """A source server that already is as wanted costs two reads, and is verified by them."""
    fake = server()
    brought = await bring(fake, {"copyTags": False, "instanceType": "m5.large"})
    assert fake.calls == ["drs.read", "ec2.read"]
    assert brought.launch_template_version == 1


async def test_a_config_of_drs_alone_touches_no_template() -> None:
    """Where no field stands in the template, it is neither read nor written."""
    fake = server()
    brought = await bring(fake, {"copyTags": True})
    assert fake.calls == ["drs.read", "drs.update"]
    assert brought.launch_template_version is None


async def test_each_half_is_written_only_where_it_drifts() -> None:
    """A right DRS half is not updated because the template is wrong."""
    fake = server()
    await bring(fake, {"copyTags": False, "instanceType": "r5.xlarge"})
    assert "drs.update" not in fake.calls


async def test_a_version_with_a_warning_is_never_promoted() -> None:
    """What EC2 stored with a warning could not be launched: the default stays, and nothing is tried again."""
    fake = server()
    fake.failures["ec2.create"] = [InvalidLaunchConfig("stored with a warning")]
    with pytest.raises(InvalidLaunchConfig):
        await bring(fake, BOTH_HALVES)
    assert fake.calls == WHOLE_APPLY[:4]
    assert fake.promoted() == 1


async def test_the_returned_number_is_promoted() -> None:
    """Others write versions too: exactly the number that the creation answered becomes the default."""
    fake = server()

    def somebody_writes() -> None:
        fake.versions[7] = {"InstanceType": "t3.nano"}

    fake.effects["ec2.create"] = somebody_writes
    fake.effects["ec2.promote"] = lambda: fake.versions.update({9: {"InstanceType": "t3.nano"}})
    await bring(fake, BOTH_HALVES)
    assert fake.promoted() == 8


async def test_an_older_number_is_read_again() -> None:
    """EC2 may answer the state before for some seconds: it is read again with growing waits of a second at most."""
    fake = server()
    fake.stale = timedelta(seconds=4)
    brought = await bring(fake, {"instanceType": "r5.xlarge"})
    assert brought.launch_template_version == 2
    assert fake.calls.count("ec2.read") > 3
    assert fake.slept == sorted(fake.slept)
    assert max(fake.slept) <= 1


async def test_an_answer_that_comes_late_says_nothing_about_now() -> None:
    """A read that began while EC2 may show the state before is read again, however long its answer took."""
    fake = server()
    fake.stale = timedelta(seconds=1)

    def answer_late() -> None:
        if fake.promoted() == 2:
            fake.now += SETTINGS.read_back_limit
            fake.effects.clear()

    fake.effects["ec2.read"] = answer_late
    brought = await bring(fake, BOTH_HALVES)
    assert (brought.launch_template_version, fake.calls) == (2, [*WHOLE_APPLY, "ec2.read"])


async def test_a_number_that_stays_old_is_drift() -> None:
    """A promotion that does not show within ten seconds is a failure of the source server, not a wait for ever."""
    fake = server()
    fake.stale = timedelta(hours=1)
    with pytest.raises(DriftPersists) as caught:
        await bring(fake, {"instanceType": "r5.xlarge"})
    assert "Version 2" in str(caught.value)
    assert sum(fake.slept) <= SETTINGS.read_back_limit.total_seconds()
    assert fake.calls.count("ec2.promote") == 1


async def test_somebody_else_s_version_is_not_ours() -> None:
    """If another version became the default after ours, the source server is not ready."""
    fake = server()

    def somebody_promotes() -> None:
        if fake.promoted() == 2:
            fake.versions[3] = fake.versions[2]
            fake.defaults.append((fake.now - CALL_TAKES, 3))

    fake.effects["ec2.read"] = somebody_promotes
    with pytest.raises(DriftPersists):
        await bring(fake, {"instanceType": "r5.xlarge"})


async def test_the_promoted_version_must_hold_what_was_sent() -> None:
    """A version that holds something else is drift, named field by field, whatever its number."""
    fake = server()
    fake.effects["ec2.promote"] = lambda: fake.versions.update({2: {**DATA, "EbsOptimized": False}})
    with pytest.raises(DriftPersists, match=r"instanceType = 'm5.large' instead of 'r5.xlarge'"):
        await bring(fake, {"instanceType": "r5.xlarge"})


async def test_drs_must_answer_what_was_sent() -> None:
    """An update that DRS accepts and does not take is drift, and the template is left alone."""
    fake = server()
    fake.effects["drs.update"] = lambda: fake.drs.update(copyTags=False)
    with pytest.raises(DriftPersists, match="copyTags = False instead of True"):
        await bring(fake, BOTH_HALVES)
    assert fake.calls == ["drs.read", "drs.update"]


async def test_what_drs_holds_can_refuse_the_config() -> None:
    """Right-sizing that DRS would overwrite the type with is a failure before anything is written."""
    fake = server()
    fake.drs["targetInstanceTypeRightSizingMethod"] = "BASIC"
    with pytest.raises(InvalidLaunchConfig, match="right-sizing"):
        await bring(fake, BOTH_HALVES)
    assert fake.calls == ["drs.read"]


@pytest.mark.parametrize("age", [0.0, 1.0, 4.0])
async def test_trace_06_a_right_reading_too_soon_after_a_write_is_not_believed(age: float) -> None:
    """X, then Y, then X again while EC2 still answers X: not ready by a stale read, but by a write when it shows."""
    fake = server()
    fake.versions[2] = {**DATA, "InstanceType": "r5.xlarge"}
    fake.set_default(2)
    written_at = fake.now
    fake.stale = timedelta(seconds=4.5)
    fake.now += timedelta(seconds=age)
    with pytest.raises(ObservationTooYoung) as caught:
        await bring(fake, {"instanceType": "m5.large"}, last_write_at=written_at)
    assert fake.calls == ["drs.read", "ec2.read"]
    assert caught.value.retry_after is not None
    fake.now += caught.value.retry_after
    await bring(fake, {"instanceType": "m5.large"}, last_write_at=written_at)
    assert fake.promoted() == 3
    assert fake.data() == DATA


async def test_an_old_enough_reading_is_believed() -> None:
    """Five seconds after the last write a reading stands."""
    fake = server()
    written_at = fake.now - SETTINGS.settle_time
    assert (await bring(fake, {"instanceType": "m5.large"}, last_write_at=written_at)).launch_template_version == 1


async def test_our_own_update_just_now_counts_as_a_write() -> None:
    """DRS's update may write the template: a reading just after it that shows nothing to do is not believed."""
    fake = server()
    long_ago = fake.now - timedelta(hours=1)
    with pytest.raises(ObservationTooYoung):
        await bring(fake, {"copyTags": True, "instanceType": "m5.large"}, last_write_at=long_ago)


async def test_a_template_that_changed_under_us_is_read_again_once() -> None:
    """A vanished template or version is asked for anew, from DRS on; then the work goes through."""
    fake = server()
    fake.failures["ec2.create"] = [StaleTemplate("gone")]

    def recreated() -> None:
        fake.template_id = "lt-fedcba98765432100"

    fake.effects["ec2.create"] = recreated
    brought = await bring(fake, BOTH_HALVES)
    assert brought.launch_template_id == "lt-fedcba98765432100"
    assert fake.calls.count("drs.read") == 2
    assert fake.calls.count("drs.update") == 1


@pytest.mark.parametrize("call", ["ec2.read", "ec2.create", "ec2.promote"])
async def test_a_template_that_keeps_changing_is_a_failure(call: str) -> None:
    """The second time it is permanent: nobody loops over a template that is not there."""
    fake = server()
    fake.failures[call] = [StaleTemplate("gone")] * 5
    with pytest.raises(StaleTemplate):
        await bring(fake, BOTH_HALVES)
    assert fake.calls.count(call) == 2


@pytest.mark.parametrize(("guarded", "calls"), [(1, 1), (2, 3), (3, 4)])
async def test_every_write_is_guarded(guarded: int, calls: int) -> None:
    """Each of the three writes asks whether the lease lasts; where it does not, nothing more is sent."""
    fake = server()
    with pytest.raises(LeaseLost):
        await bring(fake, BOTH_HALVES, lease_lost_at=guarded)
    assert fake.calls == WHOLE_APPLY[:calls]


@pytest.mark.parametrize("call", ["drs.update", "ec2.create", "ec2.promote"])
async def test_the_trail_knows_every_write_that_may_have_happened(call: str) -> None:
    """A write without an answer may have taken effect when it was given up: no earlier time is left behind."""
    fake = server()
    fake.failures[call] = [ServiceUnavailable("no answer")]
    given_up_at: list[datetime] = []

    def last_for_long() -> None:
        fake.now += timedelta(seconds=40)
        given_up_at.append(fake.now)

    fake.effects[call] = last_for_long
    trail = Trail()
    with pytest.raises(ServiceUnavailable):
        await bring(fake, BOTH_HALVES, trail=trail)
    assert trail.wrote_at == given_up_at[0]


async def test_reading_leaves_no_trail() -> None:
    """Where nothing was written, the trail says so."""
    trail = Trail()
    await bring(server(), {"instanceType": "m5.large"}, trail=trail)
    assert trail.wrote_at is None


@given(desired=effective_launch_configs(), data=template_data(), stale=st.floats(0, 4))
async def test_any_source_server_is_brought_to_any_config(
    desired: LaunchConfig, data: dict[str, object], stale: float
) -> None:
    """Whatever it holds it ends as wanted, each write sent once; brought again, nothing is written."""
    fake = FakeSourceServer(HELD, to_request_shape(data, request_shape()))
    fake.stale = timedelta(seconds=stale)
    try:
        await bring(fake, desired)
    except ObservationTooYoung:
        fake.now += SETTINGS.settle_time
    fake.now += SETTINGS.settle_time
    writes = [call for call in fake.calls if not call.endswith("read")]
    assert len(writes) == len(set(writes))
    await bring(fake, desired)
    assert [call for call in fake.calls if not call.endswith("read")] == writes
    configuration = ObservedConfiguration(fake.drs, fake.template_id)
    template = ObservedTemplate(fake.template_id, fake.promoted(), fake.data(), fake.now)
    assert find_drs_drift(desired, configuration) == []
    assert find_template_drift(desired, template) == []


async def test_what_is_taken_over_is_there_before_the_first_write() -> None:
    """Before a half is written, what it held in every field of ours is on the trail, right or not, and stays."""
    fake, trail = server(), Trail()
    seen: list[dict[str, Json]] = []
    config = {**BOTH_HALVES, "ebsOptimized": True, "launchDisposition": "STARTED"}
    await bring(fake, config, trail=trail, journal=lambda _: seen.append(dict(trail.taken)))
    held_by_drs: dict[str, Json] = {"copyTags": False, "launchDisposition": "STARTED"}
    assert seen == [held_by_drs, {**held_by_drs, "instanceType": "m5.large", "ebsOptimized": True}]
    fake.now += SETTINGS.settle_time
    await bring(fake, {**config, "monitoring": True}, trail=trail, baseline={"copyTags": None})
    assert trail.taken == {**seen[-1], "monitoring": None}


async def test_an_address_that_drs_writes_is_taken_over_before_drs_is_told() -> None:
    """copyPrivateIp writes the address, and off again leaves it: it goes with the setting that brought it."""
    fake, trail = server(), Trail()

    def drs_writes() -> None:
        if fake.drs["copyPrivateIp"]:
            fake.versions[2] = {**DATA, "NetworkInterfaces": [{"DeviceIndex": 0, "PrivateIpAddress": "10.0.0.9"}]}
            fake.set_default(2)

    fake.effects["drs.update"] = drs_writes
    await bring(fake, {"copyPrivateIp": True}, trail=trail)
    assert trail.taken == {"copyPrivateIp": False, "staticPrivateIp": None}
    fake.now += SETTINGS.settle_time
    calls = len(fake.calls)
    await bring(fake, {"copyPrivateIp": True}, baseline=trail.taken)
    assert fake.calls[calls:] == ["drs.read"]
    await bring(fake, {}, baseline=trail.taken)
    assert fake.data() == DATA
    assert fake.drs["copyPrivateIp"] is False


async def test_what_cannot_be_put_back_fails_before_anything_is_written() -> None:
    """The source server fails with what to do; once that is done it is ready."""
    fake = server()
    into, path = "launchIntoInstanceProperties", "launchIntoInstanceProperties.launchIntoEC2InstanceID"
    fake.drs[into] = {"launchIntoEC2InstanceID": "i-0123456789abcdef0"}
    with pytest.raises(InvalidLaunchConfig, match="remove it in the DRS console"):
        await bring(fake, BOTH_HALVES, baseline={path: None})
    assert fake.calls == ["drs.read"]
    fake.drs[into] = {}
    await bring(fake, BOTH_HALVES, baseline={path: None})
    assert fake.drs["copyTags"] is True


async def test_a_template_from_before_our_last_write_is_not_written_over() -> None:
    """EC2 still answers the version before the one that was read back last: it is read again, and not built upon."""
    fake = server()
    fake.versions[2] = {**DATA, "EbsOptimized": False}
    fake.set_default(2)
    written_at = fake.now
    fake.stale = timedelta(seconds=4.5)
    promoted = (fake.template_id, 2)
    with pytest.raises(ObservationTooYoung):
        await bring(fake, {"instanceType": "r5.xlarge"}, last_write_at=written_at, promoted=promoted)
    assert "ec2.create" not in fake.calls
    fake.now += SETTINGS.settle_time
    await bring(fake, {"instanceType": "r5.xlarge"}, last_write_at=written_at, promoted=promoted)
    assert fake.data() == {**DATA, "EbsOptimized": False, "InstanceType": "r5.xlarge"}
    # Long after it an older version is what somebody else promoted.
    fake.set_default(1)
    fake.stale = timedelta(0)
    fake.now += SETTINGS.settle_time
    await bring(fake, {"monitoring": True}, last_write_at=written_at, promoted=promoted)
    assert fake.data() == {**DATA, "Monitoring": {"Enabled": True}}
