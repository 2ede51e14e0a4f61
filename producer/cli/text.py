"""Answers as text, made of the same documents that `--json` prints: tables on a terminal, lines of fields in a pipe."""

import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from producer.cli.answer import clean, print_text

Document = Mapping[str, Any]
NOTHING_TO_DO = "nothing to do"
NOT_PLANNED = "cannot be planned"
STYLES = {
    "ready": "green",
    "failed": "bold red",
    "pending": "yellow",
    NOTHING_TO_DO: "green",
    NOT_PLANNED: "bold red",
    "ok": "green",
    "problem": "bold red",
    "not known": "yellow",
}
NO_STYLES: Mapping[str, str] = {}
ORDER = ("failed", "pending", "ready")
"""What has to be looked at first stands first."""
GROUP_HEADINGS = ("Group", "Name", "Region", "Account", "Version", "Status", "Ready", "Failed", "Pending")
LIVE_HEADINGS = ("Source server", "Field", "Observed", "Desired")
COLOURS = {"Observed": "red", "Desired": "green"}
SERVER_HEADINGS = ("Source server", "Status", "Code", "Why")


def print_groups(groups: Sequence[Document]) -> None:
    """Print one line a group."""
    print_rows(GROUP_HEADINGS, [_group_row(group) for group in groups])


def print_group(group: Document) -> None:
    """Print what a group is and where it stands."""
    print_text(describe(group, group["launchConfigStatus"]))
    facts = {
        "description": group["description"],
        "Region": group["region"],
        "account": group["accountId"],
        "role": group.get("assumeRoleName", ""),
        "version": f"{group['version']}, of {say_time(group['updatedAt'])}; created {say_time(group['createdAt'])}",
        "source servers": f"{len(group['sourceServerIds'])}, {len(group['servers'])} of them with overrides",
        "selected by": ", ".join(f"{key}={value}" for key, value in group.get("serverSelectionTags", {}).items()),
        "launch config": ", ".join(group["launchConfig"]) or "none for all",
        "auto-repair": "on" if group["autoRepair"] else "off",
    }
    for name, value in facts.items():
        if value:
            print_text(f"  {name + ':':<16}{clean(str(value))}")


def print_status(group: Document, status: Document) -> None:
    """
    Print where a group stands, and each of its source servers that is shown.

    Parameters:
        group: The group's name, Region and account among its members.
        status: The answer about its status.
    """
    print_text(describe(group, status))
    if status["generation"]:
        print_text(
            f"{group['region']}, account {group['accountId']}. Generation {status['generation']}, {status['runId']},"
            f" asked for by {clean(status['appliedBy'])}; last applied {say_time(status['lastApplied'])}."
        )
    if status["deadline"]:
        print_text(f"It settles by {say_time(status['deadline'])} at the latest.")
    if status["heldBy"]:
        print_text(f"Held by {status['heldBy']}, which recovers it: see 'prelaunch wave get {status['heldBy']}'.")
    if status["waitingFor"]:
        print_text(say_wait(status["waitingFor"]))
    if status["unlistedServers"]:
        print_text(_tell_unlisted(status["unlistedServers"]))
    servers = status["serverConfigs"]
    # Of those that are compared what is well is not listed: there may be thousands.
    told = {member: server for member, server in servers.items() if "live" not in server or server["status"] != "ready"}
    rows = [row for member, server in told.items() for row in find_reasons(member, server)]
    if rows:
        print_rows(SERVER_HEADINGS, sorted(rows, key=lambda row: (ORDER.index(row[1]), row[0])))
    compared = {member: server["live"] for member, server in servers.items() if "live" in server}
    if compared:
        _print_live(compared)


def _tell_unlisted(unlisted: Document) -> str:
    named = ", ".join(unlisted["sourceServerIds"])
    more = unlisted["count"] - len(unlisted["sourceServerIds"])
    others = f" and {more} more" if more else ""
    return (
        f"The group's tags match source servers that are no members of it: {named}{others} (seen"
        f" {say_time(unlisted['seenAt'])}). Update the group to take them in."
    )


