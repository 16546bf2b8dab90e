"""A chat in the browser: ask, watch the answer come, stop, retry, edit, go between branches."""

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.page.tab import Tab
from tests.whole_mesh import ECHO, FAILING, SINGLE, SLOW, Mesh

LONG = " ".join(f"word{number}" for number in range(400))
"""Twenty seconds of the slow model."""

SOME = " ".join(f"word{number}" for number in range(100))
"""Five seconds of it: on a busy machine one looks at the page once a second at most."""


def test_a_question_is_answered_word_by_word(tab: Tab) -> None:
    expect(tab.page.get_by_text("What would you like to know?")).to_be_visible()
    tab.ask(SOME, SLOW)
    expect(tab.questions).to_have_text(SOME)
    expect(tab.answers).to_have_text(re.compile("^word0 word1"))
    assert not tab.answers.inner_text().endswith("word99"), "it came in one piece"
    expect(tab.running).to_contain_text("tokens")
    expect(tab.running).to_have_count(0)
    expect(tab.answers).to_have_text(SOME)
    figures = tab.page.locator(".figures")
    expect(figures).to_contain_text("slow · 100 tokens")
    expect(figures).to_contain_text("tokens/s")
    expect(figures).to_contain_text("first after")
    expect(tab.page.get_by_role("status")).to_have_text("The answer is complete: 100 tokens.")
    expect(tab.chats).to_have_text([re.compile("^word0 word1")])
    assert "#/chat/" in tab.page.url


def test_the_conversation_goes_on_and_can_be_opened_again(tab: Tab) -> None:
    tab.ask("first question", ECHO)
    expect(tab.answers).to_have_text(["first question"])
    tab.ask("second question")
    expect(tab.answers).to_have_text(["first question", "second question"])
    tab.page.get_by_role("link", name="New chat").click()
    expect(tab.answers).to_have_count(0)
    tab.page.get_by_role("link", name="first question").click()
    expect(tab.answers).to_have_text(["first question", "second question"])
    tab.page.go_back()
    expect(tab.answers).to_have_count(0)


def test_stop_is_acknowledged_with_the_count(tab: Tab) -> None:
    tab.ask(LONG, SLOW)
    expect(tab.answers).to_have_text(re.compile("word3"))
    tab.button("Stop").click()
    expect(tab.page.locator(".note")).to_have_text(
        re.compile(r"Stopped after \d+ tokens \(freed in \d+ ms\)\.")
    )
    expect(tab.running).to_have_count(0)
    assert tab.answers.inner_text().startswith("word0 word1 word2 word3")
    expect(tab.button("Send")).to_be_visible()


def test_an_answer_is_tried_again_beside_the_first(tab: Tab) -> None:
    tab.ask("say it", ECHO)
    expect(tab.answers).to_have_text("say it")
    tab.button("Answer again").click()
    versions = tab.page.get_by_role("group", name="Versions")
    expect(versions).to_have_text("2 / 2")
    expect(tab.answers).to_have_text("say it")
    tab.button("Earlier version").click()
    expect(versions).to_have_text("1 / 2")
    tab.page.reload()
    expect(versions).to_have_text("1 / 2")
    expect(tab.answers).to_have_count(1)


def test_a_question_is_worded_anew_also_the_first(tab: Tab) -> None:
    tab.ask("the first wording", ECHO)
    tab.ask("a second question")
    expect(tab.answers).to_have_text(["the first wording", "a second question"])
    tab.input.fill("a draft meanwhile")
    tab.questions.first.hover()
    tab.button("Edit and ask again").first.click()
    expect(tab.input).to_have_value("the first wording")
    tab.input.fill("another wording")
    tab.button("Send").click()
    expect(tab.answers).to_have_text(["another wording"])
    expect(tab.page.get_by_role("group", name="Versions")).to_have_text("2 / 2")
    tab.button("Earlier version").click()
    expect(tab.answers).to_have_text(["the first wording", "a second question"])


def test_leaving_an_edit_brings_the_draft_back(tab: Tab) -> None:
    tab.ask("asked before", ECHO)
    expect(tab.answers).to_have_text("asked before")
    tab.input.fill("my draft")
    tab.questions.hover()
    tab.button("Edit and ask again").click()
    tab.input.press("Escape")
    expect(tab.input).to_have_value("my draft")


def test_a_failed_answer_says_so_and_can_be_tried_again(tab: Tab) -> None:
    tab.ask("/repeat so ", FAILING)
    note = tab.page.locator(".note.failed")
    expect(note).to_contain_text("fail")
    expect(tab.answers).to_have_text(re.compile("^so so so"))
    tab.page.get_by_label("Model", exact=True).select_option(ECHO)
    note.get_by_role("button", name="Try again").click()
    expect(tab.page.get_by_role("group", name="Versions")).to_have_text("2 / 2")
    expect(tab.page.locator(".note")).to_contain_text("Cut off")


