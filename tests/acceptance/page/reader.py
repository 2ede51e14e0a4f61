"""What a reader of the page does, and what he can see."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from playwright.sync_api import Locator, Page, Route, expect

from infra.local.process import StandIn
from tests.acceptance.commands import connect, make_group_body, wait_until
from tests.browser.install import AXE, HOME
from workers.core.contract import APPLY_ACTOR
from workers.core.queue.job import encode_job

PATIENCE_MILLISECONDS = 30_000
expect.set_options(timeout=PATIENCE_MILLISECONDS)


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack that is served."""

    aws: StandIn
    api: httpx.Client

    @property
    def url(self) -> str:
        return str(self.api.base_url).rstrip("/")

    def create(self, name: str, count: int, *, failing: int = 0, **changes: Any) -> dict[str, Any]:
        """Create a group of which some source servers fail, and wait until it has settled."""
        body = {**make_group_body(self.aws, count), "groupName": name, **changes}
        faults = [make_fault(each) for each in body["sourceServerIds"][:failing]]
        self.aws.control("PUT", "faults", faults)
        answer = self.api.post("/protection-groups", json=body)
        assert answer.status_code == 201, answer.text
        group: dict[str, Any] = answer.json()
        self.settle(group["groupId"])
        return group

    def settle(self, group_id: str) -> Mapping[str, Any]:
        """Wait until a group is not pending."""
        path = f"/protection-groups/{group_id}/launch-config-status"
        wait_until(lambda: self.get(path)["status"] != "pending", "an outcome")
        return self.get(path)

    def bury(self, group_id: str, server_id: str, reason: str) -> None:
        """Put a source server's job among the dead letters."""
        self.bury_job(APPLY_ACTOR, "jobs", {"groupId": group_id, "sourceServerId": server_id}, reason)

    def bury_job(self, actor: str, queue: str, names: Mapping[str, str], reason: str) -> None:
        """Put a job among the dead letters, as a worker does."""
        sqs = connect(self.aws, "sqs")
        sqs.send_message(
            QueueUrl=sqs.get_queue_url(QueueName=f"prelaunch-{queue}-dlq")["QueueUrl"],
            MessageBody=encode_job(actor, queue, names),
            MessageAttributes={"reason": {"DataType": "String", "StringValue": reason}},
        )
        sqs.close()

    def get(self, path: str) -> Mapping[str, Any]:
        """Read a document of the API's."""
        found: Mapping[str, Any] = self.api.get(path).raise_for_status().json()
        return found


def make_fault(server_id: str) -> dict[str, Any]:
    """Make DRS refuse the settings of a source server."""
    return {
        "service": "drs",
        "operation": "UpdateLaunchConfiguration",
        "code": "ValidationException",
        "sourceServerId": server_id,
    }


@dataclass(frozen=True, slots=True)
class Reader:
    """A window of the browser, at a stack's page."""

    page: Page
    stack: Stack

    def open(self, where: str = "") -> None:
        """Go to a place of the page."""
        self.page.goto(f"{self.stack.url}/{where}")

    def row(self, *texts: str) -> Locator:
        """Find the row of a table that holds texts."""
        found = self.page.locator("tbody tr")
        for text in texts:
            found = found.filter(has_text=text)
        return found

    def button(self, name: str) -> Locator:
        """Find a button by what stands on it."""
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def dialog(self) -> Locator:
        return self.page.locator("dialog")

    @property
    def act(self) -> Locator:
        """The button of the dialog that does it."""
        return self.dialog.locator("menu button").last

    def lose_answers(self, path: str) -> list[str]:
        """Let requests to a path reach the API, and lose what it answers; answer the names that they had."""
        names: list[str] = []

        def lose(route: Route) -> None:
            if route.request.method != "POST":
                route.continue_()
                return
            names.append(route.request.headers.get("idempotency-key", ""))
            route.fetch()
            route.abort("connectionreset")

        self.page.route(f"{self.stack.url}/{path}", lose)
        return names

    def cut_off(self) -> Callable[[], None]:
        """Let nothing reach the API; answer what ends that."""
        everything = f"{self.stack.url}/**"
        self.page.route(everything, lambda route: route.abort("connectionrefused"))
        return lambda: self.page.unroute(everything)

    def find_barriers(self) -> list[str]:
        """Find what keeps somebody from using what is shown, by axe-core's rules for WCAG 2.1, levels A and AA."""
        self.page.evaluate((HOME / AXE).read_text())
        rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
        found = self.page.evaluate("rules => axe.run(document, rules)", rules)
        assert found["passes"], "nothing was looked at"
        return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found["violations"]]
