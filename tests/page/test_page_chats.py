"""The list of chats, and how answers are to be made."""

import re

import pytest
from playwright.sync_api import expect

from mesh.gateway import titles
from tests.page.tab import Tab
from tests.whole_mesh import ECHO, SLOW

ANSWERED = """async (id) => {
  const { get } = await import("/page/api.js");
  const { messages } = await get(`/chats/${id}`);
  return messages.at(-1).work_parameters;
}"""
CHAT = """async (id) => {
  const { get } = await import("/page/api.js");
  return await get(`/chats/${id}`);
}"""


STOP = """async (id) => {
  const { get, post } = await import("/page/api.js");
  const { messages } = await get(`/chats/${id}`);
  await post(`/chats/${id}/messages/${messages.at(-1).id}/cancel`);
}"""


def chat_id(tab: Tab) -> str:
    return tab.page.url.rpartition("/")[2]


def test_chats_are_found_by_what_was_said(tab: Tab) -> None:
    for text in ("Puffins nest in burrows", "Quarks have colours", "Ällerlei Äpfel"):
        tab.page.get_by_role("link", name="New chat").click()
        tab.ask(text, ECHO)
        expect(tab.answers).to_have_text(text)
    search = tab.page.get_by_label("Search in your chats")
    search.fill("BURROWS nest")
    expect(tab.chats).to_have_text(["Puffins nest in burrows"])
    expect(tab.page.locator(".excerpt mark").first).to_have_text(re.compile("nest|burrows"))
    search.fill("äpfel")
    expect(tab.chats).to_have_text(["Ällerlei Äpfel"])
    search.fill("walrus")
    expect(tab.page.get_by_text("Nothing was found for “walrus”.")).to_be_visible()
    search.fill("")
    expect(tab.chats).to_have_count(3)


def test_a_chat_is_renamed_hidden_kept_out_of_exports_and_deleted(tab: Tab) -> None:
    tab.ask("my secret plan", ECHO)
    expect(tab.answers).to_have_text("my secret plan")
    tab.menu_of("my secret plan", "Rename …")
    tab.page.get_by_label("Title").fill("Plan B")
    tab.button("Rename").click()
    expect(tab.chats).to_have_text(["Plan B"])
    tab.menu_of("Plan B", "Keep out of exports")
    tab.menu_of("Plan B", "Hide")
    expect(tab.page.get_by_text("Your chats will stand here.")).to_be_visible()
    chat = tab.page.evaluate(CHAT, chat_id(tab))
    assert (chat["title"], chat["hidden"], chat["allow_data_use"]) == ("Plan B", True, False)
    tab.page.locator(".account").click()
    tab.page.get_by_role("menuitem", name="Show hidden chats").click()
    expect(tab.chats).to_have_text(["Plan B"])
    tab.menu_of("Plan B", "Delete …")
    tab.button("Delete").click()
    expect(tab.chats).to_have_count(0)
    expect(tab.page.get_by_text("What would you like to know?")).to_be_visible()


def test_chats_and_links_that_cannot_be_read_now_are_said_and_the_list_stays(tab: Tab) -> None:
    tab.expect_error("Failed to load resource")
    for text in ("one", "two"):
        tab.page.get_by_role("link", name="New chat").click()
        tab.ask(text, ECHO)
        expect(tab.answers).to_have_text(text)
    tab.page.route("**/chats?*", lambda route: route.continue_(url=f"{tab.url}/chats?limit=1"))
    tab.page.reload()
    expect(tab.chats).to_have_text(["two"])
    tab.page.unroute("**/chats?*")
    tab.page.route("**/chats?*", lambda route: route.abort())
    notice, older = tab.page.locator(".notice"), tab.button("Older chats")
    older.click()
    expect(notice).to_contain_text("does not answer")
    tab.page.unroute("**/chats?*")
    older.click()
    expect(tab.chats).to_have_text(["two", "one"])
    for what, route in (("Share …", "**/shares"), ("Hide", "**/chats/*")):
        notice.evaluate("(notice) => (notice.textContent = '')")
        tab.page.route(route, lambda route: route.abort())
        tab.menu_of("one", what)
        expect(notice).to_contain_text("does not answer")
        expect(tab.chats).to_have_text(["two", "one"])


def test_a_menu_outlives_its_row_and_gives_the_focus_back(tab: Tab) -> None:
    tab.ask("word " * 400, SLOW)
    expect(tab.answers).to_have_text(re.compile("word"))
    more = tab.page.get_by_role("button", name="More about")
    more.focus()
    tab.page.keyboard.press("Enter")
    menu = tab.page.get_by_role("menu")
    expect(menu.get_by_role("menuitem", name="Rename …")).to_be_focused()
    more.evaluate("(button) => { button.closest('.row').dataset.before = 'yes'; }")
    tab.page.evaluate(STOP, chat_id(tab))
    expect(tab.running).to_have_count(0)
    expect(tab.page.locator("[data-before]")).to_have_count(0)  # the list was drawn anew
    expect(menu).to_be_visible()
    tab.page.keyboard.press("ArrowUp")
    expect(menu.get_by_role("menuitem", name="Delete …")).to_be_focused()
    tab.page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    expect(more).to_be_focused()


