"""
Short cuts through moto where each call walked a long way: the answers stay the same.

A load test of the product must not be a load test of its stand-in. Nothing here may change what a call does.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from moto.core import responses
from moto.core.serialize import AttributePicker, AttributePickerContext
from moto.moto_server import werkzeug_app

from infra.local.mend import replace

_NO_CORS = "DISABLE_GLOBAL_CORS"


def install() -> None:
    """Take the short cuts."""
    # It lists a class's methods by inspection, on every call.
    replace(responses, "method_names_from_class", cache)
    replace(AttributePicker, "__call__", _picking)
    # A stand-in on a laptop must not let any web page call it, and need not pay for saying that it may.
    setattr(werkzeug_app, _NO_CORS, True)


def _picking(original: Callable[..., Any]) -> Callable[..., Any]:
    """Look up the ten members of a DynamoDB value as they are named, not under every name that they might have."""

    def pick(self: AttributePicker, context: AttributePickerContext) -> Any:
        parent = getattr(context.shape, "parent", None)
        if type(context.obj) is dict and parent is not None and parent.name == "AttributeValue":
            return context.obj.get(context.key)
        return original(self, context)

    return pick
