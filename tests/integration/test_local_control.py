"""The stand-in's own door: what it sets is in force, and a wrong body changes nothing."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.process import StandIn

Clients = Callable[..., Any]


def refusal(local: StandIn, method: str, path: str, body: Any = None) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as refused:
        local.control(method, path, body)
    with refused.value as answer:
        return answer.code, json.load(answer)["message"]


@pytest.mark.parametrize(
    ("path", "body", "complaint"),
    [
        ("faults", {"faults": []}, "valid array"),
        ("faults", [{"service": "drs", "operation": "*"}], "0: Value error, a fault needs code"),
        ("faults", [{"service": "drs", "operation": "Nope", "code": "X"}], "no operation 'Nope'"),
        ("rates", {"rates": "fast"}, "rates"),
        ("rates", {"rates": 0}, "greater than 0"),
        ("rates", {}, "rates: Field required"),
        ("latency", {"seconds": -1}, "greater than or equal to 0"),
        ("latency", {"seconds": 1, "second": 1}, "second: Extra inputs"),
        ("consistency", {"seconds": "1"}, "valid number"),
        ("jobs", {"seconds": None}, "valid number"),
        ("versions", {"limit": 0}, "greater than or equal to 1"),
        ("clock", {"advanceSeconds": -5}, "greater than or equal to 0"),
        ("events", {}, "on: Field required"),
        ("events", {"on": "true"}, "on: Input should be a valid boolean"),
        ("events", {"on": True, "off": False}, "off: Extra inputs"),
        ("events", {"on": True, "alsoTo": "mine"}, "alsoTo: Input should be a valid"),
        ("events", {"on": True, "alsoTo": ["http://mine"]}, "alsoTo.0: String should match pattern"),
        ("faults", [{"service": "drs", "operation": "*", "code": "X", "status": 200}], "0.status"),
        ("faults", [{"service": "drs", "operation": "*", "kind": "hang", "status": 500}], "a status comes with a code"),
        ("accounts/12", {"initialised": False}, "pattern"),
        ("accounts/123456789012", {"roles": [{"externalId": "ab"}]}, "roles.0.roleName: Field required"),
    ],
)
def test_a_wrong_body_is_a_400_that_says_where(local: StandIn, path: str, body: Any, complaint: str) -> None:
    """The message names the field and what is wrong with it."""
    status, message = refusal(local, "PUT", path, body)
    assert status == 400
    assert complaint in message


def test_a_refused_script_leaves_the_old_one_in_force(local: StandIn, client: Clients) -> None:
    """One bad fault among good ones: none of them is taken."""
    local.control("PUT", "faults", [{"service": "sqs", "operation": "ListQueues", "code": "Old"}])
    new = [{"service": "sqs", "operation": "*", "code": "New"}, {"service": "sqs", "operation": "*"}]
    assert refusal(local, "PUT", "faults", new)[0] == 400
    with pytest.raises(ClientError, match="Old"):
        client("sqs").list_queues()


def test_json_that_is_none_is_a_400(local: StandIn) -> None:
    """No traceback for a body that cannot be read."""
    request = urllib.request.Request(f"{local.url}/_local/rates", data=b"{not json", method="PUT")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=10)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nothing", 404),
        ("GET", "calls/1", 404),
        ("POST", "calls", 405),
        ("GET", "faults", 405),
        ("DELETE", "servers/s-0123456789abcdef0", 404),
    ],
)
def test_what_the_control_lacks_is_said(local: StandIn, method: str, path: str, status: int) -> None:
    """An unknown path is a 404, a wrong method a 405."""
    assert refusal(local, method, path)[0] == status


def test_servers_are_made_with_their_tags_where_told(local: StandIn, client: Clients) -> None:
    """Count, account and tags are as asked; another account has none of them."""
    account = "555555555555"
    body = {"count": 3, "accountId": account, "tags": {"wave": "1"}}
    made = local.control("POST", "servers", body)["sourceServerIds"]
    found = client("drs", access_key_id=account).describe_source_servers()["items"]
    assert sorted(item["sourceServerID"] for item in found) == sorted(made)
    assert all(item["tags"] == {"wave": "1"} for item in found)
    for source_server_id in made:
        local.control("DELETE", f"servers/{source_server_id}")
    assert client("drs", access_key_id=account).describe_source_servers()["items"] == []


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({}, "count"),
        ({"count": 0}, "greater than"),
        ({"count": 1, "region": "here"}, "region"),
        ({"count": 1, "region": "us-east-9"}, "DRS is not in us-east-9"),
        ({"count": 1, "tags": {"a": 1}}, "tags.a"),
    ],
)
def test_servers_that_cannot_be_are_refused(local: StandIn, body: Any, complaint: str) -> None:
    """Nothing is made for a wrong body."""
    status, message = refusal(local, "POST", "servers", body)
    assert (status, complaint in message) == (400, True)


def test_a_server_is_changed_as_the_world_would(local: StandIn, client: Clients) -> None:
    """`template: null` takes its template, other changes are refused unless they mean something."""
    (name,) = local.control("POST", "servers", {"count": 1})["sourceServerIds"]
    drs, ec2 = client("drs"), client("ec2")
    template = drs.get_launch_configuration(sourceServerID=name)["ec2LaunchTemplateID"]
    assert refusal(local, "PATCH", f"servers/{name}", {"template": "lt-1"})[0] == 400
    assert refusal(local, "PATCH", f"servers/{name}", {"state": "BROKEN"})[0] == 400
    local.control("PATCH", f"servers/{name}", {"template": None})
    with pytest.raises(ClientError, match=r"InvalidLaunchTemplateId\.NotFound"):
        ec2.describe_launch_templates(LaunchTemplateIds=[template])
    local.control("PATCH", f"servers/{name}", {"state": "DISCONNECTED"})
    (item,) = drs.describe_source_servers(filters={"sourceServerIDs": [name]})["items"]
    assert item["dataReplicationInfo"]["dataReplicationState"] == "DISCONNECTED"
    assert refusal(local, "PATCH", "servers/s-0123456789abcdef0", {"template": None})[0] == 404


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"state": "DISCONNECTED", "recoveryPoint": 0}, "recoveryPoint"),
        ({"template": None, "drsTag": True}, "drsTag"),
        ({"template": None, "subnetId": "here"}, "subnetId"),
        ({"template": None, "colour": "red"}, "colour: Extra inputs"),
        ([], "should be an object"),
    ],
)
def test_a_wrong_change_of_a_server_changes_nothing(local: StandIn, client: Clients, body: Any, complaint: str) -> None:
    """One wrong part, and the good ones are left undone too."""
    (name,) = local.control("POST", "servers", {"count": 1})["sourceServerIds"]
    before = client("drs").get_launch_configuration(sourceServerID=name)["ec2LaunchTemplateID"]
    status, message = refusal(local, "PATCH", f"servers/{name}", body)
    assert (status, complaint in message) == (400, True)
    assert client("drs").get_launch_configuration(sourceServerID=name)["ec2LaunchTemplateID"] == before
    (item,) = client("drs").describe_source_servers(filters={"sourceServerIDs": [name]})["items"]
    assert item["dataReplicationInfo"]["dataReplicationState"] == "CONTINUOUS"


def test_servers_are_made_in_the_region_told(local: StandIn, client: Clients) -> None:
    """They are seen there and nowhere else."""
    (name,) = local.control("POST", "servers", {"count": 1, "region": "eu-north-1"})["sourceServerIds"]
    found = {
        region: client("drs", region=region).describe_source_servers(filters={"sourceServerIDs": [name]})["items"]
        for region in ("us-east-1", "eu-north-1")
    }
    assert {region: len(items) for region, items in found.items()} == {"us-east-1": 0, "eu-north-1": 1}


def test_what_happens_to_a_server_shows_in_its_job_and_its_template(local: StandIn, client: Clients) -> None:
    """Without a recovery point it fails; without DRS's tag nobody may write its template; its subnet is DRS's."""
    empty, denied, moved = local.control("POST", "servers", {"count": 3})["sourceServerIds"]
    drs, ec2 = client("drs"), client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][-1]["SubnetId"]
    local.control("PATCH", f"servers/{empty}", {"recoveryPoint": False})
    local.control("PATCH", f"servers/{denied}", {"drsTag": False})
    local.control("PATCH", f"servers/{moved}", {"subnetId": subnet})
    templates = [drs.get_launch_configuration(sourceServerID=name)["ec2LaunchTemplateID"] for name in (denied, moved)]
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.modify_launch_template(LaunchTemplateId=templates[0], DefaultVersion="1")
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateId=templates[1], Versions=["$Default"])[
        "LaunchTemplateVersions"
    ]
    assert version["LaunchTemplateData"]["NetworkInterfaces"][0]["SubnetId"] == subnet
    local.control("PUT", "jobs", {"seconds": 0})
    job = drs.start_recovery(sourceServers=[{"sourceServerID": empty}], isDrill=True)["job"]["jobID"]
    (ended,) = drs.describe_jobs(filters={"jobIDs": [job]})["items"]
    (part,) = ended["participatingServers"]
    assert (ended["status"], part["launchStatus"]) == ("COMPLETED", "FAILED")


def test_a_read_may_answer_the_state_before_a_write(local: StandIn, client: Clients) -> None:
    """`consistency` says how long; it is EC2's reads that lag, and DRS's do not."""
    (name,) = local.control("POST", "servers", {"count": 1})["sourceServerIds"]
    drs, ec2 = client("drs"), client("ec2")
    template = drs.get_launch_configuration(sourceServerID=name)["ec2LaunchTemplateID"]
    local.control("PUT", "consistency", {"seconds": 600})

    def default() -> int:
        (found,) = ec2.describe_launch_templates(LaunchTemplateIds=[template])["LaunchTemplates"]
        return int(found["DefaultVersionNumber"])

    assert drs.update_launch_configuration(sourceServerID=name, copyPrivateIp=True)["copyPrivateIp"]
    assert drs.get_launch_configuration(sourceServerID=name)["copyPrivateIp"]
    assert default() == 1
    local.control("PUT", "clock", {"advanceSeconds": 601})
    assert default() == 2


def test_an_account_can_be_without_drs(local: StandIn, client: Clients) -> None:
    """`initialised: false` is UninitializedAccountException until it is taken back."""
    account = "666666666666"
    drs = client("drs", access_key_id=account)
    local.control("PUT", f"accounts/{account}", {"initialised": False})
    with pytest.raises(ClientError, match="UninitializedAccountException"):
        drs.describe_source_servers()
    local.control("PUT", f"accounts/{account}", {"initialised": True})
    assert drs.describe_source_servers()["items"] == []


def test_the_clock_only_goes_forward_by_hand(local: StandIn) -> None:
    """Advancing adds up; nothing else moves the stand-in's time but time itself."""
    first = local.control("PUT", "clock", {"advanceSeconds": 0})["now"]
    second = local.control("PUT", "clock", {"advanceSeconds": 3600})["now"]
    assert 3600 <= (datetime.fromisoformat(second) - datetime.fromisoformat(first)).total_seconds() < 3660


def test_recovery_jobs_take_the_time_told(local: StandIn, client: Clients) -> None:
    """`jobs` and `clock` together let a test see a job launch without waiting."""
    (name,) = local.control("POST", "servers", {"count": 1})["sourceServerIds"]
    local.control("PUT", "jobs", {"seconds": 600})
    drs = client("drs")
    job = drs.start_recovery(sourceServers=[{"sourceServerID": name}], isDrill=True)["job"]["jobID"]

    def status() -> str:
        return str(drs.describe_jobs(filters={"jobIDs": [job]})["items"][0]["status"])

    assert status() == "PENDING"
    local.control("PUT", "clock", {"advanceSeconds": 601})
    assert status() == "STARTED"
    local.control("PUT", "clock", {"advanceSeconds": 601})
    assert status() == "COMPLETED"
