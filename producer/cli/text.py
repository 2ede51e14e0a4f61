"""Answers as text, made of the same documents that `--json` prints: tables on a terminal, lines of fields in a pipe."""

import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from producer.cli.answer import clean, print_text

Document = Mapping[str, Any]
STYLES = {"ready": "green", "failed": "bold red", "pending": "yellow"}
ORDER = ("failed", "pending", "ready")
"""What has to be looked at first stands first."""
GROUP_HEADINGS = ("Group", "Name", "Region", "Account", "Version", "Status", "Ready", "Failed", "Pending")
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
    if status["waitingFor"]:
        print_text(f"Waiting for {clean(status['waitingFor'])}.")
    rows = [row for member, server in status["serverConfigs"].items() for row in find_reasons(member, server)]
    if rows:
        print_rows(SERVER_HEADINGS, sorted(rows, key=lambda row: (ORDER.index(row[1]), row[0])))


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


def print_rows(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on a terminal; elsewhere fields between tabs, whole and without headings."""
    if not sys.stdout.isatty():
        for row in rows:
            print_text("\t".join(row))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        # Folded and never cropped: the end of AWS's message is often the part that helps.
        table.add_column(heading, overflow="fold")
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
