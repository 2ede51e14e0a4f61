"""Laws of merge, canonical form and digest, over any launch config."""

import json
from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.fakes.strategies import (
    FIELD_NAMES,
    group_definitions,
    launch_configs,
    raw_launch_configs,
    source_server_ids,
)
from workers.core.model.digest import digest_group, digest_launch_config
from workers.core.model.group import GroupBody, GroupDefinition
from workers.core.model.group_parse import parse_group
from workers.core.model.launch_config import FIELDS, Json, LaunchConfig
from workers.core.model.merge import merge
from workers.core.model.parse import parse_launch_config

_PUBLISHED = TypeAdapter(GroupBody)


def _as_dynamodb(value: Json) -> object:
    match value:
        case bool():
            return value
        case int():
            return Decimal(value)
        case list():
            return [_as_dynamodb(each) for each in value]
        case dict():
            return {name: _as_dynamodb(each) for name, each in value.items()}
        case _:
            return value


def _shuffled(value: Json, random: Random) -> Json:
    """Put members and sets in another order, and repeat a member of each set."""
    match value:
        case dict():
            names = random.sample(list(value), len(value))
            return {name: _shuffled(value[name], random) for name in names}
        case list():
            return random.sample([*value, *value[:1]], len(value) + 1)
        case _:
            return value


def test_the_strategies_know_every_field() -> None:
    """A field that is added to the model is generated, or the laws below would not cover it."""
    assert frozenset(FIELDS) == FIELD_NAMES


@given(config=launch_configs())
def test_empty_defaults_are_identity(config: LaunchConfig) -> None:
    """Without defaults the override is the effective config, without an override the defaults are."""
    assert merge(LaunchConfig(), config, use_group_defaults=True) == config
    assert merge(config, LaunchConfig(), use_group_defaults=True) == config


@given(defaults=launch_configs(for_server=False), override=launch_configs())
def test_the_override_wins_field_by_field(defaults: LaunchConfig, override: LaunchConfig) -> None:
    """Each member is the override's where it says something, else the default's; nothing else appears."""
    merged = merge(defaults, override, use_group_defaults=True).values
    assert merged.keys() == defaults.values.keys() | override.values.keys()
    for name, value in merged.items():
        below, above = defaults.values.get(name), override.values.get(name)
        if name not in override.values:
            assert value == below
        elif isinstance(below, dict) and isinstance(above, dict):
            assert isinstance(value, dict)
            assert value.keys() == below.keys() | above.keys()
            assert all(each == (above if key in above else below)[key] for key, each in value.items())
        else:
            assert value == above


@given(defaults=launch_configs(for_server=False), override=launch_configs())
def test_merging_again_changes_nothing(defaults: LaunchConfig, override: LaunchConfig) -> None:
    """Merge is idempotent: an override laid over its own result, or a config over itself, is no change."""
    merged = merge(defaults, override, use_group_defaults=True)
    assert merge(merged, override, use_group_defaults=True) == merged
    assert merge(defaults, defaults, use_group_defaults=True) == defaults


@given(defaults=launch_configs(for_server=False), override=launch_configs())
def test_without_group_defaults_only_the_override_counts(defaults: LaunchConfig, override: LaunchConfig) -> None:
    """useGroupDefaults false ignores the defaults, all of them."""
    assert merge(defaults, override, use_group_defaults=False) == override


@given(raw=raw_launch_configs())
def test_what_follows_the_rules_is_accepted(raw: dict[str, Json]) -> None:
    """A config within AWS's rules has no error, and parsing gives the same value as building it."""
    config, errors = parse_launch_config(raw, pointer="/launchConfig", source_server_id="s-0123456789abcdefg")
    assert errors == []
    assert config == LaunchConfig(raw)


@given(config=launch_configs())
def test_json_gives_back_the_config(config: LaunchConfig) -> None:
    """A config survives JSON, DynamoDB's Decimals, and being sent again by a user."""
    written = config.to_json()
    assert LaunchConfig.from_json(json.loads(json.dumps(written))) == config
    stored = _as_dynamodb(written)
    assert isinstance(stored, dict)
    assert LaunchConfig.from_json(stored) == config
    parsed, errors = parse_launch_config(written, pointer="", source_server_id="s-0123456789abcdefg")
    assert (parsed, errors) == (config, [])


@given(raw=raw_launch_configs(), random=st.randoms())
def test_property_10_the_digest_sees_meaning_alone(raw: dict[str, Json], random: Random) -> None:
    """Order of members, order and repeats in sets, int or Decimal make no difference to a digest."""
    digest = digest_launch_config(LaunchConfig(raw))
    shuffled, stored = _shuffled(raw, random), _as_dynamodb(raw)
    assert isinstance(shuffled, dict)
    assert isinstance(stored, dict)
    assert digest_launch_config(LaunchConfig(shuffled)) == digest
    assert digest_launch_config(LaunchConfig.from_json(stored)) == digest


@given(one=launch_configs(), other=launch_configs())
def test_different_configs_have_different_digests(one: LaunchConfig, other: LaunchConfig) -> None:
    """Digests are equal exactly if the configs are."""
    assert (digest_launch_config(one) == digest_launch_config(other)) == (one == other)


@given(config=launch_configs(), name=st.sampled_from(sorted(FIELDS)))
def test_property_10_absent_null_and_value_differ(config: LaunchConfig, name: str) -> None:
    """The three values of a field have three digests."""
    absent = LaunchConfig({key: value for key, value in config.values.items() if key != name})
    null = LaunchConfig({**config.values, name: None})
    assert digest_launch_config(absent) != digest_launch_config(null)
    if config.values.get(name) is not None:
        assert len({digest_launch_config(each) for each in (absent, null, config)}) == 3


@given(
    hashes=st.dictionaries(source_server_ids, st.sampled_from(["sha256:a", "sha256:b"]), max_size=6),
    data=st.data(),
)
def test_a_group_digest_follows_its_pairs(hashes: dict[str, str], data: st.DataObject) -> None:
    """Order makes no difference to a group's digest; a server more, less or other does."""
    reordered = dict(data.draw(st.permutations(list(hashes.items()))))
    assert digest_group(reordered) == digest_group(hashes)
    for server in hashes:
        assert digest_group({key: value for key, value in hashes.items() if key != server}) != digest_group(hashes)
        assert digest_group({**hashes, server: "sha256:c"}) != digest_group(hashes)


@given(group=group_definitions())
def test_a_group_survives_its_json(group: GroupDefinition) -> None:
    """A group read back from the store, or accepted as a body, is the one that was written."""
    assert GroupDefinition.from_json(json.loads(json.dumps(group.to_json()))) == group
    stored = _as_dynamodb(group.to_json())
    assert GroupDefinition.from_json(stored) == group
    assert parse_group(group.to_json()) == group


@given(group=group_definitions())
def test_what_is_shown_fits_the_published_types(group: GroupDefinition) -> None:
    """A group as a door shows it is valid under the types that the OpenAPI schema is made of."""
    shown = group.to_body()
    assert _PUBLISHED.validate_python(shown, strict=True) == shown


@given(group=group_definitions())
def test_the_external_id_is_never_shown(group: GroupDefinition) -> None:
    """Neither a body for a door nor a representation holds the external id."""
    assert "externalId" not in group.to_body()
    assert "external_id" not in repr(group)


@given(group=group_definitions())
def test_a_group_without_launch_config_asks_for_nothing(group: GroupDefinition) -> None:
    """A group has a launch config exactly if something is asked for one of its servers."""
    asked = [group.effective(each).to_json() for each in group.source_server_ids]
    assert group.has_launch_config() == any(asked)