def test_the_place_in_the_queue_is_told(mesh: Mesh, new_tab: Callable[..., Tab]) -> None:
    first, second, third = (new_tab(mesh.url) for _ in range(3))
    for number, each in enumerate((first, second, third)):
        each.sign_in(f"queue {number}")
        each.ask(LONG, SINGLE)
        if each is first:
            expect(first.answers).to_have_text(re.compile("word1"))
    place = re.compile("You are next|1 question before yours", re.IGNORECASE)
    for each in (second, third):
        expect(each.running).to_contain_text(place)
    # Who asks in the lane that was served last comes after one who asks in another.
    after, following = sorted(
        (second, third), key=lambda each: "next" in each.running.inner_text().lower()
    )
    expect(following.running).to_contain_text("You are next", ignore_case=True)
    expect(after.running).to_contain_text(re.compile(r"1 question before yours · \d+ s so far"))
    first.button("Stop").click()
    expect(following.answers).to_have_text(re.compile("word1"))
    for each in (following, after):
        each.button("Stop").click()
        expect(each.page.locator(".note")).to_contain_text("Stopped")


def test_the_wait_is_guessed_from_those_who_went_before(tab: Tab) -> None:
    said = tab.page.evaluate(
        """async () => {
          const { Outlook } = await import("/page/outlook.js");
          const outlook = new Outlook();
          const places = [[4, 0], [4, 3], [2, 6], [2, 7], [0, 12], [0, 20], [3, 21], [3, 30]];
          return places.map(([before, now]) => outlook.at(before, now));
        }"""
    )
    assert said == [
        "",
        "3 s so far",
        "6 s so far, about 9 s to go",
        "7 s so far, about 8 s to go",
        "12 s so far, about 3 s to go",
        "20 s so far",  # it takes longer than those before
        "",  # it was put back
        "9 s so far",
    ]


def test_votes_and_reports_are_kept(tab: Tab) -> None:
    tab.ask("judge me", ECHO)
    good = tab.button("A good answer")
    good.click()
    expect(good).to_have_attribute("aria-pressed", "true")
    tab.button("Report this answer").click()
    tab.page.get_by_label("What is wrong with it?").select_option("feedback")
    tab.page.get_by_label("In your words").fill("Too short.")
    tab.button("Report").click()
    reported = tab.button("Reported; report again")
    expect(reported).to_be_visible()
    tab.page.reload()
    expect(good).to_have_attribute("aria-pressed", "true")
    expect(reported).to_be_visible()
    good.click()
    expect(good).to_have_attribute("aria-pressed", "false")


def test_a_cut_off_answer_says_so_and_goes_on(tab: Tab) -> None:
    tab.button("How to answer").click()
    tab.page.get_by_label("Longest answer, in tokens").fill("2")
    tab.button("Save").click()
    tab.ask("one two three four", ECHO)
    expect(tab.answers).to_have_text("one two")
    expect(tab.page.locator(".note")).to_contain_text("Cut off")
    tab.button("Go on").click()
    expect(tab.answers).to_have_text(["one two", "Go on."])


def test_code_is_copied_as_it_is(tab: Tab) -> None:
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.ask("Look:\n\n```python\ndef f(x):\n    return x < 2 & x\n```\n\nDone.", ECHO)
    tab.button("Copy this code").click()
    copied = tab.page.evaluate("navigator.clipboard.readText()")
    assert copied == "def f(x):\n    return x < 2 & x"
    expect(tab.page.locator("figure.code figcaption")).to_have_text("python")


def test_several_drafts_can_be_asked_for_at_once(tab: Tab) -> None:
    tab.button("How to answer").click()
    tab.page.get_by_label("Answers to one question").fill("3")
    tab.button("Save").click()
    tab.ask("draft", ECHO)
    versions = tab.page.get_by_role("group", name="Versions")
    expect(versions).to_have_text("1 / 3")
    tab.button("Later version").click()
    expect(versions).to_have_text("2 / 3")
    expect(tab.answers).to_have_text("draft")
    assert sum(url.endswith("/drafts") for url in tab.requests) == 1, "all of them, or none"


def test_the_best_of_several_answers_can_be_told(tab: Tab) -> None:
    tab.ask("compare me", ECHO)
    expect(tab.answers).to_have_text("compare me")
    best = tab.button("The best of these answers")
    expect(best).to_have_count(0)  # there is nothing to compare it with
    tab.button("Answer again").click()
    versions = tab.page.get_by_role("group", name="Versions")
    expect(versions).to_have_text("2 / 2")
    best.click()
    expect(best).to_have_attribute("aria-pressed", "true")
    tab.button("Earlier version").click()
    expect(best).to_have_attribute("aria-pressed", "false")
    best.click()
    expect(best).to_have_attribute("aria-pressed", "true")
    tab.button("Later version").click()
    expect(best).to_have_attribute("aria-pressed", "false")
    tab.button("Earlier version").click()
    tab.page.reload()
    expect(best).to_have_attribute("aria-pressed", "true")
    best.click()
    expect(best).to_have_attribute("aria-pressed", "false")
    tab.page.reload()
    expect(best).to_have_attribute("aria-pressed", "false")


def test_a_message_is_clicked_after_its_button(tab: Tab) -> None:
    """Where what is skipped depended on the focus, Chromium 150 broke down at the second click."""
    for text in ("first", "second"):
        tab.ask(text, ECHO)
        expect(tab.answers.last).to_have_text(text)
    for _ in range(3):
        tab.questions.first.hover()
        tab.button("Copy the question").first.click()
        tab.questions.first.click()
    expect(tab.answers).to_have_text(["first", "second"])
