"""A real browser for tests: an installed Chromium, driven by playwright.

It is not needed to work on the mesh: where there is none, tests that want one are skipped with a
sentence on how to get it. With MESH_TEST_BROWSER=required they fail instead, so that checks in one
place cannot forget it.
"""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

MISSING = (
    "There is no Chromium here. Install one (Debian, Ubuntu: `apt install chromium`; macOS: "
    "`brew install chromium`), or say in MESH_TEST_CHROMIUM where it is."
)

ARGUMENTS = [
    "--no-sandbox",  # as root in a container there is none
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]


def chromium() -> str | None:
    """Where a Chromium is installed, or None."""
    named = os.environ.get("MESH_TEST_CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium without a window, for all tests of a module: open contexts of your own.

    While it is there, playwright has its loop on this thread, so that no test of that module can
    be asynchronous. Of the whole session it would leave no room for others.
    """
    path = chromium()
    if path is None:
        if os.environ.get("MESH_TEST_BROWSER") == "required":
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()
