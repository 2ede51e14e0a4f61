"""
The DRS operations that are built, each a function of one account's DRS and of checked parameters.

Each runs under the stand-in's lock and must not block. An operation that is not listed here answers
UnknownOperationException.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from infra.local.drs.exceptions import ValidationException
from infra.local.drs.jobs import Job
from infra.local.drs.models import DRSBackend
from infra.local.drs.servers import SourceServer
from infra.local.launch_templates.paging import UnreadableToken, cut_page
from infra.local.world import WORLD

Parameters = dict[str, Any]
Result = dict[str, Any]

PAGE = 200
"""The most items of a page, and how many there are when none were asked for."""

_FIELDS = frozenset(
    {
        "copyPrivateIp",
        "copyTags",
        "launchDisposition",
        "launchIntoInstanceProperties",
        "licensing",
        "name",
        "postLaunchEnabled",
        "targetInstanceTypeRightSizingMethod",
    }
)


def describe_source_servers(backend: DRSBackend, parameters: Parameters) -> Result:
    """List source servers; an id that is not here is left out."""
    filters = parameters.get("filters") or {}
    found = (server for server in _named_servers(backend, filters) if _server_passes(server, filters))
    page, token = _cut(((("", server.number), server) for server in found), parameters)
    return _page([server.describe(WORLD.now()) for server in page], token)


def get_launch_configuration(backend: DRSBackend, parameters: Parameters) -> Result:
    """Answer a launch configuration, and make a new template first if the old one is gone."""
    server = backend.find_server(parameters["sourceServerID"])
    backend.refresh_template(server)
    return server.describe_configuration()


def update_launch_configuration(backend: DRSBackend, parameters: Parameters) -> Result:
    """Change the fields that were sent, and answer the whole launch configuration."""
    server = backend.find_server(parameters["sourceServerID"])
    changes = {name: parameters[name] for name in _FIELDS if parameters.get(name) is not None}
    backend.update_configuration(server, changes)
    return server.describe_configuration()


def start_recovery(backend: DRSBackend, parameters: Parameters) -> Result:
    """Start a job over all the named servers or over none."""
    ids = [entry["sourceServerID"] for entry in parameters["sourceServers"]]
    is_drill = bool(parameters.get("isDrill"))
    job = backend.start_recovery(ids, is_drill=is_drill, tags=parameters.get("tags") or {})
    return {"job": job.describe()}


def describe_jobs(backend: DRSBackend, parameters: Parameters) -> Result:
    """List jobs, newest first."""
    filters = parameters.get("filters") or {}
    wanted = frozenset(filters.get("jobIDs") or ())
    since, until = _read_date(filters, "fromDate"), _read_date(filters, "toDate")
    found = (job for job in backend.jobs.values() if _job_passes(job, wanted, since, until))
    page, token = _cut(((("", -job.number), job) for job in found), parameters)
    return _page([job.describe() for job in page], token)


def tag_resource(backend: DRSBackend, parameters: Parameters) -> Result:
    """Set tags by key."""
    reserved = [key for key in parameters["tags"] if key.startswith("aws:")]
    if reserved:
        text = "Tag keys that begin with aws: are reserved"
        raise ValidationException(text, [("tags", text)], "fieldValidationFailed")
    backend.find_tags(parameters["resourceArn"]).update(parameters["tags"])
    return {}


def untag_resource(backend: DRSBackend, parameters: Parameters) -> Result:
    """Remove tags by key."""
    tags = backend.find_tags(parameters["resourceArn"])
    for key in parameters["tagKeys"]:
        tags.pop(key, None)
    return {}


def list_tags_for_resource(backend: DRSBackend, parameters: Parameters) -> Result:
    """Answer the tags of a source server or of a job."""
    return {"tags": backend.find_tags(parameters["resourceArn"])}


def initialize_service(backend: DRSBackend, _parameters: Parameters) -> Result:
    """Set DRS up in the account and Region."""
    backend.initialised = True
    return {}


OPERATIONS: dict[str, Callable[[DRSBackend, Parameters], Result]] = {
    "DescribeJobs": describe_jobs,
    "DescribeSourceServers": describe_source_servers,
    "GetLaunchConfiguration": get_launch_configuration,
    "InitializeService": initialize_service,
    "ListTagsForResource": list_tags_for_resource,
    "StartRecovery": start_recovery,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "UpdateLaunchConfiguration": update_launch_configuration,
}


def _named_servers(backend: DRSBackend, filters: Parameters) -> Iterable[SourceServer]:
    ids = filters.get("sourceServerIDs")
    if not ids:
        return backend.servers.values()
    return (backend.servers[each] for each in dict.fromkeys(ids) if each in backend.servers)


def _server_passes(server: SourceServer, filters: Parameters) -> bool:
    accounts = filters.get("stagingAccountIDs")
    if accounts and server.account_id not in accounts:
        return False
    return filters.get("hardwareId") in (None, server.hardware_id)


def _job_passes(job: Job, wanted: frozenset[str], since: datetime | None, until: datetime | None) -> bool:
    if wanted and job.job_id not in wanted:
        return False
    return (since is None or since <= job.created_at) and (until is None or job.created_at <= until)


def _read_date(filters: Parameters, name: str) -> datetime | None:
    if filters.get(name) is None:
        return None
    try:
        return datetime.fromisoformat(filters[name])
    except ValueError as error:
        text = f"{filters[name]} is not a date"
        raise ValidationException(text, [(f"filters.{name}", text)], "fieldValidationFailed") from error


def _cut(keyed: Iterable[tuple[tuple[str, int], Any]], parameters: Parameters) -> tuple[list[Any], str | None]:
    limit = min(parameters.get("maxResults") or PAGE, PAGE)
    try:
        return cut_page(keyed, parameters.get("nextToken"), limit)
    except UnreadableToken as error:
        text = "The pagination token is not valid"
        raise ValidationException(text, [("nextToken", text)], "fieldValidationFailed") from error


def _page(items: list[Result], token: str | None) -> Result:
    return {"items": items} if token is None else {"items": items, "nextToken": token}
