"""A client that does not go on is given up; one that waits for us never is. In virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from producer.patience import ImpatientProtocol, limit
from tests.fakes.virtual_time import run_virtually

PATIENCE = timedelta(seconds=20)
WAITED = 25
"""More than a request of ours may wait for its run."""
HEAD = b"POST /waves HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Connection(asyncio.Transport):
    """A connection whose other end is the test."""

    def __init__(self, protocol: ImpatientProtocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.sent = b""
        self.is_over = False
        self.unread = 0
        protocol.connection_made(self)

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self.is_over:
            self.is_over = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_closing(self) -> bool:
        return self.is_over

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def answer_late(scope: Any, receive: Any, send: Any) -> None:
    """Read the request, then answer it as late as we ever do."""
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(WAITED)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def play(act: Callable[[Connection], Coroutine[Any, Any, None]], app: Any = answer_late) -> Connection:
    async def main() -> Connection:
        protocol = limit(PATIENCE)(Config(app, log_config=None), ServerState(), {}, asyncio.get_running_loop())
        connection = Connection(protocol)
        try:
            await act(connection)
        finally:
            # uvicorn would wait for it to be read, also when it is cancelled.
            connection.abort()
            await asyncio.sleep(1)
        return connection

    return run_virtually(main)


@pytest.mark.parametrize("begun", [b"", b"POST /wa", HEAD, HEAD + b"\r\n{"], ids=["nothing", "line", "head", "body"])
@pytest.mark.parametrize("drips", [False, True])
def test_who_does_not_finish_a_request_is_given_up(begun: bytes, *, drips: bool) -> None:
    """Also who sends a byte now and then, which is no whole request either; not before half of the time is over."""

    async def begin(connection: Connection) -> None:
        if begun:
            connection.protocol.data_received(begun)
        for second in range(int(PATIENCE.total_seconds()) + 1):
            assert not connection.is_over or second >= PATIENCE.total_seconds() / 2
            if drips and begun and second % 5 == 1 and not connection.is_over:
                connection.protocol.data_received(b"x")
            await asyncio.sleep(1)
        assert connection.is_over

    assert play(begin).sent == b""


def test_who_waits_for_us_is_never_given_up() -> None:
    """However long we take for the answer, and again for the next one on the same connection."""

    async def ask_twice(connection: Connection) -> None:
        for number in (1, 2):
            connection.protocol.data_received(WHOLE)
            await asyncio.sleep(WAITED + 1)
            assert connection.sent.count(b"HTTP/1.1 204") == number
            assert not connection.is_over

    play(ask_twice)


def test_who_sends_his_request_slowly_and_whole_is_answered() -> None:
    """Within the time."""

    async def send_slowly(connection: Connection) -> None:
        for part in (HEAD, b"\r\n", b"123", b"456", b"789"):
            await asyncio.sleep(2)
            connection.protocol.data_received(part)
        await asyncio.sleep(WAITED + 1)
        assert b"HTTP/1.1 204" in connection.sent

    play(send_slowly)


@pytest.mark.parametrize(("read_a_second", "is_over"), [(0, True), (100, True), (2_000, False)])
def test_who_does_not_read_the_answer_is_given_up(*, read_a_second: int, is_over: bool) -> None:
    """It fills the buffers of both machines, and is kept for nobody; who reads it over a slow line gets all of it."""

    async def ask(connection: Connection) -> None:
        connection.protocol.data_received(WHOLE)
        await asyncio.sleep(1)
        connection.protocol.flow.pause_writing()
        connection.unread = 1_000_000
        for _ in range(3 * int(PATIENCE.total_seconds())):
            await asyncio.sleep(1)
            connection.unread -= read_a_second
        assert connection.is_over is is_over

    play(ask)


def test_who_sends_his_request_over_a_slow_line_is_answered() -> None:
    """However much it is, as long as it comes."""

    async def send_for_long(connection: Connection) -> None:
        connection.protocol.data_received(HEAD.replace(b"9", b"120000") + b"\r\n")
        for _ in range(60):
            await asyncio.sleep(1)
            connection.protocol.data_received(b"x" * 2_000)
        await asyncio.sleep(WAITED + 1)
        assert b"HTTP/1.1 204" in connection.sent

    play(send_for_long)


def test_who_cannot_go_on_before_we_read_is_not_given_up() -> None:
    """What is held back here is no slowness of the client's."""

    async def read_late(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(WAITED)
        await answer_late(scope, receive, send)

    async def send_much(connection: Connection) -> None:
        connection.protocol.data_received(HEAD.replace(b"9", b"900000") + b"\r\n" + b"x" * 100_000)
        await asyncio.sleep(WAITED)
        assert not connection.is_over
        connection.protocol.data_received(b"x" * 800_000)
        await asyncio.sleep(WAITED + 1)
        assert b"HTTP/1.1 204" in connection.sent

    play(send_much, read_late)
