"""
Where the HTTP door listens, told once requests are answered there.

Where nobody is authenticated nobody from elsewhere may ever connect: the settings see to that.
"""

import errno
import signal
import socket
import sys
from datetime import timedelta
from typing import Any

import uvicorn

from producer.patience import limit
from workers.core.errors import SetupError

GRACE_SECONDS = 30
"""More than the longest `?wait`: a caller that waits at SIGTERM still gets its answer."""


def listen(host: str, port: int) -> socket.socket:
    """
    Take a port.

    Parameters:
        host: The IPv4 address.
        port: The port; 0 takes a free one.

    Returns:
        The listening socket.

    Raises:
        SetupError: It cannot be had.
    """
    # By name: asyncio switches TCP_NODELAY on only where the protocol is said, and without it each answer on a kept
    # connection waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Binding alone does not show that the port is ours: two who only bind may share it.
        listener.listen()
    except OSError as error:
        listener.close()
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise SetupError(f"Port {port} on {host} {why}; choose another one with --port.") from error
    return listener


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        for listener in (sockets or []) if self.started else []:
            host, port = listener.getsockname()
            sys.stdout.write(f"prelaunch listens on http://{host}:{port}\n")
            sys.stdout.flush()


def serve(application: Any, listener: socket.socket, patience: timedelta) -> None:
    """
    Answer requests until SIGTERM or SIGINT, then end what is under way.

    Parameters:
        application: The ASGI application.
        listener: Where requests come from.
        patience: How long a client may keep the door waiting for the rest of a request, or for reading the answer.

    Raises:
        SetupError: The application did not start.
    """
    server = _Server(
        uvicorn.Config(
            application,
            http=limit(patience),
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    # uvicorn sends itself the signal again once it has stopped: by default it would kill an orderly end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    server.run(sockets=[listener])
    if not server.started:
        raise SetupError("The HTTP door did not start; its log above says why.")
