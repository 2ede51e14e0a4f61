"""Every code that a request can be refused with, through every door."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from producer.problems import STATUS_BY_CODE
from tests.integration.doors.doors import DOORS, Doors
from tests.integration.doors.test_doors import Message, ask, body, create, group_id, of, plain, update
from workers.core.model.group import MAX_SERVERS


def create_in(account_id: str, **control: Any) -> Callable[[Doors], Message]:
    """Ask for a group in another account, which is as the stand-in is told."""

    def make(doors: Doors) -> Message:
        doors.aws.control("PUT", f"accounts/{account_id}", control)
        return {**body(doors), "accountId": account_id, "assumeRoleName": "recovery"}

    return make


def stale_page(doors: Doors) -> Message:
    named = {"groupId": create(doors, **body(doors, 2))["groupId"], "limit": 1}
    shown = doors.ask_http({"operation": "get_launch_config_status", **named}).document
    doors.ask_http({"operation": "apply_launch_configs", "groupId": named["groupId"], "force": True})
    return {**named, "nextToken": shown["nextToken"]}


CREATE, UPDATE = "create_protection_group", "update_protection_group"
REFUSED: Mapping[str, tuple[str, Callable[[Doors], Message]]] = {
    "INVALID_BODY": (CREATE, lambda doors: {**body(doors), "colour": "red"}),
    "INVALID_LAUNCH_CONFIG": (CREATE, lambda doors: {**body(doors), "launchConfig": {"instanceType": "huge"}}),
    "GROUP_NOT_FOUND": ("delete_protection_group", lambda _: {"groupId": "pg-0"}),
    "RUN_NOT_FOUND": ("get_apply_run", of(group_id, "groupId", runId="9")),
    "WAVE_NOT_FOUND": ("get_wave", lambda _: {"waveId": "wave-0"}),
    "GROUP_NAME_EXISTS": (CREATE, lambda doors: {**body(doors), "groupName": create(doors)["groupName"]}),
    "SERVER_CONFLICT": (CREATE, lambda doors: {**body(doors), "sourceServerIds": create(doors)["sourceServerIds"]}),
    "VERSION_CONFLICT": (UPDATE, lambda doors: {**update(doors), "version": 7}),
    "STATUS_CHANGED": ("get_launch_config_status", stale_page),
    "NOT_READY": ("start_wave_recovery", lambda doors: {"groupIds": [group_id(doors)], "onNotReady": "fail"}),
    "ACCESS_DENIED": (CREATE, create_in("777700000001", roles=[])),
    "ACCOUNT_NOT_INITIALIZED": (CREATE, create_in("777700000002", roles=[{"roleName": "recovery"}], initialised=False)),
    "GROUP_TOO_LARGE": (
        CREATE,
        lambda doors: {**body(doors), "sourceServerIds": [f"s-{number:017d}" for number in range(MAX_SERVERS + 1)]},
    ),
    "BODY_TOO_LARGE": (CREATE, lambda doors: {**body(doors), "description": "x" * 2**20}),
}
"""What is refused with each code that does not depend on who asks."""
BY_WHO_ASKS = {"UNAUTHENTICATED", "FORBIDDEN", "IDEMPOTENCY_KEY_REUSED"}
UNSENDABLE = {"BODY_TOO_LARGE": {"message"}}
"""No message holds so much (source: AWS, SQS quotas)."""


def test_every_code_is_tried_through_each_door() -> None:
    """A code that is added is one of these, or this fails."""
    assert REFUSED.keys() | BY_WHO_ASKS == STATUS_BY_CODE.keys()


@pytest.mark.parametrize("code", REFUSED)
def test_every_code_is_the_same_through_each_door(doors: Doors, code: str) -> None:
    """With its status, its words and its errors; a refusal changes nothing, so that the next door meets the same."""
    operation, make = REFUSED[code]
    message = {"operation": operation, **make(doors)}
    answers = {door: ask(doors, door, message) for door in DOORS if door not in UNSENDABLE.get(code, ())}
    expected = plain(answers["http"].document)
    assert (answers["http"].status, expected["code"]) == (STATUS_BY_CODE[code], code)
    for door, answer in answers.items():
        assert (answer.status, plain(answer.document)) == (STATUS_BY_CODE[code], expected), door
        assert answer.headers["content-type"] == "application/problem+json", door
    doors.take("requests-dlq")
