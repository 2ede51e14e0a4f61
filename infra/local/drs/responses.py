"""
Handles DRS's requests: a method an operation, each of parameters that the service model has passed.

The order is the service's: an unknown operation, then an unreadable or wrong request, then an account
that was not set up, then the operation itself.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any

from botocore.model import OperationModel
from moto.core.common_types import TYPE_RESPONSE
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import camelcase_to_underscores

from infra.local.aws_models import load_model
from infra.local.drs.exceptions import UninitializedAccountException, ValidationException
from infra.local.drs.models import DRSBackend, drs_backends
from infra.local.drs.servers import NEW_CONFIGURATION
from infra.local.drs.validation import check_request
from infra.local.launch_templates.paging import UnreadableToken, cut_page
from infra.local.world import WORLD

PAGE = 200
"""The most items of a page, and how many there are when none were asked for."""

_FIELDS = frozenset({*NEW_CONFIGURATION, "launchIntoInstanceProperties", "name"})


class DRSResponse(BaseResponse):
    """Handler for DRS requests and responses."""

    use_raw_body = True
    """A body that is no text is answered, not stumbled over."""

    def __init__(self) -> None:
        super().__init__(service_name="drs")
        self.automated_parameter_parsing = True

    @property
    def drs_backend(self) -> DRSBackend:
        """Return the backend of the caller's account and Region."""
        return drs_backends[self.current_account][self.region]

    def _dispatch(self, request: Any, full_url: str | None = None, headers: Any = None) -> TYPE_RESPONSE:
        try:
            self.setup_class(request, full_url, headers)
            return self.call_action()
        except ServiceException as error:
            status, answered, body = self.serialized(ActionResult(error))
            return status, *self._enrich_response(answered, body)

    def _get_action(self) -> str:
        # By method and path alone: DRS knows no parameter by which a request could name another operation.
        return self._get_action_from_method_and_request_uri(self.normalized_request)

    def parse_parameters(self, request: Any) -> None:
        """Read a request that is all that the service model asks for, or raise ValidationException."""
        name = self._get_action()
        if not hasattr(self, camelcase_to_underscores(name)):
            raise NotImplementedError(f"DRS's {name} has not been implemented")
        operation = _operation_model(name)
        self.params = {**self.uri_match, **_read_body(request.data)}
        for name, member in operation.input_shape.members.items():
            if member.serialization.get("location") == "querystring":
                self.params[name] = request.args.getlist(member.serialization["name"])
        check_request(operation.input_shape, self.params)

    def call_action(self) -> TYPE_RESPONSE:
        """Answer under the stand-in's lock: what is rendered is the backend's own and may change right after."""
        name = self._get_action()
        if not name:
            raise NotImplementedError(f"DRS has no {self.method} {self.path}")
        operation = _operation_model(name)
        with WORLD.lock:
            if not self.drs_backend.initialised and _asks_for_initialised(operation):
                raise UninitializedAccountException
            self.drs_backend.advance(WORLD.now())
            status, headers, body = super().call_action()
        if status == OK:
            status = operation.http["responseCode"]
        return status, {"Content-Type": "application/json", **headers}, body

    def initialize_service(self) -> str:
        """Set DRS up in the account and Region."""
        self.drs_backend.initialize_service()
        return ""

    def describe_source_servers(self) -> str:
        """List source servers, by their numbers."""
        servers = self.drs_backend.describe_source_servers(self._get_param("filters") or {})
        page, token = self._cut((server.number, server) for server in servers)
        return _page([server.to_dict(WORLD.now()) for server in page], token)

    def get_launch_configuration(self) -> str:
        """Answer a launch configuration."""
        server = self.drs_backend.get_launch_configuration(self._get_param("sourceServerID"))
        return json.dumps(server.configuration_to_dict())

    def update_launch_configuration(self) -> str:
        """Change the fields that were sent, and answer the whole launch configuration."""
        changes = {name: self.params[name] for name in _FIELDS if self.params.get(name) is not None}
        server = self.drs_backend.update_launch_configuration(self._get_param("sourceServerID"), changes)
        return json.dumps(server.configuration_to_dict())

    def describe_launch_configuration_templates(self) -> str:
        """List templates of launch configurations."""
        ids = self._get_param("launchConfigurationTemplateIDs") or []
        templates = self.drs_backend.describe_launch_configuration_templates(ids)
        page, token = self._cut(enumerate(templates))
        return _page(page, token)

    def start_recovery(self) -> str:
        """Start a job over all the named servers or over none."""
        entries = self._get_param("sourceServers")
        snapshots = {
            entry["sourceServerID"]: entry["recoverySnapshotID"] for entry in entries if "recoverySnapshotID" in entry
        }
        job = self.drs_backend.start_recovery(
            [entry["sourceServerID"] for entry in entries],
            is_drill=bool(self._get_param("isDrill")),
            tags=self._get_param("tags") or {},
            snapshots=snapshots,
        )
        return json.dumps({"job": job.to_dict()})

    def describe_jobs(self) -> str:
        """List jobs, newest first."""
        filters = self._get_param("filters") or {}
        since, until = _read_date(filters, "fromDate"), _read_date(filters, "toDate")
        jobs = self.drs_backend.describe_jobs(filters.get("jobIDs") or [], since, until)
        page, token = self._cut((-job.number, job) for job in jobs)
        return _page([job.to_dict() for job in page], token)

    def describe_recovery_snapshots(self) -> str:
        """List a source server's points in time."""
        snapshots = self.drs_backend.describe_recovery_snapshots(self._get_param("sourceServerID"))
        page, token = self._cut(enumerate(snapshots))
        return _page(page, token)

    def describe_job_log_items(self) -> str:
        """List what happened in a job, oldest first."""
        items = self.drs_backend.describe_job_log_items(self._get_param("jobID"))
        page, token = self._cut(enumerate(items))
        return _page(page, token)

    def tag_resource(self) -> str:
        """Set tags by key."""
        self.drs_backend.tag_resource(self._get_param("resourceArn"), self._get_param("tags"))
        return ""

    def untag_resource(self) -> str:
        """Remove tags by key."""
        self.drs_backend.untag_resource(self._get_param("resourceArn"), self._get_param("tagKeys"))
        return ""

    def list_tags_for_resource(self) -> str:
        """Answer the tags of a resource."""
        tags = self.drs_backend.list_tags_for_resource(self._get_param("resourceArn"))
        return json.dumps({"tags": tags})

    def _cut(self, numbered: Iterable[tuple[int, Any]]) -> tuple[list[Any], str | None]:
        limit = min(self._get_param("maxResults") or PAGE, PAGE)
        keyed = ((("", number), item) for number, item in numbered)
        try:
            return cut_page(keyed, self._get_param("nextToken"), limit)
        except UnreadableToken as error:
            text = "The pagination token is not valid"
            raise ValidationException(text, [("nextToken", text)]) from error


OK = 200


@cache
def _operation_model(name: str) -> OperationModel:
    return load_model("drs").operation_model(name)


@cache
def _asks_for_initialised(operation: OperationModel) -> bool:
    return any(shape.name == "UninitializedAccountException" for shape in operation.error_shapes)


def _read_body(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        parameters = json.loads(body)
    except ValueError as error:
        raise ValidationException("The request body is not JSON.", reason="cannotParse") from error
    if not isinstance(parameters, dict):
        raise ValidationException("The request body is not a JSON object.", reason="cannotParse")
    return parameters


def _read_date(filters: dict[str, Any], name: str) -> datetime | None:
    if filters.get(name) is None:
        return None
    try:
        return datetime.fromisoformat(filters[name])
    except ValueError as error:
        text = f"{filters[name]} is not a date"
        raise ValidationException(text, [(f"filters.{name}", text)]) from error


def _page(items: list[Any], token: str | None) -> str:
    return json.dumps({"items": items} if token is None else {"items": items, "nextToken": token})
