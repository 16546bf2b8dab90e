"""Trouble, as the page meets it: a sentence in its place, and what was typed is never lost."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.page.tab import Tab
from tests.whole_mesh import ECHO, SLOW, Mesh

LOADING = "Failed to load resource"
LONG = " ".join(f"word{number}" for number in range(120))


def test_a_reload_in_mid_answer_shows_all_of_it(tab: Tab) -> None:
    tab.ask(LONG, SLOW)
    expect(tab.answers).to_have_text(re.compile("word5"))
    tab.page.reload()
    expect(tab.answers).to_have_text(re.compile("^word0 word1 word2 .*word9"))
    expect(tab.running).to_have_count(1)
    expect(tab.running).to_have_count(0)
    expect(tab.answers).to_have_text(LONG)


def test_two_tabs_show_the_same_answer(mesh: Mesh, tab: Tab, new_tab: Callable[..., Tab]) -> None:
    tab.ask("hello", ECHO)
    expect(tab.answers).to_have_text("hello")
    second = new_tab(tab.page.url, beside=tab)
    expect(second.answers).to_have_text("hello")
    tab.ask(LONG, SLOW)
    for each in (second, tab):
        expect(each.answers.last).to_have_text(re.compile("^word0 word1"))
    expect(second.questions).to_have_text(["hello", LONG])
    for each in (tab, second):
        expect(each.running).to_have_count(0)
        expect(each.answers.last).to_have_text(LONG)


def test_what_was_typed_survives_a_reload_and_belongs_to_its_chat(tab: Tab) -> None:
    tab.ask("hello", ECHO)
    expect(tab.answers).to_have_text("hello")
    tab.input.fill("half a thought")
    tab.page.reload()
    expect(tab.input).to_have_value("half a thought")
    tab.page.get_by_role("link", name="New chat").click()
    expect(tab.input).to_have_value("")
    tab.input.fill("another")
    tab.page.get_by_role("link", name="hello").click()
    expect(tab.input).to_have_value("half a thought")


def test_a_pasted_megabyte_is_refused_where_it_was_typed(tab: Tab) -> None:
    tab.expect_error(LOADING)
    text = ("a lot of it " * 9 + "\n") * 10_000
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.page.evaluate("(text) => navigator.clipboard.writeText(text)", text)
    tab.input.press("Control+v")
    tab.button("Send").click()
    expect(tab.trouble).to_contain_text("at most 100,000 are accepted")
    assert tab.input.input_value() == text
    tab.page.evaluate("() => { document.querySelector('textarea').value = ''; }")
    tab.ask("a little")
    expect(tab.answers).to_have_text("a little")
    expect(tab.trouble).to_be_hidden()


def test_a_storage_that_is_full_is_told_and_loses_nothing(tab: Tab) -> None:
    tab.page.evaluate(
        "() => { const s = 'x'.repeat(1 << 16); let n = 0; for (const size of [16, 8, 4, 1]) "
        "try { for (;;) localStorage.setItem(`fill${n++}`, s.slice(0, size << 12)); } catch {} }"
    )
    text = "thoughts " * 2000
    tab.input.fill(text)
    expect(tab.page.locator(".notice")).to_contain_text("storage is full")
    tab.page.get_by_role("link", name="The mesh").click()
    tab.page.go_back()
    expect(tab.input).to_have_value(text)


def test_a_gateway_that_is_away_keeps_the_question(
    new_mesh: Callable[..., Mesh], new_tab: Callable[..., Tab]
) -> None:
    mesh = new_mesh()
    mesh.start("store", "gateway", ECHO)
    tab = new_tab(mesh.url)
    tab.expect_error(LOADING)
    tab.sign_in("ada")
    mesh.stop("gateway")
    tab.ask("are you there?")
    expect(tab.trouble).to_contain_text("does not answer")
    expect(tab.input).to_have_value("are you there?")
    mesh.start("gateway")  # within the patience of the page: it tries by itself
    expect(tab.answers).to_have_text("are you there?")
    expect(tab.input).to_have_value("")
    expect(tab.trouble).to_be_hidden()


def test_a_model_without_a_worker_and_a_store_that_is_away_are_named(
    new_mesh: Callable[..., Mesh], new_tab: Callable[..., Tab]
) -> None:
    mesh = new_mesh(worker_wait=0.2)
    mesh.start("store", "gateway", ECHO, SLOW)
    tab = new_tab(mesh.url)
    tab.expect_error(LOADING)
    tab.sign_in("ada")
    tab.ask("hello", SLOW)
    expect(tab.answers).to_have_text("hello")
    mesh.stop(SLOW)
    tab.ask("and now?")
    expect(tab.trouble).to_contain_text("No worker serves 'slow'")
    expect(tab.trouble).to_contain_text("Or choose another model below.")
    expect(tab.input).to_have_value("and now?")
    models = tab.page.get_by_label("Model", exact=True)
    expect(models.get_by_role("option", selected=True)).to_have_text("slow (no worker)")
    models.select_option(ECHO)
    tab.trouble.get_by_role("button", name="Try again").click()
    expect(tab.answers).to_have_text(["hello", "and now?"])
    mesh.stop("store")
    tab.ask("without a store")
    expect(tab.trouble).to_contain_text("store does not answer")
    expect(tab.input).to_have_value("without a store")
    tab.page.reload()
    expect(tab.page.get_by_text("This chat cannot be shown")).to_be_visible()
    mesh.start("store")
    tab.page.get_by_role("main").get_by_role("button", name="Try again").click()
    expect(tab.answers).to_have_text(["hello", "and now?"])
    expect(tab.input).to_have_value("without a store")


def test_a_model_that_is_unknown_or_gone_is_said_and_another_chosen(tab: Tab) -> None:
    tab.expect_error(LOADING)
    tab.page.evaluate("import('/page/keep.js').then((it) => it.keep('options', {model: 'gone'}))")
    tab.page.reload()
    models = tab.page.get_by_label("Model", exact=True)
    expect(models.get_by_role("option", selected=True)).to_have_text("gone (gone)")
    tab.ask("hello")
    expect(tab.trouble.locator("span")).to_have_text("There is no model “gone”: choose one below.")
    expect(tab.input).to_have_value("hello")
    models.select_option(ECHO)
    tab.trouble.get_by_role("button", name="Try again").click()
    expect(tab.answers).to_have_text("hello")
    expect(tab.trouble).to_be_hidden()


@pytest.mark.parametrize(
    ("limits", "taken", "said"),
    [
        ({"req_max_per_tenant": 2}, 2, "waiting"),
        ({"req_max_msgs": 1}, 1, "full"),
    ],
    ids=["one's share", "the queue"],
)
def test_a_full_queue_is_said(
    new_mesh: Callable[..., Mesh],
    new_tab: Callable[..., Tab],
    limits: dict[str, int],
    taken: int,
    said: str,
) -> None:
    mesh = new_mesh(**limits)
    mesh.start("store", "gateway", "single")
    first, *others, last = tabs = [new_tab(mesh.url) for _ in range(taken + 1)]
    last.expect_error(LOADING)
    for each in tabs:
        each.sign_in("ada")
        each.ask(LONG)
        if each is first:
            expect(first.answers).to_have_text(re.compile("word1"))
        elif each in others:
            expect(each.running).to_have_count(1)
    expect(last.trouble).to_contain_text(said)
    expect(last.input).to_have_value(LONG)


def test_an_expired_token_is_renewed_without_a_word(
    new_mesh: Callable[..., Mesh], new_tab: Callable[..., Tab]
) -> None:
    mesh = new_mesh(access_ttl=3.0)
    mesh.start("store", "gateway", ECHO)
    tab = new_tab(mesh.url)
    tab.expect_error(LOADING)
    tab.sign_in("ada")
    tab.page.wait_for_timeout(3100)
    tab.ask("still me?")
    expect(tab.answers).to_have_text("still me?")
    assert any("/auth/refresh" in url for url in tab.requests)


def test_a_session_that_is_over_leads_to_signing_in_and_back(tab: Tab) -> None:
    tab.expect_error(LOADING)
    name = tab.page.locator(".who").inner_text()
    tab.input.fill("do not lose me")
    tab.page.evaluate(
        "() => localStorage.setItem('mesh.session', "
        "JSON.stringify({name: '', access: 'wrong', refresh: 'wrong'}))"
    )
    tab.button("Send").click()
    expect(tab.page.get_by_role("alert")).to_contain_text("token is not valid")
    tab.sign_in("somebody else")
    expect(tab.input).to_have_value("")
    tab.button("somebody else").click()
    tab.page.get_by_role("menuitem", name="Sign out").click()
    expect(tab.page.get_by_label("Your name")).to_have_value("somebody else")
    tab.sign_in(name)
    expect(tab.input).to_have_value("do not lose me")


def test_what_one_person_typed_is_not_shown_to_the_next(tab: Tab) -> None:
    tab.input.fill("for nobody else")
    tab.page.locator(".account").click()
    tab.page.get_by_role("menuitem", name="Sign out").click()
    tab.sign_in(f"next {tab.page.evaluate('crypto.randomUUID()')}")
    tab.ask("hello", ECHO)
    expect(tab.answers).to_have_text("hello")
    tab.page.reload()
    expect(tab.answers).to_have_text("hello")
    tab.page.get_by_role("link", name="New chat").click()
    expect(tab.answers).to_have_count(0)
    expect(tab.input).to_have_value("")


def test_a_chat_that_is_not_there_says_so(tab: Tab) -> None:
    tab.expect_error(LOADING)
    tab.page.goto(f"{tab.url}/#/chat/{'0' * 32}")
    expect(tab.page.get_by_text("This chat cannot be shown")).to_be_visible()
    expect(tab.page.get_by_role("main")).to_contain_text("There is no such chat.")
