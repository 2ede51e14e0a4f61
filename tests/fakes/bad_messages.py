"""Bodies that are no job of ours, each with what the dead letter has to say of it."""

import base64
import json
from collections.abc import Mapping

from workers.core.contract import APPLY_ACTOR, SWEEP_ACTOR, WAVE_ACTOR

GOOD = {"groupId": "pg-none", "sourceServerId": "s-00000000000000001"}
"""A job of a group that was deleted: it is acknowledged, never dead-lettered."""


def envelope(actor: object = APPLY_ACTOR, kwargs: object = None, **parts: object) -> dict[str, object]:
    """Build dramatiq's message, with any part of it replaced."""
    whole = {
        "queue_name": "jobs",
        "actor_name": actor,
        "args": [],
        "kwargs": GOOD if kwargs is None else kwargs,
        "options": {},
        "message_id": "m",
        "message_timestamp": 0,
    }
    return {**whole, **parts}


def pack(message: object) -> str:
    return base64.b64encode(json.dumps(message).encode()).decode()


def deep(levels: int) -> str:
    nested = "[" * levels + "]" * levels
    return json.dumps(envelope()).replace('"args": []', f'"args": {nested}')


BAD: Mapping[str, tuple[str, str]] = {
    "no base64": ("?", "not base64"),
    "no JSON": (base64.b64encode(b"not json").decode(), "not a dramatiq message"),
    "no JSON, as it is": ("{not json", "not a dramatiq message"),
    "half of a job": (pack(envelope())[:40], "not a dramatiq message"),
    "no text": (base64.b64encode(b"\xff\xfe").decode(), "not a dramatiq message"),
    "a list": (pack([1, 2]), "not a dramatiq message"),
    "a request": ('{"operation": "apply_launch_configs", "groupId": "pg-1"}', "not a dramatiq message"),
    "a member too many": (pack(envelope(priority=1)), "not a dramatiq message"),
    "a number of 5,000 digits": (
        base64.b64encode(json.dumps(envelope()).replace("0}", "1" * 5000 + "}").encode()).decode(),
        "not a dramatiq message",
    ),
    "deep JSON": (deep(20_000), "not a dramatiq message"),
    "JSON that is just not too deep": (deep(200), "args of the message is not empty"),
    "an actor that is no text": (pack(envelope(actor=7)), "actor_name of the message is not a str"),
    "arguments that are a list": (pack(envelope(kwargs=[])), "kwargs of the message is not a dict"),
    "arguments without names": (pack(envelope(args=["pg-1"])), "args of the message is not empty"),
    "an argument named self": (pack(envelope(kwargs={**GOOD, "self": 1})), "named self"),
    "no arguments": (pack(envelope(kwargs={})), "groupId is missing; sourceServerId is missing"),
    "a wave without an id": (pack(envelope(WAVE_ACTOR, {})), "waveId is missing"),
    "a group that is a number": (pack(envelope(kwargs={**GOOD, "groupId": 5})), "groupId must be text.* not 5"),
    "a group that is null": (pack(envelope(kwargs={**GOOD, "groupId": None})), "groupId must be text.* not null"),
    "a group with a NUL": (pack(envelope(kwargs={**GOOD, "groupId": "pg\0"})), "groupId must be text"),
    "half a surrogate": (pack(envelope(kwargs={**GOOD, "groupId": "\ud800"})), "there is half a character"),
    "an empty group": (pack(envelope(kwargs={**GOOD, "groupId": ""})), "groupId must be text"),
    "a long group": (pack(envelope(kwargs={**GOOD, "groupId": "g" * 65})), "groupId must be text"),
    "a server that is an object": (pack(envelope(kwargs={**GOOD, "sourceServerId": {}})), "not an object"),
    "a server that is none": (pack(envelope(kwargs={**GOOD, "sourceServerId": "i-1"})), 'not "i-1"'),
    "a generation that is text": (pack(envelope(kwargs={**GOOD, "generation": "2"})), "generation must be a whole"),
    "a generation that is true": (pack(envelope(kwargs={**GOOD, "generation": True})), "generation must be a whole"),
    "a request id of two lines": (pack(envelope(kwargs={**GOOD, "requestId": "a\nb"})), "requestId must be text"),
    "a wave that is a list": (pack(envelope(WAVE_ACTOR, {"waveId": ["wave-1"]})), "waveId must be text.* not a list"),
    "another stack's group": (pack(envelope(options={"stack": "staging"})), 'of the stack "staging"'),
    "another stack's sweep": (pack(envelope(SWEEP_ACTOR, {}, options={"stack": 5})), "of the stack 5"),
    "a body over the limit": ("x" * (64 * 1024 + 1), "has 65537 bytes, and no job has over 65536"),
    "as much as SQS takes": ("é" * 2**19, "has 1048576 bytes"),
}
"""Name to body and a pattern of the reason."""

HARMLESS: Mapping[str, str] = {
    "a job of a release before": pack(envelope()),
    "a job of this stack": pack(envelope(options={"stack": "prelaunch"})),
    "a job of a later release": pack(envelope(kwargs={**GOOD, "priority": {"is": "high"}})),
    "a wave that is none": pack(envelope(WAVE_ACTOR, {"waveId": "wave-none"})),
    "options that are no object": pack(envelope(options=None)),
    "a sweep as EventBridge sends it": json.dumps(envelope(SWEEP_ACTOR, {}, options={"stack": "prelaunch"})),
}
"""Bodies of other releases and of what is gone: done with, and never a dead letter."""
