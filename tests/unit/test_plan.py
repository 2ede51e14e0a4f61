"""The plan of a launch template: one version, of what was read, that says no more than it must."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.fakes.launch_templates import observe
from workers.core.model.launch_config import Json, LaunchConfig
from workers.core.plan.drift import DriftItem
from workers.core.plan.plan import CreateTemplateVersion, plan_template

_HELD: Mapping[str, Any] = {
    "InstanceType": "m5.large",
    "Monitoring": {"Enabled": True},
    "Placement": {"GroupName": "g"},
}


def _plan(
    data: Mapping[str, Any], wanted: Mapping[str, Json], *, version: int = 7, **salt: int
) -> CreateTemplateVersion:
    step = plan_template(LaunchConfig(wanted), observe(data, version), **salt)
    assert step is not None
    return step


@pytest.mark.parametrize(
    ("wanted", "inherits", "members", "drift"),
    [
        (
            {"instanceType": "m5.xlarge"},
            True,
            {"InstanceType": "m5.xlarge"},
            [DriftItem("instanceType", "m5.large", "m5.xlarge")],
        ),
        (
            {"tenancy": "host", "disableApiStop": True, "monitoring": True},
            True,
            {"Placement": {"GroupName": "g", "Tenancy": "host"}, "DisableApiStop": True},
            [DriftItem("disableApiStop", None, True), DriftItem("tenancy", None, "host")],
        ),
        (
            {"monitoring": None, "instanceType": "m5.xlarge"},
            False,
            {"InstanceType": "m5.xlarge", "Placement": {"GroupName": "g"}},
            [DriftItem("instanceType", "m5.large", "m5.xlarge"), DriftItem("monitoring", True, None)],
        ),
    ],
)
def test_a_version_inherits_what_it_does_not_say(
    wanted: dict[str, Json], inherits: bool, members: dict[str, Any], drift: list[DriftItem]
) -> None:
    """It sends whole members, those that differ; where one has to go it inherits nothing and says all that stays."""
    step = _plan(_HELD, wanted)
    assert (step.template_id, step.source_version) == ("lt-0123456789abcdef0", 7)
    assert (step.inherits, step.members, step.drift) == (inherits, members, tuple(drift))


def test_what_is_as_it_is_wanted_is_no_work() -> None:
    """No version is made where nothing differs."""
    assert plan_template(LaunchConfig({"instanceType": "m5.large", "tenancy": None}), observe(_HELD)) is None


def test_each_work_has_its_token() -> None:
    """One for each payload, source version and salt, none of them repeated; nothing is salted unless it is said."""
    steps = [
        _plan(_HELD, {"instanceType": "m5.xlarge"}),
        _plan(_HELD, {"instanceType": "m5.2xlarge"}),
        _plan(_HELD, {"disableApiStop": True}),
        _plan(_HELD, {"disableApiStop": False}),
        _plan(_HELD, {"tenancy": "host"}),
        _plan(_HELD, {"tenancy": "dedicated"}),
        _plan({}, {"tenancy": "host"}),
        _plan(_HELD, {"instanceType": "m5.xlarge"}, version=8),
        _plan(_HELD, {"instanceType": "m5.xlarge"}, salt=1),
    ]
    assert len({step.client_token for step in steps}) == len(steps)
    assert len({step.description for step in steps}) == len(steps) - 2
    assert _plan(_HELD, {"instanceType": "m5.xlarge"}, salt=0) == steps[0]


def _spot(until: datetime) -> dict[str, Any]:
    return {**_HELD, "InstanceMarketOptions": {"MarketType": "spot", "SpotOptions": {"ValidUntil": until}}}


def test_a_moment_has_one_token_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever zone it is told in and the clock of the machine is in; another moment has another one."""
    until = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    told = [until, until.astimezone(timezone(timedelta(hours=2)))]
    tokens = set()
    with monkeypatch.context() as patch:
        for zone in ("UTC", "Asia/Tokyo"):
            patch.setenv("TZ", zone)
            time.tzset()
            tokens |= {_plan(_spot(each), {"monitoring": None}).client_token for each in told}
    time.tzset()
    assert len(tokens) == 1
    assert _plan(_spot(until + timedelta(seconds=1)), {"monitoring": None}).client_token not in tokens


def test_a_list_is_part_of_the_work() -> None:
    """Each entry, in its order."""
    tokens = {
        _plan({"SecurityGroupIds": held, **_HELD}, {"monitoring": None}).client_token
        for held in (["a"], ["b"], ["a", "b"])
    }
    assert len(tokens) == 3
