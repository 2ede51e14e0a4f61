"""Hypothesis strategies for launch configs and protection groups, within every rule of AWS.

They are written from the rules, not from the code's types: a rule that the code gets wrong must show.
"""

import string
from typing import Any, TypeVar

from hypothesis import strategies as st

from workers.core.model.conflicts import find_conflicts, find_shared_addresses
from workers.core.model.group import GroupDefinition, ServerOverride, Target
from workers.core.model.launch_config import Json, LaunchConfig

_T = TypeVar("_T")

_HEX = "0123456789abcdef"
_IAM = string.ascii_letters + string.digits + "_+=,.@-"


def _id(prefix: str) -> st.SearchStrategy[str]:
    digits = st.one_of(
        st.text(_HEX, min_size=8, max_size=8),
        st.text(_HEX, min_size=17, max_size=17),
    )
    return digits.map(lambda each: prefix + each)


def _nullable(values: st.SearchStrategy[_T]) -> st.SearchStrategy[_T | None]:
    return st.one_of(st.none(), values)


sendable_text = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=40)
"""Any Unicode that AWS takes."""

source_server_ids = st.text(string.ascii_letters + string.digits, min_size=17, max_size=17).map(lambda s: "s-" + s)
subnet_ids = _id("subnet-")
security_group_ids = _id("sg-")
instance_types = st.sampled_from(
    [
        "t3.micro",
        "m7i.large",
        "u7i-12tb.224xlarge",
        "m7i.metal-24xl",
        "mac2-m2.metal",
        "u-6tb1.112xlarge",
        "p5en.48xlarge",
    ]
)
ipv4_addresses = st.tuples(st.just(10), *[st.integers(0, 255)] * 3).map(lambda parts: ".".join(map(str, parts)))

_tag_keys = sendable_text.filter(
    lambda key: len(key) > 0 and not key.lower().startswith("aws:") and not key.startswith("AWSElasticDisasterRecovery")
)
_tags = st.dictionaries(_tag_keys, _nullable(sendable_text), min_size=1, max_size=5)
_switch = _nullable(st.sampled_from(["enabled", "disabled"]))
_flag = _nullable(st.booleans())

_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "instanceType": _nullable(instance_types),
    "subnetId": _nullable(subnet_ids),
    # Not sorted and with duplicates, as people write them.
    "securityGroupIds": _nullable(st.lists(security_group_ids, min_size=1, max_size=16)),
    "staticPrivateIp": _nullable(ipv4_addresses),
    "instanceProfileName": _nullable(st.text(_IAM, min_size=1, max_size=128)),
    "associatePublicIp": _flag,
    "monitoring": _flag,
    "ebsOptimized": _flag,
    "disableApiTermination": _flag,
    "disableApiStop": _flag,
    "metadataOptions": _nullable(
        st.fixed_dictionaries(
            {},
            optional={
                "httpTokens": _nullable(st.sampled_from(["optional", "required"])),
                "httpPutResponseHopLimit": _nullable(st.integers(1, 64)),
                "httpEndpoint": _switch,
                "httpProtocolIpv6": _switch,
                "instanceMetadataTags": _switch,
            },
        )
    ),
    "creditSpecification": _nullable(
        st.fixed_dictionaries({}, optional={"cpuCredits": _nullable(st.sampled_from(["standard", "unlimited"]))})
    ),
    "tenancy": _nullable(st.sampled_from(["default", "dedicated", "host"])),
    "tags": _nullable(_tags),
    "copyPrivateIp": st.booleans(),
    "copyTags": st.booleans(),
    "launchDisposition": st.sampled_from(["STOPPED", "STARTED"]),
    "targetInstanceTypeRightSizingMethod": st.sampled_from(["NONE", "BASIC", "IN_AWS"]),
    "licensing": st.fixed_dictionaries({"osByol": st.booleans()}),
    "postLaunchEnabled": st.booleans(),
    "name": _nullable(sendable_text.filter(bool)),
    "launchIntoInstanceProperties": st.fixed_dictionaries({"launchIntoEC2InstanceID": _id("i-")}),
}
FIELD_NAMES = frozenset(_FIELDS)
_ONLY_SERVERS = frozenset({"staticPrivateIp"})


