"""The adapter of EC2's launch templates: what is asked, and what an answer with a warning means."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from tests.fakes.guards import ScriptedGuard
from tests.fakes.launch_templates import create_version_model
from workers.aws.calls import Calls
from workers.aws.templates import Ec2LaunchTemplates
from workers.core.errors import LeaseLost, StaleTemplate, VersionRefused
from workers.core.model.group import Target
from workers.core.plan.plan import CreateTemplateVersion
from workers.core.ports import Guard

TARGET = Target("us-east-1")
TEMPLATE = "lt-0123456789abcdef0"


@dataclass
class ScriptedCalls:
    """Answers one call after the other, and notes what was asked."""

    answers: list[dict[str, Any]]
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def call(
        self, _target: Target, service: str, operation: str, request: dict[str, Any], *, guard: Guard | None = None
    ) -> dict[str, Any]:
        assert service == "ec2"
        if guard is not None:
            guard.check()
        self.asked.append((operation, request))
        return self.answers.pop(0)

    async def find_input_shape(self, _target: Target, _service: str, _operation: str) -> Any:
        return create_version_model().input_shape


def templates(*answers: dict[str, Any]) -> tuple[Ec2LaunchTemplates, ScriptedCalls]:
    calls = ScriptedCalls([*answers])
    return Ec2LaunchTemplates(cast("Calls", calls), lambda: datetime.now(UTC)), calls


def step(*, inherits: bool = True) -> CreateTemplateVersion:
    members = {"InstanceType": "m5.large"}
    return CreateTemplateVersion(TEMPLATE, 7, inherits, members, "f" * 64, "prelaunch digest", ())


AGREES = ScriptedGuard()


async def test_the_default_version_is_read() -> None:
    """The version that is the default is asked for, never the latest; what only an answer has is dropped."""
    data = {"InstanceType": "m5.large", "MetadataOptions": {"State": "applied", "HttpTokens": "required"}}
    port, calls = templates({"LaunchTemplateVersions": [{"VersionNumber": 7, "LaunchTemplateData": data}]})
    before = datetime.now(UTC)
    observed = await port.read_default(TARGET, TEMPLATE)
    assert calls.asked[0][1] == {"LaunchTemplateId": TEMPLATE, "Versions": ["$Default"]}
    assert (observed.template_id, observed.version) == (TEMPLATE, 7)
    assert observed.data == {"InstanceType": "m5.large", "MetadataOptions": {"HttpTokens": "required"}}
    assert before <= observed.begun_at <= datetime.now(UTC)


async def test_a_template_without_default_is_stale() -> None:
    """An answer without a version says that the template is not what it was."""
    port, _ = templates({"LaunchTemplateVersions": []})
    with pytest.raises(StaleTemplate):
        await port.read_default(TARGET, TEMPLATE)


@pytest.mark.parametrize("inherits", [True, False])
async def test_the_source_is_the_number_that_was_read(inherits: bool) -> None:
    """A version inherits from the number that was read, or from none; with the step's token and payload."""
    port, calls = templates({"LaunchTemplateVersion": {"VersionNumber": 8}})
    assert await port.create_version(TARGET, step(inherits=inherits), AGREES) == 8
    operation, request = calls.asked[0]
    assert operation == "CreateLaunchTemplateVersion"
    assert request.pop("SourceVersion", None) == ("7" if inherits else None)
    assert request == {
        "LaunchTemplateId": TEMPLATE,
        "ClientToken": "f" * 64,
        "VersionDescription": "prelaunch digest",
        "LaunchTemplateData": {"InstanceType": "m5.large"},
    }


async def test_a_warning_is_a_failure() -> None:
    """EC2 stores what it could not launch with HTTP 200: that is a refusal, with its code, request and number."""
    port, _ = templates(
        {
            "LaunchTemplateVersion": {"VersionNumber": 8},
            "Warning": {"Errors": [{"Code": "InvalidInstanceType", "Message": "no such type"}]},
            "ResponseMetadata": {"RequestId": "req-1"},
        }
    )
    with pytest.raises(VersionRefused, match="InvalidInstanceType: no such type") as caught:
        await port.create_version(TARGET, step(), AGREES)
    assert (caught.value.code, caught.value.request_id, caught.value.version) == ("InvalidInstanceType", "req-1", 8)


@pytest.mark.parametrize("warning", [{}, {"Errors": []}, None])
async def test_an_empty_warning_is_none(warning: dict[str, Any] | None) -> None:
    """Only a warning that says something is a refusal."""
    port, _ = templates({"LaunchTemplateVersion": {"VersionNumber": 8}, "Warning": warning})
    assert await port.create_version(TARGET, step(), AGREES) == 8


async def test_each_promotion_has_its_own_token() -> None:
    """Exactly the given number is promoted; a repair of the same number is a request of its own."""
    port, calls = templates({}, {})
    for _ in range(2):
        await port.promote(TARGET, TEMPLATE, 8, AGREES)
    requests = [request for _, request in calls.asked]
    assert len({request.pop("ClientToken") for request in requests}) == 2
    assert requests == [{"LaunchTemplateId": TEMPLATE, "DefaultVersion": "8"}] * 2


async def test_both_writes_are_guarded() -> None:
    """Neither write is sent where the guard objects."""
    port, calls = templates()

    def object_() -> None:
        raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        await port.create_version(TARGET, step(), ScriptedGuard(object_))
    with pytest.raises(LeaseLost):
        await port.promote(TARGET, TEMPLATE, 8, ScriptedGuard(object_))
    assert calls.asked == []
