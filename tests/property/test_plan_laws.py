"""Laws of drift and plan, for any launch template that DRS and people could leave and any launch config."""

import copy
import string
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.fakes.launch_templates import (
    answered_member,
    create_version_model,
    execute,
    meaning,
    observe,
    request_shape,
    response_shape,
    template_data,
    update_configuration_shape,
)
from tests.fakes.strategies import effective_launch_configs, held_launch_configurations
from tests.fakes.wanted import FIELDS_WITH_MEANING, expected_meaning
from workers.aws.templates import to_request_shape
from workers.core.model.conflicts import find_conflicts
from workers.core.model.launch_config import FIELDS, Half, Json, LaunchConfig
from workers.core.plan.drift import find_template_drift
from workers.core.plan.observed import ObservedConfiguration, ObservedTemplate
from workers.core.plan.plan import (
    CreateTemplateVersion,
    find_observed_conflicts,
    plan_launch_configuration,
    plan_template,
)
from workers.core.plan.template import TEMPLATE_FIELDS

observed_templates = template_data().map(lambda data: observe(to_request_shape(data, request_shape())))
_CONFIGS = effective_launch_configs()


def _plan(desired: LaunchConfig, observed: ObservedTemplate) -> CreateTemplateVersion:
    step = plan_template(desired, observed)
    assume(step is not None)
    assert step is not None
    return step


@given(desired=_CONFIGS, observed=observed_templates)
def test_what_is_planned_is_what_is_wanted_and_nothing_else(desired: LaunchConfig, observed: ObservedTemplate) -> None:
    """The new version holds every wanted value, lacks what must be empty, and all else is as it was."""
    before = meaning(observed.data)
    step = plan_template(desired, observed)
    assert meaning((execute(step, observed) if step else observed).data) == expected_meaning(desired, before)


@given(desired=_CONFIGS, observed=observed_templates)
def test_a_plan_that_was_executed_leaves_nothing_to_do(desired: LaunchConfig, observed: ObservedTemplate) -> None:
    """After the planned version no field drifts and the next plan is None; what was read is not changed by it."""
    read = copy.deepcopy(observed)
    step = plan_template(desired, observed)
    assert observed == read
    assert (step is None) == (find_template_drift(desired, observed) == [])
    if step is not None:
        assert find_template_drift(desired, execute(step, observed)) == []
        assert plan_template(desired, execute(step, observed)) is None


@given(desired=_CONFIGS, observed=observed_templates)
def test_only_named_fields_drift(desired: LaunchConfig, observed: ObservedTemplate) -> None:
    """A field that was left out is never drift, nor is a field of DRS's; each item says what is held and wanted."""
    for item in find_template_drift(desired, observed):
        name, _, member = item.field.partition(".")
        value = desired.values[name]
        assert FIELDS[name].half is Half.EC2
        assert item.desired == (value[member] if isinstance(value, dict) else value)
        assert item.observed != item.desired
    assert find_template_drift(LaunchConfig(), observed) == []


@given(desired=_CONFIGS, observed=observed_templates, salt=st.integers(0, 9))
def test_a_token_is_the_same_for_the_same_work_alone(
    desired: LaunchConfig, observed: ObservedTemplate, salt: int
) -> None:
    """One token for one (template, source version, payload, salt), however often planned; another for any other."""
    step = plan_template(desired, observed, salt=salt)
    assume(step is not None)
    assert step is not None
    assert len(step.client_token) == 64
    assert set(step.client_token) <= set(string.hexdigits.lower())
    again = ObservedTemplate(observed.template_id, observed.version, copy.deepcopy(observed.data), observed.begun_at)
    assert plan_template(desired, again, salt=salt) == step
    others = [
        plan_template(desired, observed, salt=salt + 1),
        plan_template(desired, observe(observed.data, observed.version + 1), salt=salt),
        plan_template(desired, ObservedTemplate("lt-1", observed.version, observed.data, observed.begun_at), salt=salt),
    ]
    tokens = {each.client_token for each in others if each is not None}
    assert len(tokens | {step.client_token}) == 4
    # The description is a parameter, which the token binds: nothing of source or run may be in it.
    assert {each.description for each in others if each is not None} == {step.description}
    assert 0 < len(step.description) <= 255


