"""What an account cannot give to source servers, as errors that point into the group's body. Pure."""

from collections.abc import Mapping, Sequence

from workers.core.model.errors import FieldError
from workers.core.model.group import GroupDefinition, Target
from workers.core.model.group_conflicts import ConfiguredServer, place_conflicts
from workers.core.model.selection import configure, find_places
from workers.core.validation.holdings import Holdings, SourceServer
from workers.core.validation.rules import Configured, find_misfits

UNKNOWN = SourceServer()


def find_errors(definition: GroupDefinition, members: Sequence[str], held: Holdings) -> list[FieldError]:
    """
    Find everything that an account cannot give to members of a group.

    Parameters:
        definition: The group, with its account.
        members: Those that were looked up, in the group's order.
        held: What the account holds of what they name.

    Returns:
        First the source servers that DRS does not know, then what is wrong with the launch configs of all.
    """
    servers = configure(definition, members)
    unknown = find_unknown(members, find_places(definition), definition.target, held)
    return unknown + find_unfit(servers, definition.target, held)


def find_unknown(members: Sequence[str], places: Mapping[str, str], target: Target, held: Holdings) -> list[FieldError]:
    """
    Find the source servers that DRS does not know.

    Parameters:
        members: Those that were looked up.
        places: Where the body says of each that it is a member.
        target: The account and Region.
        held: What the account holds.

    Returns:
        One error each.
    """
    where = describe(target)
    return [
        FieldError(
            places[member],
            "INVALID_BODY",
            f"DRS knows no source server {member} in {where}. Take it out, or correct account and Region.",
            member,
        )
        for member in members
        if member not in held.source_servers
    ]


def find_unfit(servers: Sequence[ConfiguredServer], target: Target, held: Holdings) -> list[FieldError]:
    """
    Find what launch configs ask for and an account cannot give.

    Parameters:
        servers: What source servers are to have. Of their wrong fields nothing is told.
        target: The account and Region.
        held: What the account holds.

    Returns:
        First the errors of the defaults, each once, then those of single source servers.
    """
    where = describe(target)
    misfits = [
        (server, misfit)
        for server in servers
        for misfit in find_misfits(
            Configured(held.source_servers.get(server.source_server_id, UNKNOWN), server.effective, where), held
        )
        if server.wrong_fields.isdisjoint((misfit.field, *misfit.others))
    ]
    return place_conflicts(servers, misfits)


def describe(target: Target) -> str:
    """Say where a group is."""
    return f"account {target.account_id}, {target.region}"
