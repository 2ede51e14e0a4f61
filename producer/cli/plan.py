"""`prelaunch plan`: what an apply run would change, by reading DRS and EC2 now. Nothing is written."""

import typer

from producer.cli.answer import ExitStatus, answering, clean, print_json, print_text
from producer.cli.ask import ask
from producer.cli.options import AsJson, AwsChoice, GroupArgument, Profile, RegionName
from producer.cli.text import COLOURS, NOT_PLANNED, NOTHING_TO_DO, Document, print_rows, say_error, say_value
from producer.render_plans import render_plan
from producer.services import Services
from workers.core.model.group import MAX_SERVERS

HEADINGS = ("Source server", "Step", "Field", "Observed", "Desired")


def plan(
    *,
    group: GroupArgument,
    json: AsJson = False,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """
    Show what applying a protection group would change.

    Every source server is read in DRS and EC2 as it is now, at the pace that the account allows: about ten a second
    beyond the first hundred. Each field that an apply run would change is shown, from what is observed to what is
    desired. Nothing is written. Ends with 1 where a source server could not be planned.
    """
    with answering(as_json=json):
        name, document = ask(lambda services: _read(services, group), AwsChoice(profile, region))
    plans: Document = document["serverPlans"]
    if json:
        print_json(document)
    else:
        print_plan(name, document)
    raise typer.Exit(ExitStatus.FAILED if any(each["errors"] for each in plans.values()) else ExitStatus.WELL)


async def _read(services: Services, group: str) -> tuple[str, Document]:
    group_id = await services.queries.find(group)
    plan = await services.preview.plan(group_id, MAX_SERVERS, None)
    return plan.view.head.name, render_plan(plan)


def print_plan(name: str, document: Document) -> None:
    """Print how much there is to do, and each field of it."""
    plans: Document = document["serverPlans"]
    print_text(f"{clean(name)} ({document['groupId']}): {summarize(plans)}.")
    print_rows(HEADINGS, [row for member, server in plans.items() for row in find_rows(member, server)], COLOURS)


def summarize(plans: Document) -> str:
    """
    Say in words what would be done.

    Parameters:
        plans: Of an answer about a plan, by source server.

    Returns:
        "Nothing to do", or how much there is.
    """
    fields = [len(step["fields"]) for server in plans.values() for step in server["steps"]]
    changed, wrong = (sum(bool(each[part]) for each in plans.values()) for part in ("steps", "errors"))
    total = _count(len(plans), "source server")
    parts = [f"{_count(sum(fields), 'field')} to change in {changed} of {total}"] if changed else []
    parts += [f"{wrong} of {total} {NOT_PLANNED}"] if wrong else []
    return ", ".join(parts) or NOTHING_TO_DO


def find_rows(member: str, server: Document) -> list[tuple[str, ...]]:
    """
    List what would be done with a source server, field by field.

    Parameters:
        member: Its id.
        server: Its entry in an answer about a plan.

    Returns:
        One row a field; one for each error, and one where there is nothing to do.
    """
    errors = [(member, NOT_PLANNED, error["code"], say_error(error), "") for error in server["errors"]]
    fields = [
        (member, step["step"], each["field"], say_value(each["observed"]), say_value(each["desired"]))
        for step in server["steps"]
        for each in step["fields"]
    ]
    return [*errors, *fields] or [(member, NOTHING_TO_DO, "", "", "")]


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
