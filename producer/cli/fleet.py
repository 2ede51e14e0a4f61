"""`prelaunch export`, `diff`, `apply` and `schema`: a stack's groups as a file. Nothing is decided here."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import typer

from producer.cli.answer import ExitStatus, answering, clean, complain, print_json, print_text
from producer.cli.ask import STILL_PENDING, ask, make_requester, wait_until_settled
from producer.cli.changed import find_failures
from producer.cli.file import name_source
from producer.cli.fleet_file import FleetFile, Output, ReadFleet, opening, read_fleet, write_fleet
from producer.cli.fleet_text import print_differences, say_outcome, summarize
from producer.cli.options import AsJson, AwsChoice, Profile, RegionName
from producer.cli.text import Document
from producer.fleet_schema import make_fleet_schema
from producer.problems import render_error
from producer.render import render_group
from producer.render_fleet import render_differences, render_outcome
from producer.services import Services
from workers.core.errors import PrelaunchError
from workers.core.fleet.changes import GroupChange, Kind
from workers.core.fleet.file import render_fleet
from workers.core.fleet.outcome import Outcome, find_adrift
from workers.core.model.launch_config import Json
from workers.core.requests import RequestRefused
from workers.core.status import Status

HEAD = """Groups of prelaunch. 'prelaunch diff -f FILE' shows what differs, 'prelaunch apply -f FILE' changes it.
An externalId is never written here; a group that has one keeps it."""

DO_THE_REST = "The same file, applied again, does the rest."
APPLY_AGAIN = "When the cause is gone apply the file again."

Prune = Annotated[bool, typer.Option("--prune", help="Delete groups that are not in the file; asks first.")]


@dataclass(slots=True)
class Waited:
    """What became of the groups that were waited for."""

    groups: list[Document] = field(default_factory=list)
    has_failed: bool = False
    """Whether one is not ready, or not there any more."""
    unreachable: PrelaunchError | None = None
    """Why the others were not waited for."""


def export(
    *,
    groups: Annotated[
        list[str] | None, typer.Argument(metavar="[GROUP]...", help="Groups by id or name. Default: all.")
    ] = None,
    output: Output = None,
    json: AsJson = False,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """
    Write groups to a file, to be kept, changed and applied.

    The same groups make the same file, to the letter: by name, without what says nothing, and without any externalId.
    """
    with answering(as_json=json), opening(output) as out:
        document = ask(lambda services: _export(services, groups), AwsChoice(profile, region))
        write_fleet(document, file=out, head=HEAD, as_json=json)


def diff(
    *, file: FleetFile, prune: Prune = False, json: AsJson = False, profile: Profile = None, region: RegionName = None
) -> None:
    """
    Show what applying a file would change, field by field.

    Nothing is written. All of the file is checked, in every account too. Ends with 0 where there is nothing to do,
    with 1 where something differs.
    """
    with answering(as_json=json, source=name_source(file)):
        fleet = read_fleet(file)
        changes = _plan(fleet, AwsChoice(profile, region), prune=prune)
    document = render_differences(changes)
    if json:
        print_json(document)
    else:
        print_differences(document)
    raise typer.Exit(ExitStatus.FAILED if document["differs"] else ExitStatus.WELL)


def apply(
    *,
    file: FleetFile,
    prune: Prune = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before groups are deleted.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until every group of the file is ready or has failed.")
    ] = False,
    json: AsJson = False,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """
    Create and update groups as a file has them.

    All of the file is checked first, in every account too; where anything is wrong nothing is changed. What is already
    so is left alone: nothing is sent for it. A source server may move from one group to another. Groups that are not in
    the file stay, unless --prune deletes them. A group that somebody else changes meanwhile is named, and the others go
    on. Ends with 1 where a group could not be changed, and with --wait also where one of the file is not ready.
    """
    if prune and not (yes or sys.stdin.isatty()):
        raise typer.BadParameter("nobody can be asked here; say --yes to delete", param_hint="--yes")
    aws = AwsChoice(profile, region)
    with answering(as_json=json, source=name_source(file)):
        fleet = read_fleet(file)
        changes = _plan(fleet, aws, prune=prune)
        _ask_first(changes, yes=yes)
        outcomes, waited = ask(lambda services: _carry_out(services, changes, as_json=json, wait=wait), aws)
    failed = waited.has_failed or any(each.error is not None for each in outcomes)
    if json:
        print_json(_render(changes, outcomes, waited.groups if wait else None))
    else:
        print_text(summarize([render_outcome(each) for each in outcomes], len(fleet.text.groups)))
    if waited.unreachable is not None:
        raise typer.Exit(ExitStatus.NOT_REACHABLE)
    raise typer.Exit(ExitStatus.FAILED if failed else ExitStatus.WELL)


def schema() -> None:
    """Print the JSON Schema of a fleet's file."""
    print_json(make_fleet_schema())


