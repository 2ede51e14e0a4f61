"""
What the stand-in's control may do to DRS: add, break and remove source servers, set up accounts.

Nothing here is an AWS operation. Each function takes the lock by itself.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from infra.local.drs.jobs import LaunchSource
from infra.local.drs.models import DRSBackend, drs_backends
from infra.local.drs.servers import REPLICATION_STATES, SourceServer
from infra.local.world import WORLD

_CHANGES: dict[str, Callable[[Any], bool]] = {
    "state": lambda value: value in REPLICATION_STATES,
    "recoveryPoint": lambda value: isinstance(value, bool),
    "drsTag": lambda value: value is False,
    "template": lambda value: value is None,
    "subnetId": lambda value: isinstance(value, str),
}
"""What may be changed, and to what: a misspelt change must not pass for one without effect."""


def add_source_servers(account_id: str, region: str, count: int, tags: dict[str, str]) -> list[str]:
    """
    Add source servers that replicate continuously, each with its launch template.

    Parameters:
        account_id: The account that they replicate into.
        region: The Region that they replicate into.
        count: How many.
        tags: Tags of each.

    Returns:
        Their ids.
    """
    with WORLD.lock:
        return drs_backends[account_id][region].add_source_servers(count, tags)


def patch_source_server(source_server_id: str, changes: dict[str, Any]) -> None:
    """
    Change what the world does to a source server. One that does not exist is a `KeyError`.

    Parameters:
        source_server_id: Which one, in whatever account.
        changes: Any of `{"state": "DISCONNECTED"}` (or another state of the model; a disconnected server
            loses its template), `{"recoveryPoint": false}`, `{"drsTag": false}` (its template loses DRS's
            tag, and every write to it is refused), `{"template": null}` (its template is deleted),
            `{"subnetId": "subnet-…"}` (a source-network operation writes the subnet into its template).

    Raises:
        ValueError: There is no such change.
    """
    for name, value in changes.items():
        if name not in _CHANGES or not _CHANGES[name](value):
            raise ValueError(f"a source server cannot be changed so: {name} = {value!r}")
    with WORLD.lock:
        backend, server = _find(source_server_id)
        backend.advance(WORLD.now())
        server.has_recovery_point = changes.get("recoveryPoint", server.has_recovery_point)
        server.state = changes.get("state", server.state)
        if "drsTag" in changes:
            backend.templates.deny_writes(server)
        if "subnetId" in changes:
            backend.templates.write_primary_interface(server, {"SubnetId": changes["subnetId"]})
        if "template" in changes or server.state == "DISCONNECTED":
            backend.templates.drop(server)


def delete_source_server(source_server_id: str) -> None:
    """Remove a source server, and its launch template with it. One that does not exist is a `KeyError`."""
    with WORLD.lock:
        backend, server = _find(source_server_id)
        backend.advance(WORLD.now())
        backend.templates.drop(server)
        del backend.servers[source_server_id]


def set_initialised(account_id: str, initialised: bool) -> None:
    """Say whether DRS was set up in an account, in every Region."""
    with WORLD.lock:
        account = drs_backends[account_id]
        for region in account.regions:
            account[region].initialised = initialised


def apply_background_changes(now: datetime) -> None:
    """
    Do what DRS would have done in the background by now, in every account and Region.

    To be called after the clock was advanced, and at no other time: a test must be able to tell when.
    """
    with WORLD.lock:
        for backend in _backends():
            backend.apply_background_changes(now)


def template_id_of(source_server_id: str) -> str | None:
    """Tell which launch template a source server has now; none if it or the server is gone."""
    with WORLD.lock:
        for backend in _backends():
            if source_server_id in backend.servers:
                return backend.servers[source_server_id].template_id
    return None


def source_server_of(template_id: str) -> str | None:
    """Tell for which source server DRS once made a launch template; also if the template is gone."""
    with WORLD.lock:
        for backend in _backends():
            if template_id in backend.templates.server_ids:
                return backend.templates.server_ids[template_id]
    return None


def launch_sources_of(job_id: str) -> dict[str, LaunchSource | None]:
    """
    Tell from which template version each server of a job was launched.

    Parameters:
        job_id: The job, in whatever account.

    Raises:
        KeyError: There is no such job.

    Returns:
        By source server: the source, or none where no template was there (or the job has not launched yet).
    """
    with WORLD.lock:
        for backend in _backends():
            if job_id in backend.jobs:
                backend.advance(WORLD.now())
                return {part.source_server_id: part.source for part in backend.jobs[job_id].participants}
    raise KeyError(job_id)


def _backends() -> Iterator[DRSBackend]:
    # Copies: moto adds accounts and Regions from other threads, and does not take our lock for it.
    for account in list(drs_backends.values()):
        yield from list(account.values())


def _find(source_server_id: str) -> tuple[DRSBackend, SourceServer]:
    for backend in _backends():
        if source_server_id in backend.servers:
            return backend, backend.servers[source_server_id]
    raise KeyError(source_server_id)
