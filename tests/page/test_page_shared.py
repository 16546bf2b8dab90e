"""A chat behind a link, as a browser without an account sees it."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.page.tab import Tab
from tests.whole_mesh import ECHO, Mesh


def test_a_link_opens_without_an_account_until_it_is_taken_back(
    mesh: Mesh, tab: Tab, new_tab: Callable[..., Tab]
) -> None:
    said = "Look: **bold**, <b>no markup</b>"
    tab.ask(said, ECHO)
    expect(tab.answers).to_contain_text("no markup")
    tab.menu_of(said, "Share …")
    tab.button("Make a link").click()
    url = tab.page.get_by_role("textbox", name="Link").input_value()
    assert url.startswith(f"{mesh.url}/shared/")
    reader = new_tab(url)
    expect(reader.page.locator(".question")).to_have_text(said)
    expect(reader.page.locator(".answer strong")).to_have_text("bold")
    assert reader.page.locator("form, input, textarea, button").count() == 0
    tab.button("Take back").click()
    expect(tab.page.get_by_role("textbox", name="Link")).to_have_count(0)
    reader.expect_error("404")
    reader.page.reload()
    expect(reader.page.get_by_role("alert")).to_contain_text("This link leads nowhere")


def test_a_link_that_cannot_be_taken_back_now_says_so(
    new_mesh: Callable[..., Mesh], new_tab: Callable[..., Tab]
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", ECHO)
    tab = new_tab(mesh.url)
    tab.expect_error("Failed to load resource")
    tab.sign_in("ada")
    tab.ask("to share", ECHO)
    expect(tab.answers).to_have_text("to share")
    tab.menu_of("to share", "Share …")
    tab.button("Make a link").click()
    link = tab.page.get_by_role("textbox", name="Link")
    expect(link).to_be_visible()
    mesh.stop("gateway")
    tab.button("Take back").click()
    expect(tab.page.get_by_role("dialog")).to_contain_text("The gateway does not answer.")
    expect(link).to_be_visible()
    mesh.start("gateway")
    tab.button("Take back").click()
    expect(link).to_have_count(0)
