"""Clients that begin a request and do not go on: others are answered all the same, and they are let go."""

import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from infra.local.process import StandIn
from tests.acceptance.commands import PATIENCE_SECONDS, make_environment, running_api

SLOW = 200
HEAD = b"POST /waves HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BEGUN = {
    "a line": b"POST /waves HT",
    "headers": HEAD + b"Content-Le",
    "a body": HEAD + b"Content-Length: 9999\r\n\r\n{",
    "nothing": b"",
}


@pytest.mark.parametrize("begun", BEGUN)
def test_slow_clients_keep_nobody_waiting(shared_stand_in: StandIn, tmp_path: Path, begun: str) -> None:
    """While two hundred of them hold a connection each, a request of somebody else's is answered."""
    with running_api(make_environment(shared_stand_in.environment), tmp_path / "api.log") as api, ExitStack() as held:
        address = (api.base_url.host, api.base_url.port)
        for _ in range(SLOW):
            connection = held.enter_context(socket.create_connection(address))
            connection.sendall(BEGUN[begun])
        answer = api.get("/protection-groups?limit=1")
        assert answer.status_code == 200


def test_slow_clients_are_let_go(shared_stand_in: StandIn, tmp_path: Path) -> None:
    """However each of them has begun: a process has room for so many connections, and then for nobody's."""
    environment = make_environment(shared_stand_in.environment, {"PRELAUNCH_TIME_SCALE": "0.02"})
    with running_api(environment, tmp_path / "api.log") as api, ExitStack() as held:
        address = (api.base_url.host, api.base_url.port)
        slow = [held.enter_context(socket.create_connection(address, PATIENCE_SECONDS)) for _ in BEGUN]
        for connection, begun in zip(slow, BEGUN.values(), strict=True):
            connection.sendall(begun)
        for connection in slow:
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""
        assert api.get("/healthz").status_code == 200
