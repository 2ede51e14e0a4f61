"""
Three updaters of one group, who want an answer to every request: each is repeated under its key until there is one.

Every change carries a mark of its own, which is never wanted again: by it a write to AWS tells for which version of
the group it was made.
"""

import random
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

ANSWER_SECONDS = 40
"""Longer than the longest wait for an answer that the door allows."""
REPEAT_SECONDS = 0.3
PAUSE_SECONDS = (1.0, 25.0)
"""Between two requests of one updater; scaled, as the runs' own periods are."""
TYPES = ("m5.xlarge", "r5.large", "c6i.large")
OVERRIDDEN = 20
CHOSEN = 30
READ_ONLY = {"groupId", "createdAt", "updatedAt", "launchConfigStatus"}
"""What GET answers and PUT does not take."""
INTERNAL_ERROR = 500

Body = Mapping[str, Any]


class Abandoned(Exception):
    """The chaos is broken off: nobody waits for an answer any more."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that was answered with 2xx."""

    request_id: str
    """Its Idempotency-Key too."""
    what: str
    run_id: str | None
    version: int | None = None
    """The version of the group that it made; None where it made none."""
    body: Body | None = None
    """The definition that it asked for."""


@dataclass(slots=True)
class Ledger:
    """What was accepted, and what nobody may be answered."""

    accepted: list[Accepted] = field(default_factory=list)
    conflicts: int = 0
    repeats: int = 0
    broken: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, accepted: Accepted) -> None:
        """Note a request that was accepted."""
        with self._lock:
            self.accepted.append(accepted)

    def note_conflict(self) -> None:
        """Note an update over a version that somebody else has replaced."""
        with self._lock:
            self.conflicts += 1

    def note_repeat(self) -> None:
        """Note a request that was not answered."""
        with self._lock:
            self.repeats += 1

    def complain(self, what: str) -> None:
        """Note an answer that nobody may get."""
        with self._lock:
            self.broken.append(what)


@dataclass(slots=True)
class Caller:
    """One client of the HTTP door, which may be away, or somewhere else by now."""

    address: Callable[[], str | None]
    ledger: Ledger
    abandon: threading.Event
    _client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=ANSWER_SECONDS, trust_env=False))

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> httpx.Response:
        """
        Ask until there is an answer.

        Parameters:
            method: The HTTP method.
            path: Path and query.
            body: What is sent, as JSON.
            key: The request's own name, under which it is repeated.

        Returns:
            The answer: of less than 500.

        Raises:
            Abandoned: The chaos is broken off.
        """
        headers = {"Idempotency-Key": key, "X-Request-Id": key} if key else {}
        while not self.abandon.is_set():
            answer = self._try(method, path, body, headers)
            if answer is not None and answer.status_code < INTERNAL_ERROR:
                return answer
            if answer is not None and answer.status_code == INTERNAL_ERROR:
                self.ledger.complain(f"{method} {path} met an error of prelaunch's own: {answer.text}")
            self.ledger.note_repeat()
            self.abandon.wait(REPEAT_SECONDS)
        raise Abandoned

    def _try(self, method: str, path: str, body: Any, headers: dict[str, str]) -> httpx.Response | None:
        url = self.address()
        if url is None:
            return None
        try:
            return self._client.request(method, url + path, json=body, headers=headers)
        except httpx.TransportError:
            return None

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


