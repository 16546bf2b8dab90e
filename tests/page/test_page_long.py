"""Long chats and long answers: all of it is there, and the end is shown at once."""

import sqlite3
import time
from collections.abc import Callable

from playwright.sync_api import expect

from tests.fleet import wait_until
from tests.page.tab import Tab
from tests.whole_mesh import ECHO, Mesh

MESSAGES = 1_998
"""Two more, which are said in the browser, make 2,000: as many as a chat may have."""

WATCH = """() => {
  window.longest = 0;
  const note = (list) => list.getEntries().forEach(({ duration }) => {
    window.longest = Math.max(window.longest, duration);
  });
  new PerformanceObserver(note).observe({ type: "longtask" });
}"""
LONGEST = "window.longest"
LAST = """() => [document.querySelectorAll("article").length,
  document.querySelector("article:last-child .text").textContent]"""

BLOCKED = 1_000
"""Milliseconds in which nothing moves: more than any task takes on a busy machine."""


def fill(mesh: Mesh, chat: str) -> None:
    """Put a conversation into the store's database, as if it had grown there."""
    with sqlite3.connect(mesh.broker.data_dir / "mesh.db", timeout=60) as database:
        ended = "SELECT rid FROM runs WHERE chat_id = ? AND state = 'done'"
        wait_until("the first answer is kept", lambda: bool(list(database.execute(ended, [chat]))))
        [(last,)] = database.execute(ended, [chat])
        columns = [row[1] for row in database.execute("PRAGMA table_info(runs)")]
        template = database.execute("SELECT * FROM runs WHERE rid = ?", [last]).fetchone()
        for number in range(2, MESSAGES, 2):
            question, answer = f"q{number:031}", f"a{number:031}"
            text = (
                f"Answer {number}: **bold**, `code`\n\n- one\n- two\n\n```py\nprint({number})\n```"
            )
            at = time.time() + number
            for id, parent, role, said, when in (
                (question, last, "prompter", f"Question {number}?", at),
                (answer, question, "assistant", None, at + 1),
            ):
                database.execute(
                    "INSERT INTO messages (id, chat_id, parent_id, role, content, created_at) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    [id, chat, parent, role, said, when],
                )
            run = dict(zip(columns, template, strict=True)) | {"rid": answer, "text": text}
            marks = ", ".join("?" * len(columns))
            database.execute(f"INSERT INTO runs VALUES ({marks})", list(run.values()))
            last = answer


def test_a_chat_of_two_thousand_messages_opens_at_its_end(
    new_mesh: Callable[..., Mesh], new_tab: Callable[..., Tab]
) -> None:
    mesh = new_mesh(chat_max_messages=MESSAGES + 10)
    mesh.start("store", "gateway", ECHO)
    tab = new_tab(mesh.url)
    tab.sign_in("ada")
    tab.ask("The very first question")
    expect(tab.answers).to_have_text("The very first question")
    fill(mesh, tab.page.url.rpartition("/")[2])
    tab.page.evaluate(WATCH)
    tab.page.get_by_role("link", name="New chat").click()
    tab.page.get_by_role("link", name="The very first question").click()
    end = tab.answers.filter(has_text=f"Answer {MESSAGES - 2}:")
    expect(end).to_be_in_viewport()
    expect(tab.page.locator("article")).to_have_count(MESSAGES, timeout=60_000)
    expect(end).to_be_in_viewport()
    assert tab.page.evaluate(LONGEST) < BLOCKED
    tab.page.locator(".scroller").evaluate("(e) => { e.scrollTop = 0; }")
    expect(tab.questions.first).to_be_in_viewport()
    tab.page.locator(".to-end").click()  # looking for it by its role would lay out all there is
    expect(end).to_be_in_viewport()
    tab.page.locator(".composer textarea").fill("and one more")
    tab.page.locator(".composer .send").click()
    wait_until("it is answered", lambda: tab.page.evaluate(LAST) == [MESSAGES + 2, "and one more"])


def test_the_reader_who_scrolled_up_is_left_there(tab: Tab) -> None:
    tab.ask("\n\n".join(f"paragraph {number}" for number in range(60)), ECHO)
    expect(tab.answers).to_contain_text("paragraph 59")
    tab.ask(" ".join(f"word{number}" for number in range(100)), "slow")
    expect(tab.answers.last).to_contain_text("word3")
    tab.page.locator(".scroller").evaluate("(e) => { e.scrollTop = 100; }")
    expect(tab.button("To the end")).to_be_visible()
    expect(tab.running).to_have_count(0)
    assert tab.page.locator(".scroller").evaluate("(e) => e.scrollTop") == 100
    tab.button("To the end").click()
    expect(tab.answers.last).to_be_in_viewport()
