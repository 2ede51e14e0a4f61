"""
The guard of a write, asked in the instant before the SDK sends it: after its waits, its signature, its credentials.

A check before the SDK's own preparations would leave a gap, in which a lease can run out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientConnectorError
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

from workers.core.ports import Guard


@dataclass(slots=True)
class Sending:
    """One call on its way."""

    guard: Guard | None
    """None: nobody has to agree."""
    sent: bool = False
    """Whether the guard agreed: from then on it may take effect, answered or not."""


_SENDING: ContextVar[Sending | None] = ContextVar("sending", default=None)


def watch(client: Any) -> None:
    """Make a client of the SDK ask the guard of each of its calls that has one."""
    client.meta.events.register("before-send", ask_guard)


def ask_guard(**_event: Any) -> None:
    """Ask the guard of the call that is about to be sent, if it has one; what it raises stops the call."""
    sending = _SENDING.get()
    if sending is not None:
        if sending.guard is not None:
            sending.guard.check()
        sending.sent = True


@contextmanager
def guarded(guard: Guard | None) -> Iterator[Sending]:
    """
    Give the call of this block a guard, and tell it where the call was sent and not answered.

    Parameters:
        guard: The guard; None for a call that nobody has to agree to.

    Yields:
        The call, of which it is known then whether it was sent.
    """
    sending = Sending(guard)
    token = _SENDING.set(sending)
    try:
        yield sending
    except BaseException as error:
        # Also where this worker is told to stop in the middle of it.
        if guard is not None and sending.sent and not is_known(error):
            guard.note_unanswered()
        raise
    finally:
        _SENDING.reset(token)


def is_known(error: BaseException) -> bool:
    """Tell whether AWS answered, or the call never arrived there."""
    # The SDK says "could not connect" of a connection that broke, too: what lies beneath tells them apart.
    beneath = error.kwargs.get("error") if isinstance(error, EndpointConnectionError) else None
    return isinstance(error, ClientError | ConnectTimeoutError) or isinstance(beneath, ClientConnectorError)
