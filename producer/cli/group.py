"""`prelaunch group`: protection groups are created, listed, shown, updated and deleted. Nothing is decided here."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from producer.cli.answer import ExitStatus, answering, clean, complain, print_json, print_text
from producer.cli.ask import ask, make_requester
from producer.cli.changed import Changed, end, find_failures, settle
from producer.cli.file import Asked, check_same_group, find_shown, name_source, read_document, read_update
from producer.cli.options import AsJson, AwsChoice, File, GroupArgument, Profile, RegionName, Wait, read_settings
from producer.cli.text import Document, print_group, print_groups
from producer.main import find_regions
from producer.render import render_group, render_group_list, render_update
from producer.services import Services
from workers.core.errors import PrelaunchError
from workers.core.model.bodies import read_task_token
from workers.core.model.errors import InvalidBody
from workers.core.model.group import GroupDefinition
from workers.core.model.group_parse import InvalidGroup, parse_group
from workers.core.requests import RequestRefused

PAGE = 1000

group = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Create, list, show, update and delete protection groups.",
)


@group.command()
def create(
    *, file: File, wait: Wait = True, json: AsJson = False, profile: Profile = None, region: RegionName = None
) -> None:
    """Create a protection group from a file and apply its launch config."""
    with answering(as_json=json, source=name_source(file)):
        document = read_document(file)
        aws = AwsChoice(profile, region)
        with completing(aws):
            definition = parse_group(document, regions=find_regions(read_settings()))
        token = read_task_token(document)
        changed = ask(lambda services: _create(services, definition, token, wait=wait), aws)
    end(changed, as_json=json, waited=wait)


@group.command("list")
def list_groups(*, json: AsJson = False, profile: Profile = None, region: RegionName = None) -> None:
    """List all protection groups, by name."""
    with answering(as_json=json):
        groups = ask(_list, AwsChoice(profile, region))
    if json:
        print_json({"protectionGroups": groups})
    else:
        print_groups(groups)


@group.command()
def get(*, group: GroupArgument, json: AsJson = False, profile: Profile = None, region: RegionName = None) -> None:
    """Show a protection group; with --json as 'group update' takes it."""
    with answering(as_json=json):
        document = ask(lambda services: _get(services, group), AwsChoice(profile, region))
    if json:
        print_json(document)
    else:
        print_group(document)


@group.command()
def update(
    *,
    group: GroupArgument,
    file: File,
    wait: Wait = True,
    json: AsJson = False,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """
    Replace a protection group's definition by a file's, and apply what changed.

    The file holds the whole definition, and the version that it was made from: 'group get GROUP --json' prints it so.
    """
    with answering(as_json=json, source=name_source(file)):
        aws = AwsChoice(profile, region)
        document = read_document(file)
        with completing(aws, group, find_shown(document)):
            asked = read_update(document)
        changed = ask(lambda services: _update(services, group, asked, wait=wait), aws)
    end(changed, as_json=json, waited=wait)


@group.command()
def delete(
    *,
    group: GroupArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    json: AsJson = False,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """Delete a protection group. Its source servers, and their launch settings in AWS, stay as they are."""
    if not (yes or sys.stdin.isatty()):
        raise typer.BadParameter("nobody can be asked here; say --yes to delete", param_hint="--yes")
    aws = AwsChoice(profile, region)
    with answering(as_json=json):
        document = ask(lambda services: _get(services, group), aws)
        named = f"{clean(document['groupName'])} ({document['groupId']})"
        count = len(document["sourceServerIds"])
        question = f"Delete protection group {named} of {count} source server{'s' if count != 1 else ''}?"
        if not (yes or typer.confirm(question, err=True)):
            complain("Nothing was deleted.")
            raise typer.Exit(ExitStatus.FAILED)
        ask(lambda services: _delete(services, document["groupId"]), aws)
    if json:
        print_json({"groupId": document["groupId"]})
    else:
        print_text(f"{named} is deleted.")


@contextmanager
def completing(aws: AwsChoice, group: str | None = None, shown: str | None = None) -> Iterator[None]:
    """
    Add to what is wrong with a body read in the block what its account cannot give, where that can be asked.

    Parameters:
        aws: Which account and Region we are in.
        group: The group that is to be changed, by name or id; None where one is to be created.
        shown: The id of the group that the body was made from, if it says so.

    Yields:
        Nothing.

    Raises:
        InvalidBody: All that is wrong.
    """
    try:
        yield
    except InvalidGroup as wrong:
        if wrong.partly is None and shown is None:
            raise
        try:
            whole = ask(partial(_complete, wrong, group, shown), aws)
        except (RequestRefused, PrelaunchError):
            # Without tables or AWS what is known is told.
            raise wrong from None
        raise whole from wrong


async def _complete(wrong: InvalidGroup, group: str | None, shown: str | None, services: Services) -> InvalidBody:
    if group is None:
        return await services.completion.complete(wrong)
    group_id = await services.queries.find(group)
    try:
        check_same_group(shown, group_id)
    except InvalidBody as other:
        # Nobody knows which of the two is meant, and what of the body is new to it.
        return InvalidBody((*wrong.errors, *other.errors))
    return await services.completion.complete(wrong, group_id)


async def _create(services: Services, definition: GroupDefinition, task_token: str | None, *, wait: bool) -> Changed:
    requester = replace(make_requester(services), task_token=task_token)
    head = await services.submission.create_group(definition, requester)
    # Told at once: whoever breaks the wait off, or loses the connection, has to know that the group is there.
    complain(f"{clean(head.name)} ({head.group_id}) is created. Request: {requester.request_id}.")
    view = await settle(services, head.group_id, head.name, wait=wait)
    return Changed(render_group(view), await find_failures(services, view))


async def _update(services: Services, group: str, asked: Asked, *, wait: bool) -> Changed:
    group_id = await services.queries.find(group)
    check_same_group(asked.shown, group_id)
    requester = replace(make_requester(services), task_token=asked.task_token)
    updated = await services.changes.update_group(group_id, asked.update, requester)
    count = len(updated.reapply.source_server_ids) if updated.reapply else 0
    told = f"{clean(updated.head.name)} ({group_id}) is updated; source servers to apply: {count}."
    complain(f"{told} Request: {requester.request_id}.")
    view = await settle(services, group_id, updated.head.name, wait=wait)
    return Changed(render_update(updated, view.status), await find_failures(services, view))


async def _delete(services: Services, group_id: str) -> None:
    await services.removal.delete_group(group_id, make_requester(services))


async def _get(services: Services, group: str) -> Document:
    return render_group(await services.queries.group(await services.queries.find(group)))


async def _list(services: Services) -> list[Document]:
    groups: list[Document] = []
    token = None
    while True:
        page = await services.queries.groups(PAGE, token)
        groups += render_group_list(page)["protectionGroups"]
        token = page.next_token
        if token is None:
            return groups
