"""
The stand-in's own door, `/_local/…`: how a test or the demo makes AWS slow, broken or different.

A body that is wrong in any part gets a 400 that says where, and changes nothing at all.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs

from pydantic import TypeAdapter, ValidationError

from infra.local.aws_models import list_regions
from infra.local.buckets import Rates
from infra.local.control_bodies import (
    AccountBody,
    AccountId,
    Body,
    ClockBody,
    EventsBody,
    RatesBody,
    SecondsBody,
    ServerBody,
    ServersBody,
    VersionsBody,
)
from infra.local.faults import FAULTS
from infra.local.front import Front
from infra.local.httpd import Answer, Request
from infra.local.late import LateEffects
from infra.local.world import World

_B = TypeVar("_B", bound=Body)


class SourceServers(Protocol):
    """What the control changes in DRS: `infra.local.drs`, seen from here."""

    def add_source_servers(self, account_id: str, region: str, count: int, tags: dict[str, str]) -> list[str]:
        """Make source servers, each with its launch template."""

    def patch_source_server(self, source_server_id: str, changes: dict[str, Any]) -> None:
        """Change a source server; KeyError if there is none."""

    def delete_source_server(self, source_server_id: str) -> None:
        """Delete a source server; KeyError if there is none."""

    def set_initialised(self, account_id: str, initialised: bool) -> None:
        """Say whether DRS is initialised in an account."""

    def apply_background_changes(self, now: datetime) -> None:
        """Do what DRS does by itself as time passes."""


class Events(Protocol):
    """What the control changes in the delivery of events: `infra.local.events`, seen from here."""

    on: bool
    also_to: Sequence[str]


class _Refused(Exception):
    """The control's refusal: status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Control:
    """Answers `/_local/…`."""

    front: Callable[[], Front]
    world: World
    late: LateEffects
    source_servers: SourceServers
    events: Events
    put_role: Callable[[str, str, str | None], None]
    """Makes or replaces a role: account, name, ExternalId."""

    def __call__(self, request: Request) -> Answer:
        """Answer one request of the control."""
        try:
            answer, status = self._route(request), 200
        except _Refused as refusal:
            answer, status = {"message": str(refusal)}, refusal.status
        except ValidationError as error:
            answer, status = {"message": _explain(error)}, 400
        return Answer(status, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _route(self, request: Request) -> Any:
        matched = re.fullmatch(r"/_local/([a-z]+)(?:/([0-9A-Za-z-]+))?", request.path)
        methods = _ROUTES.get((matched[1], matched[2] is not None)) if matched else None
        if matched is None or methods is None:
            raise _Refused(404, f"The control has no {request.path}.")
        action = methods.get(request.method)
        if action is None:
            raise _Refused(405, f"{request.path} takes {' or '.join(sorted(methods))}.")
        return action(self, request, matched[2] or "")

    def get_calls(self, request: Request, _: str) -> Any:
        """Tell the calls counted by API; `?accountId=` and `?region=` narrow them down."""
        query = {name: values[-1] for name, values in parse_qs(request.target.partition("?")[2]).items()}
        return self.front().counts.totals(query.get("accountId"), query.get("region"))

    def delete_calls(self, _: Request, __: str) -> Any:
        """Count again from nothing."""
        self.front().counts.clear()
        return {}

    def put_faults(self, request: Request, _: str) -> Any:
        """Replace the fault script."""
        faults = FAULTS.validate_json(request.body, by_alias=True, by_name=False)
        self.front().faults.replace(faults)
        return {"faults": len(faults)}

    def put_rates(self, request: Request, _: str) -> Any:
        """Set the buckets' numbers and fill them."""
        rates: Rates = _read(RatesBody, request).rates
        self.front().buckets.set_rates(rates)
        return {"rates": rates}

    def put_latency(self, request: Request, _: str) -> Any:
        """Set the time that a call of DRS or EC2 takes."""
        seconds = _read(SecondsBody, request).seconds
        self.front().latency_seconds = seconds
        return {"seconds": seconds}

    def put_consistency(self, request: Request, _: str) -> Any:
        """Set how long an EC2 read may answer the state before a write."""
        seconds = _read(SecondsBody, request).seconds
        with self.world.lock:
            self.world.consistency_seconds = seconds
        return {"seconds": seconds}

    def put_jobs(self, request: Request, _: str) -> Any:
        """Set how long recovery jobs take."""
        seconds = _read(SecondsBody, request).seconds
        with self.world.lock:
            self.world.job_seconds = seconds
        return {"seconds": seconds}

    def put_versions(self, request: Request, _: str) -> Any:
        """Set how many versions a launch template can hold."""
        limit = _read(VersionsBody, request).limit
        with self.world.lock:
            self.world.versions_a_template = limit
        return {"limit": limit}

    def put_clock(self, request: Request, _: str) -> Any:
        """Advance the stand-in's clock; what falls due has happened when this answers."""
        body = _read(ClockBody, request)
        with self.world.lock:
            self.world.clock_offset_seconds += body.advance_seconds
        self.source_servers.apply_background_changes(self.world.now())
        self.late.run_due()
        return {"now": self.world.now().isoformat()}

    def put_events(self, request: Request, _: str) -> Any:
        """Turn the delivery of CloudTrail's events on or off."""
        body = _read(EventsBody, request)
        self.events.on, self.events.also_to = body.on, body.also_to
        return {"on": body.on, "alsoTo": body.also_to}

    def post_servers(self, request: Request, _: str) -> Any:
        """Make source servers."""
        body = _read(ServersBody, request)
        if body.region not in list_regions("drs"):
            raise _Refused(400, f"DRS is not in {body.region}.")
        made = self.source_servers.add_source_servers(body.account_id, body.region, body.count, body.tags)
        return {"sourceServerIds": made}

    def patch_server(self, request: Request, source_server_id: str) -> Any:
        """Change a source server as others would."""
        body = _read(ServerBody, request)
        changes = body.model_dump(by_alias=True, exclude_unset=True)
        try:
            self.source_servers.patch_source_server(source_server_id, changes)
        except KeyError:
            raise _Refused(404, f"There is no source server {source_server_id}.") from None
        return {}

    def delete_server(self, _: Request, source_server_id: str) -> Any:
        """Delete a source server."""
        try:
            self.source_servers.delete_source_server(source_server_id)
        except KeyError:
            raise _Refused(404, f"There is no source server {source_server_id}.") from None
        return {}

    def put_account(self, request: Request, account_id: str) -> Any:
        """Say what an account is like: DRS initialised or not, roles to assume."""
        account = TypeAdapter(AccountId).validate_python(account_id)
        body = _read(AccountBody, request)
        if body.initialised is not None:
            self.source_servers.set_initialised(account, body.initialised)
        for role in body.roles or []:
            self.put_role(account, role.role_name, role.external_id)
        return {}


def _read(shape: type[_B], request: Request) -> _B:
    return shape.model_validate_json(request.body, by_alias=True, by_name=False)


def _explain(error: ValidationError) -> str:
    complaints = []
    for complaint in error.errors(include_url=False):
        where = ".".join(str(part) for part in complaint["loc"])
        complaints.append(f"{where}: {complaint['msg']}" if where else complaint["msg"])
    return "; ".join(complaints)


_ROUTES: dict[tuple[str, bool], dict[str, Callable[[Control, Request, str], Any]]] = {
    ("calls", False): {"GET": Control.get_calls, "DELETE": Control.delete_calls},
    ("faults", False): {"PUT": Control.put_faults},
    ("rates", False): {"PUT": Control.put_rates},
    ("latency", False): {"PUT": Control.put_latency},
    ("consistency", False): {"PUT": Control.put_consistency},
    ("jobs", False): {"PUT": Control.put_jobs},
    ("versions", False): {"PUT": Control.put_versions},
    ("clock", False): {"PUT": Control.put_clock},
    ("events", False): {"PUT": Control.put_events},
    ("servers", False): {"POST": Control.post_servers},
    ("servers", True): {"PATCH": Control.patch_server, "DELETE": Control.delete_server},
    ("accounts", True): {"PUT": Control.put_account},
}
