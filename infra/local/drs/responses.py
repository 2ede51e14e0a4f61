"""
Answer DRS's REST operations: find the operation, check the request by the model, act, render.

The order is the service's: an unknown operation, then an unreadable or wrong request, then an account
that was not set up, then the operation itself.
"""

import json
import uuid
from functools import cache
from typing import Any

from botocore.model import OperationModel
from moto.core.responses import BaseResponse

from infra.local.aws_models import load_model
from infra.local.drs.exceptions import (
    DrsError,
    UninitializedAccountException,
    UnknownOperationException,
    ValidationException,
)
from infra.local.drs.models import DRSBackend, drs_backends
from infra.local.drs.operations import OPERATIONS
from infra.local.drs.validation import check_request
from infra.local.world import WORLD

Answer = tuple[int, dict[str, str], str]

TAGS_PATH = "/tags/"


class DRSResponse(BaseResponse):
    """DRS, as moto reaches a service."""

    def __init__(self) -> None:
        super().__init__(service_name="drs")

    def _dispatch(self, request: Any, full_url: str | None = None, _headers: Any = None) -> Any:
        self.headers = request.headers
        self.querystring = {}
        account_id = self.get_current_account()
        region = self.get_region_from_url(request, full_url or request.raw_url)
        try:
            return _answer(drs_backends[account_id][region], request)
        except DrsError as error:
            return _render_error(error)


def _answer(backend: DRSBackend, request: Any) -> Answer:
    operation = _find_operation(request.method, request.path)
    parameters = _read_parameters(operation, request)
    check_request(operation.input_shape, parameters)
    with WORLD.lock:
        if not backend.initialised and _asks_for_initialised(operation):
            raise UninitializedAccountException
        backend.advance(WORLD.now())
        # Rendered under the lock: what is rendered is still the backend's own and may change right after.
        body = json.dumps(OPERATIONS[operation.name](backend, parameters))
    status = operation.http.get("responseCode", 200)
    return status, _new_headers(), "" if status == NO_CONTENT else body


NO_CONTENT = 204


@cache
def _routes() -> dict[tuple[str, str], OperationModel]:
    model = load_model("drs")
    operations = [model.operation_model(name) for name in OPERATIONS]
    return {(operation.http["method"], operation.http["requestUri"]): operation for operation in operations}


def _find_operation(method: str, path: str) -> OperationModel:
    template = f"{TAGS_PATH}{{resourceArn}}" if path.startswith(TAGS_PATH) else path
    operation = _routes().get((method, template))
    if operation is None:
        raise UnknownOperationException
    return operation


def _read_parameters(operation: OperationModel, request: Any) -> dict[str, Any]:
    parameters = _read_body(request)
    for name, member in operation.input_shape.members.items():
        match member.serialization.get("location"):
            case "uri":
                parameters[name] = request.path.removeprefix(TAGS_PATH)
            case "querystring":
                parameters[name] = request.args.getlist(member.serialization["name"])
    return parameters


def _read_body(request: Any) -> dict[str, Any]:
    body = request.get_data()
    if not body:
        return {}
    try:
        parameters = json.loads(body)
    except ValueError as error:
        raise ValidationException("The request body is not JSON.", reason="cannotParse") from error
    if not isinstance(parameters, dict):
        raise ValidationException("The request body is not a JSON object.", reason="cannotParse")
    return parameters


def _asks_for_initialised(operation: OperationModel) -> bool:
    return any(shape.name == "UninitializedAccountException" for shape in operation.error_shapes)


def _new_headers() -> dict[str, str]:
    return {"Content-Type": "application/json", "x-amzn-RequestId": str(uuid.uuid4())}


def _render_error(error: DrsError) -> Answer:
    headers = {**_new_headers(), "x-amzn-ErrorType": error.code}
    body = {"__type": error.code, "code": error.code, "message": error.message, **error.members}
    return error.status, headers, json.dumps(body)
