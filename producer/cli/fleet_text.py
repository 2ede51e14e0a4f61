"""What a fleet's file changes, as text: one line a group, one row a field."""

from collections.abc import Sequence

from producer.cli.answer import clean, print_text
from producer.cli.text import NOTHING_TO_DO, Document, print_rows, say_value

HEADINGS = ("Group", "Change", "Field", "Stored", "File")
STYLES = {"Stored": "red", "File": "green"}
DONE = {"create": "is created", "update": "is updated", "delete": "is deleted", "none": "is as in the file"}
JOINS, LEAVES = "joins", "leaves"


def print_differences(document: Document) -> None:
    """Print how much differs, and each field of it."""
    print_text(f"{say_differences(document['groups'])}.")
    print_rows(HEADINGS, [row for group in document["groups"] for row in find_rows(group)], STYLES)


def say_differences(groups: Sequence[Document]) -> str:
    """
    Say in words how much differs.

    Parameters:
        groups: Of an answer about differences.

    Returns:
        "Nothing to do", or how many groups are to be created, updated and deleted.
    """
    counts = {kind: sum(each["change"] == kind for each in groups) for kind in ("create", "update", "delete")}
    parts = [f"{count} to {kind}" for kind, count in counts.items() if count]
    same = len(groups) - sum(counts.values())
    if not parts:
        return f"{NOTHING_TO_DO}: {_count(same)} as in the file"
    return f"{', '.join(parts)}, {_count(same)} as in the file"


def find_rows(group: Document) -> list[tuple[str, ...]]:
    """
    List what differs in a group.

    Parameters:
        group: Its entry in an answer about differences.

    Returns:
        One row for the group, and one a field and source server; none where nothing differs.
    """
    if group["change"] == "none":
        return []
    name = clean(group["groupName"])
    where = f"{group['accountId']} {group['region']}"
    first = (name, group["change"], "", group["groupId"] or "", where)
    fields = [
        (
            name,
            group["change"],
            clean(each["field"]),
            say_value(each["stored"]) if each.get("stored") is not None else "null" if "stored" in each else "-",
            say_value(each["wanted"]) if each.get("wanted") is not None else "null" if "wanted" in each else "-",
        )
        for each in group["fields"]
    ]
    joins = [(name, JOINS, member, "-", "member") for member in group["joiningSourceServerIds"]]
    leaves = [(name, LEAVES, member, "member", "-") for member in group["leavingSourceServerIds"]]
    return [first, *fields, *joins, *leaves]


def say_outcome(outcome: Document) -> str:
    """
    Say what became of a group.

    Parameters:
        outcome: Its entry in the answer of an apply.

    Returns:
        One line.
    """
    version = f" as version {outcome['version']}" if outcome["version"] is not None else ""
    return f"{clean(outcome['groupName'])} ({outcome['groupId']}) {DONE[outcome['change']]}{version}."


def summarize(outcomes: Sequence[Document], count: int) -> str:
    """
    Say how much was done.

    Parameters:
        outcomes: Of the groups that were to be changed.
        count: How many groups the file has.

    Returns:
        One line.
    """
    if not outcomes:
        return f"Nothing to do: {_count(count)} as in the file."
    failed = sum(each["error"] is not None for each in outcomes)
    done = len(outcomes) - failed
    kept = f", {failed} could not be" if failed else ""
    return f"{_count(done)} changed{kept}."


def _count(number: int) -> str:
    return f"{number} group{'' if number == 1 else 's'}"
