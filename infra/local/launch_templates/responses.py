"""
Answer EC2's launch-template operations; leave every other EC2 operation to moto.

Requests are read and answers written by botocore's model, outside the lock. Nothing is decided here about a
template: that is the model's.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from moto.ec2.responses import EC2Response

from infra.local.aws_models import load_model
from infra.local.launch_templates.answer import Writer, compile_writer, render_error, render_result
from infra.local.launch_templates.exceptions import EC2Error
from infra.local.launch_templates.models import LaunchTemplateBackend, launch_template_backends
from infra.local.launch_templates.operations import OPERATIONS
from infra.local.launch_templates.query import Reader, compile_reader, nest
from infra.local.world import WORLD

_XML = {"Content-Type": "text/xml;charset=UTF-8", "server": "AmazonEC2"}


@dataclass(frozen=True, slots=True)
class _Operation:
    read: Reader
    write: Writer
    act: Callable[[LaunchTemplateBackend, dict[str, Any]], dict[str, Any]]


class LaunchTemplateResponse(EC2Response):
    """EC2 with launch templates that behave like the real ones."""

    def _dispatch(self, request: Any, full_url: str | None = None, headers: Any = None) -> Any:
        action = request.values.get("Action", "")
        if action not in OPERATIONS:
            return super()._dispatch(request, full_url, headers)
        self.headers = request.headers
        self.querystring = {}
        account_id = self.get_current_account()
        region = self.get_region_from_url(request, full_url or request.raw_url)
        backend = launch_template_backends[account_id][region]
        return answer(backend, action, list(request.values.items()))


def answer(
    backend: LaunchTemplateBackend, action: str, pairs: list[tuple[str, str]]
) -> tuple[int, dict[str, str], str]:
    """
    Do one operation.

    Parameters:
        backend: The account and Region that it is for.
        action: One of `OPERATIONS`.
        pairs: The request's parameters.

    Returns:
        HTTP status, headers and body.
    """
    request_id = str(uuid.uuid4())
    operation = _compile(action)
    try:
        parameters = operation.read(nest(pairs), "")
        with WORLD.lock:
            result = operation.act(backend, parameters)
    except EC2Error as error:
        return error.status, dict(_XML), render_error(error.code, error.message, request_id)
    return 200, dict(_XML), render_result(action, operation.write, result, request_id)


def compile_operations() -> None:
    """Compile every operation ahead, so that no request waits for EC2's model."""
    for action in OPERATIONS:
        _compile(action)


@cache
def _compile(action: str) -> _Operation:
    model = load_model("ec2").operation_model(action)
    return _Operation(compile_reader(model.input_shape), compile_writer(model.output_shape), OPERATIONS[action])
