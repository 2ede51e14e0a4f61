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


class ImpatientProtocol(H11Protocol):
    """One connection, which is looked at again and again: who was waited for twice for one thing is given up."""

    look_seconds: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to look."""
        super().connection_made(transport)
        self._waited_for: object = _NOTHING
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        self._next_look.cancel()
        super().connection_lost(exc)

    def _look_later(self) -> None:
        self._next_look = self.loop.call_later(self.look_seconds, self._look)

    def _look(self) -> None:
        # Of each request uvicorn makes a cycle; while the next one begins that of the last one stands there, or none.
        waits_for = self.cycle if self._is_clients_turn() else _NOTHING
        if waits_for is self._waited_for is not _NOTHING:
            # Not closed in order: what it does not read would have to be sent before.
            self.transport.abort()
            return
        self._waited_for = waits_for
        self._look_later()

    def _is_clients_turn(self) -> bool:
        """Tell whether the next step is to send the rest of a request, or to read the answer."""
        is_whole = self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}
        return self.flow.write_paused or not (is_whole or self.flow.read_paused)


def limit(patience: timedelta) -> type[ImpatientProtocol]:
    """
    Make the protocol of connections whose clients are waited for so long.

    Parameters:
        patience: How long one may keep the door waiting at most; it is given up after the half of it at the earliest.

    Returns:
        What uvicorn makes one of for each connection.
    """

    class Limited(ImpatientProtocol):
        look_seconds = (patience / 2).total_seconds()

    return Limited