@given(one=_CONFIGS, other=_CONFIGS, observed=st.sampled_from([observe({}), observe({"InstanceType": "m5.large"})]))
def test_tokens_and_descriptions_follow_the_payload(
    one: LaunchConfig, other: LaunchConfig, observed: ObservedTemplate
) -> None:
    """Two payloads have two tokens and two descriptions, for EC2 refuses a token with other parameters."""
    first, second = _plan(one, observed), _plan(other, observed)
    sent = [(step.inherits, step.members) for step in (first, second)]
    assert (first.client_token == second.client_token) == (sent[0] == sent[1])
    assert (first.description == second.description) == (sent[0][1] == sent[1][1])


@given(desired=_CONFIGS, data=template_data())
def test_what_is_sent_is_what_ec2_takes(desired: LaunchConfig, data: dict[str, Any]) -> None:
    """Every payload passes the SDK's own validation, can be put on the wire, and names groups in one place only."""
    observed = observe(to_request_shape(data, request_shape()))
    step = _plan(desired, observed)
    assert not {"SecurityGroupIds", "NetworkInterfaces"} <= execute(step, observed).data.keys()
    request = {
        "LaunchTemplateId": step.template_id,
        "ClientToken": step.client_token,
        "VersionDescription": step.description,
        "LaunchTemplateData": dict(step.members),
    }
    model = create_version_model()
    assert ParamValidator().validate(request, model.input_shape).generate_report() == ""
    assert create_serializer("ec2").serialize_to_request(request, model)["body"]["ClientToken"] == step.client_token


