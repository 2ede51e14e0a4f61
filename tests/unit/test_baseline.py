"""What was there before us: what is taken over, what is kept, what is put back and what cannot be. Pure."""

from collections.abc import Mapping

import pytest

from tests.fakes.launch_templates import observe
from workers.core.model.launch_config import Json, LaunchConfig
from workers.core.plan.baseline import Goal, find_written_by_drs, keep, take_over
from workers.core.plan.drift import read_configuration, read_template
from workers.core.plan.observed import ObservedConfiguration
from workers.core.plan.plan import find_observed_conflicts, plan_launch_configuration, plan_template

BASELINE: Mapping[str, Json] = {
    "instanceType": "m5.large",
    "staticPrivateIp": None,
    "tags.Owner": "them",
    "tags.Cost.Center": None,
    "copyTags": False,
    "name": None,
}


def drs(**values: Json) -> ObservedConfiguration:
    return ObservedConfiguration(values, "lt-1")


@pytest.mark.parametrize(
    ("desired", "put_back"),
    [
        ({}, {**BASELINE, "tags": {"Owner": "them", "Cost.Center": None}}),
        ({"instanceType": "r5.large", "tags": None}, {"staticPrivateIp": None, "copyTags": False, "name": None}),
        (
            {"tags": {"Owner": None}, "instanceType": None, "staticPrivateIp": None, "copyTags": True, "name": "web"},
            {"tags": {"Cost.Center": None}},
        ),
    ],
)
def test_what_is_named_no_more_is_put_back(desired: dict[str, Json], put_back: dict[str, Json]) -> None:
    """Each field, and each member of one, as it was; what is named, also as empty, is as it is wanted."""
    goal = Goal(LaunchConfig(desired), BASELINE)
    expected = {name: value for name, value in put_back.items() if "." not in name}
    assert goal.put_back.values == LaunchConfig(expected).values
    whole = dict(goal.whole.values)
    tags = whole.pop("tags", None)
    flat = {name: value for name, value in desired.items() if name != "tags"}
    assert whole == {**{n: v for n, v in expected.items() if n != "tags"}, **flat}
    if isinstance(desired.get("tags"), dict):
        assert tags == {"Owner": None, "Cost.Center": None}


def test_what_is_named_is_kept_and_the_rest_is_over() -> None:
    """Once all is as it is to be, only what is still ours is still known."""
    kept = keep(LaunchConfig({"tags": {"Owner": "us"}, "copyTags": True}), BASELINE)
    assert kept == {"tags.Owner": "them", "copyTags": False}


@pytest.mark.parametrize(
    ("desired", "field", "deferred"),
    [
        ({"copyPrivateIp": True}, "staticPrivateIp", True),
        ({"copyPrivateIp": False}, "staticPrivateIp", False),
        ({"targetInstanceTypeRightSizingMethod": "BASIC"}, "instanceType", True),
        ({"targetInstanceTypeRightSizingMethod": "NONE"}, "instanceType", False),
    ],
)
def test_what_drs_is_told_to_write_is_put_back_when_it_is_told_no_more(
    desired: dict[str, Json], field: str, deferred: bool
) -> None:
    """DRS would write over it, or it over what is wanted of DRS: it stays known until then."""
    goal = Goal(LaunchConfig(desired), {field: "before"})
    assert (field in goal.put_back.values) == (not deferred)
    assert (field in keep(goal.desired, goal.baseline)) == deferred
    assert (find_written_by_drs(goal.desired, drs()) == [field]) == deferred
    assert find_written_by_drs(goal.desired, drs(**desired)) == []


def test_what_is_held_is_taken_over_by_single_values() -> None:
    """Of an object each member; where all are meant, those that are there. DRS says nothing by an empty text."""
    held = drs(name="", licensing={"osByol": False}, launchIntoInstanceProperties={"launchIntoEC2InstanceID": ""})
    into: Json = {"launchIntoEC2InstanceID": "i-0123456789abcdef0"}
    wanted = LaunchConfig({"name": "web", "licensing": {"osByol": True}, "launchIntoInstanceProperties": into})
    assert take_over(read_configuration(wanted, held)) == {
        "name": None,
        "licensing.osByol": False,
        "launchIntoInstanceProperties.launchIntoEC2InstanceID": None,
    }
    tags = [{"Key": "Owner", "Value": ""}, {"Key": "Name", "Value": "web"}]
    data = observe({"EbsOptimized": True, "TagSpecifications": [{"ResourceType": "instance", "Tags": tags}]})
    everything = LaunchConfig({"tags": None, "ebsOptimized": None, "metadataOptions": None, "instanceType": "m5.large"})
    assert take_over(read_template(everything, data)) == {
        "instanceType": None,
        "ebsOptimized": True,
        "tags.Owner": {"instance": "", "volume": None},
        "tags.Name": {"instance": "web", "volume": None},
    }


def test_tags_of_instance_and_volume_are_put_back_each_as_it_was() -> None:
    """A tag that one of the two had, or that each had otherwise, is so again: shown as one change, and done by one."""
    baseline: Mapping[str, Json] = {"tags.Owner": {"instance": "a", "volume": None}}
    both = [{"ResourceType": each, "Tags": [{"Key": "Owner", "Value": "us"}]} for each in ("instance", "volume")]
    step = plan_template(Goal(LaunchConfig(), baseline).whole, observe({"TagSpecifications": both}))
    assert step is not None
    assert step.members == {
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Owner", "Value": "a"}]}]
    }
    assert [(item.field, item.observed) for item in step.drift] == [("tags.Owner", "us")]
    before = observe(step.members)
    assert plan_template(Goal(LaunchConfig(), baseline).whole, before) is None


def test_what_drs_cannot_hold_again_is_said_until_somebody_takes_it_away() -> None:
    """An instance to launch into cannot be taken back through the API: nothing is sent, and it is said what to do."""
    path = "launchIntoInstanceProperties.launchIntoEC2InstanceID"
    goal = Goal(LaunchConfig({"copyTags": False}), {path: None})
    held = drs(copyTags=False, launchIntoInstanceProperties={"launchIntoEC2InstanceID": "i-0123456789abcdef0"})
    (message,) = goal.find_left(held)
    assert path in message
    assert "remove it in the DRS console" in message
    assert plan_launch_configuration(goal.whole, held) is None
    assert goal.find_left(drs(launchIntoInstanceProperties={"launchIntoEC2InstanceID": ""})) == []
    assert goal.find_left(drs()) == []
    assert Goal(LaunchConfig({"launchIntoInstanceProperties": {}}), {}).find_left(held) == []


def test_what_is_put_back_can_refuse_what_is_wanted() -> None:
    """Right-sizing that DRS had before us would undo the type: told so, with where it comes from."""
    desired = LaunchConfig({"instanceType": "m5.large"})
    goal = Goal(desired, {"targetInstanceTypeRightSizingMethod": "BASIC"})
    held = drs(targetInstanceTypeRightSizingMethod="NONE")
    (message,) = find_observed_conflicts(desired, held, goal.put_back)
    assert "BASIC" in message
    assert "put back to what it was before this group set it" in message
    goal = Goal(desired, {"targetInstanceTypeRightSizingMethod": "NONE"})
    held = drs(targetInstanceTypeRightSizingMethod="BASIC")
    assert find_observed_conflicts(desired, held, goal.put_back) == []
