"""`prelaunch import`: a fleet's file made of what there is, in AWS or in another tool's CSV. Nothing is applied."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from producer.cli.answer import ExitStatus, answering, clean, complain
from producer.cli.ask import ask
from producer.cli.file import STANDARD_INPUT, name_source, read_bytes
from producer.cli.fleet_file import Output, opening, write_fleet
from producer.cli.options import AsJson, AwsChoice, Profile, RegionName
from producer.cli.secret import read_external_id
from producer.services import Services
from workers.core.fleet.file import render_fleet
from workers.core.fleet.live import Imported
from workers.core.fleet.made import Note, gather_notes, make_groups
from workers.core.fleet.settings_csv import read_settings_csv
from workers.core.model import types
from workers.core.model.errors import FieldError, InvalidBody
from workers.core.model.group import Target

HEAD = """Made by 'prelaunch import' of what there is: 'prelaunch diff -f FILE' and 'prelaunch apply -f FILE' come next.
A group in an account whose role needs an externalId has to be given it here before it is applied for the first time."""
MOST_NAMED = 5
"""So many source servers a note names."""
CSV_NAME = "imported"
EXTERNAL_ID_FILE = "--external-id-file"

_region = TypeAdapter[str](types.Region)
_account = TypeAdapter[str](types.AccountId)


def import_groups(
    *,
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE.csv]", help="DRS_Settings.csv of AWS Support's DRS Settings Tool; - for input."),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Read DRS and the launch templates instead.")] = False,
    places: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="[ACCOUNT/]REGION",
            help="Where the source servers are; with --live it may be repeated. Default there: prelaunch's own Region.",
        ),
    ] = None,
    role: Annotated[
        str | None, typer.Option("--role", metavar="NAME", help="The role to assume in other accounts.")
    ] = None,
    external_id_file: Annotated[
        str | None,
        typer.Option(
            EXTERNAL_ID_FILE,
            metavar="FILE",
            help="Holds what that role asks for; - for input, or to be asked on a terminal. Never written.",
        ),
    ] = None,
    by_tag: Annotated[
        str | None,
        typer.Option("--group-by-tag", metavar="KEY", help="One group for each value of a tag that DRS has."),
    ] = None,
    output: Output = None,
    json: AsJson = False,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """
    Write a fleet's file of what source servers have today.

    With --live that is what DRS and EC2 hold, else what stands in a CSV. There is one group a Region and account, or
    one for each value of a tag. What most of its source servers have is the group's default, what differs stands at
    the source server: to apply the file right after finds nothing to change in AWS. What prelaunch does not manage, or
    could not ask for, is left out and named, and so are members of other groups. Nothing is written in AWS or in the
    stack. An account or a source server that could not be read is named, in the file too, and the others are read.
    Where no account could be read no file is written. Ends with 1 where something could not be read or checked.
    """
    if live == (file is not None):
        raise typer.BadParameter("name a CSV, or say --live", param_hint="--live")
    if external_id_file is not None and not (live and role is not None):
        raise typer.BadParameter("it needs --live and --role, which it opens", param_hint=EXTERNAL_ID_FILE)
    external_id = read_external_id(external_id_file, EXTERNAL_ID_FILE) if external_id_file is not None else None
    targets = [_read_place(each, role, external_id) for each in places or []]
    with answering(as_json=json, source=name_source(file) if file is not None else None), opening(output) as out:
        if file is not None:
            imported = _read_csv(file, targets, by_tag)
        else:
            imported = ask(lambda services: _read_live(services, targets, by_tag), AwsChoice(profile, region))
        unread = [_say(note) for note in imported.unread]
        write_fleet(render_fleet(imported.groups, unread), file=out, head=HEAD, as_json=json)
    for note in imported.notes:
        complain(_say(note))
    for note in imported.unchecked:
        complain(f"Whether it could be applied is not known: group {_say(note)}")
    for text in unread:
        complain(f"Could not be read, and is in no group: {text}")
    members = sum(len(each.source_server_ids) for each in imported.groups)
    complain(f"Groups: {len(imported.groups)}; source servers: {members}.")
    raise typer.Exit(ExitStatus.FAILED if imported.unread or imported.unchecked else ExitStatus.WELL)


def _read_place(text: str, role: str | None, external_id: str | None) -> Target:
    account, slash, region = text.rpartition("/")
    try:
        account_id = _account.validate_python(account) if slash else None
        return Target(_region.validate_python(region), account_id, role, external_id)
    except ValidationError as error:
        message = f"{text!r} is no Region such as eu-central-1, or account and Region such as 111122223333/eu-central-1"
        raise typer.BadParameter(message, param_hint="--from") from error


def _read_csv(file: str, targets: Sequence[Target], by_tag: str | None) -> Imported:
    if len(targets) != 1:
        raise typer.BadParameter("the CSV does not say where its source servers are: name it once", param_hint="--from")
    if by_tag is not None:
        raise typer.BadParameter("the CSV holds no tags of source servers", param_hint="--group-by-tag")
    try:
        text = read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wrong = FieldError("", "INVALID_BODY", f"The file is no UTF-8: {error.reason} at byte {error.start}.", None)
        raise InvalidBody((wrong,)) from error
    held, columns = read_settings_csv(text)
    name = clean(Path(file).stem).strip()[: types.MAX_GROUP_NAME_LENGTH] if file != STANDARD_INPUT else ""
    notes = [Note(f"The column {column} is not managed by prelaunch, and is left out.") for column in columns]
    groups = make_groups(held, targets[0], name or CSV_NAME, by_tag=None, taken=())
    return Imported(groups, [*notes, *gather_notes(held)], [], [])


async def _read_live(services: Services, targets: Sequence[Target], by_tag: str | None) -> Imported:
    with _bar() as tell:
        chosen = targets or [Target(services.tables.region)]
        return await services.live_import.read(chosen, by_tag=by_tag, tell=tell)


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    columns = (TextColumn("source servers read"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _say(note: Note) -> str:
    servers = note.source_server_ids
    if not servers:
        return clean(note.text)
    more = f" and {len(servers) - MOST_NAMED} more" if len(servers) > MOST_NAMED else ""
    return f"{clean(note.text)} ({', '.join(servers[:MOST_NAMED])}{more})"
