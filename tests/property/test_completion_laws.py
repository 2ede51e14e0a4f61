"""One list of all errors: what is wrong in itself takes nothing from what the account lacks, and adds nothing to it."""

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.bodies import GROUP, NO_GROUP, NO_SUBNET, SUBNET, UNKNOWN, A, B, Bench, C, body, by_tags
from tests.fakes.twin.fleet import Fleet
from tests.fakes.twin.world import World
from tests.fakes.virtual_time import run_virtually

_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "instanceType": st.sampled_from(["m5.xlarge", "m5.3xlarge"]),
    "instanceProfileName": st.sampled_from(["web", "nobodys"]),
    "ebsOptimized": st.booleans(),
}
_ON_INTERFACE = st.fixed_dictionaries(
    {"subnetId": st.sampled_from([SUBNET, NO_SUBNET])},
    optional={"securityGroupIds": st.sampled_from([[GROUP], [NO_GROUP], [GROUP, NO_GROUP]])},
)
_CONFIGS = st.tuples(st.fixed_dictionaries({}, optional=_FIELDS), st.one_of(st.just({}), _ON_INTERFACE)).map(
    lambda parts: {**parts[0], **parts[1]}
)


@st.composite
def _bodies(draw: st.DrawFn, *, listed: bool = False) -> dict[str, Any]:
    """Make a body that is right in itself; whom its tags select may not fit the rest."""
    members = draw(st.lists(st.sampled_from([A, B, C, UNKNOWN]), min_size=1, unique=True))
    servers = []
    for number, member in enumerate(draw(st.lists(st.sampled_from(members), unique=True))):
        addresses = st.sampled_from([None, f"10.0.1.{number}", f"10.0.1.{number + 17}", f"192.0.2.{number}"])
        address = draw(addresses)
        config = {**draw(_CONFIGS), **({} if address is None else {"staticPrivateIp": address})}
        servers.append({"sourceServerId": member, "launchConfig": config, "useGroupDefaults": draw(st.booleans())})
    said = {"launchConfig": draw(_CONFIGS), "servers": servers}
    return body(*members, **said) if listed or draw(st.booleans()) else by_tags(**{**said, "servers": servers})


def _set(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda raw: raw.update({name: value})


def _set_default(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda raw: raw["launchConfig"].update({name: value})


def _spoil_members(raw: dict[str, Any]) -> None:
    if "sourceServerIds" in raw:
        raw["sourceServerIds"] += [7, raw["sourceServerIds"][0], "s-1"]
    raw["nobody knows this"] = 1


def _spoil_entries(raw: dict[str, Any]) -> None:
    for each in raw["servers"]:
        each["launchConfig"]["monitoring"] = 7
    raw["nobody knows this"] = 1


_SPOILS: dict[str, Callable[[dict[str, Any]], object]] = {
    "another member": _set("nobody knows this", 1),
    "its description": _set("description", 7),
    "its name": _set("groupName", "\0"),
    "no name": lambda raw: raw.pop("groupName"),
    "its token": _set("taskToken", ""),
    "a default": _set_default("monitoring", "yes"),
    "another default": _set_default("nobody knows this", 1),
    "a default of DRS": _set_default("imageId", "ami-1"),
    "its members": _spoil_members,
    "its entries": _spoil_entries,
}
"""Each makes a body wrong in itself, and leaves open nothing of what an account is asked for."""


def _is_as_if_corrected(right: dict[str, Any], stored: dict[str, Any] | None, how: str) -> None:
    async def tell() -> None:
        _, services = await Fleet(World()).start_producer()
        bench = Bench(services)
        group_id = None if stored is None else await bench.store(stored)
        raw = right if stored is None else {**right, "version": 1}
        wrong = copy.deepcopy(raw)
        _SPOILS[how](wrong)
        invalid = bench.find_wrong(wrong, group_id)
        assert invalid is not None
        told = await bench.errors(wrong, group_id)
        asked, bench.accounts.asked[:] = [*bench.accounts.asked], []
        lacking = await bench.lacking(raw, group_id)
        assert sorted(map(str, told)) == sorted(map(str, (*invalid.errors, *lacking)))
        if lacking or stored is None:
            assert set(asked) <= set(bench.accounts.asked), "more was asked than of a body that is right"

    run_virtually(tell)


@given(how=st.sampled_from(list(_SPOILS)), right=_bodies())
def test_a_wrong_body_is_told_of_like_a_right_one(how: str, right: dict[str, Any]) -> None:
    """Of a new group: what is wrong in itself, and then exactly what would be told if only that were corrected."""
    _is_as_if_corrected(right, None, how)


@given(how=st.sampled_from(list(_SPOILS)), stored=_bodies(listed=True), right=_bodies(), changes=st.booleans())
def test_a_wrong_update_is_told_of_like_a_right_one(
    how: str, stored: dict[str, Any], right: dict[str, Any], *, changes: bool
) -> None:
    """Of a group that there is, to which much or nothing comes."""
    _is_as_if_corrected(right if changes else {**stored, "description": "another"}, stored, how)