def _known_part(value: Any, shape: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Answer every leaf of a value that a shape knows, with its path."""
    if shape.type_name == "structure":
        for name in value.keys() & shape.members.keys():
            yield from (((name, *path), leaf) for path, leaf in _known_part(value[name], shape.members[name]))
    elif shape.type_name == "list":
        for index, each in enumerate(value):
            yield from (((index, *path), leaf) for path, leaf in _known_part(each, shape.member))
    else:
        yield (), value


@given(name=st.sampled_from(sorted(response_shape().members)), data=st.data())
def test_a_request_keeps_all_that_it_can_hold(name: str, data: st.DataObject) -> None:
    """Of any answer the request keeps each setting that it knows, at any depth, and holds nothing else."""
    answered = {name: data.draw(answered_member(name))}
    request = to_request_shape(answered, request_shape())
    assert ParamValidator().validate(request, request_shape()).generate_report() == ""
    kept = sorted(_known_part(request, request_shape()), key=repr)
    # Of the members that both know no order is told.
    assert sorted(_known_part(answered, request_shape()), key=repr) == kept


def test_an_answer_s_own_members_are_dropped() -> None:
    """What EC2 answers and does not take is dropped at every depth, and only that."""
    answered = {
        "MetadataOptions": {"State": "applied", "HttpTokens": "required"},
        "NetworkInterfaces": [{"DeviceIndex": 0, "Ipv6Addresses": [{"Ipv6Address": "::1", "IsPrimaryIpv6": True}]}],
        "Unheard": {"Of": 1},
    }
    assert to_request_shape(answered, request_shape()) == {
        "MetadataOptions": {"HttpTokens": "required"},
        "NetworkInterfaces": [{"DeviceIndex": 0, "Ipv6Addresses": [{"Ipv6Address": "::1"}]}],
    }


def test_a_secondary_address_that_becomes_the_primary_one_is_given_once() -> None:
    """EC2 refuses an interface that names an address twice; the other secondary addresses stay."""
    listed = [{"PrivateIpAddress": f"10.0.0.{host}", "Primary": host == 4} for host in (4, 5, 6)]
    observed = observe({"NetworkInterfaces": [{"DeviceIndex": 0, "PrivateIpAddresses": listed}]})
    step = plan_template(LaunchConfig({"staticPrivateIp": "10.0.0.5"}), observed)
    assert step is not None
    assert execute(step, observed).data["NetworkInterfaces"] == [
        {"DeviceIndex": 0, "PrivateIpAddress": "10.0.0.5", "PrivateIpAddresses": listed[2:]}
    ]


def test_every_ec2_field_stands_in_the_template() -> None:
    """A field that is accepted and not applied is a bug: each of EC2's half has its place, and no other."""
    assert set(TEMPLATE_FIELDS) == {name for name, spec in FIELDS.items() if spec.half is Half.EC2}
    assert set(TEMPLATE_FIELDS) == FIELDS_WITH_MEANING, "the laws above do not cover every field"


drs_configurations = held_launch_configurations.map(
    lambda values: ObservedConfiguration(values, "lt-0123456789abcdef0")
)


@given(desired=_CONFIGS, observed=drs_configurations)
def test_drs_is_sent_what_differs_and_no_more(desired: LaunchConfig, observed: ObservedConfiguration) -> None:
    """Each field of DRS's half that is held otherwise is sent with its wanted value; the SDK takes it."""
    wanted = {
        name: "" if value is None else value for name, value in desired.values.items() if FIELDS[name].half is Half.DRS
    }
    held = {"name": "", **observed.values}
    step = plan_launch_configuration(desired, observed)
    sent = dict(step.fields) if step is not None else {}
    assert sent == {name: value for name, value in wanted.items() if value != held.get(name)}
    request = {"sourceServerID": "s-0123456789abcdef0", **sent}
    assert ParamValidator().validate(request, update_configuration_shape()).generate_report() == ""
    after = ObservedConfiguration({**observed.values, **sent}, observed.launch_template_id)
    assert plan_launch_configuration(desired, after) is None


@given(desired=_CONFIGS, observed=drs_configurations)
def test_a_conflict_with_drs_concerns_what_is_wanted(desired: LaunchConfig, observed: ObservedConfiguration) -> None:
    """A conflict with what DRS holds is always with a field that is ours, and taking both over is refused too."""
    conflicts = find_observed_conflicts(desired, observed)
    assert find_observed_conflicts(LaunchConfig(), observed) == []
    taken_over = LaunchConfig(
        {**{k: v for k, v in observed.values.items() if k not in desired.values}, **desired.values}
    )
    messages = [conflict.message for conflict in find_conflicts(taken_over)]
    assert set(conflicts) <= set(messages)
    assert find_observed_conflicts(taken_over, observed) == []


_LAUNCH_INTO = {"launchIntoEC2InstanceID": "i-0123456789abcdef0"}


@pytest.mark.parametrize(
    ("desired", "held", "named"),
    [
        ({"instanceType": "m5.large"}, {"targetInstanceTypeRightSizingMethod": "BASIC"}, "RightSizingMethod BASIC"),
        ({"instanceType": "m5.large"}, {"targetInstanceTypeRightSizingMethod": "NONE"}, None),
        ({"staticPrivateIp": "10.0.1.17"}, {"copyPrivateIp": True}, "copyPrivateIp true"),
        ({"staticPrivateIp": "10.0.1.17", "copyPrivateIp": False}, {"copyPrivateIp": True}, None),
        ({"copyTags": True}, {"launchIntoInstanceProperties": _LAUNCH_INTO}, "copyTags true"),
        ({"launchIntoInstanceProperties": _LAUNCH_INTO}, {"copyPrivateIp": True, "copyTags": False}, "copyPrivateIp"),
        ({"copyTags": True}, {"launchIntoInstanceProperties": {"launchIntoEC2InstanceID": ""}}, None),
        ({"monitoring": True}, {"launchIntoInstanceProperties": _LAUNCH_INTO, "copyTags": True}, None),
        # A field that only a later release knows is nothing of ours.
        ({"staticPrivateIp": "10.0.1.17"}, {"copyPrivateIp": True, "fieldOfALaterRelease": True}, "copyPrivateIp"),
        ({"staticPrivateIp": "10.0.1.17"}, {"fieldOfALaterRelease": True}, None),
    ],
)
def test_what_drs_holds_can_refuse_what_is_wanted(
    desired: dict[str, Json], held: dict[str, Json], named: str | None
) -> None:
    """What DRS would undo or refuse is found, naming the field that it holds; what it holds on its own is not."""
    conflicts = find_observed_conflicts(LaunchConfig(desired), ObservedConfiguration(held, "lt-1"))
    if named is None:
        assert conflicts == []
    else:
        assert len(conflicts) == 1
        assert named in conflicts[0]


def test_a_conflict_of_the_config_itself_is_not_repeated() -> None:
    """What is wrong within the launch config was said when it was stored."""
    desired = LaunchConfig({"instanceType": "m5.large", "targetInstanceTypeRightSizingMethod": "BASIC"})
    held = ObservedConfiguration({"targetInstanceTypeRightSizingMethod": "BASIC", "copyTags": True}, "lt-1")
    assert find_observed_conflicts(desired, held) == []


def test_what_must_be_empty_in_drs_is_sent_as_drs_holds_it() -> None:
    """A name is emptied by an empty text; with what is sent stands what it was before."""
    observed = ObservedConfiguration({"name": "old", "copyTags": True}, "lt-1")
    step = plan_launch_configuration(LaunchConfig({"name": None, "copyTags": False}), observed)
    assert step is not None
    assert step.fields == {"name": "", "copyTags": False}
    assert {(item.field, item.observed, item.desired) for item in step.drift} == {
        ("name", "old", ""),
        ("copyTags", True, False),
    }
