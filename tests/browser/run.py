"""Run the browser: one process for the tests of a module, a window without a past for each of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.browser.install import ADVICE, HOME, LIBRARIES, PROGRAM

# Its sandbox asks for rights that a container often has not; it opens nothing but this machine's own pages.
ARGUMENTS = ("--no-sandbox", "--no-zygote", "--disable-dev-shm-usage", "--disable-gpu")


@contextmanager
def running_browser() -> Iterator[Browser]:
    """
    Run the browser while the block runs.

    It holds an event loop of its own, so that nothing else may run one in this thread meanwhile.
    """
    program = HOME / PROGRAM
    assert program.exists(), ADVICE
    # What the system has itself counts for nothing: the same libraries everywhere.
    environment: dict[str, str | float | bool] = {**os.environ, "LD_LIBRARY_PATH": str(HOME / LIBRARIES)}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS], env=environment)
        try:
            yield browser
        finally:
            browser.close()
