"""
Receipts: which request a requester's key was used for, and what it did. A repeated request finds its own.

A receipt is written in the transaction of the effect itself, so that there is never one without the other. But for one:
a redrive of dead letters has no one transaction. Its receipt is a mark, written before anything is redriven, that says
only when it was first asked for.
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from boto3.dynamodb.conditions import Attr
from pydantic.dataclasses import dataclass

from workers.core.ports import Clock
from workers.core.requests import Requester, RequestKey, RequestRefused
from workers.core.store.records import RECORD, from_item, to_item
from workers.core.store.tables import Tables
from workers.core.store.writes import Write

_T = TypeVar("_T")
KEPT = timedelta(hours=24)
"""How long a key names its request; after that it can name another one."""


@dataclass(frozen=True, slots=True, config=RECORD)
class Receipt:
    """What a request did."""

    subject: str
    """The group or the wave."""
    generation: int = 0
    """The generation that it opened; 0 for none."""
    accepted: bool = False
    """Whether work was under way for it when it was answered."""
    at: datetime | None = None
    """When it was asked, where its repetition has to know that."""
    version: int = 0
    """Of an update, the version of the group that it made, or found to be what is wanted."""


class Receipts:
    """Finds receipts and writes them."""

    def __init__(self, tables: Tables, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock

    async def find(self, requester: Requester) -> Receipt | None:
        """
        Find what an earlier request with this key did.

        Parameters:
            requester: Who asks, with the key.

        Returns:
            Its receipt; None where the request has no key or is the first with it.

        Raises:
            RequestRefused: `IDEMPOTENCY_KEY_REUSED`: the key named another request.
        """
        if requester.key is None:
            return None
        item = await self._tables.get("keys", _name(requester.principal, requester.key))
        # DynamoDB deletes expired items within days, not at once.
        if item is None or item["expiresAt"] <= self._clock().timestamp():
            return None
        if item["fingerprint"] != requester.key.fingerprint:
            raise RequestRefused(
                f"The Idempotency-Key {requester.key.key!r} was used for another request less than"
                f" {KEPT.total_seconds() / 3600:.0f} hours ago. Use a new key for a new request.",
                code="IDEMPOTENCY_KEY_REUSED",
            )
        return from_item(Receipt, item)

    async def do_once(
        self,
        requester: Requester,
        attempt: Callable[[], Awaitable[_T | None]],
        repeat: Callable[[Receipt], Awaitable[_T]],
    ) -> _T | None:
        """
        Do what is asked unless an earlier request with this key did it; then answer as that was answered.

        Parameters:
            requester: Who asks, with the key.
            attempt: Does it, with the receipt in its transaction; answers None where things changed meanwhile.
            repeat: Answers what was done.

        Returns:
            The answer; None where the attempt has none.

        Raises:
            RequestRefused: The attempt is refused, or the key named another request.
        """
        receipt = await self.find(requester)
        if receipt is None:
            try:
                return await attempt()
            except RequestRefused:
                # What refuses it may be what its own twin has done since the receipt was looked for.
                receipt = await self.find(requester)
                if receipt is None:
                    raise
        return await repeat(receipt)

    def put(self, requester: Requester, receipt: Receipt) -> list[Write]:
        """
        Write the receipt of a request, for the transaction of its effect, or before it where it is a mark.

        Parameters:
            requester: Who asks.
            receipt: What the request does.

        Returns:
            One write, whose condition fails where another request has the key; none without a key.
        """
        if requester.key is None:
            return []
        now = self._clock()
        values = {
            **to_item(receipt),
            "fingerprint": requester.key.fingerprint,
            "expiresAt": int((now + KEPT).timestamp()),
        }
        free = Attr("key").not_exists() | Attr("expiresAt").lte(int(now.timestamp()))
        return [Write("Put", "keys", (_name(requester.principal, requester.key),), values, condition=free)]


def _name(principal: str, key: RequestKey) -> str:
    # Hashed together: neither can reach into the other, and a principal may be longer than a key of DynamoDB's.
    named = hashlib.sha256(f"{len(principal)}:{principal}{key.key}".encode()).hexdigest()
    return f"request#{named}"
