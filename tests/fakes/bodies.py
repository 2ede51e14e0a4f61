"""Bodies of groups, right and wrong, given to a producer whose account holds little."""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from ipaddress import IPv4Network
from typing import Any

import pytest

from producer.services import Services
from tests.fakes.accounts import BoundlessAccounts, HeldAccounts
from tests.fakes.twin.fleet import Fleet
from tests.fakes.twin.world import World
from tests.fakes.virtual_time import run_virtually
from workers.core.fleet.file import parse_fleet
from workers.core.model.errors import FieldError, InvalidBody
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
EVERYTHING = frozenset[str]()
"""What a question for the list of all names."""
Place = tuple[str, str | None]


class Bench:
    """A producer over an account that holds little, and the bodies that it is given."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.hold(HELD)

    def _use(self, accounts: HeldAccounts | BoundlessAccounts) -> None:
        self.services.validation._accounts = accounts

    def hold(self, held: Holdings) -> None:
        """Let the account hold something else."""
        self.accounts = HeldAccounts(held)
        self._use(self.accounts)

    async def store(self, body: Mapping[str, Any]) -> str:
        """Store a group, whatever its account holds."""
        self._use(BoundlessAccounts())
        head = await self.services.submission.create_group(parse_group(body), Requester("alice", "http", "requested"))
        self._use(self.accounts)
        return head.group_id

    def find_wrong(self, body: Any, group_id: str | None = None) -> InvalidGroup | None:
        """Find what is wrong with a body in itself."""
        try:
            (parse_group if group_id is None else parse_group_update)(body)
        except InvalidGroup as wrong:
            return wrong
        return None

    async def errors(self, body: Any, group_id: str | None = None) -> list[FieldError]:
        """Tell all that is wrong with a body that is wrong in itself."""
        wrong = self.find_wrong(body, group_id)
        assert wrong is not None
        return list((await self.services.completion.complete(wrong, group_id)).errors)

    async def lacking(self, body: Any, group_id: str | None = None) -> list[FieldError]:
        """Tell why a body is refused that is right in itself; nothing where it is accepted."""
        requester = Requester("alice", "http", "requested")
        try:
            if group_id is None:
                await self.services.submission.create_group(parse_group(body), requester)
            else:
                await self.services.changes.update_group(group_id, parse_group_update(body), requester)
        except InvalidBody as refused:
            return list(refused.errors)
        return []

    async def refused(self, body: Any, group_id: str | None = None) -> list[Place]:
        """Tell where a body is wrong that is right in itself."""
        return [(each.pointer, each.source_server_id) for each in await self.lacking(body, group_id)]

    async def planned(self, *bodies: Any) -> list[Place]:
        """Tell where a file of these groups is wrong."""
        text = parse_fleet({"groups": [*bodies]})
        with pytest.raises(InvalidBody) as refused:
            await self.services.fleet.plan(text, prune=False)
        return [(each.pointer, each.source_server_id) for each in refused.value.errors]

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


def by_tags(*servers: Any, **changes: Any) -> dict[str, Any]:
    """Write a group's body whose members are A, B and C."""
    selected = {"groupName": "web", "region": "eu-central-1", "serverSelectionTags": {"team": "pay"}}
    return {**selected, "servers": [*servers], **changes}
