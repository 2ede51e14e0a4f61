"""What became of each group and each source server of a bulk re-apply, and how that ends. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from producer.cli.answer import ExitStatus
from producer.cli.reapply.remedies import find_remedy
from producer.render import render_time
from workers.core.errors import PrelaunchError, SetupError
from workers.core.requests import RequestRefused
from workers.core.runs.selection import ApplyRequest
from workers.core.status import Status
from workers.core.store.records import ServerError, ServerItem

SUPERSEDED = "SUPERSEDED"
STILL_PENDING = "STILL_PENDING"
GROUP_NOT_FOUND = "GROUP_NOT_FOUND"
NOT_CONFIGURED = Status.NOT_CONFIGURED.value
NOT_BEGUN = "not_begun"
"""What stands in the place of the status of a source server of whose group nothing was asked."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of every group."""

    force: bool = False
    only_failed: bool = False
    servers: frozenset[str] | None = None
    """None: all source servers."""

    def of(self, servers: Iterable[str]) -> ApplyRequest:
        """Ask it for source servers of a group; without a choice of ours for all that it has by then."""
        narrowed = self.servers is not None or self.only_failed
        return ApplyRequest(
            force=self.force,
            only_failed=self.only_failed,
            source_server_ids=tuple(sorted(servers)) if narrowed else None,
        )


