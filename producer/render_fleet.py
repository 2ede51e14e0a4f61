"""What a fleet's file changes, or changed, as JSON. camelCase lives here; nothing is decided."""

from collections.abc import Iterable
from typing import Any

from producer.problems import render_error
from workers.core.fleet.changes import FieldChange, GroupChange, Kind
from workers.core.fleet.outcome import Outcome


def render_differences(changes: Iterable[GroupChange]) -> dict[str, Any]:
    """Render what a file would change."""
    groups = [render_change(each) for each in changes]
    return {"differs": any(each["change"] != Kind.NONE.value for each in groups), "groups": groups}


def render_change(change: GroupChange) -> dict[str, Any]:
    """Render what a file changes of one group."""
    account_id, region = change.place
    return {
        "groupName": change.name,
        "groupId": change.head.group_id if change.head is not None else None,
        "accountId": account_id,
        "region": region,
        "change": change.kind.value,
        "fields": [_field(each) for each in change.fields],
        "joiningSourceServerIds": list(change.joining),
        "leavingSourceServerIds": list(change.leaving),
    }


def render_outcome(outcome: Outcome) -> dict[str, Any]:
    """Render what became of one change."""
    stored = outcome.updated or outcome.released
    return {
        **render_change(outcome.change),
        "groupId": outcome.group_id or None,
        "version": stored.head.version if stored is not None else None,
        "error": render_error(outcome.error)[1] if outcome.error is not None else None,
    }


def _field(each: FieldChange) -> dict[str, Any]:
    return {
        "field": each.field,
        **({"stored": each.stored} if each.is_stored else {}),
        **({"wanted": each.wanted} if each.is_wanted else {}),
    }
