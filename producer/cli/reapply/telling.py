"""What is printed when it is over: the answer on standard output, what needs somebody on standard error."""

import shlex
from collections.abc import Sequence

from producer.cli.answer import clean, complain, print_json, print_text
from producer.cli.options import AwsChoice
from producer.cli.plan import print_plan
from producer.cli.reapply.board import count, describe_settled
from producer.cli.reapply.outcome import NOT_CONFIGURED, GroupOutcome, Summary, render_summary
from producer.cli.text import print_rows
from workers.core.status import Status

HEADINGS = ("Group", "Name", "Status", "Ready", "Failed", "Pending", "Why")
FAILURES_SHOWN = 50
COUNTED = (Status.READY, Status.FAILED, Status.PENDING)


def tell_summary(summary: Summary, aws: AwsChoice) -> None:
    """
    Tell what needs somebody, on standard error.

    Parameters:
        summary: What became of everything.
        aws: The AWS that was asked: commands that are named ask the same one.
    """
    _tell_end(summary, aws)
    if not summary.is_dry_run:
        _tell_failures(summary.groups)


def print_summary(summary: Summary, *, as_json: bool) -> None:
    """
    Print the answer.

    Parameters:
        summary: What became of everything.
        as_json: Whether standard output gets one document.
    """
    if as_json:
        print_json(render_summary(summary))
    elif not summary.has_begun:
        # Who ended it knows nothing of what there was to do.
        return
    elif summary.is_dry_run:
        _print_plans(summary.groups)
    else:
        print_rows(HEADINGS, [_row(each) for each in summary.groups])
        print_text(describe_all(summary.groups))


def describe_all(groups: Sequence[GroupOutcome]) -> str:
    """Say in one sentence what became of all groups."""
    if not groups:
        return "Nothing to do: of no group anything is asked."
    servers = ", ".join(f"{sum(each.count(status) for each in groups)} {status}" for status in COUNTED)
    failed = sum(each.has_failed for each in groups)
    return f"{count(len(groups), 'group')}, {failed} failed; source servers: {servers}."


def list_watching(groups: Sequence[GroupOutcome], aws: AwsChoice) -> list[str]:
    """List the commands that show how runs go on."""
    chosen = [("--profile", aws.profile), ("--region", aws.region)]
    options = "".join(f" {option} {shlex.quote(value)}" for option, value in chosen if value is not None)
    return [f"  prelaunch status {each.group.group_id}{options}    # {clean(each.group.name)}" for each in groups]


def _tell_end(summary: Summary, aws: AwsChoice) -> None:
    if summary.unreachable is not None:
        complain(clean(summary.unreachable.message))
    if summary.interrupted_by is not None:
        nothing = "" if summary.groups else " Nothing was applied."
        complain(f"Ended by {summary.interrupted_by}.{nothing}")
    if summary.unbegun:
        complain(f"Nothing was asked of {count(len(summary.unbegun), 'group')}:")
        for group in summary.unbegun:
            complain(f"  {clean(group.name)} ({group.group_id})")
    ended_early = summary.interrupted_by is not None or summary.unreachable is not None
    if ended_early and summary.pending:
        verb = "goes" if len(summary.pending) == 1 else "go"
        complain(f"{count(len(summary.pending), 'run')} {verb} on. Watch with:")
        for line in list_watching(summary.pending, aws):
            complain(line)


def _tell_failures(groups: Sequence[GroupOutcome]) -> None:
    # Why a group failed as a whole was told when it did.
    failed = [row for each in groups if not each.code for row in each.rows if row.status == Status.FAILED]
    for row in failed[:FAILURES_SHOWN]:
        operation = f"{row.operation}: " if row.operation else ""
        complain(f"{row.server} failed: {row.code}: {clean(operation + row.message)}")
    if len(failed) > FAILURES_SHOWN:
        complain(
            f"{count(len(failed) - FAILURES_SHOWN, 'source server')} more failed: --json or --report names them all."
        )


def _print_plans(groups: Sequence[GroupOutcome]) -> None:
    for each in groups:
        if each.plan is not None:
            print_plan(each.group.name, each.plan)
        elif each.status == NOT_CONFIGURED:
            print_text(describe_settled(each))
        else:
            complain(describe_settled(each))
    if not groups:
        print_text(describe_all(groups))


def _row(each: GroupOutcome) -> tuple[str, ...]:
    group, counts = each.group, (str(each.count(status)) for status in COUNTED)
    return (group.group_id, clean(group.name), each.status, *counts, each.code)