async def _export(services: Services, groups: Sequence[str] | None) -> dict[str, Json]:
    ids = [await services.queries.find(each) for each in groups] if groups else None
    return render_fleet(await services.fleet.read(list(dict.fromkeys(ids)) if ids is not None else None))


def _plan(fleet: ReadFleet, aws: AwsChoice, *, prune: bool) -> list[GroupChange]:
    with fleet.locating():
        try:
            return ask(lambda services: services.fleet.plan(fleet.text, prune=prune), aws)
        except PrelaunchError:
            # What is wrong in the file itself is told also where nobody can be asked.
            fleet.text.require()
            raise


def _ask_first(changes: Sequence[GroupChange], *, yes: bool) -> None:
    gone = [each for each in changes if each.kind is Kind.DELETE]
    for each in gone:
        group_id = each.head.group_id if each.head is not None else ""
        complain(f"{clean(each.name)} ({group_id}) of {len(each.leaving)} source servers is to be deleted.")
    if gone and not yes and not typer.confirm(f"Delete {len(gone)} protection groups?", err=True):
        complain("Nothing was changed.")
        raise typer.Exit(ExitStatus.FAILED)


async def _carry_out(
    services: Services, changes: Sequence[GroupChange], *, as_json: bool, wait: bool
) -> tuple[list[Outcome], Waited]:
    outcomes = await _apply(services, changes, as_json=as_json)
    return outcomes, await _wait(services, changes) if wait else Waited()


async def _apply(services: Services, changes: Sequence[GroupChange], *, as_json: bool) -> list[Outcome]:
    outcomes: list[Outcome] = []
    try:
        async for outcome in services.fleet.apply(changes, make_requester(services)):
            outcomes.append(outcome)
            if outcome.error is not None:
                _tell(outcome)
            elif not as_json:
                print_text(say_outcome(render_outcome(outcome)))
    except asyncio.CancelledError:
        asked = sum(each.kind is not Kind.NONE for each in changes)
        complain(f"Ended after {len(outcomes)} of {asked} groups; their runs go on. {DO_THE_REST}")
        raise
    adrift = find_adrift(outcomes)
    if adrift:
        complain(f"In no group now: {', '.join(adrift)}. {APPLY_AGAIN}")
    return outcomes


def _tell(outcome: Outcome) -> None:
    if outcome.error is None:
        return
    _, problem = render_error(outcome.error)
    let_go = f" has let go of {', '.join(outcome.change.leaving)}, and" if outcome.released is not None else ""
    complain(
        f"{clean(outcome.change.name)}{let_go} is not as in the file: {problem['code']}: {clean(problem['detail'])}"
    )
    for error in problem["errors"]:
        if error["message"] != problem["detail"]:
            complain(f"  {clean(error['message'])}")


async def _wait(services: Services, changes: Sequence[GroupChange]) -> Waited:
    """Wait for every group of the file; what was changed is told whatever becomes of that."""
    waited = Waited()
    for change in changes:
        if change.wanted is None:
            continue
        try:
            group = await _wait_for(services, change)
        except RequestRefused as refused:
            complain(f"{clean(change.name)}: {clean(refused.detail)}")
            waited.has_failed = True
        except PrelaunchError as error:
            complain(f"It could not be waited for {clean(change.name)} and what comes after it: {error.message}")
            waited.unreachable = error
            break
        else:
            waited.groups += [group] if group is not None else []
            waited.has_failed |= group is not None and _is_unready(group)
    return waited


async def _wait_for(services: Services, change: GroupChange) -> Document | None:
    """Answer the group when it has settled; None where it could not be created."""
    group_id = change.head.group_id if change.head is not None else await services.fleet.find_named(change.name)
    if group_id is None:
        return None
    if not await wait_until_settled(services, group_id, change.name):
        complain(f"{clean(change.name)}: {STILL_PENDING}")
    view = await services.queries.group(group_id)
    for member, _, code, why in await find_failures(services, view):
        complain(f"{clean(change.name)}: {member} failed: {code}: {why}")
    return render_group(view)


def _is_unready(group: Document) -> bool:
    return group["launchConfigStatus"]["status"] in {Status.FAILED, Status.PENDING}


def _render(changes: Sequence[GroupChange], outcomes: Sequence[Outcome], waited: Sequence[Document] | None) -> Document:
    done = {each.change.name: render_outcome(each) for each in outcomes}
    untouched = [Outcome(each, each.head.group_id if each.head else "") for each in changes if each.name not in done]
    rendered = [*done.values(), *map(render_outcome, untouched)]
    if waited is not None:
        statuses = {each["groupName"]: each["launchConfigStatus"] for each in waited}
        rendered = [{**each, "launchConfigStatus": statuses.get(each["groupName"])} for each in rendered]
    groups_by_name = sorted(rendered, key=lambda each: str(each["groupName"]))
    return {"groups": groups_by_name, "sourceServersInNoGroup": find_adrift(outcomes)}
