"""`prelaunch wave`: start the recovery of groups together, and see how far it is."""

import asyncio
from typing import Annotated

import typer

from producer.cli.answer import ExitStatus, answering, clean, complain, print_json, print_text
from producer.cli.ask import ask, make_requester, wait_until_begun
from producer.cli.options import AsJson, AwsChoice, Profile, RegionName
from producer.cli.text import Document, print_rows, say_error, say_time, say_wait
from producer.render_waves import render_wave, render_waves
from producer.services import Services
from workers.core.model.bodies import parse_wave
from workers.core.model.waves import OnNotReady, Verify
from workers.core.requests import require_groups
from workers.core.store.wave_records import WaveStatus
from workers.core.wave_plan import WaveRequest

JOB_HEADINGS = ("Job", "Group", "Source server", "Launch status")
ERROR_HEADINGS = ("Group", "Source server", "Code", "Why")
WAVE_HEADINGS = ("Wave", "Status", "Kind", "Accepted", "Started", "Who")

wave = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Start waves and see how far they are.")
WaveArgument = Annotated[str, typer.Argument(metavar="WAVE", help="A wave's id.")]


def _read_snapshots(given: list[str]) -> dict[str, str]:
    pairs = [each.partition("=") for each in given]
    wrong = [each for each, (_, sign, _) in zip(given, pairs, strict=True) if not sign]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is not SERVER=SNAPSHOT", param_hint="--snapshot")
    twice = len({server for server, _, _ in pairs}) < len(pairs)
    if twice:
        raise typer.BadParameter("a source server is named twice", param_hint="--snapshot")
    return {server: snapshot for server, _, snapshot in pairs}


@wave.command()
def start(
    *,
    group: Annotated[list[str], typer.Option("--group", metavar="GROUP", help="A protection group, by id or name.")],
    drill: Annotated[bool, typer.Option("--drill/--recovery", help="A drill, or a recovery in earnest.")] = True,
    on_not_ready: Annotated[
        OnNotReady, typer.Option(help="What is not ready is applied first, keeps all from starting, or is left out.")
    ] = OnNotReady.APPLY,
    verify: Annotated[
        Verify, typer.Option(help="Go by the last read-back, or read DRS and EC2 once more before anything starts.")
    ] = Verify.STORED,
    snapshot: Annotated[
        list[str] | None,
        typer.Option(metavar="SERVER=SNAPSHOT", help="Recover a source server to this point in time."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until all of it is started that can be.")] = True,
    json: AsJson = False,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """
    Start the recovery of protection groups together.

    What is ready starts at once; what is not is applied first, and what fails even so is left out and named. The
    launches themselves take minutes: 'prelaunch wave get' follows them. Ends with 1 where source servers are not
    recovered.
    """
    snapshots = _read_snapshots(snapshot or [])
    aws = AwsChoice(profile, region)
    body = {"groupIds": [], "isDrill": drill, "onNotReady": on_not_ready.value, "verify": verify.value}

    async def accept(services: Services) -> Document:
        found = await asyncio.gather(*(services.queries.find(each) for each in group), return_exceptions=True)
        ids = require_groups(found, "/groupIds")
        asked = parse_wave({**body, "groupIds": ids, "recoverySnapshotIds": snapshots})
        request = WaveRequest(asked.group_ids, asked.is_drill, asked.on_not_ready, asked.verify, asked.snapshots)
        requester = make_requester(services)
        wave_id = (await services.waves.accept(request, requester)).wave.wave_id
        # At once: whoever ends the wait, or loses the terminal, has to find the wave again.
        kind, follow = _kind(body), f"'prelaunch wave get {wave_id}' follows it"
        complain(f"{wave_id}, a {kind}, is accepted; {follow}. Request: {requester.request_id}.")
        if wait and not await wait_until_begun(services, wave_id):
            complain(f"It is past its deadline and not started; does a worker run? {follow}.")
        return render_wave(await services.waves.get(wave_id))

    with answering(as_json=json):
        document = ask(accept, aws)
    show_wave(document, as_json=json, waited=wait)


@wave.command()
def get(*, wave_id: WaveArgument, json: AsJson = False, profile: Profile = None, region: RegionName = None) -> None:
    """
    Show a wave: its jobs with each launch status, and what is not recovered.

    Ends with 1 where source servers are not recovered.
    """

    async def read(services: Services) -> Document:
        return render_wave(await services.waves.get(wave_id))

    with answering(as_json=json):
        document = ask(read, AwsChoice(profile, region))
    show_wave(document, as_json=json)


@wave.command("list")
def list_waves(
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many waves are shown at most.")] = 20,
    json: AsJson = False,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """List the waves, newest first."""

    async def read(services: Services) -> Document:
        return render_waves(*await services.waves.list_accepted(limit, None))

    with answering(as_json=json):
        document = ask(read, AwsChoice(profile, region))
    if json:
        print_json(document)
    else:
        print_rows(WAVE_HEADINGS, [_wave_row(each) for each in document["waves"]])
    if document.get("nextToken"):
        complain(f"These are the latest {limit} waves; --limit shows more.")


def show_wave(document: Document, *, as_json: bool, waited: bool = False) -> None:
    """
    Print a wave, and end with the status that says whether somebody has to look.

    Parameters:
        document: The answer about it.
        as_json: Whether it is printed as it is.
        waited: Whether it was waited for: then it had to be started.
    """
    if as_json:
        print_json(document)
    else:
        print_wave(document)
    status = WaveStatus(document["status"])
    overdue = waited and not status.is_begun
    lost = document["errors"] or status is WaveStatus.FAILED
    raise typer.Exit(ExitStatus.FAILED if overdue or lost else ExitStatus.WELL)


def print_wave(document: Document) -> None:
    """Print where a wave stands, its jobs, and what is not recovered."""
    paths = ", ".join(f"{group['groupId']} ({group['path']})" for group in document["groups"])
    print_text(f"{document['waveId']}, a {_kind(document)}, is {document['status']}: {clean(paths)}.")
    started = f"; the last job started {say_time(document['startedAt'])}" if document["startedAt"] else ""
    print_text(f"Accepted {say_time(document['acceptedAt'])}{started}.")
    if document["waitingFor"]:
        print_text(say_wait(document["waitingFor"]))
    rows = [
        (job["jobId"], job["groupId"], member, job["launchStatuses"].get(member, "PENDING"))
        for job in document["jobs"]
        for member in job["sourceServerIds"]
    ]
    if rows:
        print_rows(JOB_HEADINGS, rows)
    errors = [
        (error["groupId"], member, error["code"], say_error(error))
        for error in document["errors"]
        for member in error["sourceServerIds"]
    ]
    if errors:
        print_rows(ERROR_HEADINGS, errors)


def _wave_row(each: Document) -> tuple[str, ...]:
    times = (say_time(each["acceptedAt"]), say_time(each["startedAt"]) if each["startedAt"] else "")
    return (each["waveId"], each["status"], _kind(each), *times, clean(each["requestedBy"]))


def _kind(document: Document) -> str:
    return "drill" if document["isDrill"] else "recovery"
