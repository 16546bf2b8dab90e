"""Chats in JupyterLab and Notebook 7, in a real browser, as a person uses them."""

import re
from collections.abc import Iterator
from importlib.metadata import version

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import browser
from tests.notebook import lab as jupyter
from tests.notebook.lab import Lab, finish, ready, run, save
from tests.whole_mesh import ECHO, SLOW, Mesh

__all__ = ["browser"]

LONG = "/repeat " + " ".join(f"w{n}" for n in range(2000))
CHAT = "from mesh_client.notebook import Chat\nchat = Chat(model='{model}')\nchat"
BUSY = "import time; time.sleep(60)"
DEAF = "ipykernel-6.31.0"
"""A kernel that hears no click while a cell runs, with whatever front end."""
SECONDS = 1000.0
SLOWLY = 40 * SECONDS
"""What a step may take on a busy machine."""


@pytest.fixture(scope="module")
def lab(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    with jupyter.lab(folder, MESH_URL=mesh.url, MESH_USER="lab") as found:
        assert found.add_kernel("6.31.0") == DEAF
        yield found


@pytest.fixture
def page(browser: Browser, lab: Lab) -> Iterator[Page]:
    """A page without errors of ours (widgets come from blobs), and kernels that end with it."""
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(error.stack or str(error)))
    page.set_default_timeout(SLOWLY)
    yield page
    context.close()
    lab.end_kernels()
    assert not [error for error in errors if "blob:" in error]


def opened(page: Page, lab: Lab, name: str, kind: str = "doc/tree") -> None:
    page.goto(lab.url(name, kind))
    ready(page)


def shown(
    page: Page,
    lab: Lab,
    name: str,
    model: str,
    kind: str = "doc/tree",
    kernel: str = "python3",
) -> None:
    """A notebook with a chat that is shown, and a second cell."""
    lab.write(name, CHAT.format(model=model), BUSY, kernel=kernel)
    opened(page, lab, name, kind)
    finish(page, 0)
    expect(page.locator(".mesh-input")).to_be_visible(timeout=SLOWLY)


def ask(page: Page, question: str) -> None:
    page.locator(".mesh-input").fill(question)
    page.locator(".mesh-input").press("Enter")


def text(page: Page) -> str:
    return page.locator(".mesh-text").first.inner_text()


def words(page: Page, count: int) -> None:
    """Wait until so many words have come."""
    page.wait_for_function(
        "n => (document.querySelector('.mesh-text')?.textContent ?? '').split(' ').length > n",
        arg=count,
    )


@pytest.mark.parametrize("kind", ["doc/tree", "notebooks"], ids=["JupyterLab", "Notebook 7"])
def test_an_answer_stands_below_its_question_as_markdown(page: Page, lab: Lab, kind: str) -> None:
    shown(page, lab, f"first {kind[:3]}.ipynb", ECHO, kind)
    ask(page, "Some **bold** words and $x^2$")
    said = page.locator(".jp-RenderedMarkdown")
    expect(said.locator("blockquote strong")).to_have_text("bold")
    expect(said.locator("p > strong")).to_have_count(2)  # question and answer
    expect(said.locator("small").first).to_contain_text("on echo")
    expect(page.locator(".mesh-input")).to_have_value("")
    expect(page.locator(".mesh-stream")).to_have_attribute("data-phase", "idle")


def test_tokens_arrive_one_after_the_other_and_stop_says_what_it_did(page: Page, lab: Lab) -> None:
    shown(page, lab, "stop.ipynb", SLOW)
    ask(page, LONG)
    words(page, 3)
    before = text(page)
    words(page, 12)
    assert text(page).startswith(before) and len(text(page)) > len(before)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".mesh-status")).to_have_text(re.compile(r"stopped after \d+ tokens"))
    expect(page.locator(".jp-RenderedMarkdown small").first).to_contain_text("stopped")


def test_stop_works_while_a_cell_keeps_the_kernel_busy(page: Page, lab: Lab) -> None:
    shown(page, lab, "busy.ipynb", SLOW, kernel=DEAF)
    ask(page, LONG)
    words(page, 2)
    run(page, 1)
    busy = page.locator(".jp-Cell").nth(1).locator(".jp-InputPrompt")
    expect(busy).to_have_text("[*]:")
    words(page, 20)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".mesh-status")).to_have_text(
        re.compile(r"stopped after \d+ tokens"), timeout=2 * SECONDS
    )
    expect(page.get_by_role("button", name="Stop")).to_be_hidden(timeout=SECONDS)
    expect(busy).to_have_text("[*]:")
    page.keyboard.press("Escape")
    page.keyboard.press("i")
    page.keyboard.press("i")


