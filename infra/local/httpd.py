"""
A small HTTP/1.1 server with a thread a connection, because the stock ones close after each answer.

Hundreds of SDK clients keep their connections open and are killed without notice: a connection that ends in
the middle of anything must never be worth a line in the log, and never cost more than its own thread.
"""

import contextlib
import os
import socket
import socketserver
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

_LINE_LIMIT = 65_536
_HEADER_LIMIT = 200
_BODY_LIMIT = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, read to its end."""

    method: str
    target: str
    """The path with its query, as it was sent."""
    headers: dict[str, str]
    """Names in lower case; repeated headers are joined by commas."""
    body: bytes

    @property
    def path(self) -> str:
        """Give the path without its query, still percent-encoded."""
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, complete: its length is known before its first byte is sent."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class AnswerLost(Exception):
    """The client gets no answer: the connection hangs until the client gives up, or is reset."""

    def __init__(self, kind: Literal["hang", "reset"]) -> None:
        super().__init__(kind)
        self.kind = kind


class _BadRequest(Exception):
    """What was sent is not HTTP that this server reads."""


App = Callable[[Request], Answer]

_connection = threading.local()


def client_is_connected() -> bool:
    """
    Tell whether the client that this thread serves still listens.

    A killed client's long poll must not take messages that nobody will read.
    """
    peer: socket.socket | None = getattr(_connection, "socket", None)
    if peer is None:
        return True
    try:
        return peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


class Httpd(socketserver.ThreadingTCPServer):
    """Listens on one address and answers every request with the application's answer."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], app: App) -> None:
        self.app = app
        super().__init__(address, _Connection)


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    rbufsize = _LINE_LIMIT
    server: Httpd

    def handle(self) -> None:
        _connection.socket = self.connection
        try:
            while self._serve_one():
                pass
        except AnswerLost as lost:
            self._lose(lost.kind)
        except _BadRequest as bad:
            self._send(Answer(400, str(bad).encode(), {"Content-Type": "text/plain"}), keep=False)
        except OSError:  # the client went away: it may, at any byte
            pass

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()

    def _serve_one(self) -> bool:
        request_line = self.rfile.readline(_LINE_LIMIT)
        if not request_line:
            return False
        try:
            method, target, version = request_line.decode("latin-1").split()
        except ValueError:
            raise _BadRequest("Not an HTTP request line.") from None
        headers = self._read_headers()
        if headers.get("expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        request = Request(method, target, headers, self._read_body(headers))
        keep = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        self._send(self.server.app(request), keep=keep, head=method == "HEAD")
        return keep

    def _read_headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for _ in range(_HEADER_LIMIT):
            line = self.rfile.readline(_LINE_LIMIT)
            if line in {b"\r\n", b"\n"}:
                return headers
            if not line.endswith(b"\n"):
                raise ConnectionResetError
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon:
                raise _BadRequest("A header line has no colon.")
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        raise _BadRequest("Too many headers.")

    def _read_body(self, headers: dict[str, str]) -> bytes:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._read_chunks()
        return self._read_exactly(self._length(headers.get("content-length", "0"), 10))

    def _read_chunks(self) -> bytes:
        body = b""
        while size := self._length(self.rfile.readline(_LINE_LIMIT).partition(b";")[0].decode("latin-1"), 16):
            body += self._read_exactly(size)
            self.rfile.readline(_LINE_LIMIT)
            self._length(str(len(body)), 10)
        while self.rfile.readline(_LINE_LIMIT).strip():
            pass
        return body

    def _length(self, text: str, base: int) -> int:
        try:
            length = int(text.strip(), base)
        except ValueError:
            raise _BadRequest(f"{text.strip()!r} is not a length.") from None
        if not 0 <= length <= _BODY_LIMIT:
            raise _BadRequest(f"A body has at most {_BODY_LIMIT} bytes here.")
        return length

    def _read_exactly(self, length: int) -> bytes:
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionResetError
        return body

    def _send(self, answer: Answer, *, keep: bool, head: bool = False) -> None:
        headers = {
            "Date": formatdate(usegmt=True),
            **answer.headers,
            "Content-Length": str(len(answer.body)),
            "Connection": "keep-alive" if keep else "close",
        }
        lines = [f"HTTP/1.1 {answer.status} {_reason(answer.status)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        start = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self.connection.sendall(start if head else start + answer.body)

    def _lose(self, kind: str) -> None:
        try:
            if kind == "hang":
                while self.connection.recv(_LINE_LIMIT):
                    pass
                return
            # Lingering for no time turns the close into a reset; the reader's own reference would delay it.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
        except OSError:
            pass


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def wsgi_environ(request: Request, address: tuple[str, int]) -> dict[str, Any]:
    """
    Say a request in the words of WSGI.

    Parameters:
        request: The request.
        address: Host and port that the server listens on.

    Returns:
        The environ, without its input.
    """
    path, _, query = request.target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "RAW_URI": request.target,
        "REQUEST_URI": request.target,
        "QUERY_STRING": query,
        "SERVER_NAME": address[0],
        "SERVER_PORT": str(address[1]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": address[0],
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        if name not in {"content-type", "content-length", "transfer-encoding"}:
            environ["HTTP_" + name.upper().replace("-", "_")] = value
    return environ