def _print_live(compared: Mapping[str, Document]) -> None:
    drifted = sum(bool(each["drift"]) for each in compared.values())
    unread = sum(bool(each["errors"]) for each in compared.values())
    print_text(
        f"In AWS now: {drifted} of {len(compared)} source servers are not as they are wanted, {unread} cannot be read."
    )
    rows = [
        (member, each["field"], say_value(each["observed"]), say_value(each["desired"]))
        for member, live in compared.items()
        for each in live["drift"]
    ]
    rows += [
        (member, error["code"], say_error(error), "") for member, live in compared.items() for error in live["errors"]
    ]
    if rows:
        print_rows(LIVE_HEADINGS, rows, COLOURS)


def describe(group: Document, status: Document) -> str:
    """Say in one sentence where a group stands."""
    name = f"{clean(group['groupName'])} ({group['groupId']})"
    if status["status"] == "not_configured":
        return f"{name} has no launch config: there is nothing to apply."
    ready, failed, pending = (status[f"{which}Servers"] for which in ("applied", "failed", "pending"))
    total = ready + failed + pending
    return (
        f"{name} is {status['status'].upper()}: {ready} ready, {failed} failed, {pending} pending"
        f" of {total} source server{'s' if total != 1 else ''}."
    )


def find_reasons(member: str, server: Document) -> Iterable[tuple[str, str, str, str]]:
    """
    List why a source server is where it is.

    Parameters:
        member: Its id.
        server: Its entry in an answer about a status.

    Yields:
        Id, status, code and what AWS said; one for each error, or one where there is none.
    """
    for error in server["errors"] or [None]:
        if error is None:
            yield member, server["status"], "", ""
            continue
        details = [
            f"{name} {error[key]}"
            for name, key in (("request", "requestId"), ("attempt", "attempt"))
            if error.get(key) is not None
        ]
        operation = f"{error['operation']}: " if error.get("operation") else ""
        yield member, server["status"], error["code"], clean(f"{operation}{error['message']} ({', '.join(details)})")


def print_rows(headings: Sequence[str], rows: Iterable[Sequence[str]], styles: Mapping[str, str] = NO_STYLES) -> None:
    """
    Print a table on a terminal; elsewhere fields between tabs, whole and without headings.

    Parameters:
        headings: Of the columns.
        rows: As many values each.
        styles: The style of a column, by its heading.
    """
    if not sys.stdout.isatty():
        for row in rows:
            print_text("\t".join(row))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        # Folded and never cropped: the end of AWS's message is often the part that helps.
        table.add_column(heading, overflow="fold", style=styles.get(heading, ""))
    for row in rows:
        table.add_row(*(Text(value, style=STYLES.get(value, "")) for value in row))
    drawn = io.StringIO()
    Console(file=drawn, force_terminal=True, width=Console(file=sys.stdout).width).print(table)
    print_text(drawn.getvalue().rstrip("\n"))


def _group_row(group: Document) -> tuple[str, ...]:
    status = group["launchConfigStatus"]
    counts = (str(status[f"{which}Servers"]) for which in ("applied", "failed", "pending"))
    whole = (group["groupId"], group["groupName"], group["region"], group["accountId"], str(group["version"]))
    return (*(clean(value) for value in whole), status["status"], *counts)


def say_time(text: str | None) -> str:
    """Say a time as a person reads it; nothing where there is none."""
    return f"{text[:10]} {text[11:19]} UTC" if text else ""


def say_wait(waiting_for: str) -> str:
    """Say what is waited for; the phrase may end with a sentence of AWS's."""
    return f"Waiting for {clean(waiting_for).rstrip('.')}."


def say_error(error: Document) -> str:
    """Say why a source server cannot be read or planned, on one line."""
    details = f" (request {error['requestId']})" if error.get("requestId") else ""
    operation = f"{error['operation']}: " if error.get("operation") else ""
    return clean(f"{operation}{error['message']}{details}")


def say_value(value: object) -> str:
    """Say a value of AWS's: nothing is shown as nothing, text as it is, all else as JSON."""
    if value is None:
        return "-"
    return clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
