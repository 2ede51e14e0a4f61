"""moto's own server with our DRS and launch templates in it, and a fresh AWS account for each test.

A fresh account is how tests stay apart: nothing that one leaves behind is seen by another. It is reached as
in production, by the credentials of an assumed role.
"""

import itertools
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from infra.local import drs, launch_templates
from infra.local.world import WORLD

REGION = "eu-west-1"

Answer = TypeVar("Answer")

_accounts = itertools.count(100_000_000_000)


@dataclass(frozen=True)
class Account:
    """An account of the server, with clients that check nothing and try once."""

    account_id: str
    ec2: Any
    drs: Any

    def add_servers(self, count: int, **tags: str) -> list[str]:
        return drs.add_source_servers(self.account_id, REGION, count, tags)

    def network(self) -> tuple[str, str]:
        """A subnet and a security group that exist."""
        subnet = self.ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        return subnet, self.ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]

    def default_version(self, template_id: str) -> dict[str, Any]:
        answer = self.ec2.describe_launch_template_versions(LaunchTemplateId=template_id, Versions=["$Default"])
        (version,) = answer["LaunchTemplateVersions"]
        return dict(version)


@contextmanager
def serve() -> Iterator[str]:
    """Serve moto with our services on a free port; yields its address."""
    launch_templates.install()
    drs.install()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def open_account(endpoint: str, region: str = REGION, account_id: str | None = None) -> Account:
    """Assume a role in an account, by default in one that nobody has used."""
    account_id = account_id or str(next(_accounts))
    session = boto3.Session(
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="secret", region_name=region
    )
    role = session.client("sts", endpoint_url=endpoint).assume_role(
        RoleArn=f"arn:aws:iam::{account_id}:role/prelaunch", RoleSessionName="test"
    )["Credentials"]
    clients = {
        service: session.client(
            service,
            endpoint_url=endpoint,
            aws_access_key_id=role["AccessKeyId"],
            aws_secret_access_key=role["SecretAccessKey"],
            aws_session_token=role["SessionToken"],
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False, max_pool_connections=64),
        )
        for service in ("ec2", "drs")
    }
    return Account(account_id, clients["ec2"], clients["drs"])


@contextmanager
def own_world() -> Iterator[None]:
    """Let a test change clock and delays, and put them back."""
    before = (WORLD.clock_offset_seconds, WORLD.consistency_seconds, WORLD.job_seconds)
    try:
        yield
    finally:
        WORLD.clock_offset_seconds, WORLD.consistency_seconds, WORLD.job_seconds = before


def advance(seconds: float) -> None:
    """Move the stand-in's clock on."""
    WORLD.clock_offset_seconds += seconds


def refused(call: Callable[[], Any]) -> tuple[str, int]:
    """Tell the code and the HTTP status of a call that must be refused."""
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def all_at_once(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Make calls from as many threads, which take turns so often that an unguarded change is torn apart."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(max_workers=len(calls)) as pool:
            return [future.result() for future in [pool.submit(call) for call in calls]]
    finally:
        sys.setswitchinterval(interval)