@dataclass(frozen=True, slots=True)
class Chosen:
    """A group that is meant, and what of it."""

    group_id: str
    name: str
    region: str
    account_id: str
    servers: frozenset[str]
    """The source servers that are asked for."""
    is_configured: bool
    """Whether there is anything to apply."""


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a source server."""

    server: str
    status: str
    code: str = ""
    message: str = ""
    operation: str = ""
    request_id: str = ""
    attempt: int | None = None
    applied_at: str | None = None


@dataclass(frozen=True, slots=True)
class GroupOutcome:
    """What became of a group."""

    group: Chosen
    status: str
    """`ready`, `failed`, `pending` where it was not waited for, or `not_configured`."""
    rows: Sequence[Row] = ()
    run_id: str | None = None
    code: str = ""
    """Why the group as a whole failed."""
    message: str = ""
    plan: Mapping[str, Any] | None = None
    """Of a dry run."""

    @property
    def has_failed(self) -> bool:
        """Tell whether anything of it was not brought to its launch config."""
        return bool(self.code) or any(row.status == Status.FAILED for row in self.rows)

    def count(self, status: str) -> int:
        """Count its source servers of a status."""
        return sum(row.status == status for row in self.rows)


@dataclass(slots=True)
class Summary:
    """What became of everything."""

    request_id: str
    groups: list[GroupOutcome] = field(default_factory=list)
    unbegun: list[Chosen] = field(default_factory=list)
    """Groups that nothing was asked of: the command was ended before."""
    interrupted_by: str | None = None
    """The signal that ended it."""
    unreachable: PrelaunchError | None = None
    """Why it could not be followed to the end."""
    is_dry_run: bool = False
    is_reported: bool = True
    """Whether a report that was wanted is written."""

    @property
    def pending(self) -> list[GroupOutcome]:
        """Tell which groups have a run that goes on."""
        return [each for each in self.groups if each.status == Status.PENDING and each.run_id is not None]

    @property
    def has_begun(self) -> bool:
        """Tell whether anything is to be reported: of what was ended before anything was asked there is nothing."""
        return self.interrupted_by is None or bool(self.groups)

    def exit_status(self) -> ExitStatus:
        """Tell with which status the command ends."""
        if self.interrupted_by is not None:
            return ExitStatus.TERMINATED if self.interrupted_by == "SIGTERM" else ExitStatus.INTERRUPTED
        if self.unreachable is not None:
            return ExitStatus.NOT_REACHABLE
        has_failed = any(each.has_failed for each in self.groups) or not self.is_reported
        return ExitStatus.FAILED if has_failed else ExitStatus.WELL


def fail(group: Chosen, servers: Iterable[str], code: str, message: str, run_id: str | None = None) -> GroupOutcome:
    """Make the outcome of a group that failed as a whole, each of its source servers for the same reason."""
    rows = [Row(server, Status.FAILED.value, code, message) for server in sorted(servers)]
    return GroupOutcome(group, Status.FAILED.value, rows, run_id, code, message)


def fail_by(group: Chosen, error: PrelaunchError | RequestRefused) -> GroupOutcome:
    """Make the outcome of a group of which a request was refused or failed."""
    message = error.detail if isinstance(error, RequestRefused) else error.message
    code = SetupError.code if isinstance(error, SetupError) else error.code
    return fail(group, group.servers, code, message)


def settle(
    group: Chosen, servers: Iterable[str], status: Status, run_id: str | None, applied_at: str | None = None
) -> GroupOutcome:
    """Make the outcome of a group whose source servers all stand the same."""
    rows = [Row(server, status.value, applied_at=applied_at) for server in sorted(servers)]
    return GroupOutcome(group, status.value, rows, run_id)


def read_rows(servers: Iterable[str], found: Mapping[str, tuple[Status, str, ServerItem | None]]) -> list[Row]:
    """
    Tell what became of source servers by a group's status.

    Parameters:
        servers: Those that are asked for; those that are no members any more are left out.
        found: Of an answer about the status, all members.

    Returns:
        One row each.
    """
    return [_read_row(server, *found[server]) for server in sorted(servers) if server in found]


def _read_row(server: str, status: Status, _config_hash: str, item: ServerItem | None) -> Row:
    applied_at = render_time(item.last_applied) if item is not None else None
    errors = item.errors if item is not None and status is Status.FAILED else ()
    if not errors:
        code, why = ("NOT_APPLIED", "It has not the launch config of this generation.") if _failed(status) else ("", "")
        return Row(server, status.value, code, why, applied_at=applied_at)
    return describe_errors(server, errors, applied_at)


def describe_errors(server: str, errors: Sequence[ServerError], applied_at: str | None) -> Row:
    """Make one row of a source server's errors: the first one's code, and what all of them say."""
    first = errors[0]
    return Row(
        server,
        Status.FAILED.value,
        first.code,
        " | ".join(error.message for error in errors),
        first.operation or "",
        first.request_id or "",
        first.attempt,
        applied_at,
    )


def _failed(status: Status) -> bool:
    return status is Status.FAILED


def render_summary(summary: Summary) -> dict[str, Any]:
    """Render everything as one document, with one member of `sourceServers` a source server."""
    return {
        "dryRun": summary.is_dry_run,
        "requestId": summary.request_id,
        "interruptedBy": summary.interrupted_by,
        "error": summary.unreachable.message if summary.unreachable is not None else None,
        "groups": [_render_group(each) for each in summary.groups],
        "groupsNotBegun": [each.group_id for each in summary.unbegun],
        "sourceServers": [
            render_row(each, row)
            for each in (*summary.groups, *(_leave(group) for group in summary.unbegun))
            for row in each.rows
        ],
    }


def _leave(group: Chosen) -> GroupOutcome:
    """Make the outcome of a group of which nothing was asked: its source servers are missed in a report otherwise."""
    told = "The command was ended before anything was asked of its group."
    rows = [Row(server, NOT_BEGUN, NOT_BEGUN.upper(), told) for server in sorted(group.servers)]
    return GroupOutcome(group, NOT_BEGUN, rows)


def _render_group(each: GroupOutcome) -> dict[str, Any]:
    group = each.group
    rendered = {
        "groupId": group.group_id,
        "groupName": group.name,
        "accountId": group.account_id,
        "region": group.region,
        "status": each.status,
        "runId": each.run_id,
        "code": each.code or None,
        "message": each.message or None,
    }
    return rendered if each.plan is None else {**rendered, "serverPlans": each.plan["serverPlans"]}


def render_row(each: GroupOutcome, row: Row) -> dict[str, Any]:
    """Render a source server's row of the report; what it has not is empty."""
    group = each.group
    return {
        "groupId": group.group_id,
        "groupName": group.name,
        "accountId": group.account_id,
        "region": group.region,
        "sourceServerId": row.server,
        "status": row.status,
        "code": row.code or None,
        "message": row.message or None,
        "operation": row.operation or None,
        "requestId": row.request_id or None,
        "attempt": row.attempt,
        "runId": each.run_id,
        "lastApplied": row.applied_at,
        "whatToDo": find_remedy(row.code, group=group.group_id, account=group.account_id, region=group.region) or None,
    }


COLUMNS = (
    "groupId",
    "groupName",
    "accountId",
    "region",
    "sourceServerId",
    "status",
    "code",
    "message",
    "operation",
    "requestId",
    "attempt",
    "runId",
    "lastApplied",
    "whatToDo",
)
"""Of the report."""
