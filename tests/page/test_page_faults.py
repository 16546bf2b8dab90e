"""Processes are killed while the browser reads: it gets every word, once, and needs no reload."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.fleet import Fleet, fleet
from tests.page.tab import Tab

TEXT = " ".join(f"word{number}" for number in range(200))
"""Ten seconds at twenty tokens a second."""

ECHO = ("--echo-rate", "20")


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Fleet]:
    """A broker, a store, a gateway and a worker, each a process."""
    with fleet(tmp_path) as found:
        found.gateway()
        found.store()
        found.worker("first", *ECHO)
        yield found


def test_an_answer_is_whole_though_gateway_and_worker_were_killed(
    processes: Fleet, new_tab: Callable[..., Tab]
) -> None:
    tab = new_tab(processes.url)
    tab.expect_error("Failed to load resource")
    tab.sign_in("ada")
    tab.ask(TEXT)
    expect(tab.answers).to_have_text(re.compile("word20"))
    second = new_tab(tab.page.url, beside=tab)
    second.expect_error("Failed to load resource")
    expect(second.answers).to_have_text(re.compile("word20"))
    processes.kill("gateway")
    expect(tab.running).to_contain_text("trying to reach it again")
    processes.kill("first")
    processes.gateway()
    processes.worker("second", *ECHO)
    for each in (tab, second):
        expect(each.running).to_have_count(0, timeout=60_000)
        expect(each.answers).to_have_text(TEXT)
    expect(tab.page.locator(".figures")).to_have_attribute("title", re.compile("taken over 1 time"))
