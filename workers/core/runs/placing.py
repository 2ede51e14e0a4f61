"""What an update cannot say, or need not repeat: account, Region and external id are those of the group. Pure."""

from dataclasses import replace

from workers.core.model.errors import FieldError, InvalidBody
from workers.core.model.group import GroupDefinition
from workers.core.runs.members import check_access
from workers.core.store.records import GroupHead


def place(wanted: GroupDefinition, head: GroupHead, stored: GroupDefinition, own_account_id: str) -> GroupDefinition:
    """
    Complete a definition by what an update cannot say or need not repeat.

    Parameters:
        wanted: What the group is to be, as it was asked for.
        head: The group.
        stored: What it is.
        own_account_id: The account that we run in.

    Returns:
        The definition, with its account, and the external id that is kept.

    Raises:
        InvalidBody: It would move to another account or Region, or names no role for another account.
    """
    target = wanted.target
    moved = [
        FieldError(
            pointer,
            "INVALID_BODY",
            f"{head.group_id} stays in {what} {old}, where its source servers are. Create another group in {new}.",
            None,
        )
        for pointer, what, old, new in (
            ("/region", "Region", head.region, target.region),
            ("/accountId", "account", head.account_id, target.account_id or head.account_id),
        )
        if old != new
    ]
    if moved:
        raise InvalidBody(tuple(moved))
    check_access(wanted, head.account_id, own_account_id)
    kept = target.external_id or (stored.target.external_id if target.assume_role_name else None)
    return replace(wanted, target=replace(target, account_id=head.account_id, external_id=kept))
