"""The numbers that AWS publishes, through boto3: token buckets of an account, Region and API; quotas of DRS."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local.process import StandIn
from infra.local.world import WORLD
from tests.integration.local_services import Account, advance, open_account, own_world, refused

Clients = Callable[..., Any]
UNKNOWN = "lt-0123456789abcdef0"
CALLS: dict[str, Callable[[Any], object]] = {
    "CreateLaunchTemplateVersion": lambda ec2: ec2.create_launch_template_version(
        LaunchTemplateId=UNKNOWN, LaunchTemplateData={"KeyName": "k"}
    ),
    "ModifyLaunchTemplate": lambda ec2: ec2.modify_launch_template(LaunchTemplateId=UNKNOWN, DefaultVersion="1"),
    "DescribeLaunchTemplates": lambda ec2: ec2.describe_launch_templates(LaunchTemplateIds=[UNKNOWN]),
    "DescribeLaunchTemplateVersions": lambda ec2: ec2.describe_launch_template_versions(LaunchTemplateId=UNKNOWN),
    "DeleteLaunchTemplateVersions": lambda ec2: ec2.delete_launch_template_versions(
        LaunchTemplateId=UNKNOWN, Versions=["1"]
    ),
}
"""Calls that EC2 counts and then refuses: the id is nobody's."""


@dataclass(frozen=True)
class Burst:
    """Calls in a row: how many the bucket let pass, and how long they took."""

    passed: int
    seconds: float


def is_throttled(call: Callable[[Any], object], ec2: Any) -> bool:
    with pytest.raises(ClientError) as caught:
        call(ec2)
    response = caught.value.response
    throttled = bool(response["Error"]["Code"] == "RequestLimitExceeded")
    assert response["ResponseMetadata"]["HTTPStatusCode"] == (503 if throttled else 400)
    return throttled


def burst(call: Callable[[Any], object], ec2: Any, number: int) -> Burst:
    started = time.monotonic()
    passed = sum(not is_throttled(call, ec2) for _ in range(number))
    return Burst(passed, time.monotonic() - started)


@pytest.mark.parametrize(
    ("operation", "capacity", "refill"),
    [
        ("CreateLaunchTemplateVersion", 100, 5),
        ("ModifyLaunchTemplate", 100, 5),
        ("DescribeLaunchTemplates", 100, 20),
        ("DescribeLaunchTemplateVersions", 100, 20),
        ("DeleteLaunchTemplateVersions", 50, 5),
    ],
)
def test_an_api_lets_its_bucket_pass_and_then_its_refill(
    local: StandIn, client: Clients, operation: str, capacity: int, refill: int
) -> None:
    """Never fewer calls than the capacity, never more than it and what came in meanwhile; then the refill alone."""
    ec2 = client("ec2")
    local.control("PUT", "rates", {"rates": "real"})
    first = burst(CALLS[operation], ec2, capacity + 20)
    assert capacity <= first.passed <= capacity + refill * first.seconds + 1
    while not is_throttled(CALLS[operation], ec2):
        pass
    local.control("PUT", "clock", {"advanceSeconds": 2})
    second = burst(CALLS[operation], ec2, 2 * refill + 10)
    assert 2 * refill <= second.passed <= 2 * refill + refill * (second.seconds + 1) + 1


def test_a_bucket_is_of_one_account_region_and_api(local: StandIn, client: Clients) -> None:
    """Everything in the account draws on it; another account, Region or API has its own."""
    account = "717171717171"
    local.control("PUT", f"accounts/{account}", {"roles": [{"roleName": "other"}]})
    role = f"arn:aws:iam::{account}:role/other"
    given = client("sts").assume_role(RoleArn=role, RoleSessionName="other")["Credentials"]
    session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    once = Config(retries={"total_max_attempts": 1})

    def somebody(region: str) -> Any:
        return session.client("ec2", endpoint_url=local.url, region_name=region, config=once)

    ours = client("ec2", access_key_id=account)
    local.control("PUT", "rates", {"rates": 0.01})  # one call in a hundred of AWS's: nothing comes back meanwhile
    describe, modify = CALLS["DescribeLaunchTemplateVersions"], CALLS["ModifyLaunchTemplate"]
    assert [is_throttled(modify, who) for who in (ours, ours, somebody("us-east-1"))] == [False, True, True]
    assert not is_throttled(modify, somebody("eu-west-1"))
    assert not is_throttled(modify, client("ec2", access_key_id="727272727272"))
    assert not is_throttled(describe, ours)


def test_drs_draws_on_the_accounts_buckets_too(local: StandIn, client: Clients) -> None:
    """What DRS writes to a launch template by itself is taken from the same bucket."""
    account = "737373737373"
    drs, ec2 = client("drs", access_key_id=account), client("ec2", access_key_id=account)
    (source_server_id,) = local.control("POST", "servers", {"count": 1, "accountId": account})["sourceServerIds"]
    local.control("PUT", "rates", {"rates": 0.01})
    drs.update_launch_configuration(sourceServerID=source_server_id, copyPrivateIp=True)
    assert is_throttled(CALLS["CreateLaunchTemplateVersion"], ec2)
    assert is_throttled(CALLS["ModifyLaunchTemplate"], ec2)
    assert not is_throttled(CALLS["DescribeLaunchTemplateVersions"], ec2)


def test_setting_the_rates_fills_every_bucket(local: StandIn, client: Clients) -> None:
    """A test starts with full buckets, and `off` means none at all."""
    ec2, call = client("ec2"), CALLS["ModifyLaunchTemplate"]
    local.control("PUT", "rates", {"rates": 0.01})
    assert [is_throttled(call, ec2) for _ in range(2)] == [False, True]
    local.control("PUT", "rates", {"rates": 0.01})
    assert not is_throttled(call, ec2)
    local.control("PUT", "rates", {"rates": "off"})
    assert burst(call, ec2, 10).passed == 10


@pytest.fixture
def account(endpoint: str) -> Iterator[Account]:
    with own_world():
        WORLD.job_seconds = 60
        yield open_account(endpoint)


def start(account: Account, *ids: str) -> str:
    servers = [{"sourceServerID": source_server_id} for source_server_id in ids]
    return str(account.drs.start_recovery(sourceServers=servers)["job"]["jobID"])


def test_job_quotas_are_of_one_account_and_region(endpoint: str, account: Account) -> None:
    """20 jobs in one Region leave another Region, and another account, all of theirs."""
    for source_server_id in account.add_servers(20):
        start(account, source_server_id)
    (more,) = account.add_servers(1)
    assert refused(lambda: start(account, more))[0] == "ServiceQuotaExceededException"
    other = open_account(endpoint)
    assert start(other, *other.add_servers(1))
    elsewhere = open_account(endpoint, "us-west-2", account.account_id)
    assert refused(lambda: start(elsewhere, more))[0] == "ResourceNotFoundException"


def test_starting_twice_starts_twice(account: Account) -> None:
    """StartRecovery has no idempotency token: the same request again is a second job, as soon as it may be."""
    (source_server_id,) = account.add_servers(1)
    first = start(account, source_server_id)
    advance(120)
    assert start(account, source_server_id) != first
    members = account.drs.meta.service_model.operation_model("StartRecovery").input_shape.members
    assert set(members) == {"isDrill", "sourceServers", "tags"}
