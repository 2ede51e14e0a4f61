"""
The seal of a dead letter's reason: who wrote it had the stack's own key. Pure.

Whoever may send to a queue may write attributes, and could put words into our mouth. Of requests, which strangers send,
nothing beside the body is believed without it.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping

SEAL = "seal"
LENGTH = 64
"""Of a seal, in hexadecimal digits."""
SEALED = ("queue", "reason", "receiveCount", "messageId", "sentAt")


def make_seal(attributes: Mapping[str, str], body: str, key: bytes) -> str:
    """
    Seal what is told beside a message.

    Parameters:
        attributes: What is told.
        body: The message's body: what is told of one message is believed of no other.
        key: The stack's.

    Returns:
        HMAC-SHA256 in hexadecimal digits.
    """
    told = json.dumps([body, *(attributes.get(name) for name in SEALED)])
    return hmac.new(key, told.encode(), hashlib.sha256).hexdigest()


def is_sealed(attributes: Mapping[str, str], body: str, key: bytes | None) -> bool:
    """Tell whether what is told beside a message is ours; without a key nothing is."""
    if key is None:
        return False
    given = attributes.get(SEAL, "").encode(errors="replace")
    return hmac.compare_digest(make_seal(attributes, body, key).encode(), given)
