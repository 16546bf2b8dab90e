"""The page in a real Chromium, against a real mesh. Every tab is watched: at its end there must
have been no error on its console and no request to anybody but its gateway.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser import browser as browser
from tests.page.tab import Tab
from tests.whole_mesh import Mesh
from tests.whole_mesh import mesh as mesh
from tests.whole_mesh import new_mesh as new_mesh


@pytest.fixture
def new_tab(browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Opens tabs at an address: in a browser profile of its own, or in that of another tab."""
    tabs: list[Tab] = []

    def open(url: str, beside: Tab | None = None, **options: object) -> Tab:
        context = beside.page.context if beside else browser.new_context(**options)  # type: ignore[arg-type]
        tabs.append(Tab(context, url))
        return tabs[-1]

    yield open
    for tab in tabs:
        tab.page.context.close()
    for tab in tabs:
        tab.check()


@pytest.fixture
def tab(mesh: Mesh, new_tab: Callable[..., Tab], request: pytest.FixtureRequest) -> Tab:
    """A tab at the shared mesh, signed in as a user of the test's own."""
    tab = new_tab(mesh.url)
    tab.sign_in(f"{Path(request.node.nodeid).name}"[-90:])
    return tab
