"""Laws of importing: a file that is made of what AWS holds asks for exactly that, and forgets nothing silently."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from producer.strict_yaml import dump_yaml, parse_yaml
from tests.fakes.launch_templates import template_data
from tests.fakes.strategies import held_launch_configurations, launch_configs
from workers.core.fleet.factor import factor
from workers.core.fleet.file import parse_fleet, render_fleet
from workers.core.fleet.held import Held, read_held
from workers.core.fleet.made import make_groups
from workers.core.model.conflicts import find_conflicts
from workers.core.model.group import MAX_SERVERS, Target
from workers.core.model.launch_config import Json, LaunchConfig
from workers.core.model.merge import merge
from workers.core.model.parse import parse_launch_config
from workers.core.plan.observed import ObservedConfiguration, ObservedTemplate
from workers.core.plan.plan import find_observed_conflicts, plan_launch_configuration, plan_template
from workers.core.plan.template import TEMPLATE_FIELDS

A = "s-" + "a" * 17
IDS = [f"s-{number:017d}" for number in range(5)]
AT = datetime(2026, 1, 1, tzinfo=UTC)


@given(values=held_launch_configurations, data=template_data())
def test_what_is_held_is_asked_for_and_nothing_is_to_be_done(values: dict[str, Any], data: dict[str, Any]) -> None:
    """Whatever DRS and people left: the config is one that is accepted, and planning it changes nothing."""
    held = read_held(A, values, data, {})
    observed = ObservedConfiguration(values, "lt-1")
    assert plan_launch_configuration(held.config, observed) is None
    assert plan_template(held.config, ObservedTemplate("lt-1", 1, data, AT)) is None
    _, errors = parse_launch_config(held.config.to_json(), pointer="", source_server_id=A)
    assert errors == []
    assert find_conflicts(held.config) == []
    assert find_observed_conflicts(held.config, observed) == []


@given(values=held_launch_configurations, data=template_data())
def test_what_is_not_asked_for_is_named(values: dict[str, Any], data: dict[str, Any]) -> None:
    """Each field of the template that holds something is in the config, or in the reasons why it is not."""
    held = read_held(A, values, data, {})
    for name, field in TEMPLATE_FIELDS.items():
        found = field.read(data)
        if found in (None, {}, []):
            continue
        assert name in held.config.values or any(text.startswith(name) for text in held.left_out)
        if isinstance(found, dict):
            kept = held.config.values.get(name)
            members = kept if isinstance(kept, dict) else {}
            assert all(
                member in members or any(text.startswith((f"{name}.{member} ", f"{name} ")) for text in held.left_out)
                for member in found
            )


def without_nothing(config: LaunchConfig) -> LaunchConfig:
    """Leave out what is to be empty: nothing that AWS holds is read as that."""
    values: dict[str, Json] = {}
    for name, value in config.values.items():
        if isinstance(value, dict):
            values[name] = {key: each for key, each in value.items() if each is not None}
        elif value is not None:
            values[name] = value
    return LaunchConfig(values)


_few = st.lists(launch_configs().map(without_nothing), min_size=1, max_size=2)


@st.composite
def alike(draw: st.DrawFn) -> dict[str, LaunchConfig]:
    """Source servers of which some have the same, and others share parts."""
    pool = draw(_few)
    pool += [LaunchConfig({**pool[0].values, **each.values}) for each in pool]
    return {member: draw(st.sampled_from(pool)) for member in IDS[: draw(st.integers(1, len(IDS)))]}


@given(configs=alike())
def test_defaults_and_overrides_are_the_configs_again(configs: dict[str, LaunchConfig]) -> None:
    """To the letter: nobody inherits what it did not have."""
    defaults, overrides = factor(configs)
    nothing = LaunchConfig()
    assert {
        member: merge(defaults, overrides.get(member, nothing), use_group_defaults=True) for member in configs
    } == configs
    assert all(override.values for override in overrides.values())
    assert not overrides or len(set(map(repr, configs.values()))) > 1 or "staticPrivateIp" in str(configs)


@given(configs=alike(), tags=st.lists(st.sampled_from(["", "web", "db", " web\n", "x" * 200]), min_size=5, max_size=5))
def test_each_is_in_one_group_of_a_name_that_is_free(configs: dict[str, LaunchConfig], tags: list[str]) -> None:
    """And the groups are a file that is read as it was written."""
    bare = {member: LaunchConfig() for member in configs}
    held = [
        Held(member, bare[member], (), {"app": tag} if tag else {}) for member, tag in zip(configs, tags, strict=False)
    ]
    taken = ["web", "us-east-1"]
    groups = make_groups(held, Target("us-east-1"), "us-east-1", by_tag="app", taken=taken)
    assert sorted(member for group in groups for member in group.source_server_ids) == sorted(configs)
    assert not {group.name for group in groups} & set(taken)
    assert all(0 < len(group.source_server_ids) <= MAX_SERVERS for group in groups)
    assert list(parse_fleet(parse_yaml(dump_yaml(render_fleet(groups)).encode()).to_json()).require()) == sorted(
        groups, key=lambda group: group.name
    )
