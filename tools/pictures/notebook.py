"""Pictures of chats in JupyterLab, made in a real browser on the bundled model.

    python -m tools.pictures.notebook

Writes docs/images/notebook-*.png. It needs a Chromium, as the tests in a browser do.
"""

import re
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.browser import ARGUMENTS, MISSING, chromium
from tests.notebook.lab import Lab, finish, lab, ready, run
from tools.notebooks import mesh

IMAGES = Path(__file__).parents[2] / "docs" / "images"
WIDTH, HEIGHT = 860, 760
SLOWLY = 60_000
THEMES = "@jupyterlab/apputils-extension/themes"
SLOW_WORKER = """\
import subprocess, sys, time
command = [sys.executable, "-m", "mesh", "worker", "--engine", "echo", "--worker-name", "attic"]
subprocess.Popen([*command, "--echo-rate", "25", "--slots", "1"])"""
CHAT = "from mesh_client.notebook import Chat\n\nChat(temperature=0)"
LETTERS = "from mesh_client.notebook import Chat\n\nChat(model='echo')"
MARKDOWN = """\
Some *Markdown*: $e^{i\\pi} + 1 = 0$, a list and code.

1. שלום עולם and 😀
2. `inline`

```python
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
```"""
BESIDE = """\
from mesh_client.notebook import side_by_side

side_by_side("Tell me a story about a fox.", ["mesh-demo", "echo"], max_tokens=60)"""
MANY = """\
from mesh_client.notebook import ask_many

answers = ask_many([f"What is {n} plus {n}?" for n in range(1, 13)], temperature=0)
answers.plot_timeline()"""


class Studio:
    """One notebook server, and a browser that looks at it."""

    def __init__(self, server: Lab, browser: Browser) -> None:
        self._lab = server
        self._browser = browser

    def open(self, name: str, *cells: str, dark: bool = False) -> Page:
        """A notebook of these cells, the first one run."""
        self._lab.write(f"{name}.ipynb", *cells)
        page = self._browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=2
        )
        page.set_default_timeout(SLOWLY)
        theme = "JupyterLab Dark" if dark else "JupyterLab Light"
        self._lab.set(THEMES, f'{{"theme": "{theme}"}}')
        page.goto(self._lab.url(f"{name}.ipynb"))
        ready(page)
        finish(page, 0)
        return page

    def take(self, page: Page, name: str) -> None:
        """Keep a picture of the notebook's cells, without what is around them."""
        page.mouse.move(5, HEIGHT - 5)
        page.wait_for_timeout(500)
        cells = page.locator(".jp-Notebook .jp-Cell")
        first, last = cells.first.bounding_box(), cells.last.bounding_box()
        assert first is not None and last is not None
        box = {
            "x": first["x"],
            "y": first["y"] - 4,
            "width": first["width"],
            "height": min(last["y"] + last["height"], HEIGHT - 30) - first["y"] + 8,
        }
        page.screenshot(path=IMAGES / f"notebook-{name}.png", clip=box)  # type: ignore[arg-type]
        page.close()


def ask(page: Page, question: str) -> None:
    box = page.locator(".mesh-input")
    expect(box).to_be_visible(timeout=SLOWLY)
    box.fill(question)
    box.press("Enter")


def figures(page: Page) -> Locator:
    return page.locator(".jp-RenderedMarkdown small", has_text=re.compile("tokens"))


def chat(studio: Studio, name: str, *, dark: bool) -> None:
    """A chat with two questions."""
    page = studio.open(name, CHAT, dark=dark)
    ask(page, "What colour is grass?")
    expect(figures(page)).to_have_count(1, timeout=SLOWLY)
    ask(page, "Tell me a story about a fox.")
    expect(figures(page)).to_have_count(2, timeout=SLOWLY)
    studio.take(page, name)


def markdown(studio: Studio) -> None:
    """What an answer may hold, by the notebook's own renderer."""
    page = studio.open("markdown", LETTERS)
    ask(page, MARKDOWN)
    expect(figures(page)).to_have_count(1, timeout=SLOWLY)
    page.locator(".mesh-input").scroll_into_view_if_needed()
    studio.take(page, "markdown")


def streaming(studio: Studio) -> None:
    """An answer while it is written, and another that waits for its worker."""
    page = studio.open("streaming", LETTERS, LETTERS)
    run(page, 1)
    first, second = page.locator(".mesh-stream").nth(0), page.locator(".mesh-stream").nth(1)
    for stream, text in ((first, "/repeat lorem ipsum dolor sit amet"), (second, "And me?")):
        stream.locator(".mesh-input").fill(text)
        stream.locator(".mesh-input").press("Enter")
        expect(stream.locator(".mesh-stop")).to_be_visible(timeout=SLOWLY)
        page.wait_for_timeout(1500)
    expect(second.locator(".mesh-status")).to_contain_text("waiting")
    studio.take(page, "streaming")


def stopped(studio: Studio) -> None:
    """Stopped while a cell keeps the kernel busy."""
    page = studio.open("stopped", LETTERS, "import time; time.sleep(30)")
    ask(page, "/repeat lorem ipsum dolor sit amet")
    page.wait_for_function("() => document.querySelector('.mesh-text')?.textContent.length > 300")
    run(page, 1)
    page.wait_for_timeout(1500)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".mesh-status")).to_contain_text("stopped after")
    studio.take(page, "stopped")


def trouble(studio: Studio) -> None:
    """No gateway: said where one types, and what was typed is kept."""
    cell = "from mesh_client.notebook import Chat, Mesh\n\nChat(mesh=Mesh('http://127.0.0.1:8999'))"
    page = studio.open("trouble", cell)
    expect(page.locator(".mesh-status")).to_contain_text("mesh up", timeout=SLOWLY)
    page.locator(".mesh-input").fill("Are you there?")
    studio.take(page, "trouble")


def value(studio: Studio, name: str, cell: str, shown: str) -> None:
    """A cell and what it leaves."""
    page = studio.open(name, cell)
    expect(page.locator(shown)).to_be_visible(timeout=SLOWLY)
    studio.take(page, name)


def main() -> None:
    path = chromium()
    if path is None:
        raise SystemExit(MISSING)
    with (
        tempfile.TemporaryDirectory() as folder,
        mesh(Path(folder)) as environment,
        lab(Path(folder), **environment) as server,
        sync_playwright() as playwright,
    ):
        studio = Studio(server, playwright.chromium.launch(executable_path=path, args=ARGUMENTS))
        chat(studio, "chat", dark=False)
        chat(studio, "dark", dark=True)
        trouble(studio)
        value(studio, "timeline", MANY, ".jp-RenderedImage img")
        studio.open("worker", SLOW_WORKER).wait_for_timeout(4000)
        value(studio, "beside", BESIDE, ".jp-RenderedMarkdown table")
        markdown(studio)
        streaming(studio)
        stopped(studio)


if __name__ == "__main__":
    main()
