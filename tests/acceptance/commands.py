"""Run prelaunch's own command as a person does, in an environment of its own, and leave no process behind."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx

from infra.local.process import StandIn
from tests.measuring import measured

PRELAUNCH = str(Path(sys.executable).with_name("prelaunch"))
PATIENCE_SECONDS = 45
"""Shorter than the visibility of a message that was not handed back."""


def make_environment(*variables: Mapping[str, str]) -> dict[str, str]:
    """Ours without what leads to an AWS account; a metadata service is not asked for credentials."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "PRELAUNCH_", "PYTEST_")) and not name.lower().endswith("_proxy")
    }
    isolated = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for more in (isolated, measured(), *variables):
        kept.update(more)
    return kept


def run(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; one that does not end is killed with every process that it started."""
    with subprocess.Popen(
        [PRELAUNCH, *arguments],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            kill_group(process)
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


@contextmanager
def running(environment: Mapping[str, str], *arguments: str, log: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run a command while the block runs; what is left of its process group then is killed."""
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [PRELAUNCH, *arguments],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            kill_group(process)


def kill_group(process: "subprocess.Popen[str]") -> None:
    """Kill a command with every process that it started in its group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def terminate(process: "subprocess.Popen[str]", number: signal.Signals = signal.SIGTERM) -> int:
    """Send a signal to the command alone, as a service manager does; answer its exit status."""
    process.send_signal(number)
    return process.wait(PATIENCE_SECONDS)


def read_line(process: "subprocess.Popen[str]") -> str:
    """Read one line of its standard output."""
    assert process.stdout
    return process.stdout.readline()


@contextmanager
def running_api(environment: Mapping[str, str], log: Path) -> Iterator[httpx.Client]:
    """Run the HTTP door while the block runs."""
    with running(environment, "api", "--port", "0", log=log) as process:
        url = read_line(process).split()[-1]
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            yield client


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    """Ask other processes until it is so; how long that takes is no part of any law."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < give_up_at, f"{what} did not come within {PATIENCE_SECONDS} s"
        time.sleep(0.05)


def count_calls(aws: StandIn, name: str) -> int:
    """Answer how often an API was called since the counts were reset."""
    counts: dict[str, dict[str, int]] = aws.control("GET", "calls")
    return counts.get(name, {"count": 0})["count"]


def find_processes_with(variable: str) -> dict[int, str]:
    """Answer the living processes whose environment holds a variable, each with its command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            # That of a zombie is empty.
            if variable.encode() in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def connect(aws: StandIn, service: str) -> Any:
    """Make a plain client of a stand-in."""
    return boto3.client(
        service,
        endpoint_url=aws.url,
        region_name=aws.environment["AWS_REGION"],
        aws_access_key_id=aws.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws.environment["AWS_SECRET_ACCESS_KEY"],
    )


def make_group_body(aws: StandIn, count: int) -> dict[str, Any]:
    """Make source servers, and the body of a group that changes DRS and EC2 settings of each."""
    members = aws.control("POST", "servers", {"count": count})["sourceServerIds"]
    return {
        "groupName": "acceptance",
        "region": "us-east-1",
        "sourceServerIds": members,
        "launchConfig": {
            "instanceType": "m5.xlarge",
            "targetInstanceTypeRightSizingMethod": "NONE",
            "copyPrivateIp": False,
            "monitoring": True,
        },
    }


def run_on_terminal(
    environment: Mapping[str, str], *arguments: str, typed: str = "", after: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command on a terminal of its own, where somebody types once it shows a text; answer all that it showed."""
    screen, terminal = os.openpty()
    with subprocess.Popen(
        [PRELAUNCH, *arguments],
        env={**environment, "TERM": "xterm", "COLUMNS": "400"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        text=True,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        try:
            give_up_at = time.monotonic() + PATIENCE_SECONDS
            shown = b""
            while after.encode() not in shown:
                shown += _read_screen(screen, give_up_at)
            os.write(screen, typed.encode())
            shown += b"".join(iter(lambda: _read_screen(screen, give_up_at), b""))
            process.wait(PATIENCE_SECONDS)
        finally:
            kill_group(process)
            os.close(screen)
    return subprocess.CompletedProcess(arguments, process.returncode, shown.decode(), "")


def _read_screen(screen: int, give_up_at: float) -> bytes:
    ready, _, _ = select.select([screen], [], [], max(0, give_up_at - time.monotonic()))
    assert ready, f"the command did not end within {PATIENCE_SECONDS} s"
    try:
        return os.read(screen, 65536)
    except OSError:
        # Linux says so when the last one who had the terminal open has ended.
        return b""