@dataclass(slots=True)
class Updater:
    """Changes a group and applies it, again and again, beside two others."""

    name: str
    group_id: str
    caller: Caller
    dice: random.Random
    scale: float
    over: threading.Event

    def run(self) -> None:
        """Work until it is over; the request that is under way then is answered first."""
        try:
            while not self.over.is_set():
                self._act()
                self.over.wait(self.dice.uniform(*PAUSE_SECONDS) * self.scale)
        except Abandoned:
            pass
        finally:
            self.caller.close()

    def _act(self) -> None:
        if self.dice.random() < 0.25:
            self._apply()
        else:
            self._update()

    def _update(self) -> None:
        while not self.over.is_set():
            group = self.caller.ask("GET", f"/protection-groups/{self.group_id}").json()
            body = change(group, self.name, self.dice)
            key = uuid.uuid4().hex
            answer = self.caller.ask("PUT", f"/protection-groups/{self.group_id}", body, key=key)
            if answer.status_code == httpx.codes.OK:
                reapply = answer.json()["reapply"]
                run_id = reapply["runId"] if reapply else None
                self.caller.ledger.note(Accepted(key, "update", run_id, body["version"] + 1, body))
                return
            if answer.status_code != httpx.codes.CONFLICT or answer.json()["code"] != "VERSION_CONFLICT":
                self.caller.ledger.complain(f"an update was refused: {answer.text}")
                return
            self.caller.ledger.note_conflict()

    def _apply(self) -> None:
        body: dict[str, Any] = {"force": True}
        if self.dice.random() < 0.5:
            group = self.caller.ask("GET", f"/protection-groups/{self.group_id}").json()
            body["sourceServerIds"] = self.dice.sample(group["sourceServerIds"], CHOSEN)
        apply(self.caller, self.group_id, body)


def create_group(caller: Caller, members: Sequence[str]) -> str:
    """Create the group, and answer its id."""
    config = {
        "instanceType": TYPES[0],
        "targetInstanceTypeRightSizingMethod": "NONE",
        "copyPrivateIp": False,
        "monitoring": True,
        **make_mark(1, "creator"),
    }
    body = {
        "groupName": "chaos",
        "region": "us-east-1",
        "sourceServerIds": [*members],
        "launchConfig": config,
        "servers": [],
    }
    key = uuid.uuid4().hex
    group = caller.ask("POST", "/protection-groups", body, key=key).json()
    status = group["launchConfigStatus"]
    # It is the only request so far, and its run the first, whoever asks by then.
    caller.ledger.note(Accepted(key, "create", status["runId"], 1, body))
    return str(group["groupId"])


def apply(caller: Caller, group_id: str, body: Body) -> str | None:
    """Apply a group, and answer the run that does it."""
    key = uuid.uuid4().hex
    answer = caller.ask("POST", f"/protection-groups/{group_id}/apply-launch-configs", body, key=key)
    if not answer.is_success:
        caller.ledger.complain(f"an apply was refused: {answer.text}")
        return None
    run_id: str = answer.json()["runId"]
    caller.ledger.note(Accepted(key, "apply", run_id))
    return run_id


def change(group: Body, name: str, dice: random.Random) -> dict[str, Any]:
    """Make the body of an update: other defaults, or other overrides of some members."""
    body = {each: value for each, value in group.items() if each not in READ_ONLY}
    mark = make_mark(group["version"] + 1, f"{name}-{dice.getrandbits(24):06x}")
    if dice.random() < 0.4:
        defaults = {**group["launchConfig"], "instanceType": dice.choice(TYPES), **mark}
        return {**body, "launchConfig": defaults, "servers": []}
    changed = dice.sample(group["sourceServerIds"], OVERRIDDEN)
    kept = [each for each in group["servers"] if each["sourceServerId"] not in changed]
    override = {"instanceType": dice.choice(TYPES), **mark}
    return {**body, "servers": [*kept, *({"sourceServerId": each, "launchConfig": override} for each in changed)]}


def make_mark(version: int, name: str) -> dict[str, Any]:
    """Make the two fields, one in DRS and one in EC2, by which a launch config can be told."""
    mark = f"v{version}-{name}"
    return {"name": mark, "tags": {"Chaos": mark}}


def read_version(mark: str) -> int:
    """Tell the version of the group that a mark was made for."""
    return int(mark.removeprefix("v").partition("-")[0])


def find_effective(body: Body, source_server_id: str) -> dict[str, Any]:
    """Merge the defaults with the override of one member."""
    overrides: dict[str, Body] = {each["sourceServerId"]: each["launchConfig"] for each in body["servers"]}
    return {**body["launchConfig"], **overrides.get(source_server_id, {})}
