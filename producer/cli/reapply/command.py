"""`prelaunch reapply`: its options, and how it ends. See the package."""

import asyncio
from collections.abc import Callable
from typing import Annotated

import typer

from producer.cli.answer import answering, complain
from producer.cli.ask import ask, make_requester
from producer.cli.options import AsJson, AwsChoice, Profile, RegionName
from producer.cli.reapply.applying import Applying
from producer.cli.reapply.bars import open_board
from producer.cli.reapply.choosing import choose
from producer.cli.reapply.following import Following, follow_while
from producer.cli.reapply.interruption import Interrupted, Interruption, heed_signals
from producer.cli.reapply.outcome import Asked, Summary, render_summary
from producer.cli.reapply.planning import plan_all
from producer.cli.reapply.report import Report
from producer.cli.reapply.telling import print_summary, tell_summary
from producer.cli.whole_file import FileUnwritable
from producer.services import Services
from workers.core.clock import read_clock

BROKEN_OFF = "Ended at once. Runs that were opened go on: 'prelaunch group list' shows them."


class Reapply:
    """
    One bulk re-apply.

    Parameters:
        groups: Groups by their ids or names; none: all that there are.
        asked: What is asked of each.
        tell: Called with what became of it all, in the end: no signal breaks that off.
        wait: Whether it is waited for the runs.
        is_dry_run: Whether it is only shown what it would do.
    """

    def __init__(
        self, groups: list[str], asked: Asked, tell: Callable[[Summary], None], *, wait: bool, is_dry_run: bool
    ) -> None:
        self._groups = groups
        self._asked = asked
        self._tell = tell
        self._wait = wait
        self._is_dry_run = is_dry_run

    async def run(self, services: Services) -> Summary:
        """Do it; nothing is applied where anything is wrong with what is asked."""
        with heed_signals() as interruption:
            try:
                summary = await self._run(services, interruption)
            except asyncio.CancelledError:
                if interruption.signal is None:
                    raise
                complain(BROKEN_OFF)
                ended = Summary("", interrupted_by=interruption.signal.name)
                raise typer.Exit(ended.exit_status()) from None
            # Ctrl-C again, while the clients are closed, must cost neither the report nor the way to watch the runs.
            self._tell(summary)
            return summary

    async def _run(self, services: Services, interruption: Interruption) -> Summary:
        requester = make_requester(services)
        summary = Summary(requester.request_id, is_dry_run=self._is_dry_run)
        with open_board() as board:
            try:
                chosen = await interruption.unless_asked(choose(services, self._groups, self._asked, board))
                if self._is_dry_run:
                    planning = plan_all(services, chosen, self._asked, board)
                    summary.groups = await interruption.unless_asked(planning)
                    return summary
            except Interrupted:
                summary.interrupted_by = interruption.signal.name if interruption.signal else None
                return summary
            following = Following(services, interruption, board, read_clock)
            applying = Applying(services, requester, interruption, board, following.add)
            if self._wait:
                applied = await follow_while(following, applying.apply_all(chosen, self._asked))
            else:
                applied = await applying.apply_all(chosen, self._asked)
        summary.groups = [*applied.outcomes, *following.outcomes, *following.find_pending()]
        summary.groups.sort(key=lambda each: (each.group.name, each.group.group_id))
        summary.unbegun = applied.unbegun
        summary.unreachable = applied.unreachable or following.unreachable
        if interruption.signal is not None and (following.left or applied.unbegun):
            summary.interrupted_by = interruption.signal.name
        return summary


def reapply(
    *,
    group: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="GROUP", help="A protection group, by its id or its name; may be repeated."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every protection group.")] = False,
    server: Annotated[
        list[str] | None,
        typer.Option("--server", metavar="ID", help="Only this source server of these groups; may be repeated."),
    ] = None,
    only_failed: Annotated[bool, typer.Option("--only-failed", help="Only source servers that have failed.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Read back also what is ready, and write it where it is different.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be changed in DRS and EC2, and change nothing.")
    ] = False,
    wait: Annotated[
        bool | None,
        typer.Option("--wait/--no-wait", help="Wait until every source server is ready or has failed. [default: wait]"),
    ] = None,
    json: AsJson = False,
    report: Annotated[
        str | None,
        typer.Option(
            "--report", metavar="FILE", help="Write one row a source server to FILE, ending in .csv or .json."
        ),
    ] = None,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """
    Apply the launch configs of many protection groups again.

    What is not ready is applied; with --force also what is. A group that has a new run for some of its source servers
    brings with them all that are not ready. Everything that is wrong with groups, servers and the report is told before
    anything is applied. A group that cannot be applied fails alone. Ctrl-C ends the waiting, and tells how to watch the
    runs, which go on: 130; so does SIGTERM: 143.
    """
    if bool(group) == everything:
        raise typer.BadParameter("say which groups: --group or --all, and not both", param_hint="--group")
    if dry_run and wait is not None:
        raise typer.BadParameter("--dry-run starts nothing that could be waited for", param_hint="--wait")
    asked = Asked(force=force, only_failed=only_failed, servers=frozenset(server) if server else None)
    aws = AwsChoice(profile, region)
    file = _open_report(report) if report is not None else None

    def tell(summary: Summary) -> None:
        if file is not None:
            summary.is_reported = _write_report(file, summary)
        tell_summary(summary, aws)

    work = Reapply(group or [], asked, tell, wait=wait is not False, is_dry_run=dry_run)
    try:
        with answering(as_json=json):
            summary = ask(work.run, aws)
    finally:
        if file is not None:
            file.close()
    print_summary(summary, as_json=json)
    raise typer.Exit(summary.exit_status())


def _open_report(name: str) -> Report:
    try:
        return Report(name)
    except FileUnwritable as error:
        raise typer.BadParameter(str(error), param_hint="--report") from error


def _write_report(report: Report, summary: Summary) -> bool:
    if not summary.has_begun:
        complain("There is nothing to report: no report is written, and one that was there is as it was.")
        return True
    try:
        report.write(render_summary(summary))
    except FileUnwritable as error:
        complain(f"What is told here was done, but {error}.")
        return False
    return True
