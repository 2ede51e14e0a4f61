"""
What /openapi.json shows as examples; tests hold each of them against what is really taken and answered.

Longer than others: values alone, which tell one story of one group and are made of one another.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from producer.access import Forbidden, Unauthenticated
from producer.problems import problem, render_error
from workers.core.errors import ServiceUnavailable
from workers.core.model.errors import FieldError, GroupTooLarge, InvalidBody
from workers.core.model.group import MAX_SERVERS
from workers.core.pages import write_token
from workers.core.queries import GROUPS as GROUPS_ASKED
from workers.core.queries import Page
from workers.core.requests import Conflict, NotFound, RequestRefused, group_not_found
from workers.core.waves import WAVES as WAVES_ASKED

GROUP_ID = "pg-5f0c9e2b7a1d4c683"
RUN_ID = "run-0b9d4f6e8a2c41357"
WAVE_ID = "wave-7d1e5a3c9b8f24060"
SNAPSHOT_ID = "pit-1a2b3c4d5e6f7a8b9"
MESSAGE_ID = "3f2a9c10-6d4e-4b7b-a1c8-0e5d7f9b2a64"
SERVERS = ["s-1a2b3c4d5e6f7a8b9", "s-9b8a7f6e5d4c3b2a1"]
REQUEST_ID = "req-0f4e7d1ac2b84d9f8c1e6a5b3d2f7e90"
_OPENED_AT = "2026-03-01T08:00:00Z"
_SETTLED_AT = "2026-03-01T08:00:09.412Z"
_DIGEST = "sha256:9f2c6d0b7e41a85c3d9e0f1b2a4c6d8e7f5a3b1c0d2e4f6a8b9c7d5e3f1a2b4c"

LAUNCH_CONFIG: dict[str, Any] = {
    "instanceType": "m7i.large",
    "targetInstanceTypeRightSizingMethod": "NONE",
    "subnetId": "subnet-0a1b2c3d4e5f67890",
    "securityGroupIds": ["sg-0123456789abcdef0"],
    "copyPrivateIp": False,
    "metadataOptions": {"httpTokens": "required"},
    "tags": {"Tier": "web"},
}
GROUP_BODY: dict[str, Any] = {
    "groupName": "web tier",
    "region": "eu-central-1",
    "sourceServerIds": SERVERS,
    "launchConfig": LAUNCH_CONFIG,
    "servers": [{"sourceServerId": SERVERS[0], "launchConfig": {"staticPrivateIp": "10.0.1.17"}}],
}
UPDATE_BODY: dict[str, Any] = {**GROUP_BODY, "description": "all of the web tier", "version": 1}
PENDING: dict[str, Any] = {
    "groupId": GROUP_ID,
    "status": "pending",
    "generation": 1,
    "runId": RUN_ID,
    "lastApplied": _OPENED_AT,
    "verifiedAt": None,
    "appliedBy": "ada",
    "digest": _DIGEST,
    "heldBy": None,
    "appliedServers": 0,
    "failedServers": 0,
    "pendingServers": 2,
    "errors": [],
}
_ERROR: dict[str, Any] = {
    "sourceServerId": SERVERS[1],
    "code": "ValidationException",
    "message": "drs.UpdateLaunchConfiguration answered ValidationException: the source server has no replication.",
    "at": _SETTLED_AT,
    "attempt": 1,
    "operation": "drs.UpdateLaunchConfiguration",
    "requestId": "5b800786-ba17-449c-9ea7-4f6cb9026b74",
}
FAILED: dict[str, Any] = {
    **PENDING,
    "status": "failed",
    "lastApplied": _SETTLED_AT,
    "appliedServers": 1,
    "failedServers": 1,
    "pendingServers": 0,
    "errors": [_ERROR],
}
GROUP: dict[str, Any] = {
    "groupId": GROUP_ID,
    **GROUP_BODY,
    "description": "",
    "accountId": "123456789012",
    "servers": [
        {"sourceServerId": SERVERS[0], "useGroupDefaults": True, "launchConfig": {"staticPrivateIp": "10.0.1.17"}}
    ],
    "autoRepair": False,
    "version": 1,
    "createdAt": _OPENED_AT,
    "updatedAt": _OPENED_AT,
    "launchConfigStatus": PENDING,
}
UPDATED: dict[str, Any] = {
    **GROUP,
    "description": UPDATE_BODY["description"],
    "version": 2,
    "launchConfigStatus": {**PENDING, "generation": 2},
    "reapply": {"runId": RUN_ID, "sourceServerIds": SERVERS},
}
_SUMMARY = (
    "groupId",
    "groupName",
    "region",
    "accountId",
    "version",
    "createdAt",
    "updatedAt",
    "launchConfigStatus",
)
GROUPS: dict[str, Any] = {
    "protectionGroups": [{name: GROUP[name] for name in _SUMMARY}],
    "nextToken": write_token(GROUPS_ASKED, ("web tier", GROUP_ID)),
}
_RUN: dict[str, Any] = {
    "runId": RUN_ID,
    "generation": 1,
    "status": "failed",
    "supersededBy": None,
    "mode": "apply",
    "changedBy": None,
    "reason": "requested",
    "requestedBy": "ada",
    "door": "http",
    "requestId": REQUEST_ID,
    "version": 1,
    "listedServers": 2,
    "appliedServers": 1,
    "failedServers": 1,
    "openedAt": _OPENED_AT,
    "settledAt": _SETTLED_AT,
    "deadline": "2026-03-01T08:15:08Z",
}
RUNS: dict[str, Any] = {"applyRuns": [_RUN]}
_CHANGE: dict[str, Any] = {
    "sourceServerId": SERVERS[0],
    "fields": [{"field": "instanceType", "observed": "m5.large", "desired": "m7i.large"}],
    "begunAt": _OPENED_AT,
    "completedAt": _SETTLED_AT,
    "outcome": "ready",
}
RUN: dict[str, Any] = {**_RUN, "sourceServerIds": SERVERS, "changes": [_CHANGE]}
_APPLIED = ("groupId", "runId", "status", "appliedServers", "failedServers", "pendingServers", "errors")
APPLY: dict[str, Any] = {name: PENDING[name] for name in _APPLIED}
APPLIED: dict[str, Any] = {**APPLY, "status": "ready", "appliedServers": 2, "pendingServers": 0}
_LIVE: dict[str, Any] = {
    "drift": [{"field": "instanceType", "observed": "t3.nano", "desired": "m7i.large"}],
    "errors": [],
}
STATUS: dict[str, Any] = {
    **FAILED,
    "deadline": None,
    "waitingFor": None,
    "unlistedServers": None,
    "serverConfigs": {
        SERVERS[0]: {"status": "ready", "lastApplied": _SETTLED_AT, "configHash": _DIGEST, "errors": [], "live": _LIVE},
        SERVERS[1]: {"status": "failed", "lastApplied": _SETTLED_AT, "configHash": _DIGEST, "errors": [_ERROR]},
    },
    "nextToken": write_token(Page().asked(GROUP_ID), (1, "failed", SERVERS[1])),
}
WAVE: dict[str, Any] = {
    "waveId": WAVE_ID,
    "status": "started",
    "isDrill": True,
    "onNotReady": "apply",
    "verify": "stored",
    "groups": [{"groupId": GROUP_ID, "path": "fast", "state": "launching", "generation": 1}],
    "jobs": [
        {
            "jobId": "drsjob-0a1b2c3d4e5f67890",
            "groupId": GROUP_ID,
            "sourceServerIds": SERVERS,
            "launchStatuses": dict.fromkeys(SERVERS, "PENDING"),
            "isOver": False,
        }
    ],
    "errors": [],
    "acceptedAt": "2026-03-01T09:30:00Z",
    "startedAt": "2026-03-01T09:30:00.143Z",
    "deadline": "2026-03-01T15:30:00Z",
    "waitingFor": None,
    "requestedBy": "ada",
}
STARTING: dict[str, Any] = {**WAVE, "status": "starting", "jobs": [], "startedAt": None}
_LISTED_WAVE: dict[str, Any] = {name: value for name, value in WAVE.items() if name not in {"groups", "jobs", "errors"}}
WAVES: dict[str, Any] = {
    "waves": [_LISTED_WAVE],
    "nextToken": write_token(WAVES_ASKED, ("2026-03-01T09:30:00.000000Z", WAVE_ID)),
}
_NAMED: dict[str, Any] = {
    "queue": "jobs",
    "messageId": MESSAGE_ID,
    "groupId": GROUP_ID,
    "sourceServerId": SERVERS[1],
    "waveId": None,
}
LETTERS: dict[str, Any] = {
    "deadLetters": [
        {
            **_NAMED,
            "originalMessageId": "9e7c1a52-3b0d-4f86-8e41-5d2c7a9b6f03",
            "actor": "apply_launch_config",
            "reason": "KeyError: 'ec2LaunchTemplateID'",
            "receiveCount": 5,
            "sentAt": _OPENED_AT,
            "deadLetteredAt": _SETTLED_AT,
            "fault": None,
        }
    ],
    "approximateCounts": {"jobs-urgent": 0, "jobs": 1, "jobs-bulk": 0, "requests": 0},
    "truncated": False,
}
REDRIVEN: dict[str, Any] = {
    "redriven": [{**_NAMED, "result": "applying", "runId": RUN_ID}],
    "left": [],
    "notFound": [],
    "truncated": False,
}
NOT_REDRIVEN: dict[str, Any] = {
    "redriven": [],
    "left": [{**_NAMED, "why": f"There is no protection group {GROUP_ID!r} in this stack."}],
    "notFound": [],
    "truncated": False,
}

_WRONG = FieldError(
    "/region", "INVALID_BODY", "region is missing; it must be an AWS Region such as eu-central-1.", None
)
_WRONG_CONFIG = FieldError(
    "/servers/0/launchConfig/staticPrivateIp",
    "INVALID_LAUNCH_CONFIG",
    'staticPrivateIp must be an IPv4 address such as 10.0.1.17, not "10.0.1".',
    SERVERS[0],
)
_OWNED = FieldError(
    "/sourceServerIds/1",
    "SERVER_CONFLICT",
    f"{SERVERS[1]} belongs to protection group pg-0d9c8b7a6f5e4d3c2 already; a source server is in one at most.",
    SERVERS[1],
)
_TAKEN = FieldError(
    "/groupName",
    "GROUP_NAME_EXISTS",
    f"Protection group {GROUP_ID} is named 'web tier' already. Choose another name.",
    None,
)
_UNINITIALIZED = FieldError(
    "/region",
    "ACCOUNT_NOT_INITIALIZED",
    "DRS is not initialised in account 111122223333, eu-central-1. Initialise it there, or name another account or"
    " Region.",
    None,
)
_DENIED = FieldError(
    "/assumeRoleName",
    "ACCESS_DENIED",
    "ec2.DescribeSubnets was refused in account 111122223333, eu-central-1 (UnauthorizedOperation: You are not"
    " authorized to perform this operation). Allow ec2:DescribeSubnets to the role prelaunch-target there, and see"
    " whether the Region is enabled in the account.",
    None,
)
_UNREADY = FieldError("/groupIds/0", "NOT_READY", f"{SERVERS[1]} is failed: ValidationException.", SERVERS[1])
_REFUSALS: Mapping[str, Exception] = {
    "INVALID_BODY": InvalidBody((_WRONG, _WRONG_CONFIG)),
    "INVALID_LAUNCH_CONFIG": InvalidBody((_WRONG_CONFIG,)),
    "UNAUTHENTICATED": Unauthenticated("The token has expired."),
    "FORBIDDEN": Forbidden("This needs the role admin; ada is reader."),
    "FORBIDDEN_TO_PAGES": Forbidden(
        "Without authentication this door answers programs on its own machine, no web page;"
        " the header Origin names one."
    ),
    "GROUP_NOT_FOUND": group_not_found(GROUP_ID),
    "RUN_NOT_FOUND": NotFound(f"There is no run {RUN_ID!r} of {GROUP_ID}.", code="RUN_NOT_FOUND"),
    "WAVE_NOT_FOUND": NotFound(f"There is no wave {WAVE_ID!r} in this stack.", code="WAVE_NOT_FOUND"),
    "GROUP_NAME_EXISTS": Conflict(_TAKEN.message, (_TAKEN,), code="GROUP_NAME_EXISTS"),
    "SERVER_CONFLICT": Conflict(_OWNED.message, (_OWNED,), code="SERVER_CONFLICT"),
    "VERSION_CONFLICT": Conflict(
        f"{GROUP_ID} is at version 3, the update was made over 2. Read it again.", code="VERSION_CONFLICT"
    ),
    "STATUS_CHANGED": Conflict(
        "The group's status changed since the page before. Read again from the first page.", code="STATUS_CHANGED"
    ),
    "ACCOUNT_NOT_INITIALIZED": Conflict(_UNINITIALIZED.message, (_UNINITIALIZED,), code="ACCOUNT_NOT_INITIALIZED"),
    "ACCESS_DENIED": Conflict(_DENIED.message, (_DENIED,), code="ACCESS_DENIED"),
    "NOT_READY": Conflict("1 reason why the groups are not ready; see errors.", (_UNREADY,), code="NOT_READY"),
    "BODY_TOO_LARGE": RequestRefused("The body is over 1 MiB.", code="BODY_TOO_LARGE"),
    "GROUP_TOO_LARGE": GroupTooLarge(MAX_SERVERS + 1, MAX_SERVERS),
    "IDEMPOTENCY_KEY_REUSED": RequestRefused(
        "This Idempotency-Key named another request before. Take a new one.", code="IDEMPOTENCY_KEY_REUSED"
    ),
    "SERVICE_UNAVAILABLE": ServiceUnavailable("The stack's tables do not answer. Try again."),
}
_OTHERS = {
    "NOT_FOUND": "There is no such route here; /openapi.json lists them.",
    "INTERNAL_ERROR": "prelaunch met an error of its own, which is in its log.",
}


def problem_of(code: str, status: HTTPStatus) -> dict[str, Any]:
    """
    Make the example of a problem.

    Parameters:
        code: The problem's code, or the name of another case of one.
        status: Its HTTP status.

    Returns:
        The document.
    """
    _, document = render_error(_REFUSALS[code]) if code in _REFUSALS else problem(status, code, _OTHERS[code])
    return {**document, "requestId": REQUEST_ID}
