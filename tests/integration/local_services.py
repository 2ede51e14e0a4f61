"""The whole stand-in inside the test's own process, and a fresh AWS account for each test.

A fresh account is how tests stay apart: nothing that one leaves behind is seen by another. The process is the
test's own so that a test can look behind the doors: at what a job was launched from, at the clock.
"""

import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeVar

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local import drs
from infra.local.httpd import Httpd
from infra.local.server import build
from infra.local.world import WORLD

REGION = "eu-west-1"
_BACKENDS = ("/drs/models.py", "/launch_templates/models.py")

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
    """Serve the stand-in, once a process, on a free port, where calls meet as they come; yields its address."""
    from infra.local.services import Services

    def not_yet(_: object) -> Any:
        raise AssertionError("called before it was built")

    with Httpd(("127.0.0.1", 0), not_yet) as httpd, pytest.MonkeyPatch.context() as patch:
        # Only so is a lock of a backend's own needed.
        patch.setattr(Services, "one_at_a_time", False)
        port = int(httpd.server_address[1])
        httpd.app = build(port, 0, 0.0, "off", "prelaunch")
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        try:
            address = f"http://127.0.0.1:{port}"
            # moto makes a service's routes at its first call, and cannot do that for many at once.
            first = open_account(address)
            first.network()
            first.drs.describe_source_servers()
            yield address
        finally:
            httpd.shutdown()


def open_account(endpoint: str, region: str = REGION, account_id: str | None = None) -> Account:
    """Open an account, by default one that nobody has used: its id is its root's access key."""
    account_id = account_id or str(next(_accounts))
    clients = {
        service: boto3.client(
            service,
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id=account_id,
            aws_secret_access_key="local",
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
    interval, trace = sys.getswitchinterval(), threading.gettrace()
    sys.setswitchinterval(1e-6)
    # Also the server's threads, as far as they are started meanwhile.
    threading.settrace(_hesitate)
    try:
        with ThreadPoolExecutor(max_workers=len(calls)) as pool:
            return [future.result() for future in [pool.submit(call) for call in calls]]
    finally:
        threading.settrace(trace)
        sys.setswitchinterval(interval)


def _hesitate(frame: FrameType, event: str, _: object) -> Any:
    """Let the other threads go first at every line of a backend: a change is a few steps, and they have to meet."""
    if not frame.f_code.co_filename.endswith(_BACKENDS):
        return None
    if event == "line":
        time.sleep(1e-6)
    return _hesitate
