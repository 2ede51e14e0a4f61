"""What the demo applies, and how it judges itself."""

import json

import pytest

from producer.demo.result import CONFIG_CALLS, Drift, Found, Result
from producer.local_stack.scenario import GROUP_NAMES, SERVERS_A_GROUP, Network, draw_group
from workers.core.model.group_parse import parse_group

NETWORK = Network("subnet-01234567", "10.20.0.0/16", "sg-01234567")
SERVERS = [[f"s-{group}{number:016d}" for number in range(SERVERS_A_GROUP)] for group in range(2)]
DRIFT = Drift(
    edited=("s-2", "s-3"),
    found=(
        Found("web tier", "s-2", "instanceType", "t3.micro", "m5.xlarge"),
        Found("database tier", "s-3", "tags.Application", "theirs", "database tier"),
    ),
    found_seconds=9.12345,
    repaired_servers=2,
    repair_seconds=1.5,
    restored_templates=2,
    watch_calls={"drs.GetLaunchConfiguration": {"count": 120, "throttled": 0}},
    repair_calls={},
)
GOOD = Result(
    groups=[{"groupId": "pg-1", "status": "ready", "total": 60, "ready": 60, "failed": 0}] * 2,
    failure={"sourceServerId": "s-1", "code": "ValidationException", "message": "no", "extra": 1},
    reapplied_servers=1,
    drift=DRIFT,
    ready_seconds=10.12345,
    wave_path="fast",
    wave_seconds=0.15,
    serial_seconds=60.0,
    calls={
        "apply": {"drs.UpdateLaunchConfiguration": {"count": 121, "throttled": 0}},
        "wave": {"drs.StartRecovery": {"count": 2, "throttled": 0}},
        "serial": {name: {"count": 120, "throttled": 1} for name in CONFIG_CALLS[:4]},
    },
)


def test_the_demo_s_groups_are_valid_and_do_not_share_an_address() -> None:
    """Both bodies pass the product's own check; twelve overrides, four static addresses, each once in the subnet."""
    groups = [parse_group(draw_group(name, SERVERS[i], NETWORK)) for i, name in enumerate(GROUP_NAMES)]
    assert [len(group.source_server_ids) for group in groups] == [60, 60]
    assert sum(len(group.overrides) for group in groups) == 12
    addresses = [
        group.effective(member).values["staticPrivateIp"]
        for group in groups
        for member in group.source_server_ids
        if "staticPrivateIp" in group.effective(member).values
    ]
    assert len(addresses) == len(set(addresses)) == 4
    assert all(str(address).startswith("10.20.") for address in addresses)


def test_the_demo_s_json_has_the_promised_members() -> None:
    """Programs that read the demo's figures find each under its promised name."""
    figures = json.loads(GOOD.to_json())
    assert figures["groups"] == GOOD.groups
    assert figures["failure"] == {"sourceServerId": "s-1", "code": "ValidationException", "message": "no"}
    assert figures["correction"] == {"reappliedServers": 1}
    assert figures["drift"] == {
        "editedTemplates": 2,
        "found": [
            {"sourceServerId": "s-2", "field": "instanceType", "observed": "t3.micro", "desired": "m5.xlarge"},
            {
                "sourceServerId": "s-3",
                "field": "tags.Application",
                "observed": "theirs",
                "desired": "database tier",
            },
        ],
        "foundSeconds": pytest.approx(9.123),
        "repairedServers": 2,
        "repairSeconds": 1.5,
        "restoredTemplates": 2,
    }
    assert figures["readySeconds"] == pytest.approx(10.123)
    assert figures["wave"] == {"path": "fast", "configCalls": 0, "requestToStartSeconds": 0.15}
    assert figures["serial"] == {"configCalls": 480, "requestToStartSeconds": 60.0}
    assert figures["reduction"] == pytest.approx(1 - 0.15 / 60)
    assert figures["calls"] == GOOD.calls
