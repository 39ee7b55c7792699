"""A real browser for acceptance tests of pages."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import Browser, Error, expect, sync_playwright
from playwright.sync_api import TimeoutError as TimedOut

from ops.installation import GENEROUS_S

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# No word to anybody but the page's own server, and no sandbox: containers have none to give.
SWITCHES = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
SWITCHES += ["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]
# Only what has gone wrong takes so long, on a busy machine too.
GENEROUS_MS = 1000 * GENEROUS_S


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Run a headless browser for the length of the block; skips the test where none is installed."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"there is no browser here: none of {', '.join(BROWSERS)} is installed")
    with ExitStack() as stack:
        try:
            playwright = stack.enter_context(sync_playwright())
            browser = playwright.chromium.launch(executable_path=program, args=SWITCHES, timeout=GENEROUS_MS)
        except TimedOut:
            raise  # a browser that is slow is no reason to test nothing
        except Error as error:
            pytest.skip(f"{program} does not start: {error.message.splitlines()[0]}")
        stack.callback(browser.close)
        expect.set_options(timeout=GENEROUS_MS)
        yield browser
