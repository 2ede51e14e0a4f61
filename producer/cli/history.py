"""`prelaunch history`: what was done to a group, newest first, or what one run changed. Reads alone."""

from typing import Annotated

import typer

from producer.cli.answer import answering, clean, complain, print_json, print_text
from producer.cli.ask import ask
from producer.cli.options import AsJson, AwsChoice, GroupArgument, Profile, RegionName
from producer.cli.text import Document, print_rows, say_time, say_value
from producer.render import render_run, render_runs
from producer.services import Services

RUN_HEADINGS = ("Run", "Generation", "Status", "Opened", "Settled", "Listed", "Ready", "Failed", "Why", "Who", "Door")
CHANGE_HEADINGS = ("Source server", "Outcome", "Field", "Observed", "Desired")


def history(
    *,
    group: GroupArgument,
    run: Annotated[
        str | None,
        typer.Option(
            "--run", metavar="RUN", help="Show what this run (id or generation) changed in each source server."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many runs are shown at most.")] = 20,
    json: AsJson = False,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """
    Show what was done to a protection group.

    It lists the apply runs, newest first: how many source servers each lists, and how many of the whole group were
    ready and had failed when it settled. With --run it shows each field that the run changed, from what was observed to
    what was desired; what was right already is not among them.
    """
    aws = AwsChoice(profile, region)
    with answering(as_json=json):
        if run is not None:
            document = ask(lambda services: _read_run(services, group, run), aws)
        else:
            document = ask(lambda services: _read_runs(services, group, limit), aws)
    if json:
        print_json(document)
    elif run is not None:
        _print_run(document)
    else:
        print_rows(RUN_HEADINGS, [_run_row(each) for each in document["applyRuns"]])
    if document.get("nextToken"):
        complain(f"These are the latest {limit} runs; --limit shows more.")


async def _read_runs(services: Services, group: str, limit: int) -> Document:
    group_id = await services.queries.find(group)
    page = await services.history.runs(group_id, limit, None)
    # A page that is just full says that there may be another one.
    more = page.next_token is not None and (await services.history.runs(group_id, 1, page.next_token)).runs
    document = render_runs(page)
    return document if more else {name: value for name, value in document.items() if name != "nextToken"}


async def _read_run(services: Services, group: str, run_id: str) -> Document:
    return render_run(await services.history.run(await services.queries.find(group), run_id))


def _print_run(run: Document) -> None:
    counts = "".join(f", {run[f'{name}Servers']} {word}" for name, word in (("applied", "ready"), ("failed", "failed")))
    settled = f"settled {say_time(run['settledAt'])}{counts if run['appliedServers'] is not None else ''}"
    print_text(
        f"{run['runId']} (generation {run['generation']}) is {run['status'].upper()}:"
        f" {run['listedServers']} source server{'s' if run['listedServers'] != 1 else ''},"
        f" opened {say_time(run['openedAt'])}, {settled if run['settledAt'] else 'not settled'}."
    )
    print_text(f"Asked for by {clean(run['requestedBy'])}, door {clean(run['door'])}, reason {clean(run['reason'])}.")
    if run["changedBy"]:
        print_text(f"Latest change: {clean(run['changedBy'])}.")
    if run["mode"] == "report":
        print_text("It read back what was applied, and wrote nothing: what it found stands below.")
    rows = [
        (
            change["sourceServerId"],
            change["outcome"] or "pending",
            each["field"],
            say_value(each["observed"]),
            say_value(each["desired"]),
        )
        for change in run["changes"]
        for each in change["fields"]
    ]
    print_rows(CHANGE_HEADINGS, rows)


def _run_row(run: Document) -> tuple[str, ...]:
    counts = (run["listedServers"], run["appliedServers"], run["failedServers"])
    return (
        run["runId"],
        str(run["generation"]),
        run["status"],
        say_time(run["openedAt"]),
        say_time(run["settledAt"]),
        *("" if count is None else str(count) for count in counts),
        clean(run["reason"]),
        clean(run["requestedBy"]),
        clean(run["door"]),
    )
