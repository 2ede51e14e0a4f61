"""Every account and Region: our own, and those of the stored groups, each through its role and all of them at once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from workers.core.doctor.accounts import (
    Place,
    WayIn,
    check_initialised,
    check_jobs,
    check_permissions,
    check_quotas,
    check_role,
)
from workers.core.doctor.finding import unanswered
from workers.core.doctor.guard import Findings, guard
from workers.core.doctor.ports import Identity, OwnAws, Places
from workers.core.doctor.resources import build_role_arn
from workers.core.errors import PermanentError, PrelaunchError
from workers.core.model.group import Target

PLACES_AT_ONCE = 16
T = TypeVar("T")
Entered = Mapping[Place, PrelaunchError | None]
"""What became of each place's role; None where we are in."""


class PlaceChecks:
    """
    Looks at accounts and Regions.

    Parameters:
        own: Our own account.
        places: Accounts and Regions.
        find_places: Lists where the stored groups are, our own account and Region first.
    """

    def __init__(self, own: OwnAws, places: Places, find_places: Callable[[Place], Awaitable[Sequence[Place]]]) -> None:
        self._own = own
        self._places = places
        self._find_places = find_places
        self._at_once = asyncio.Semaphore(PLACES_AT_ONCE)

    async def examine(self, identity: Identity, stack: str) -> Findings:
        """
        Look at all of them.

        Parameters:
            identity: Who we are; our own account and Region are looked at in any case.
            stack: What the findings about the groups are called by.

        Returns:
            The findings of each place together.
        """
        here = Place(Target(identity.region, identity.account_id))
        try:
            places, unread = await self._find_places(here), []
        except PrelaunchError as error:
            before = "in which accounts they are cannot be read: "
            places, unread = [here], [unanswered("groups", f"stack {stack}", error, before=before)]
        entered = dict(zip(places, await asyncio.gather(*map(self._enter, places)), strict=True))
        found = await asyncio.gather(*(self._examine(place, identity, entered) for place in places))
        return [*unread, *(finding for each in found for finding in each)]

    async def _enter(self, place: Place) -> PrelaunchError | None:
        async with self._at_once:
            entering = await _try(self._places.enter(place.target))
            return entering if isinstance(entering, PrelaunchError) else None

    async def _examine(self, place: Place, identity: Identity, entered: Entered) -> Findings:
        async with self._at_once:
            if entered[place] is not None:
                return await guard("role", place.subject, self._check_way_in(place, identity, entered))
            checks = await asyncio.gather(
                guard("DRS", place.subject, self._check_drs(place, identity)),
                guard("quotas", place.subject, self._check_quotas(place)),
            )
            role = [check_role(place, identity.arn, None)] if place.target.assume_role_name else []
            return [*role, *(finding for each in checks for finding in each)]

    async def _check_way_in(self, place: Place, identity: Identity, entered: Entered) -> Findings:
        refused, target = entered[place], place.target
        if not isinstance(refused, PermanentError) or target.assume_role_name is None:
            return [check_role(place, identity.arn, refused)]
        asking = await self._own.may_use(identity.arn, {build_role_arn(identity, target): ["sts:AssumeRole"]})
        is_ours = target.account_id == identity.account_id
        way_in = WayIn(
            may_ask=asking[0].allowed,
            is_there=await self._own.find_role(target.assume_role_name) if is_ours else None,
            opened_by=next((each for each in entered if entered[each] is None and _is_opened(each, place)), None),
        )
        return [check_role(place, identity.arn, refused, way_in)]

    async def _check_drs(self, place: Place, identity: Identity) -> Findings:
        found = await _try(self._places.find_source_server(place.target))
        refused = found if isinstance(found, PrelaunchError) else None
        server = found if isinstance(found, str) else None
        # What DRS has itself comes last: that a member can be written says more.
        samples = dict.fromkeys([*place.source_server_ids, *([server] if server else [])])
        permissions = self._check_calls(place, identity, tuple(samples))
        return [
            check_initialised(place, server, refused),
            *await guard("permissions", place.subject, permissions),
        ]

    async def _check_calls(self, place: Place, identity: Identity, samples: Sequence[str]) -> Findings:
        caller = build_role_arn(identity, place.target) if place.target.assume_role_name else identity.arn
        verdicts = await self._places.may_call(place.target, caller, samples)
        return check_permissions(place.subject, caller, verdicts)

    async def _check_quotas(self, place: Place) -> Findings:
        counting, reading = self._places.count_jobs(place.target), self._places.read_quotas(place.target)
        jobs, quotas = await asyncio.gather(_try(counting), _try(reading))
        return [check_jobs(place, jobs, quotas), check_quotas(place, quotas)]


def _is_opened(other: Place, place: Place) -> bool:
    """Tell whether it is the same role that has opened there, by another external id."""
    role = replace(other.target, region=place.target.region, external_id=place.target.external_id)
    return role == place.target and other.target.external_id != place.target.external_id


async def _try(work: Awaitable[T]) -> T | PrelaunchError:
    try:
        return await work
    except PrelaunchError as error:
        return error
