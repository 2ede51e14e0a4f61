"""The stand-in as a process: how it starts, what it survives, how it ends."""

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from infra.local.process import StandIn, StandInFailed, stand_in
from tests.integration.conftest import make_client

Clients = Callable[..., Any]


@contextmanager
def started() -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run a stand-in as a person would; give the process and the lines that it printed."""
    command = [sys.executable, "-m", "infra.local", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield process, [process.stdout.readline() for _ in range(6)]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("stopping", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0(stopping: signal.Signals) -> None:
    """SIGTERM and SIGINT are the way to stop it: no traceback, status 0, and what to export was printed."""
    with started() as (process, lines):
        process.send_signal(stopping)
        rest, errors = process.communicate(timeout=20)
        assert (process.returncode, rest, errors) == (0, "", "")
    names = [line.split("=")[0] for line in lines]
    assert names == [
        "export AWS_ENDPOINT_URL",
        "export AWS_ACCESS_KEY_ID",
        "export AWS_SECRET_ACCESS_KEY",
        "export AWS_DEFAULT_REGION",
        "export AWS_REGION",
        "export PRELAUNCH_STACK",
    ]


def test_a_taken_port_is_one_clear_line_and_status_3() -> None:
    """No traceback, no half-started stand-in."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "infra.local", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr == f"Port {port} on 127.0.0.1 is taken; choose another one with --port.\n"
        with pytest.raises(StandInFailed, match="status 3"), stand_in(port=int(port)):
            pytest.fail("started on a taken port")


def test_it_ends_with_the_one_who_started_it() -> None:
    """Also when the starter is killed, nothing is left behind."""
    starter = textwrap.dedent("""
        import sys, time
        from infra.local.process import stand_in
        with stand_in() as running:
            print(running.process_id, flush=True)
            sys.stdin.read()
    """)
    process = subprocess.Popen([sys.executable, "-c", starter], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    stand_in_id = int(process.stdout.readline())
    watch = os.pidfd_open(stand_in_id)
    process.kill()
    process.communicate()
    try:
        # A pidfd becomes readable when its process has ended.
        assert wait_readable(watch, seconds=20)
    finally:
        if not wait_readable(watch, seconds=0):
            signal.pidfd_send_signal(watch, signal.SIGKILL)
        os.close(watch)


def wait_readable(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])


def test_a_connection_serves_many_requests(local: StandIn) -> None:
    """HTTP/1.1 connections stay open: a new one for each call would cost more than the call."""
    address = urlsplit(local.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    try:
        connection.request("GET", "/_local/calls")
        connection.getresponse().read()
        first = connection.sock
        for _ in range(20):
            connection.request("GET", "/_local/calls")
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, answer.version) == (200, 11)
        assert first is not None
        assert connection.sock is first
    finally:
        connection.close()


def test_300_clients_are_served_at_once(local: StandIn) -> None:
    """None of 300 connections that come in one moment is refused."""
    address = urlsplit(local.url)
    connections = [socket.create_connection((address.hostname, address.port), 10) for _ in range(300)]
    try:
        for connection in connections:
            connection.sendall(b"GET /_local/calls HTTP/1.1\r\nHost: local\r\n\r\n")
        answers = [connection.recv(15) for connection in connections]
        assert answers == [b"HTTP/1.1 200 OK"] * 300
    finally:
        for connection in connections:
            connection.close()


def test_killed_clients_leave_no_trace() -> None:
    """Clients that die before, in and after a request cost the others nothing and print nothing."""
    with started() as (process, lines):
        port = int(lines[0].strip().rpartition(":")[2])
        for sent in (
            b"",
            b"POST / HT",
            b"POST / HTTP/1.1\r\nContent-Length: 99\r\n\r\nhalf",
            b"GET /_local/calls HTTP/1.1\r\n\r\n",
        ):
            for _ in range(10):
                client = socket.create_connection(("127.0.0.1", port), 10)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                client.sendall(sent)
                client.close()
        sqs = make_client("sqs", f"http://127.0.0.1:{port}")
        url = sqs.get_queue_url(QueueName="prelaunch-jobs")["QueueUrl"]
        worker = f"""if True:
            from tests.integration.conftest import make_client
            sqs = make_client("sqs", "http://127.0.0.1:{port}")
            print("polls", flush=True)
            sqs.receive_message(QueueUrl="{url}", WaitTimeSeconds=20)
        """
        killed = subprocess.Popen([sys.executable, "-c", worker], stdout=subprocess.PIPE)
        assert killed.stdout
        killed.stdout.readline()
        wait_for_call(port, "sqs.ReceiveMessage")
        killed.kill()
        killed.communicate()
        sqs.send_message(QueueUrl=url, MessageBody="for a living one")
        received = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
        assert [message["Body"] for message in received] == ["for a living one"]
        process.terminate()
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "")


def wait_for_call(port: int, name: str) -> None:
    """Ask until the stand-in has seen the call; each question waits for its answer."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_local/calls", timeout=10) as answer:
            if name in json.load(answer):
                return
    pytest.fail(f"{name} never came")


def test_what_is_not_http_gets_a_400(local: StandIn) -> None:
    """Garbage ends its own connection only."""
    address = urlsplit(local.url)
    for sent in (
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ):
        with socket.create_connection((address.hostname, address.port), 10) as client:
            client.sendall(sent)
            assert client.recv(12) == b"HTTP/1.1 400"


def test_two_accounts_do_not_see_each_other(client: Clients) -> None:
    """An access key of twelve digits is that account's own."""
    assert client("sts").get_caller_identity()["Account"] == "123456789012"
    other = "210987654321"
    assert client("sts", access_key_id=other).get_caller_identity()["Account"] == other
    assert client("dynamodb", access_key_id=other).list_tables()["TableNames"] == []


def test_the_source_has_no_copy_of_the_template_but_the_one_in_infra() -> None:
    """What the stand-in deploys is what production deploys."""
    from infra.local import services

    assert Path(__file__).parents[2] / "infra" / "template.yaml" == services._TEMPLATE


def test_many_threads_share_one_client(local: StandIn, client: Clients) -> None:
    """Every call of 16 threads is answered and counted."""
    dynamodb = client("dynamodb")

    def read(_: int) -> int:
        answer = dynamodb.get_item(TableName="prelaunch-keys", Key={"key": {"S": "x"}})
        return int(answer["ResponseMetadata"]["HTTPStatusCode"])

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(read, range(320))) == [200] * 320
    assert local.control("GET", "calls")["dynamodb.GetItem"] == {"count": 320, "throttled": 0}
