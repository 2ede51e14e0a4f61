"""Answers as text: everything that the document says to a person, in the order in which it is needed."""

import re
from typing import Any

import pytest

from producer.cli.text import describe, print_rows, print_status

GROUP = {"groupName": "web", "groupId": "pg-1", "region": "us-east-1", "accountId": "111122223333"}


def make_server(status: str, *errors: dict[str, Any]) -> dict[str, Any]:
    return {"status": status, "lastApplied": None, "configHash": "sha256:0", "errors": list(errors)}


def make_status(status: str, applied: int, failed: int, pending: int, **members: Any) -> dict[str, Any]:
    return {
        "status": status,
        "generation": 3,
        "runId": "run-1",
        "lastApplied": "2026-03-04T05:06:07.891234Z",
        "appliedBy": "arn:aws:iam::111122223333:user/ops",
        "deadline": None,
        "waitingFor": None,
        "heldBy": None,
        "unlistedServers": None,
        "appliedServers": applied,
        "failedServers": failed,
        "pendingServers": pending,
        "serverConfigs": {},
        **members,
    }


DENIED = {
    "code": "AccessDenied",
    "message": "You may\nnot.",
    "operation": "drs.UpdateLaunchConfiguration",
    "requestId": "req-1",
    "attempt": 2,
}


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (make_status("ready", 1, 0, 0), "web (pg-1) is READY: 1 ready, 0 failed, 0 pending of 1 source server."),
        (make_status("failed", 5, 2, 0), "web (pg-1) is FAILED: 5 ready, 2 failed, 0 pending of 7 source servers."),
        (make_status("pending", 1, 0, 3), "web (pg-1) is PENDING: 1 ready, 0 failed, 3 pending of 4 source servers."),
        (make_status("not_configured", 0, 0, 0), "web (pg-1) has no launch config: there is nothing to apply."),
    ],
)
def test_one_sentence_says_where_a_group_stands(status: dict[str, Any], told: str) -> None:
    """Status and counts, and how many that makes."""
    assert describe(GROUP, status) == told


def test_what_needs_somebody_stands_first(capsys: pytest.CaptureFixture[str]) -> None:
    """Failed before pending before ready; each error whole, on one line, with what AWS Support asks for."""
    servers = {
        "s-a": make_server("ready"),
        "s-b": make_server("pending"),
        "s-c": make_server("failed", DENIED, {**DENIED, "operation": None, "requestId": None}),
    }
    print_status(
        GROUP,
        make_status(
            "pending",
            1,
            1,
            1,
            serverConfigs=servers,
            deadline="2026-03-04T05:21:07Z",
            waitingFor="lease: another worker is at work on s-b",
            unlistedServers={"count": 3, "sourceServerIds": ["s-x", "s-y"], "seenAt": "2026-03-04T04:00:00Z"},
        ),
    )
    assert capsys.readouterr().out.splitlines() == [
        "web (pg-1) is PENDING: 1 ready, 1 failed, 1 pending of 3 source servers.",
        (
            "us-east-1, account 111122223333. Generation 3, run-1, asked for by arn:aws:iam::111122223333:user/ops;"
            " last applied 2026-03-04 05:06:07 UTC."
        ),
        "It settles by 2026-03-04 05:21:07 UTC at the latest.",
        "Waiting for lease: another worker is at work on s-b.",
        (
            "The group's tags match source servers that are no members of it: s-x, s-y and 1 more (seen"
            " 2026-03-04 04:00:00 UTC). Update the group to take them in."
        ),
        "s-c\tfailed\tAccessDenied\tdrs.UpdateLaunchConfiguration: You may not. (request req-1, attempt 2)",
        "s-c\tfailed\tAccessDenied\tYou may not. (attempt 2)",
        "s-b\tpending\t\t",
        "s-a\tready\t\t",
    ]


def test_who_has_a_group_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever wonders why a ready group is refused to a wave, or why an update is not applied, finds the wave."""
    print_status(GROUP, make_status("ready", 1, 0, 0, heldBy="wave-1"))
    told = "Held by wave-1, which recovers it: see 'prelaunch wave get wave-1'."
    assert capsys.readouterr().out.splitlines()[-1] == told


def test_what_aws_says_ends_with_one_full_stop(capsys: pytest.CaptureFixture[str]) -> None:
    """What is waited for is a phrase of ours, or one that ends with a sentence of AWS's."""
    for phrase in ("AWS: Rate exceeded", "AWS: Rate exceeded."):
        print_status(GROUP, make_status("pending", 0, 0, 1, waitingFor=phrase))
        assert capsys.readouterr().out.splitlines()[-1] == "Waiting for AWS: Rate exceeded."


def test_a_terminal_gets_a_table_that_crops_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Headings, and every character of a long message, on a narrow terminal; brackets are no markup there."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    message = "".join(f"{number}[b]" for number in range(100, 130))
    print_rows(("Source server", "Why"), [("s-a", message)])
    printed = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    first, *rest = printed.splitlines()
    assert first.split() == ["Source", "server", "Why"]
    assert "".join("".join(rest).replace("s-a", "").split()) == message
