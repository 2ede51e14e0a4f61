"""A stack with its API and a worker for the tests of a module, and a window of its own for each of them."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.acceptance.commands import make_environment, running, running_api
from tests.acceptance.page.reader import Reader, Stack
from tests.browser.run import running_browser
from tests.forked_stand_in import StandIns

EXPECTED = "Failed to load resource"
"""What the browser says of every answer that is no success; the page says it too, and tests look at that."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def stack(stand_ins: StandIns, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    logs = tmp_path_factory.mktemp("logs")
    with stand_ins.run() as aws:
        environment = make_environment(aws.environment)
        worker = running(environment, "worker", "--processes", "1", log=logs / "worker")
        with running_api(environment, logs / "api") as api, worker:
            yield Stack(aws, api)


@pytest.fixture
def reader(browser: Browser, stack: Stack) -> Iterator[Reader]:
    """Somebody who looks at the page; whatever the browser finds wrong with it meanwhile fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    wrong: list[str] = []
    _watch(page, wrong)
    try:
        yield Reader(page, stack)
        assert wrong == []
    finally:
        context.close()


def _watch(page: Page, wrong: list[str]) -> None:
    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and EXPECTED not in message.text:
            wrong.append(message.text)

    def meet(dialog: Any) -> None:
        wrong.append(f"a dialog of the browser's: {dialog.message}")
        dialog.dismiss()

    page.on("console", hear)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", meet)
