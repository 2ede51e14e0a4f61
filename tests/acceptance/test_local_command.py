"""`prelaunch local`: what it prints is all that a client needs, its options act, and it outlives its clients."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.acceptance.commands import make_environment, read_line, running, terminate

CLIENT = """
import boto3, threading
sqs = boto3.client("sqs")
url = sqs.get_queue_url(QueueName="prelaunch-jobs")["QueueUrl"]
for _ in range(8):
    threading.Thread(target=sqs.receive_message, kwargs={"QueueUrl": url, "WaitTimeSeconds": 20}, daemon=True).start()
drs = boto3.client("drs")
drs.describe_source_servers()
print("at work", flush=True)
while True:
    drs.describe_source_servers()
"""


@contextmanager
def running_local(log: Path, *options: str) -> Iterator[tuple["subprocess.Popen[str]", dict[str, str]]]:
    """Run the command; yields it with the environment of a shell that has evaluated what it printed."""
    # Its starter's own profile, known here or not, is nobody's business.
    environment = make_environment({"AWS_PROFILE": "nobody"})
    with running(environment, "local", "--port", "0", *options, log=log) as process:
        exports = "".join(read_line(process) for _ in range(6))
        show = f"{exports}exec '{sys.executable}' -c 'import json, os; print(json.dumps(dict(os.environ)))'"
        shell = ["/bin/sh", "-euc", show]
        printed = subprocess.run(shell, env=make_environment(), capture_output=True, text=True, check=True)
        yield process, json.loads(printed.stdout)


def test_what_it_prints_is_all_that_an_sdk_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exports alone lead plain boto3 to the stack and its servers; its options act; Ctrl-C ends it with 0."""
    options = ("--servers", "3", "--latency", "0.5", "--rates", "0.01")
    with running_local(tmp_path / "log", *options) as (process, exported):
        for name in [*os.environ]:
            if name.startswith("AWS_") or name.lower().endswith("_proxy"):
                monkeypatch.delenv(name)
        for name, value in exported.items():
            if name.startswith("AWS_"):
                monkeypatch.setenv(name, value)
        stack = exported["PRELAUNCH_STACK"]
        assert boto3.client("sqs").get_queue_url(QueueName=f"{stack}-jobs")["QueueUrl"]
        assert f"{stack}-groups" in boto3.client("dynamodb").list_tables()["TableNames"]
        drs = boto3.client("drs", config=Config(retries={"total_max_attempts": 1}))
        begun = time.monotonic()
        assert len(drs.describe_source_servers()["items"]) == 3
        assert time.monotonic() - begun >= 0.5
        # A hundredth of 100 calls at once is one.
        with pytest.raises(ClientError, match="ThrottlingException"):
            drs.describe_source_servers()
        assert terminate(process, signal.SIGINT) == 0
    assert (tmp_path / "log").read_text() == ""


def test_it_outlives_clients_that_are_killed(tmp_path: Path) -> None:
    """Clients killed in the middle of calls and long polls leave it answering, without a word in its log."""
    with running_local(tmp_path / "log", "--servers", "1", "--rates", "off") as (process, exported):
        command = [sys.executable, "-c", CLIENT]
        clients = [subprocess.Popen(command, env=exported, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        try:
            for client in clients:
                assert read_line(client) == "at work\n"
        finally:
            for client in clients:
                client.kill()
                client.communicate()
        assert process.poll() is None
        asked = "import boto3; print(len(boto3.client('drs').describe_source_servers()['items']))"
        answered = subprocess.run(
            [sys.executable, "-c", asked], env=exported, capture_output=True, text=True, check=True
        )
        assert answered.stdout == "1\n"
        assert terminate(process) == 0
    assert (tmp_path / "log").read_text() == ""
