"""A body that is wrong in itself: what its account lacks is told with that, as if the rest had been right."""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from ipaddress import IPv4Network
from typing import Any

from producer.services import Services
from tests.fakes.accounts import BoundlessAccounts, HeldAccounts
from tests.fakes.twin.fleet import Fleet
from tests.fakes.twin.world import World
from tests.fakes.virtual_time import run_virtually
from workers.core.model.errors import FieldError
from workers.core.model.group_parse import InvalidGroup, parse_group, parse_group_update
from workers.core.requests import Requester
from workers.core.validation.holdings import Holdings, InstanceProfile, SourceServer, Subnet

A, B, C, UNKNOWN = (f"s-{letter * 17}" for letter in "abcu")
SUBNET, NO_SUBNET = (f"subnet-{number:017x}" for number in range(2))
GROUP, NO_GROUP = (f"sg-{number:017x}" for number in range(2))
HELD = Holdings(
    source_servers=dict.fromkeys((A, B, C), SourceServer(tags={"team": "pay"})),
    subnets={SUBNET: Subnet("vpc-1", IPv4Network("10.0.1.0/24"))},
    security_groups={GROUP: "vpc-1"},
    instance_types=frozenset({"m5.xlarge"}),
    instance_profiles={"web": InstanceProfile("recovered", has_policy=True)},
)
Place = tuple[str, str | None]


class Bench:
    """A producer over an account that holds little, and the bodies that it is given."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.accounts = HeldAccounts(HELD)
        self._use(self.accounts)

    def _use(self, accounts: HeldAccounts | BoundlessAccounts) -> None:
        self.services.validation._accounts = accounts

    async def store(self, body: Mapping[str, Any]) -> str:
        """Store a group, whatever its account holds."""
        self._use(BoundlessAccounts())
        head = await self.services.submission.create_group(parse_group(body), Requester("alice", "http", "requested"))
        self._use(self.accounts)
        return head.group_id

    async def errors(self, body: Any, group_id: str | None = None) -> list[FieldError]:
        """Tell all that is wrong with a body that is wrong in itself."""
        try:
            (parse_group if group_id is None else parse_group_update)(body)
        except InvalidGroup as wrong:
            return list((await self.services.completion.complete(wrong, group_id)).errors)
        raise AssertionError("it is right in itself")

    async def places(self, body: Any, group_id: str | None = None) -> list[Place]:
        """Tell where it is wrong."""
        return [(each.pointer, each.source_server_id) for each in await self.errors(body, group_id)]


def on_a_bench(test: Callable[[Bench], Awaitable[None]]) -> Callable[[], None]:
    @wraps(test)
    def told() -> None:
        async def tell() -> None:
            _, services = await Fleet(World()).start_producer()
            await test(Bench(services))

        run_virtually(tell)

    # pytest would look for a fixture that is called bench.
    del told.__wrapped__
    return told


def body(*members: Any, **changes: Any) -> dict[str, Any]:
    """Write a group's body."""
    return {"groupName": "web", "region": "eu-central-1", "sourceServerIds": list(members), **changes}


def own(member: str, **config: Any) -> dict[str, Any]:
    return {"sourceServerId": member, "launchConfig": config}


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
