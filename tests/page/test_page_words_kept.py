"""What a person has typed stays until it was taken, and is asked once, whatever else is done."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.page.tab import Tab
from tests.whole_mesh import ECHO, SLOW

LOADING = "Failed to load resource"
MESSAGES = """async (id) => {
  const { get } = await import("/page/api.js");
  return (await get(`/chats/${id}`)).messages.map(({ content }) => content);
}"""
LONG = "x" * 100_001
"""More than one message may have."""


@pytest.fixture
def asked(tab: Tab) -> Tab:
    """A chat in which something was asked, and something else begun to be typed."""
    tab.ask("asked before", ECHO)
    expect(tab.answers).to_have_text("asked before")
    tab.input.fill("my draft")
    return tab


def edit(tab: Tab) -> None:
    tab.questions.hover()
    tab.button("Edit and ask again").click()


def test_an_edit_that_was_sent_gives_the_draft_back(asked: Tab) -> None:
    edit(asked)
    asked.ask("in other words")
    expect(asked.answers).to_have_text("in other words")
    expect(asked.input).to_have_value("my draft")


def test_an_edit_outlasts_a_reload_and_another_chat(asked: Tab) -> None:
    edit(asked)
    asked.input.fill("in other")
    asked.page.reload()
    editing = asked.page.get_by_text("You are editing an earlier question.")
    expect(editing).to_be_visible()
    expect(asked.input).to_have_value("in other")
    asked.page.get_by_role("link", name="New chat").click()
    expect(editing).to_be_hidden()
    asked.page.go_back()
    expect(asked.input).to_have_value("in other")
    asked.button("Leave it as it was").click()
    expect(asked.input).to_have_value("my draft")
    asked.page.reload()
    expect(asked.input).to_have_value("my draft")
    expect(editing).to_be_hidden()


def test_going_on_with_an_answer_leaves_the_draft_where_it_is(tab: Tab) -> None:
    tab.button("How to answer").click()
    tab.page.get_by_label("Longest answer, in tokens").fill("2")
    tab.button("Save").click()
    tab.ask("one two three four", ECHO)
    tab.input.fill("my draft")
    tab.button("Go on").click()
    expect(tab.answers).to_have_text(["one two", "Go on."])
    expect(tab.input).to_have_value("my draft")


def test_what_is_tried_again_is_what_stands_there_now(tab: Tab) -> None:
    tab.expect_error(LOADING)
    tab.ask(LONG, ECHO)
    expect(tab.trouble).to_contain_text("at most 100,000 are accepted")
    tab.input.fill("shorter")
    tab.trouble.get_by_role("button", name="Try again").click()
    expect(tab.answers).to_have_text("shorter")
    expect(tab.input).to_have_value("")


def test_a_click_beside_a_dialog_closes_it_unless_something_was_typed(tab: Tab) -> None:
    box = tab.page.get_by_role("dialog", name="How to answer")
    for typed in ("", "You are a pirate."):
        tab.button("How to answer").click()
        if typed:
            box.get_by_label("System prompt").fill(typed)
        tab.page.mouse.click(5, 5)
        expect(box).to_have_count(1 if typed else 0)
    expect(box.get_by_label("System prompt")).to_have_value("You are a pirate.")
    expect(tab.button("Save")).to_be_in_viewport()


def test_a_question_whose_reply_was_lost_is_asked_once(asked: Tab) -> None:
    asked.expect_error(LOADING)

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    asked.page.route(re.compile("/messages$"), lose)
    asked.ask("only once")
    expect(asked.trouble).to_contain_text("trying again")
    asked.button("Stop").click()
    asked.page.unroute(re.compile("/messages$"))
    expect(asked.input).to_have_value("only once")
    asked.button("Send").click()
    expect(asked.answers).to_have_text(["asked before", "only once"])
    told = asked.page.evaluate(MESSAGES, asked.page.url.rpartition("/")[2])
    assert told == ["asked before", "asked before", "only once", "only once"]


def test_what_is_sent_before_the_chat_is_there_waits_for_it(asked: Tab) -> None:
    held: list[Route] = []
    late = True

    def hold(route: Route) -> None:
        held.append(route) if late else route.continue_()

    asked.page.route(re.compile(r"/chats/\w{32}$"), hold)
    asked.page.reload()
    asked.input.fill("typed soon")
    asked.button("Send").click()
    expect(asked.button("Stop")).to_be_visible()
    late = False
    for route in held:
        route.continue_()
    expect(asked.answers).to_have_text(["asked before", "typed soon"])
    expect(asked.input).to_have_value("")


def test_two_tabs_have_the_same_person_in_them(tab: Tab, new_tab: Callable[..., Tab]) -> None:
    second = new_tab(tab.url, beside=tab)
    for each in (tab, second):  # it may be asking just when the other signs out
        each.expect_error("status of 401")
        each.expect_error("status of 403")  # it has no token any more
    expect(second.input).to_be_focused()
    tab.ask("the secret of the first", ECHO)
    expect(second.chats).to_have_count(0)
    second.input.fill("typed by the first")
    tab.page.locator(".account").click()
    tab.page.get_by_role("menuitem", name="Sign out").click()
    expect(second.page.get_by_label("Your name")).to_be_visible()
    first = tab.page.get_by_label("Your name").input_value()
    tab.sign_in("somebody after the first")
    expect(second.page.locator(".who")).to_have_text("somebody after the first")
    expect(second.input).to_have_value("")
    tab.page.locator(".account").click()
    tab.page.get_by_role("menuitem", name="Sign out").click()
    tab.sign_in(first)
    expect(second.page.locator(".who")).to_have_text(first)
    expect(second.input).to_have_value("typed by the first")


def test_who_looks_again_sees_what_was_asked_elsewhere(
    asked: Tab, new_tab: Callable[..., Tab]
) -> None:
    elsewhere = new_tab(asked.url)
    elsewhere.sign_in(asked.page.locator(".who").inner_text())
    elsewhere.page.get_by_role("link", name="asked before").click()
    expect(elsewhere.answers).to_have_text("asked before")
    elsewhere.ask("word " * 400, SLOW)
    expect(elsewhere.answers.last).to_have_text(re.compile("word word"))
    asked.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(asked.answers.last).to_have_text(re.compile("word word"))
    asked.button("Stop").click()
    for each in (asked, elsewhere):
        expect(each.page.locator(".note")).to_contain_text("Stopped")
    expect(asked.input).to_have_value("my draft")


def test_other_drafts_that_are_refused_are_said_and_the_answer_goes_on(tab: Tab) -> None:
    tab.expect_error(LOADING)
    tab.button("How to answer").click()
    tab.page.get_by_label("Answers to one question").fill("3")
    tab.button("Save").click()
    tab.page.route("**/drafts", lambda route: route.continue_(post_data={"n": 1000}))
    tab.ask("word " * 100, SLOW)
    expect(tab.trouble).to_contain_text("The other drafts were not begun")
    expect(tab.trouble.get_by_role("button")).to_have_count(0)
    expect(tab.answers).to_have_text(re.compile("word word"))
    tab.button("Stop").click()
    expect(tab.page.locator(".note")).to_contain_text("Stopped after")


def test_one_press_stops_an_answer_whose_other_drafts_are_still_being_begun(tab: Tab) -> None:
    tab.expect_error(LOADING)
    tab.button("How to answer").click()
    tab.page.get_by_label("Answers to one question").fill("2")
    tab.button("Save").click()
    tab.page.route("**/drafts", lambda route: None)
    tab.ask("word " * 100, SLOW)
    expect(tab.answers).to_have_text(re.compile("word word"))
    tab.button("Stop").click()
    expect(tab.page.locator(".note")).to_contain_text("Stopped after")


def test_what_is_offered_again_does_not_stop_an_answer_that_was_asked_elsewhere(
    tab: Tab, new_tab: Callable[..., Tab]
) -> None:
    tab.expect_error(LOADING)
    tab.ask("asked before", ECHO)
    expect(tab.answers).to_have_text("asked before")
    tab.ask(LONG)
    again = tab.trouble.get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    elsewhere = new_tab(tab.page.url, beside=tab)
    elsewhere.ask("word " * 200, SLOW)
    expect(tab.answers.last).to_have_text(re.compile("word word"))
    again.click()
    expect(tab.answers.last).to_have_text(re.compile("(word ){20}"))
    expect(tab.running).to_have_count(1)
    tab.button("Stop").click()
    expect(tab.page.locator(".note")).to_contain_text("Stopped after")