def raw_launch_configs(*, for_server: bool = True) -> st.SearchStrategy[dict[str, Json]]:
    """
    Make launch configs as a user may write them: any subset of the fields, sets unsorted and with duplicates.

    Parameters:
        for_server: False leaves out what is refused in a group's defaults.
    """
    fields = {name: values for name, values in _FIELDS.items() if for_server or name not in _ONLY_SERVERS}
    return st.fixed_dictionaries({}, optional=fields)


def launch_configs(*, for_server: bool = True) -> st.SearchStrategy[LaunchConfig]:
    """Make launch configs that are right field by field; their fields may conflict."""
    return raw_launch_configs(for_server=for_server).map(LaunchConfig)


def effective_launch_configs() -> st.SearchStrategy[LaunchConfig]:
    """Make effective launch configs without conflicts: what a worker may be asked to apply."""
    return launch_configs().map(_without_conflicts)


def _without_conflicts(config: LaunchConfig) -> LaunchConfig:
    spoilers = {name for conflict in find_conflicts(config) for name in (conflict.field, *conflict.others)}
    return LaunchConfig({name: value for name, value in config.values.items() if name not in spoilers})


@st.composite
def group_definitions(draw: st.DrawFn) -> GroupDefinition:
    """Make protection groups without conflicts, of up to six servers, some with overrides."""
    ids = draw(st.lists(source_server_ids, min_size=1, max_size=6, unique=True))
    role = draw(_nullable(st.text(_IAM, min_size=1, max_size=64)))
    external_ids = _nullable(st.text(_IAM + ":/", min_size=2, max_size=60))
    overrides = {
        each: ServerOverride(each, draw(st.booleans()), draw(effective_launch_configs()))
        for each in draw(st.sets(st.sampled_from(ids)).map(sorted))
    }
    group = GroupDefinition(
        name=draw(sendable_text.filter(lambda text: text.isprintable() and text.strip() == text != "")),
        description=draw(sendable_text),
        target=Target(
            region=draw(st.sampled_from(["eu-central-1", "us-gov-west-1", "cn-north-1", "ap-southeast-4"])),
            account_id=draw(_nullable(st.text(string.digits, min_size=12, max_size=12))),
            assume_role_name=role,
            external_id=None if role is None else draw(external_ids),
        ),
        source_server_ids=tuple(ids),
        launch_config=_without_conflicts(draw(launch_configs(for_server=False))),
        overrides=overrides,
        auto_repair=draw(st.booleans()),
    )
    return group if _stands(group) else _bare(group)


def _stands(group: GroupDefinition) -> bool:
    effective = {each: group.effective(each) for each in group.source_server_ids}
    return not find_shared_addresses(effective) and not any(map(find_conflicts, effective.values()))


def _bare(group: GroupDefinition) -> GroupDefinition:
    # Merging made a conflict: the overrides stay, alone.
    alone = {
        each: ServerOverride(each, use_group_defaults=False, launch_config=override.launch_config)
        for each, override in list(group.overrides.items())[:1]
    }
    return GroupDefinition(
        name=group.name,
        description=group.description,
        target=group.target,
        source_server_ids=group.source_server_ids,
        launch_config=group.launch_config,
        overrides=alone,
        auto_repair=group.auto_repair,
    )


_DRS_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["", "web"]),
    "launchDisposition": st.sampled_from(["STOPPED", "STARTED"]),
    "targetInstanceTypeRightSizingMethod": st.sampled_from(["NONE", "BASIC", "IN_AWS"]),
    "copyPrivateIp": st.booleans(),
    "copyTags": st.booleans(),
    "licensing": st.fixed_dictionaries({"osByol": st.booleans()}),
    "postLaunchEnabled": st.booleans(),
    "launchIntoInstanceProperties": st.fixed_dictionaries(
        {"launchIntoEC2InstanceID": st.sampled_from(["", "i-0123456789abcdef0"])}
    ),
}
held_launch_configurations: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    # A name that is empty may be left out, properties that were never set too.
    {name: values for name, values in _DRS_VALUES.items() if name not in {"name", "launchIntoInstanceProperties"}},
    optional={name: _DRS_VALUES[name] for name in ("name", "launchIntoInstanceProperties")},
)
"""What DRS may hold of a source server."""

any_text = st.text(st.one_of(st.characters(), st.sampled_from("\ud800\udfff\x00\uffff~/{}%")), max_size=8)
"""What a JSON parser can give as text, with a weight on what hardly anything else can hold."""

json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), any_text),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(any_text, inner, max_size=4)),
    max_leaves=8,
)
"""Anything that a JSON parser can give, lone surrogates, NaN and control characters among it."""
