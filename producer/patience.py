"""
Connections of the HTTP door whose clients do not go on: they are closed, or there would be none left for others.

A process can hold a limited number of connections, and it takes no rights to open one. Whoever waits for us is never
closed here, however long that takes.
"""

import asyncio
from datetime import timedelta

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_NOTHING = object()
LEAST_BYTES_A_SECOND = 1_000
"""Who sends or reads faster than this does go on: hundreds of source servers over a slow line."""


class ImpatientProtocol(H11Protocol):
    """One connection, which is looked at again and again: who was waited for twice for one thing is given up."""

    look_seconds: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to look."""
        super().connection_made(transport)
        self._waited_for: object = _NOTHING
        self._moved = 0
        self._unread = 0
        self._look_later()

    def data_received(self, data: bytes) -> None:
        """Count what is sent."""
        self._moved += len(data)
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        self._next_look.cancel()
        super().connection_lost(exc)

    def _look_later(self) -> None:
        self._next_look = self.loop.call_later(self.look_seconds, self._look)

    def _look(self) -> None:
        # Of each request uvicorn makes a cycle; while the next one begins that of the last one stands there, or none.
        waits_for = self.cycle if self._is_clients_turn() else _NOTHING
        unread = self.transport.get_write_buffer_size()
        goes_on = self._moved + self._unread - unread >= LEAST_BYTES_A_SECOND * self.look_seconds
        if waits_for is self._waited_for is not _NOTHING and not goes_on:
            # Not closed in order: what it does not read would have to be sent before.
            self.transport.abort()
            return
        self._waited_for, self._moved, self._unread = waits_for, 0, unread
        self._look_later()

    def _is_clients_turn(self) -> bool:
        """Tell whether the next step is to send the rest of a request, or to read the answer."""
        is_whole = self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}
        return self.flow.write_paused or not (is_whole or self.flow.read_paused)


def limit(patience: timedelta) -> type[ImpatientProtocol]:
    """
    Make the protocol of connections whose clients are waited for so long.

    Parameters:
        patience: How long one may keep the door waiting at most, unless it goes on; it is given up after the half of it
            at the earliest.

    Returns:
        What uvicorn makes one of for each connection.
    """

    class Limited(ImpatientProtocol):
        look_seconds = (patience / 2).total_seconds()

    return Limited
