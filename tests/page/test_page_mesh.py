"""The live view of the mesh: what is seen there, and what can be done."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from mesh.worker.app import Drained
from tests.page.tab import Tab
from tests.whole_mesh import ECHO, FAILING, SINGLE, SLOW, Mesh

LONG = "word " * 400


def test_workers_queues_and_events_are_live(
    mesh: Mesh, tab: Tab, new_tab: Callable[..., Tab]
) -> None:
    tab.page.get_by_role("link", name="The mesh", exact=True).click()
    cards = tab.page.get_by_role("article")
    names = sorted([ECHO, FAILING, SINGLE, SLOW])
    expect(cards.get_by_role("heading")).to_have_text(names)
    other = new_tab(mesh.url)
    other.sign_in("asks for the mesh view")
    other.ask(LONG, SLOW)
    slow = tab.page.get_by_role("article", name="Worker slow")
    expect(slow).to_contain_text("busy")
    expect(slow).to_contain_text(re.compile(r"1 of \d+ slots"))
    expect(slow).to_contain_text(re.compile(r"\b(1\d|2\d) tokens/s"))
    expect(slow.get_by_role("img")).to_have_attribute("aria-label", re.compile("at most [12]"))
    queue = tab.page.get_by_role("row").filter(has_text="slow").first
    expect(queue).to_contain_text("1")
    happened = tab.page.get_by_role("list", name="Events, newest first").get_by_role("listitem")
    expect(happened.filter(has_text="taken").first).to_contain_text("by slow")
    request = tab.page.get_by_role("row").filter(has=tab.button("Cancel this request"))
    expect(request).to_contain_text("somebody’s")
    request.get_by_role("button", name="Cancel this request").click()
    expect(happened.first).to_contain_text("stopped")
    expect(tab.page.get_by_text("Nothing is asked at the moment.")).to_be_visible()
    expect(other.page.locator(".note")).to_contain_text("Stopped")
    assert sum("/events" in url for url in tab.requests) == 1, "one stream, for all of it"


def test_a_request_of_ones_own_leads_to_its_chat(tab: Tab) -> None:
    tab.ask(LONG, SLOW)
    expect(tab.answers).to_have_text(re.compile("word"))
    tab.page.get_by_role("link", name="The mesh", exact=True).click()
    tab.page.get_by_role("link", name="your chat").click()
    expect(tab.running).to_contain_text("tokens")
    tab.button("Stop").click()
    expect(tab.page.locator(".note")).to_contain_text("Stopped")


def test_a_request_that_cannot_be_cancelled_is_said_until_it_was_read(tab: Tab) -> None:
    tab.expect_error("Failed to load resource")
    tab.ask(LONG, SLOW)
    expect(tab.answers).to_have_text(re.compile("word"))
    tab.page.get_by_role("link", name="The mesh", exact=True).click()
    tab.page.route("**/mesh/requests/**", lambda route: route.abort())
    cancel = tab.page.get_by_role("row", name="your chat").get_by_role("button")
    with tab.page.expect_event("requestfailed"):
        cancel.click()
    tab.page.wait_for_timeout(1500)  # more than one look at the mesh
    expect(tab.page.locator(".notice")).to_contain_text("could not be cancelled")
    tab.page.unroute("**/mesh/requests/**")
    cancel.click()
    expect(tab.page.get_by_text("Nothing is asked at the moment.")).to_be_visible()


def test_a_worker_is_drained_and_its_answer_goes_on(
    new_mesh: Callable[..., Mesh], new_tab: Callable[..., Tab]
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", SLOW)
    tab = new_tab(mesh.url)
    tab.sign_in("ada")
    text = " ".join(f"word{number}" for number in range(60))
    tab.ask(text)
    expect(tab.answers).to_have_text(re.compile("word2"))
    tab.page.get_by_role("link", name="The mesh", exact=True).click()
    tab.button("Drain").click()
    tab.page.get_by_label("Seconds in which it may finish them").fill("0")
    tab.page.get_by_role("dialog").get_by_role("button", name="Drain").click()
    happened = tab.page.get_by_role("list", name="Events, newest first").get_by_role("listitem")
    expect(happened.filter(has_text="left").first).to_contain_text("slow")
    expect(tab.page.get_by_text("No worker is here.")).to_be_visible()
    with pytest.raises(Drained):
        mesh.stop(SLOW)
    mesh.start(SLOW)
    tab.page.go_back()
    expect(tab.running).to_have_count(0, timeout=60_000)
    expect(tab.answers).to_have_text(text)


def test_a_gateway_that_is_away_is_told_and_waited_for(
    new_mesh: Callable[..., Mesh], new_tab: Callable[..., Tab]
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", ECHO)
    tab = new_tab(mesh.url)
    tab.expect_error("Failed to load resource")
    tab.sign_in("ada")
    tab.page.get_by_role("link", name="The mesh", exact=True).click()
    trouble = tab.page.get_by_role("main").locator(".trouble")
    expect(tab.page.get_by_role("article", name="Worker echo")).to_be_visible()
    mesh.stop("gateway")
    expect(trouble).to_contain_text("does not answer")
    mesh.start("gateway")
    expect(trouble).to_be_hidden()