def test_a_reload_in_mid_answer_loses_nothing(page: Page, lab: Lab) -> None:
    shown(page, lab, "reload.ipynb", SLOW)
    ask(page, "/repeat " + " ".join(f"w{n}" for n in range(60)))
    words(page, 5)
    page.locator(".mesh-input").fill("typed meanwhile")
    page.wait_for_timeout(2500)  # until the draft is kept
    save(page)
    page.reload()
    ready(page)
    words(page, 15)
    assert text(page).startswith("w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12")
    expect(page.locator(".mesh-input")).to_have_value("typed meanwhile")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".mesh-turns")).to_contain_text("w0 w1 w2")
    expect(page.locator(".mesh-turns small")).to_contain_text("stopped")


def test_the_saved_notebook_shows_the_chat_without_a_kernel(page: Page, lab: Lab) -> None:
    shown(page, lab, "saved.ipynb", ECHO)
    ask(page, "What is **kept**?")
    expect(page.locator(".jp-RenderedMarkdown small").first).to_contain_text("on echo")
    save(page)
    markdown = [
        output["data"].get("text/markdown", "")  # type: ignore[attr-defined]
        for output in lab.outputs("saved.ipynb")
    ]
    assert markdown[0].startswith("> What is **kept**?\n\nWhat is **kept**?\n\n<small>")
    lab.end_kernels()
    page.goto(lab.url("saved.ipynb") + "&reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    expect(page.locator(".jp-RenderedMarkdown blockquote strong")).to_have_text("kept")


def test_retry_and_branches(page: Page, lab: Lab) -> None:
    shown(page, lab, "branches.ipynb", ECHO)
    ask(page, "first")
    expect(page.locator(".jp-RenderedMarkdown small").first).to_contain_text("on echo")
    typed = page.locator(".mesh-input")
    typed.fill("half a thought")
    page.get_by_role("button", name=re.compile("Edit")).click()
    expect(typed).to_have_value("first")
    page.get_by_role("button", name="Leave edit").click()
    expect(typed).to_have_value("half a thought")
    page.get_by_role("button", name=re.compile("Edit")).click()
    expect(typed).to_have_value("first")
    ask(page, "second")
    expect(typed).to_have_value("half a thought")
    branches = page.get_by_label("Branch", exact=True)
    expect(branches).to_be_visible()
    expect(page.locator(".jp-RenderedMarkdown blockquote")).to_have_text("second")
    branches.select_option(label="1/2 first")
    expect(page.locator(".jp-RenderedMarkdown blockquote")).to_have_text("first")
    page.get_by_role("button", name="Retry").click()
    expect(branches.locator("option")).to_have_count(3)


def test_these_are_the_programs_that_are_promised() -> None:
    assert version("jupyterlab").startswith("4.") and version("notebook").startswith("7.")


def test_where_the_gateway_cannot_be_reached_stop_offers_to_interrupt(
    page: Page, lab: Lab, mesh: Mesh
) -> None:
    elsewhere = f"Mesh({mesh.url!r}, 'lab', browser_url='http://127.0.0.1:9')"
    cell = f"from mesh_client.notebook import Chat, Mesh\nChat(mesh={elsewhere}, model='{SLOW}')"
    lab.write("interrupt.ipynb", cell, BUSY, kernel=DEAF)
    opened(page, lab, "interrupt.ipynb")
    finish(page, 0)
    expect(page.locator(".mesh-input")).to_be_visible(timeout=SLOWLY)
    ask(page, LONG)
    words(page, 2)
    run(page, 1)
    page.get_by_role("button", name="Stop").click()
    page.locator(".mesh-stop").filter(has_text="Interrupt the kernel").click()
    expect(page.locator(".mesh-status")).to_have_text(re.compile(r"stopped after \d+ tokens"))
    expect(page.locator(".jp-Cell").nth(1).locator(".jp-InputPrompt")).not_to_have_text("[*]:")