def test_a_list_that_is_drawn_anew_leaves_the_focus_where_it_was(tab: Tab) -> None:
    tab.ask("word " * 400, SLOW)
    expect(tab.answers).to_have_text(re.compile("word"))
    link = tab.page.get_by_role("link", name="word")
    link.focus()
    link.evaluate("(link) => { link.closest('.row').dataset.before = 'yes'; }")
    tab.page.evaluate(STOP, chat_id(tab))
    expect(tab.running).to_have_count(0)
    expect(tab.page.locator("[data-before]")).to_have_count(0)
    expect(link).to_be_focused()


def test_a_menu_closes_by_its_button_by_tab_and_by_a_click_elsewhere(tab: Tab) -> None:
    account, menu = tab.page.locator(".account"), tab.page.get_by_role("menu")
    account.click()
    expect(menu).to_be_visible()
    account.click()
    expect(menu).to_have_count(0)
    account.click()
    tab.page.keyboard.press("Shift+Tab")
    expect(menu).to_have_count(0)
    expect(tab.page.get_by_role("link", name="The mesh")).to_be_focused()
    account.click()
    tab.page.get_by_role("main").click()
    expect(menu).to_have_count(0)
    expect(account).to_have_attribute("aria-expanded", "false")


def test_all_chats_are_hidden_at_once(tab: Tab) -> None:
    tab.ask("one", ECHO)
    expect(tab.answers).to_have_text("one")
    tab.page.locator(".account").click()
    tab.page.get_by_role("menuitem", name="Hide all chats …").click()
    tab.button("Hide all").click()
    expect(tab.chats).to_have_count(0)


def test_answers_are_made_as_was_chosen(tab: Tab) -> None:
    tab.button("How to answer").click()
    page = tab.page
    page.get_by_role("dialog").get_by_label("Model", exact=True).select_option(ECHO)
    page.get_by_label("Preset").select_option("k50-Precise")
    expect(page.get_by_label("Temperature")).to_have_value("0.1")
    page.get_by_label("Top p").fill("0.5")
    page.get_by_label("System prompt").fill("You are a pirate.")
    page.get_by_label("About you").fill("I like boats.")
    page.get_by_label("How you want to be answered").fill("Briefly.")
    tab.button("Save").click()
    tab.ask("ahoy")
    expect(tab.answers).to_have_text("ahoy")
    work = page.evaluate(ANSWERED, chat_id(tab))
    assert work["model_config"]["model_id"] == ECHO
    sampling = work["sampling_parameters"]
    assert (sampling["top_k"], sampling["temperature"], sampling["top_p"]) == (50, 0.1, 0.5)
    assert work["system_prompt"] == "You are a pirate."
    assert work["user_profile"] == "I like boats."
    assert work["user_response_instructions"] == "Briefly."
    page.reload()
    tab.button("How to answer").click()
    expect(page.get_by_label("System prompt")).to_have_value("You are a pirate.")
    page.get_by_label("Temperature").fill("9")
    tab.button("Save").click()
    expect(page.get_by_role("dialog")).to_be_visible()  # it is beyond what can be


def test_the_title_that_the_model_finds_is_shown(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(titles, "TASK", "About {question}")  # the echo says it again
    with tab.page.expect_response(lambda response: response.url.endswith("/title")) as found:
        tab.ask("puffins in burrows", ECHO)
    assert found.value.json() == {"title": "About puffins in burrows", "generated": True}
    expect(tab.chats).to_have_text(["About puffins in burrows"])
    tab.page.reload()
    expect(tab.chats).to_have_text(["About puffins in burrows"])


def test_the_model_is_asked_for_a_title_once(tab: Tab) -> None:
    with tab.page.expect_response(lambda response: response.url.endswith("/title")) as found:
        tab.ask("hello there", ECHO)
    assert found.value.json() == {"title": "hello there", "generated": False}
    tab.ask("more")
    expect(tab.answers).to_have_text(["hello there", "more"])
    assert sum(url.endswith("/title") for url in tab.requests) == 1


def test_the_colours_can_be_chosen(tab: Tab) -> None:
    tab.page.locator(".account").click()
    tab.page.get_by_role("menuitem", name="Colours …").click()
    tab.page.get_by_label("Dark").check()
    tab.button("Keep").click()
    tab.page.reload()
    expect(tab.input).to_be_visible()
    assert tab.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(23, 24, 23)"


def test_on_a_phone_the_list_is_a_drawer(tab: Tab) -> None:
    tab.page.set_viewport_size({"width": 375, "height": 700})
    link = tab.page.get_by_role("link", name="New chat")
    expect(link).to_be_hidden()
    tab.button("Your chats").click()
    expect(link).to_be_in_viewport()
    tab.page.keyboard.press("Escape")
    expect(link).to_be_hidden()
    tab.button("Your chats").click()
    tab.page.get_by_role("link", name="The mesh").click()
    expect(link).to_be_hidden()
    expect(tab.page.get_by_role("heading", name="The mesh")).to_be_visible()
