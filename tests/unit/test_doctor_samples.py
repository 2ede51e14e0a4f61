"""Calls are tried on a source server that is there: one that is gone or disconnected tells of no permission."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from workers.aws.calls import Calls
from workers.aws.clients import Clients
from workers.aws.doctor.places import DRY_RUN_PASSED, AwsPlaces
from workers.core.clock import read_clock
from workers.core.doctor.accounts import Place
from workers.core.doctor.groups import SAMPLES, find_places
from workers.core.doctor.ports import Verdict
from workers.core.errors import AccessDenied, PermanentError, PrelaunchError, ServiceUnavailable, SourceServerNotFound
from workers.core.model.group import GroupDefinition, Target
from workers.core.model.launch_config import LaunchConfig
from workers.core.store.groups import GroupStore
from workers.core.store.records import GroupHead

TARGET = Target("eu-west-1", "111122223333")
CALLER = "arn:aws:iam::111122223333:user/ops"
GONE = SourceServerNotFound("gone", code="ResourceNotFoundException")
NO_TEMPLATE = PermanentError("no template", code="InvalidLaunchTemplateId.NotFound")


@dataclass
class Aws:
    """Answers as the source servers are, and remembers on which of them something was tried."""

    servers: dict[str, str | PrelaunchError | None]
    """Their launch templates; None of one that is disconnected."""
    templates: dict[str, PrelaunchError] = field(default_factory=dict)
    """What EC2 answers of a template instead."""
    read: list[str] = field(default_factory=list)
    written: list[tuple[str, str]] = field(default_factory=list)
    simulated: list[str] = field(default_factory=list)

    async def call(self, _target: Target, service: str, operation: str, request: dict[str, Any]) -> Any:
        if operation == "GetLaunchConfiguration":
            self.read.append(request["sourceServerID"])
            found = self.servers[request["sourceServerID"]]
            if isinstance(found, PrelaunchError):
                raise found
            return {"ec2LaunchTemplateID": found} if found else {}
        if service == "ec2":
            template_id = request.get("LaunchTemplateId", "")
            if template_id:
                self.written.append((operation, template_id))
            raise self.templates.get(template_id, PermanentError("it may", code=DRY_RUN_PASSED))
        if operation == "SimulatePrincipalPolicy":
            self.simulated += request["ResourceArns"]
        return {"EvaluationResults": []}


def try_on(aws: Aws, *samples: str) -> dict[str, Verdict]:
    places = AwsPlaces(cast("Clients", None), cast("Calls", aws), read_clock)
    return {each.action: each for each in asyncio.run(places.may_call(TARGET, CALLER, samples))}


@pytest.mark.parametrize(
    ("lost", "templates"), [(GONE, {}), (None, {}), ("lt-gone", {"lt-gone": NO_TEMPLATE})], ids=["gone", "off", "no lt"]
)
def test_one_that_is_lost_is_passed_by(lost: Any, templates: dict[str, PrelaunchError]) -> None:
    """The next one tells; what is written is tried on its launch template, and simulated on it."""
    aws = Aws({"s-1": lost, "s-2": lost, "s-3": "lt-3", "s-4": "lt-4"}, templates)
    found = try_on(aws, "s-1", "s-2", "s-3", "s-4")
    assert aws.read == ["s-1", "s-2", "s-3"]
    for action in ("drs:GetLaunchConfiguration", "ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"):
        assert found[action].allowed is True
    # The first write is tried once on each, the other one on the one that is there.
    tried = [template_id for operation, template_id in aws.written if operation == "CreateLaunchTemplateVersion"]
    assert tried == (["lt-gone", "lt-gone", "lt-3"] if templates else ["lt-3"])
    assert ("ModifyLaunchTemplate", "lt-3") in aws.written
    assert any("source-server/s-3" in arn for arn in aws.simulated)


@pytest.mark.parametrize(
    ("refusal", "allowed"),
    [(AccessDenied("no", code="AccessDeniedException"), False), (ServiceUnavailable("later", code="X"), None)],
)
def test_a_refusal_is_told_and_nothing_more_is_tried(refusal: PrelaunchError, allowed: bool | None) -> None:
    """It would be the same of every source server, or would take its time with each."""
    aws = Aws({"s-1": refusal, "s-2": "lt-2"})
    found = try_on(aws, "s-1", "s-2")
    assert aws.read == ["s-1"]
    assert found["drs:GetLaunchConfiguration"].allowed is allowed
    assert found["ec2:ModifyLaunchTemplate"].allowed is None
    assert refusal.message in found["ec2:ModifyLaunchTemplate"].why


def test_a_denied_write_is_no_lost_template() -> None:
    """It is what was asked for."""
    aws = Aws({"s-1": "lt-1", "s-2": "lt-2"}, {"lt-1": AccessDenied("no", code="UnauthorizedOperation")})
    assert try_on(aws, "s-1", "s-2")["ec2:CreateLaunchTemplateVersion"].allowed is False
    assert aws.read == ["s-1"]


def test_where_none_is_there_nothing_is_known_of_writes() -> None:
    """And which ones were tried is told; a disconnected one was read all the same."""
    found = try_on(Aws({"s-1": None, "s-2": GONE}), "s-1", "s-2")
    assert found["drs:GetLaunchConfiguration"].allowed is True
    for action in ("ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"):
        assert (found[action].allowed, found[action].why) == (None, "no launch template is there of s-1, s-2")
    none = try_on(Aws({}))
    assert none["ec2:ModifyLaunchTemplate"].why == "there is no source server to try it on"


class Groups:
    """Stored groups by their members."""

    def __init__(self, *members: Sequence[str]) -> None:
        self._groups = {
            f"pg-{n}": GroupDefinition(f"group {n}", "", TARGET, tuple(each), LaunchConfig({}), {}, auto_repair=False)
            for n, each in enumerate(members)
        }

    async def read_named(self, _limit: int, _after: object) -> list[tuple[str, str]]:
        return [(group.name, group_id) for group_id, group in self._groups.items()]

    async def read_many(self, group_ids: Sequence[str]) -> dict[str, tuple[Any, None]]:
        return {each: (cast("GroupHead", _Head(each)), None) for each in group_ids}

    async def read_definition(self, group_id: str, _version: int) -> GroupDefinition:
        return self._groups[group_id]


@dataclass
class _Head:
    group_id: str
    version: int = 1
    account_id: str = "111122223333"


def sample(*members: Sequence[str]) -> tuple[str, ...]:
    groups = cast("GroupStore", Groups(*members))
    (place,) = asyncio.run(find_places(groups, Place(TARGET)))
    return place.source_server_ids


def test_samples_are_few_and_of_many_groups() -> None:
    """All servers of one group may be gone together; however many there are, a few are tried."""
    assert sample([f"s-a{n}" for n in range(9)], [], ["s-b0"]) == ("s-a0", "s-b0", "s-a1", "s-a2", "s-a3")
    many = sample(*([f"s-{n}"] for n in range(20)))
    assert many == tuple(f"s-{n}" for n in range(SAMPLES))
    assert sample(["s-1"]) == ("s-1",)
    assert sample() == ()
