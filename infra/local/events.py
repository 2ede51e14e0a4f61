"""
CloudTrail's records as EventBridge delivers them: to the stack's requests queue, as a request to check for drift.

Off until the control turns it on, which may name further queues for whoever wants to see every record too. A call that
AWS did not accept must never make an event.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from infra.local.call import Call
from infra.local.httpd import Answer
from infra.local.trail import Record, is_recorded, record_call, record_service_write
from infra.local.world import ServiceWrite, World

_TEMPLATE_ID = re.compile(rb"lt-[0-9a-f]{17}")


@dataclass(slots=True)
class Events:
    """What EventBridge's rule, with its input transformer, does with CloudTrail's records."""

    world: World
    identity_of: Callable[[str, str], Record]
    """Tells who an account's access key belongs to, as CloudTrail's `userIdentity`."""
    send: Callable[[str, str], object]
    """Puts a body on a queue, by its name. It must not block."""
    queue: str
    """The name of the requests queue."""
    on: bool = False
    also_to: Sequence[str] = ()
    """The names of queues that get all that the requests queue gets."""

    def observe_call(self, call: Call, answer: Answer) -> None:
        """Deliver an accepted write of a client."""
        if self.on and is_recorded(call, answer):
            identity = self.identity_of(call.account_id, call.access_key_id)
            self._deliver(record_call(call, answer, identity, self.world.now()), _named(call, answer))

    def observe_service_write(self, write: ServiceWrite) -> None:
        """Deliver a write of DRS itself."""
        if self.on:
            record = record_service_write(write, self.world.now())
            self._deliver(record, {"launchTemplateId": write.template_id})

    def _deliver(self, record: Record, named: dict[str, Any]) -> None:
        request = {
            "operation": "check_drift",
            "accountId": record["recipientAccountId"],
            "region": record["awsRegion"],
            "eventName": record["eventName"],
            "eventTime": record["eventTime"],
            "userIdentity": record["userIdentity"]["arn"],
            **named,
            "event": _wrap(record),
        }
        body = json.dumps(request)
        for queue in (self.queue, *self.also_to):
            self.send(queue, body)


def _named(call: Call, answer: Answer) -> dict[str, Any]:
    if call.service == "drs":
        return {"sourceServerIds": sorted(call.source_server_ids())}
    # Every answer about a template names its id; a request may name the template instead.
    found = _TEMPLATE_ID.search(answer.body)
    return {"launchTemplateId": found[0].decode()} if found else {}


def _wrap(record: Record) -> Record:
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": "AWS API Call via CloudTrail",
        "source": f"aws.{record['eventSource'].partition('.')[0]}",
        "account": record["recipientAccountId"],
        "time": record["eventTime"],
        "region": record["awsRegion"],
        "resources": [],
        "detail": record,
    }
