"""
Find the conflicts of a whole group, and point each to where a person has to change something.

What the defaults alone cause is said once, not once for each of hundreds of servers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workers.core.model.conflicts import Conflict, find_conflicts, find_shared_addresses
from workers.core.model.errors import INVALID_LAUNCH_CONFIG, FieldError, Place
from workers.core.model.launch_config import LaunchConfig

DEFAULTS_POINTER = "/launchConfig"
_SHARED = ("staticPrivateIp", "subnetId")


@dataclass(frozen=True, slots=True)
class ConfiguredServer:
    """A server of the group with what it is to have, and where that was written."""

    source_server_id: str
    effective: LaunchConfig
    override: LaunchConfig | None
    """What is said of this server alone; None if it has only the defaults."""
    override_pointer: str
    """Where its own launch config stands in the body."""
    wrong_fields: frozenset[str]
    """Fields of which nobody knows what it is to have: no conflict is told of them."""


def find_group_conflicts(servers: Sequence[ConfiguredServer]) -> list[FieldError]:
    """
    Find the conflicts within and between the effective launch configs of a group.

    Parameters:
        servers: Its servers, in order.

    Returns:
        First the errors of the defaults, then those of single servers.
    """
    return place_conflicts(servers, _conflicts(servers))


def place_conflicts(
    servers: Sequence[ConfiguredServer], found: Iterable[tuple[ConfiguredServer, Conflict]]
) -> list[FieldError]:
    """
    Point each conflict to where a person has to change something.

    Parameters:
        servers: All that were looked at.
        found: Each conflict with the server that it was found at.

    Returns:
        First the errors of the defaults, each once, then those of single servers.
    """
    by_default: dict[Conflict, list[ConfiguredServer]] = {}
    errors = []
    for server, conflict in found:
        written = [name for name in (conflict.field, *conflict.others) if _says(server, name)]
        if written:
            place = Place(f"{server.override_pointer}/{written[0]}", INVALID_LAUNCH_CONFIG, server.source_server_id)
            errors.append(place.error(conflict.message))
        else:
            by_default.setdefault(conflict, []).append(server)
    return [each for hit in by_default.items() for each in _blame_defaults(*hit, of=len(servers))] + errors


def _conflicts(servers: Sequence[ConfiguredServer]) -> list[tuple[ConfiguredServer, Conflict]]:
    found = [(server, conflict) for server in servers for conflict in find_conflicts(server.effective)]
    by_id = {server.source_server_id: server for server in servers}
    # Whether an address is in the subnet of another takes both to be known of both.
    known = (server for server in servers if server.wrong_fields.isdisjoint(_SHARED))
    shared = find_shared_addresses({server.source_server_id: server.effective for server in known})
    found += [(by_id[source_server_id], conflict) for source_server_id, conflict in shared]
    return [
        (server, conflict)
        for server, conflict in found
        if server.wrong_fields.isdisjoint((conflict.field, *conflict.others))
    ]


def _says(server: ConfiguredServer, name: str) -> bool:
    return server.override is not None and name in server.override.values


def _blame_defaults(conflict: Conflict, hit: list[ConfiguredServer], *, of: int) -> list[FieldError]:
    place = Place(f"{DEFAULTS_POINTER}/{conflict.field}", INVALID_LAUNCH_CONFIG)
    if len(hit) == of or any(server.override is None for server in hit):
        return [place.error(conflict.message)]
    return [FieldError(place.pointer, place.code, conflict.message, server.source_server_id) for server in hit]
