"""`prelaunch dlq`: messages that no worker could do are listed, done again and thrown away. Nothing is decided here."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from producer.cli.answer import ExitStatus, answering, clean, complain, print_json, print_text
from producer.cli.ask import ask, make_requester
from producer.cli.options import AsJson, AwsChoice, Profile, RegionName
from producer.cli.text import Document, print_rows, say_time
from producer.render import render_letters, render_purged, render_redriven
from producer.services import Services
from workers.core.letters.letter import Selection

HEADINGS = ("Message", "Queue", "Group", "Source server", "Sent", "Dead-lettered", "Received", "Why")
MORE = "There may be more dead letters than these: others may be looking at them, or they are too many. Run it again."

dlq = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, redrive and purge what no worker could do.",
)

Messages = Annotated[
    list[str] | None,
    typer.Option("--message", metavar="ID", help="A dead letter, by the id that 'dlq list' shows; may be repeated."),
]
Group = Annotated[
    str | None,
    typer.Option(
        "--group", metavar="GROUP", help="Those of a protection group, by its id or name; by its id if it is deleted."
    ),
]
Everything = Annotated[bool, typer.Option("--all", help="Every dead letter.")]


@dlq.command("list")
def list_letters(
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many are shown at most: the latest.")] = 100,
    json: AsJson = False,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """
    List dead letters, the latest first, with the reasons. They stay where they are.

    At most 1,000 of each queue are looked through. It says so where there are more than those, or than are shown.
    """
    with answering(as_json=json):
        listing = ask(lambda services: services.dead_letters.list(limit), AwsChoice(profile, region))
    document = render_letters(listing)
    if json:
        print_json(document)
    else:
        print_rows(HEADINGS, [_row(letter) for letter in document["deadLetters"]])
    if document["truncated"]:
        counts = ", ".join(f"{queue} {count}" for queue, count in document["approximateCounts"].items())
        complain(
            "There are more dead letters than are shown, or may be more than were looked through: 1,000 of a queue, and"
            f" none that others look at. SQS counts about: {counts}."
        )


@dlq.command()
def redrive(
    *,
    messages: Messages = None,
    group: Group = None,
    everything: Everything = False,
    json: AsJson = False,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """
    Do again what dead letters ask for: one apply run a group, on the queue for bulk work.

    A letter is deleted once its work is under way. What cannot be done again is named with the reason, and stays; then
    the status is 1. The message of a recovery that is no drill is sent again only where --message names it.
    """
    _check_choice(everything=everything, chosen=bool(messages or group))
    with answering(as_json=json):
        document = ask(lambda services: _redrive(services, messages, group), AwsChoice(profile, region))
    if not json:
        for letter in document["redriven"]:
            print_text(_tell(letter))
    _end(document, as_json=json)


@dlq.command()
def purge(
    *,
    messages: Messages = None,
    group: Group = None,
    everything: Everything = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    json: AsJson = False,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """
    Delete dead letters for good. What they asked for is not done again.

    Of a wave that waits for one of them to start nothing more is started.
    """
    _check_choice(everything=everything, chosen=bool(messages or group))
    if not (yes or sys.stdin.isatty()):
        raise typer.BadParameter("nobody can be asked here; say --yes to delete", param_hint="--yes")
    aws = AwsChoice(profile, region)
    with answering(as_json=json):
        if not yes:
            _ask_first(messages, group, aws)
        document = ask(lambda services: _purge(services, messages, group), aws)
    if not json:
        count = len(document["purged"])
        print_text(f"{count} dead letter{'s are' if count != 1 else ' is'} deleted.")
    _end(document, as_json=json)


async def _redrive(services: Services, messages: Sequence[str] | None, group: str | None) -> Document:
    selection = await _select(services, messages, group)
    return render_redriven(await services.dead_letters.redrive(selection, make_requester(services)))


async def _purge(services: Services, messages: Sequence[str] | None, group: str | None) -> Document:
    selection = await _select(services, messages, group)
    return render_purged(await services.dead_letters.purge(selection, make_requester(services)))


async def _select(services: Services, messages: Sequence[str] | None, group: str | None) -> Selection:
    group_id = await services.queries.find_also_deleted(group) if group is not None else None
    return Selection(frozenset(messages) if messages else None, group_id)


def _check_choice(*, everything: bool, chosen: bool) -> None:
    if everything == chosen:
        raise typer.BadParameter("say which dead letters: --message, --group or --all", param_hint="--all")


def _ask_first(messages: Sequence[str] | None, group: str | None, aws: AwsChoice) -> None:
    if messages:
        meant = str(len(messages))
    elif group is not None:
        meant = "all dead letters"
    else:
        meant = f"all dead letters, about {ask(lambda services: services.dead_letters.count(), aws)}"
    of_group = "" if group is None else f" of {clean(group)}"
    if not typer.confirm(f"Delete {meant}{of_group}, for good?", err=True):
        complain("Nothing was deleted.")
        raise typer.Exit(ExitStatus.FAILED)


def _end(document: Document, *, as_json: bool) -> None:
    """Print the document, name what stays, and end with the status that says whether anything does."""
    if as_json:
        print_json(document)
    for letter in document["left"]:
        complain(f"{_name(letter)} stays: {clean(letter['why'])}")
    for message_id in document["notFound"]:
        complain(f"{clean(message_id)} is no dead letter; 'prelaunch dlq list' shows those that there are.")
    if document["truncated"]:
        complain(MORE)
    whole = not (document["left"] or document["notFound"] or document["truncated"])
    raise typer.Exit(ExitStatus.WELL if whole else ExitStatus.FAILED)


def _row(letter: Document) -> tuple[str, ...]:
    reason = letter["reason"] if letter["fault"] is None else f"{letter['reason']} (Not redrivable: {letter['fault']})"
    return (
        letter["messageId"],
        letter["queue"],
        letter["groupId"] or letter["waveId"] or "",
        letter["sourceServerId"] or "",
        say_time(letter["sentAt"]),
        say_time(letter["deadLetteredAt"]),
        str(letter["receiveCount"]),
        clean(reason),
    )


def _name(letter: Document) -> str:
    named = [letter[name] for name in ("groupId", "sourceServerId", "waveId") if letter[name]]
    return f"{letter['messageId']} of {letter['queue']}" + (f" ({', '.join(named)})" if named else "")


def _tell(letter: Document) -> str:
    told = {
        "applying": f"is applied by {letter['runId']}",
        "sent": "is sent again",
        "done": "has nothing left to do",
    }
    return f"{_name(letter)} {told[letter['result']]}."
