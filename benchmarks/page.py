"""What a long answer costs the browser: tasks that block the page while it streams.

    python -m benchmarks.page [--tokens 20000] [--rate 100]

Starts a mesh of its own with the echo engine, opens the page in an installed Chromium and watches
one answer of markdown with everything in it (text, lists, tables, code, one very long paragraph).
Exit status 1 if a task took longer than it may, or the answer was not whole.
"""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

from benchmarks.report import Aim, aims_table
from tests.acceptance.whole import Mesh
from tests.browser import ARGUMENTS, MISSING, chromium

MOST = 50.0
"""Milliseconds that a task may take: what the Long Tasks standard calls long is beyond."""

WATCH = """() => {
  const watched = (window.watched = { tasks: [], gaps: [], running: true });
  const note = (list) => list.getEntries().forEach(({ duration }) => watched.tasks.push(duration));
  new PerformanceObserver(note).observe({ type: "longtask" });
  let last = performance.now();
  const frame = (now) => {
    watched.gaps.push(now - last);
    last = now;
    if (watched.running) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}"""

TYPE = """(text) => {
  const input = document.querySelector(".composer textarea");
  input.value = text;
  input.dispatchEvent(new Event("input"));
}"""

FOUND = "() => ({ ...window.watched, heap: performance.memory.usedJSHeapSize })"

CONTENT = """async (id) => {
  const { get } = await import("/page/api.js");
  return (await get(`/chats/${id}`)).messages.at(-1).content;
}"""

PART = """## Part {n}

Here is **bold**, *italic* and `code` in a paragraph of part {n}, with a [link](https://a.example/).

- one thing of part {n}
- another, with **weight**
  - and one below

```python
def part_{n}(x):
    return x + {n}
```

| name | value |
| --- | ---: |
| part | {n} |

"""


def document(tokens: int) -> str:
    """Markdown of so many words; the last quarter is one list item, one paragraph, one block."""
    text = ""
    parts = 0
    while len(text.split()) < tokens * 3 // 4:
        parts += 1
        text += PART.format(n=parts)
    rest = tokens - len(text.split())
    words = [f"w{number} **b** `c`" for number in range(rest // 6)]
    text += " ".join(words) + "\n\n```\n" + "x = 1\n" * (rest // 6) + "```\n"
    return text


def answer(page: Page, mesh: Mesh, text: str, seconds: float) -> tuple[list[Aim], bool]:
    """Ask for a text and watch it come."""
    page.goto(mesh.url)
    page.get_by_label("Your name").fill("bench")
    page.get_by_role("button", name="Begin").click()
    page.get_by_label("How to answer").click()
    page.get_by_label("Longest answer, in tokens").fill("1000000")
    page.get_by_role("button", name="Save").click()
    page.evaluate(TYPE, text)
    page.evaluate(WATCH)
    page.get_by_role("button", name="Send").click()
    page.locator("article.running").wait_for()
    page.locator("article.answer .figures").wait_for(timeout=1000 * seconds)
    page.evaluate("() => { window.watched.running = false; }")
    found = page.evaluate(FOUND)
    tasks, gaps = found["tasks"], sorted(found["gaps"])
    print(page.locator(".figures").inner_text())
    print(f"{len(gaps):,} frames, heap {found['heap'] / 1e6:.0f} MB")
    aims = [
        Aim("tasks above 50 ms", len(tasks), 0, False),
        Aim("longest task, ms (0: none is long)", max(tasks, default=0), MOST, False),
        Aim("time between frames, 99 of 100, ms", gaps[len(gaps) * 99 // 100], 50, False),
    ]
    return aims, page.evaluate(CONTENT, page.url.rpartition("/")[2]) == text


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks.page", description=__doc__)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--rate", type=int, default=100, help="Tokens a second.")
    given = parser.parse_args()
    path = chromium()
    if path is None:
        sys.exit(MISSING)
    text = document(given.tokens)
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        limits = {"request_timeout": "3600", "max_message_chars": "1000000"}
        mesh = Mesh(Path(folder), echo_rate=str(given.rate), **limits)
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            mesh.start()
            begun = time.monotonic()
            aims, whole = answer(browser.new_page(), mesh, text, 3 * given.tokens / given.rate + 60)
        finally:
            browser.close()
            mesh.end()
    print(f"{len(text.split()):,} words in {time.monotonic() - begun:.0f} s, whole: {whole}\n")
    print(aims_table(aims))
    return 0 if whole and all(aim.reached for aim in aims) else 1


if __name__ == "__main__":
    sys.exit(main())
