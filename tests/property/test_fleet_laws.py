"""Laws of the fleet's file: what is exported is nothing to apply, and no order puts a source server into two groups."""

import json
import string
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from producer.strict_yaml import dump_yaml, parse_yaml
from tests.fakes.runs import OPENED_AT
from tests.fakes.strategies import group_definitions
from workers.core.fleet.changes import GroupChange, Kind, compare, remove
from workers.core.fleet.conflicts import find_file_conflicts
from workers.core.fleet.file import parse_fleet, render_fleet
from workers.core.fleet.order import find_locked, order_changes, release
from workers.core.model.group import GroupDefinition, ServerOverride, Target
from workers.core.model.launch_config import Json, LaunchConfig
from workers.core.runs.placing import place
from workers.core.store.records import GroupHead

OWN = "1" * 12
SERVERS = [f"s-{letter * 17}" for letter in "abcdef"]
NAMES = ["web", "db", "app", "web 2"]

texts = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20),
    st.text(string.digits + "eE+-.:_xXoO", max_size=8),
    st.sampled_from(
        ["yes", "no", "on", "off", "Null", "null", "~", "true", "False", "=", "<<", "- a", "a: b", "#", "!x"]
    ),
    st.sampled_from(
        [" a", "a ", "a\nb", "a\n", "\ta", "'", '"', "\u0085", "\u2028", "\ufeff", "%", "@", "&a", "*a", "|"]
    ),
)
values: st.SearchStrategy[Json] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**17), 10**17), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


@given(document=st.dictionaries(texts, values, max_size=4))
def test_what_is_written_reads_back_the_same(document: dict[str, Json]) -> None:
    """Every text, number, word and nothing: as YAML and as JSON, which is YAML too."""
    assert parse_yaml(dump_yaml(document).encode()).to_json() == document


def stored(group: GroupDefinition) -> GroupDefinition:
    """A group as the stack stores it: with its account, and with a role where that is another one."""
    account = group.target.account_id or OWN
    role = group.target.assume_role_name or (None if account == OWN else "role")
    return replace(group, target=replace(group.target, account_id=account, assume_role_name=role))


@given(groups=st.lists(group_definitions(), max_size=3, unique_by=lambda each: each.name))
def test_what_is_exported_is_nothing_to_apply(groups: list[GroupDefinition]) -> None:
    """Each group that comes back from the file is the one that is stored, the external id that it kept with it."""
    there = {each.name: stored(each) for each in groups}
    text = dump_yaml(render_fleet(there.values()))
    for index, wanted in enumerate(parse_fleet(parse_yaml(text.encode()).to_json()).require()):
        group = there[wanted.name]
        head = GroupHead(
            "pg-1", group.name, group.target.region, group.target.account_id or "", 3, OPENED_AT, OPENED_AT
        )
        placed = place(wanted, head, group, OWN)
        change = compare(placed, index, head, group)
        assert change.kind is Kind.NONE
        assert placed.target == group.target
        assert {each: placed.effective(each) for each in group.source_server_ids} == {
            each: group.effective(each) for each in group.source_server_ids
        }
    assert dump_yaml(render_fleet(reversed(there.values()))) == text
    assert not any(
        json.dumps(each.target.external_id) in json.dumps(text) for each in groups if each.target.external_id
    )


def group_of(name: str, members: tuple[str, ...]) -> GroupDefinition:
    return GroupDefinition(name, "", Target("us-east-1", OWN), members, LaunchConfig(), {}, False)


@st.composite
def fleets(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Source servers dealt out to groups; those without any are not there."""
    homes = {server: draw(st.sampled_from([*NAMES, None])) for server in SERVERS}
    dealt = {name: tuple(server for server in SERVERS if homes[server] == name) for name in NAMES}
    return {name: members for name, members in dealt.items() if members}


def find_changes(before: Mapping[str, tuple[str, ...]], after: Mapping[str, tuple[str, ...]]) -> list[GroupChange]:
    heads = {name: GroupHead(f"pg-{name}", name, "us-east-1", OWN, 1, OPENED_AT, OPENED_AT) for name in before}
    there = {name: group_of(name, members) for name, members in before.items()}
    changes = [
        compare(group_of(name, members), index, heads.get(name), there.get(name))
        for index, (name, members) in enumerate(after.items())
    ]
    return changes + [remove(heads[name], there[name]) for name in before if name not in after]


@given(before=fleets(), after=fleets())
def test_no_source_server_is_ever_in_two_groups(
    before: dict[str, tuple[str, ...]], after: dict[str, tuple[str, ...]]
) -> None:
    """From any dealing to any other: nobody takes whom another group has, and no group is ever empty."""
    changes = find_changes(before, after)
    owners = {("1" * 12, "us-east-1", server): f"pg-{name}" for name, held in before.items() for server in held}
    locked = find_locked(changes)
    assert bool(find_file_conflicts(changes, owners)) == bool(locked)
    assume(not locked)
    now = dict(before)
    for step in order_changes(changes):
        change = step.change
        if change.wanted is None:
            del now[change.name]
            continue
        members = (step.only_release or change.wanted).source_server_ids
        assert members
        others = {server for name, held in now.items() if name != change.name for server in held}
        assert others.isdisjoint(members)
        now[change.name] = members
    assert {name: set(members) for name, members in now.items()} == {name: set(held) for name, held in after.items()}


def test_groups_that_exchange_all_they_have_are_named() -> None:
    """Neither can let go of its only one and be a group still; beside a third source server one of them can."""
    a, b, c, *_ = SERVERS
    locked = find_locked(find_changes({"web": (a,), "db": (b,)}, {"web": (b,), "db": (a,)}))
    assert [each.name for each in locked] == ["web", "db"]
    assert find_locked(find_changes({"web": (a, c), "db": (b,)}, {"web": (b, c), "db": (a,)})) == []


def test_a_group_that_lets_go_does_not_select_them_again() -> None:
    """What it keeps meanwhile is listed, with what is said of it; tags would take everybody back."""
    a, b, *_ = SERVERS
    said = {member: ServerOverride(member, True, LaunchConfig({"copyTags": True})) for member in (a, b)}
    there = replace(group_of("web", (a, b)), selection_tags={"app": "web"}, overrides=said)
    head = GroupHead("pg-1", "web", "us-east-1", OWN, 1, OPENED_AT, OPENED_AT)
    released = release(compare(group_of("web", (b,)), 0, head, there))
    assert released == replace(group_of("web", (b,)), overrides={b: said[b]})
