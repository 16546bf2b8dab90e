"""What a long answer costs the browser: tasks that block the page while it streams.

    python -m benchmarks.page [--tokens 20000] [--rate 100]

Starts a mesh of its own with the echo engine, opens the page in an installed Chromium and watches
two long answers: one of markdown with everything in it, and one that is a single paragraph.
Exit status 1 if a task took longer than it may, or the answer was not whole.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import CDPSession, Page, sync_playwright

from benchmarks.report import Aim, aims_table
from tests.acceptance.whole import Mesh
from tests.browser import ARGUMENTS, MISSING, chromium

REPEAT = "/repeat "
"""What the echo engine takes for an order to go on until it is stopped."""

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

FOUND = "() => ({ ...window.watched, heap: performance.memory.usedJSHeapSize })"

CONTENT = """async (id) => {
  const { get } = await import("/page/api.js");
  return (await get(`/chats/${id}`)).messages.at(-1).content;
}"""

ANSWERS = {
    "everything markdown has": """\
## A part

Here is **bold**, *italic* and `code` in a paragraph, with a [link](https://a.example/).

- one thing of this part
- another, with **weight**
  - and one below

```python
def part(x):
    return x + 1
```

| name | value |
| --- | ---: |
| part | 1 |

""",
    "one paragraph": "word **bold** `code` and so on, ",
}


def answer(page: Page, url: str, text: str, tokens: int, seconds: float) -> tuple[list[Aim], bool]:
    """Have a text repeated and watch it come; whether all of it is there."""
    page.goto(url)
    page.get_by_label("Your name").fill("bench")
    page.get_by_role("button", name="Begin").click()
    page.get_by_label("How to answer").click()
    page.get_by_label("Longest answer, in tokens").fill(str(tokens))
    page.get_by_role("button", name="Save").click()
    page.get_by_label("Your message").fill(f"{REPEAT}{text}")
    metrics = page.context.new_cdp_session(page)
    metrics.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.evaluate(WATCH)
    before = _busy(metrics)
    page.get_by_role("button", name="Send").click()
    page.locator("article.answer .figures").wait_for(timeout=1000 * seconds)
    page.evaluate("() => { window.watched.running = false; }")
    found = page.evaluate(FOUND)
    tasks, gaps = found["tasks"], sorted(found["gaps"])
    figures = page.locator(".figures").inner_text()
    frame = 1000 * (_busy(metrics) - before) / len(gaps)
    print(f"{figures}; {len(gaps):,} frames, heap {found['heap'] / 1e6:.0f} MB", flush=True)
    aims = [
        Aim("tasks above 50 ms", len(tasks), 0, False),
        Aim("longest task, ms (0: none is long)", max(tasks, default=0), MOST, False),
        Aim("CPU time of the page per frame, ms", frame, 10, False),
        Aim("time between frames, 99 of 100, ms", gaps[len(gaps) * 99 // 100], 50, False),
    ]
    content = page.evaluate(CONTENT, page.url.rpartition("/")[2])
    return aims, f"{tokens:,} tokens" in figures and content.startswith(text.strip())


def _busy(metrics: CDPSession) -> float:
    """Seconds of CPU time that the page's main thread was busy: whatever else the machine does."""
    found = metrics.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in found if each["name"] == "TaskDuration"))


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks.page", description=__doc__)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--rate", type=int, default=100, help="Tokens a second.")
    given = parser.parse_args()
    path = chromium()
    if path is None:
        sys.exit(MISSING)
    seconds = 3 * given.tokens / given.rate + 60
    failures = 0
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        settings = {"context": str(2 * given.tokens + 4096), "request_timeout": "3600"}
        mesh = Mesh(Path(folder), echo_rate=str(given.rate), **settings)
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            mesh.start()
            for what, text in ANSWERS.items():
                page = browser.new_context().new_page()
                aims, whole = answer(page, mesh.url, text, given.tokens, seconds)
                page.context.close()
                print(
                    f"\n{what}, {'whole' if whole else 'NOT WHOLE'}\n{aims_table(aims)}\n",
                    flush=True,
                )
                failures += not whole or not all(aim.reached for aim in aims)
        finally:
            browser.close()
            mesh.end()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
