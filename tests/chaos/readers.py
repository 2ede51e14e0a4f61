"""
Readers: they poll all the while, and no answer may break promise 1 or 2.

`Watch` judges answers and is pure: it knows only what was answered before a question was asked.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.traffic import Abandoned, Caller, find_effective
from tests.chaos.truth import Truth

SETTLED = {"ready", "failed"}
EVERY_SECONDS = 0.2
PAGE = 100
IN_PAGES = 4
"""Of so many questions one goes through the pages."""
ASKED_OF_DRS = 8
COUNTED = {"appliedServers": "ready", "failedServers": "failed", "pendingServers": "pending"}

Answer = Mapping[str, Any]


@dataclass(slots=True)
class Watch:
    """Judges every answer about where the group stands."""

    members: int
    broken: list[str] = field(default_factory=list)
    answers: int = 0
    truths: int = 0
    """How often the group was read ready and AWS was asked whether that is so."""
    failures: dict[tuple[int, str], str] = field(default_factory=dict)
    """Why a source server failed at a generation, whatever came of it later."""
    newest: Answer | None = None
    """The latest moment that anybody was told of."""
    _runs: dict[int, tuple[str, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def see(self, before: Answer | None, answer: Answer) -> None:
        """
        Judge one whole answer.

        Parameters:
            before: The newest moment that anybody was told of before the question was asked.
            answer: The answer, with every member.
        """
        found = Counter(server["status"] for server in answer["serverConfigs"].values())
        said = {name: answer[count] for count, name in COUNTED.items()}
        if said != {name: found[name] for name in said} or found.total() != self.members:
            self._complain(answer, f"it mixes moments: {said} beside {dict(found)}")
        self.see_moment(before, answer)

    def see_pages(self, before: Answer | None, pages: list[Answer]) -> None:
        """Judge answers that were read page by page: one generation; one moment where it is settled."""
        members = [member for page in pages for member in page["serverConfigs"]]
        if len({(page["generation"], page["runId"]) for page in pages}) > 1:
            self._complain(pages[0], "its pages are of several generations")
        if sorted(members) != sorted(set(members)) or len(members) != self.members:
            self._complain(pages[0], f"its pages hold {len(members)} members")
        if pages[0]["status"] in SETTLED:
            merged = {member: each for page in pages for member, each in page["serverConfigs"].items()}
            self.see(before, {**pages[0], "serverConfigs": merged})
        for page in pages[pages[0]["status"] in SETTLED :]:
            self.see_moment(before, page)

    def see_moment(self, before: Answer | None, answer: Answer) -> None:
        """Judge the combined status of an answer: by itself, and after what was known before it."""
        generation, status = answer["generation"], answer["status"]
        right = {
            "ready": answer["appliedServers"] == self.members,
            "failed": answer["failedServers"] > 0 and answer["pendingServers"] == 0,
            "pending": True,
        }
        if not right.get(status):
            self._complain(answer, f"{[answer[count] for count in COUNTED]} is not {status}")
        if before is not None and generation < before["generation"]:
            self._complain(answer, f"generation {before['generation']} was read before")
        if before is not None and generation == before["generation"] and before["status"] in SETTLED:
            told = [(each["status"], *(each[count] for count in COUNTED)) for each in (before, answer)]
            if told[0] != told[1]:
                self._complain(answer, f"{told[0]} became {told[1]} without a new generation")
        with self._lock:
            self.answers += 1
            for error in answer["errors"]:
                self.failures[generation, error["sourceServerId"]] = f"{error['code']}: {error['message']}"
            if self._runs.setdefault(generation, (answer["runId"], answer["digest"])) != (
                answer["runId"],
                answer["digest"],
            ):
                self.broken.append(f"generation {generation} has two runs or two digests: {answer['runId']}")
            if self.newest is None or _order(self.newest) < _order(answer):
                self.newest = answer

    def see_truth(self, generation: int, differences: Mapping[str, str]) -> None:
        """Judge what AWS holds while the group reads ready."""
        with self._lock:
            self.truths += 1
            self.broken.extend(
                f"promise 1: generation {generation} reads ready, and {member} is not: {what}"
                for member, what in differences.items()
            )

    def _complain(self, answer: Answer, what: str) -> None:
        with self._lock:
            self.broken.append(f"promise 2: generation {answer['generation']} reads {answer['status']}: {what}")


def _order(answer: Answer) -> tuple[int, bool]:
    return answer["generation"], answer["status"] in SETTLED


@dataclass(slots=True)
class Reader:
    """Reads where the group stands, again and again."""

    group_id: str
    caller: Caller
    watch: Watch
    over: threading.Event
    dice: random.Random
    truth: Truth | None = None
    """Asked too by the reader that has it."""
    _last_truth: tuple[int, float] = (0, 0.0)

    def run(self) -> None:
        """Read until it is over."""
        try:
            while not self.over.is_set():
                self.read()
                self.over.wait(EVERY_SECONDS)
        except Abandoned:
            pass
        finally:
            self.caller.close()

    def read(self) -> None:
        """Read once, whole or page by page; where the group is ready, look whether that is true."""
        before = self.watch.newest
        if self.dice.randrange(IN_PAGES) == 0:
            pages = self._read_pages()
            if pages:
                self.watch.see_pages(before, pages)
            return
        answer = self._ask("?limit=1000").json()
        self.watch.see(before, answer)
        if answer["status"] == "ready" and self.truth is not None and self._is_due(answer["generation"]):
            self._look(self.truth, answer["generation"])

    def _read_pages(self) -> list[Answer]:
        pages: list[Answer] = []
        token: str | None = ""
        while token is not None:
            answer = self._ask(f"?limit={PAGE}" + (f"&nextToken={token}" if token else ""))
            if answer.status_code == httpx.codes.CONFLICT:
                return []
            pages.append(answer.json())
            token = pages[-1].get("nextToken")
        return pages

    def _is_due(self, generation: int) -> bool:
        """Once at once, then seldom: three hundred answers of AWS are not for nothing."""
        return self._last_truth[0] != generation or time.monotonic() - self._last_truth[1] > 10

    def _look(self, truth: Truth, generation: int) -> None:
        """Ask AWS between two answers that say ready at one generation; what differs is asked for once more."""
        group = self.caller.ask("GET", f"/protection-groups/{self.group_id}").json()
        if not self._is_ready_at(group, generation):
            return
        wanted = {member: find_effective(group, member) for member in group["sourceServerIds"]}
        sample = self.dice.sample(group["sourceServerIds"], ASKED_OF_DRS)
        differences = truth.find_differences(wanted, sample)
        if differences:
            # EC2 may still answer the state before a write; what is there after its window is there.
            self.caller.abandon.wait(2 * truth.window_seconds)
            differences = truth.find_differences(wanted, sample)
        after = self.caller.ask("GET", f"/protection-groups/{self.group_id}").json()
        if self._is_ready_at(after, generation):
            self.watch.see_truth(generation, differences)
            self._last_truth = (generation, time.monotonic())

    def _is_ready_at(self, group: Answer, generation: int) -> bool:
        status = group["launchConfigStatus"]
        return (status["status"], status["generation"]) == ("ready", generation)

    def _ask(self, query: str) -> httpx.Response:
        return self.caller.ask("GET", f"/protection-groups/{self.group_id}/launch-config-status{query}")
