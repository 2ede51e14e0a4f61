"""A body that is wrong in itself: what its account lacks is told with that, as if the rest had been right."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.bodies import (
    EVERYTHING,
    HELD,
    NO_GROUP,
    NO_SUBNET,
    UNKNOWN,
    A,
    B,
    Bench,
    C,
    body,
    by_tags,
    on_a_bench,
    own,
)
from workers.core.errors import AccessDenied, ServiceUnavailable
from workers.core.model.group import MAX_SERVERS
from workers.core.validation.holdings import SourceServer


@on_a_bench
async def test_a_field_that_clashes_is_looked_up_all_the_same(bench: Bench) -> None:
    """Two things are wrong at one place, and both are told: neither goes away with the other."""
    config = {"instanceType": "m5.3xlarge", "targetInstanceTypeRightSizingMethod": "BASIC"}
    errors = await bench.errors(body(A, launchConfig={**config, "securityGroupIds": [NO_GROUP]}))
    assert [(each.pointer, " ".join(each.message.split()[:3])) for each in errors] == [
        ("/launchConfig/instanceType", "instanceType cannot stand"),
        ("/launchConfig/securityGroupIds", "securityGroupIds needs a"),
        ("/launchConfig/securityGroupIds", "There is no"),
        ("/launchConfig/instanceType", "EC2 offers no"),
    ]


@on_a_bench
async def test_a_body_without_name_or_version_is_looked_up(bench: Bench) -> None:
    """Neither of them says where its account is, or how it is reached."""
    config = {"instanceProfileName": "nobodys"}
    nameless = body(A, launchConfig=config)
    del nameless["groupName"]
    assert await bench.places(nameless) == [("", None), ("/launchConfig/instanceProfileName", None)]
    group_id = await bench.store(body(A))
    places = await bench.places(body(A, launchConfig=config), group_id)
    assert places == [("", None), ("/launchConfig/instanceProfileName", None)]


@on_a_bench
async def test_no_account_is_asked_where_the_way_into_it_is_wrong(bench: Bench) -> None:
    """Not our own in place of one that is misspelt, or is hidden by another error."""
    wrong: list[dict[str, Any]] = [
        {"accountID": "444455556666", "assumeRoleName": "role"},
        {"accountId": ["\0"]},
        {"accountId": "1234"},
        {"assumeRolName": "role"},
        {"assumeRoleName": {"a": "\0"}},
        {"externalId": "secret"},
        {"Region": "us-east-1"},
    ]
    for each in wrong:
        await bench.errors(body(UNKNOWN, **each))
    assert bench.accounts.asked == []


@on_a_bench
async def test_what_an_entry_says_is_looked_up_whatever_else_is_wrong_in_it(bench: Bench) -> None:
    """It is for one source server, also if nobody knows whether that is to have the defaults."""
    entry = {**own(A, subnetId=NO_SUBNET), "useGroupDefaults": "no"}
    assert await bench.places(body(A, launchConfig={"instanceProfileName": "nobodys"}, servers=[entry])) == [
        ("/servers/0/useGroupDefaults", A),
        ("/servers/0/launchConfig/subnetId", A),
    ]


@on_a_bench
async def test_of_an_update_nothing_is_asked_that_stays_as_it_is(bench: Bench) -> None:
    """Not for whom it is the same, nor where a wrong field is all that would differ."""
    config = {"monitoring": True, "subnetId": NO_SUBNET}
    stored = body(A, UNKNOWN, launchConfig=config, servers=[own(A, name="a")])
    group_id = await bench.store(stored)
    update = {**stored, "version": 1}
    for change in (
        {"description": 7},
        {"version": "1"},
        {"launchConfig": {**config, "monitoring": "yes"}},
        {"servers": [own(A, name="")]},
        {"servers": [{**own(A, name="a"), "comment": "the first"}]},
    ):
        assert len(await bench.places({**update, **change}, group_id)) == 1, change
    assert bench.accounts.asked == []


@on_a_bench
async def test_of_an_update_all_is_told_of_whom_it_changes(bench: Bench) -> None:
    """As of one that is right in itself: what was wrong before is told of them, and of nobody else."""
    config = {"subnetId": NO_SUBNET}
    group_id = await bench.store(body(A, B, UNKNOWN, launchConfig=config))
    servers = [own(A, name="a"), own(UNKNOWN, monitoring=None)]
    update = body(A, B, UNKNOWN, launchConfig=config, servers=servers, description=7, version=1)
    assert await bench.places(update, group_id) == [
        ("/description", None),
        ("/sourceServerIds/2", UNKNOWN),
        ("/launchConfig/subnetId", None),
    ]
    assert set(bench.accounts.asked) == {
        ("source servers", frozenset({A, UNKNOWN})),
        ("subnets", frozenset({NO_SUBNET})),
    }


WRONG_OF_THE_SELECTED = {"servers": [own(UNKNOWN), own(A, securityGroupIds=[NO_GROUP])]}
PLACES_OF_THE_SELECTED = [
    ("/servers/0/sourceServerId", UNKNOWN),
    ("/servers/1/launchConfig/securityGroupIds", A),
    ("/launchConfig/instanceProfileName", None),
    ("/servers/1/launchConfig/securityGroupIds", A),
]


@on_a_bench
async def test_what_does_not_fit_the_selected_hides_nothing_that_their_account_lacks(bench: Bench) -> None:
    """A group by tags is right in itself, and wrong once they are known: both are told, of new ones and of others."""
    config = {"launchConfig": {"instanceProfileName": "nobodys"}}
    assert await bench.refused(by_tags(**config, **WRONG_OF_THE_SELECTED)) == PLACES_OF_THE_SELECTED
    nobody = by_tags(serverSelectionTags={"team": "none"})
    assert await bench.refused(nobody) == [("/serverSelectionTags", None)]
    group_id = await bench.store(body(A, B, C))
    update = {**by_tags(**config, **WRONG_OF_THE_SELECTED), "version": 1}
    assert await bench.refused(update, group_id) == PLACES_OF_THE_SELECTED
    assert await bench.refused({**nobody, "version": 1}, group_id) == [("/serverSelectionTags", None)]


@on_a_bench
async def test_what_does_not_fit_the_selected_is_told_where_the_account_does_not_answer_the_rest(bench: Bench) -> None:
    """It is wrong in any case."""
    bench.accounts.refusals["instance profiles"] = AccessDenied("denied", code="AccessDenied")
    config = {"launchConfig": {"instanceProfileName": "nobodys"}}
    assert await bench.refused(by_tags(**config, **WRONG_OF_THE_SELECTED)) == PLACES_OF_THE_SELECTED[:2]


@on_a_bench
async def test_of_wrong_groups_by_tags_all_is_told_of_whom_they_select(bench: Bench) -> None:
    """As of one that is right in itself; an entry for nobody that can be read is told of once."""
    config = {"launchConfig": {"instanceProfileName": "nobodys"}, "description": 7}
    assert await bench.places(by_tags(**config, **WRONG_OF_THE_SELECTED)) == [
        ("/description", None),
        *PLACES_OF_THE_SELECTED,
    ]
    assert await bench.places(by_tags({**own(A), "sourceServerId": "s-1"}, own(UNKNOWN), **config)) == [
        ("/description", None),
        ("/servers/0/sourceServerId", None),
        ("/servers/1/sourceServerId", UNKNOWN),
        ("/launchConfig/instanceProfileName", None),
    ]


@on_a_bench
async def test_in_a_file_too_what_does_not_fit_the_selected_hides_nothing(bench: Bench) -> None:
    """Of a new group, and of one that there is."""
    file = [
        body(B, groupName="other"),
        by_tags(launchConfig={"instanceProfileName": "nobodys"}, **WRONG_OF_THE_SELECTED),
    ]
    places = [(f"/groups/1{pointer}", server) for pointer, server in PLACES_OF_THE_SELECTED]
    assert await bench.planned(*file) == places
    await bench.store(body(A))
    assert await bench.planned(*file) == places


@on_a_bench
async def test_an_account_is_asked_once_for_all_wrong_groups_of_a_file(bench: Bench) -> None:
    """And once for all that are right: hundreds of groups cost what one does."""
    wrong = {"monitoring": 7}
    await bench.store(body(C, groupName="kept", launchConfig={"subnetId": NO_SUBNET}))
    file = [
        body(A, groupName="first", launchConfig={**wrong, "instanceProfileName": "nobodys"}),
        body(UNKNOWN, groupName="second", launchConfig={**wrong, "instanceProfileName": "nobody else's"}),
        by_tags(groupName="third", launchConfig={**wrong, "instanceProfileName": "nobodys"}),
        by_tags(groupName="fourth", serverSelectionTags={"team": "none"}, launchConfig=wrong),
        body(C, groupName="kept", launchConfig={"subnetId": NO_SUBNET}, description=7),
        body(B, groupName="right", launchConfig={"instanceType": "m5.3xlarge"}),
    ]
    assert await bench.planned(*file) == [
        ("/groups/0/launchConfig/monitoring", None),
        ("/groups/0/launchConfig/instanceProfileName", None),
        ("/groups/1/launchConfig/monitoring", None),
        ("/groups/1/launchConfig/instanceProfileName", None),
        ("/groups/1/sourceServerIds/0", UNKNOWN),
        ("/groups/2/launchConfig/monitoring", None),
        ("/groups/2/launchConfig/instanceProfileName", None),
        ("/groups/3/launchConfig/monitoring", None),
        ("/groups/3/serverSelectionTags", None),
        ("/groups/4/description", None),
        ("/groups/5/launchConfig/instanceType", None),
    ]
    assert Counter(bench.accounts.asked) == Counter(
        [
            ("source servers", EVERYTHING),
            ("source servers", frozenset({A, B, C, UNKNOWN})),
            ("instance profiles", frozenset({"nobodys"})),
            ("source servers", frozenset({B})),
            ("instance types", frozenset({"m5.3xlarge"})),
        ]
    )


@on_a_bench
async def test_of_a_file_all_that_is_certain_is_told_where_an_account_does_not_say_whom_tags_select(
    bench: Bench,
) -> None:
    """Also what is wrong with groups that need no answer of it; where nothing is, that it cannot be asked."""
    await bench.store(body(A, groupName="kept"))
    bench.accounts.refusals["source servers"] = ServiceUnavailable("later")
    many = [by_tags(groupName=f"by tags {number}") for number in range(3)]
    file = [body(A, groupName="new"), body(B, groupName="wrong", description=7), *many]
    assert await bench.planned(*file) == [("/groups/0/sourceServerIds/0", A), ("/groups/1/description", None)]
    # And once, not for each of them, for each may take as long as AWS is waited for.
    assert bench.accounts.asked.count(("source servers", EVERYTHING)) == 1
    with pytest.raises(ServiceUnavailable):
        await bench.planned(many[0])


@on_a_bench
async def test_of_more_than_a_group_holds_none_is_looked_up(bench: Bench) -> None:
    """Tags of a body that is wrong in itself may select any number."""
    many = {f"s-{number:017}": SourceServer(tags={"team": "pay"}) for number in range(MAX_SERVERS + 1)}
    bench.hold(replace(HELD, source_servers=many))
    assert await bench.places(by_tags(description=7)) == [("/description", None), ("/serverSelectionTags", None)]
    assert bench.accounts.asked == [("source servers", EVERYTHING)]


@on_a_bench
async def test_of_wrong_groups_by_tags_what_does_not_fit_is_told_where_the_account_does_not_answer_the_rest(
    bench: Bench,
) -> None:
    """Only what takes the rest of its answers is not."""
    bench.accounts.refusals["instance profiles"] = ServiceUnavailable("later")
    config = {"launchConfig": {"instanceProfileName": "nobodys"}, "description": 7}
    assert await bench.places(by_tags(**config, **WRONG_OF_THE_SELECTED)) == [
        ("/description", None),
        *PLACES_OF_THE_SELECTED[:2],
    ]
    bench.accounts.refusals["source servers"] = ServiceUnavailable("later")
    assert await bench.places(by_tags(**config, **WRONG_OF_THE_SELECTED)) == [("/description", None)]
