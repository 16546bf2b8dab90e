"""What the page keeps to: its policy, its size, and that everybody can use it."""

import gzip
import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from mesh.gateway.site import page_files
from tests.page.tab import Tab
from tests.whole_mesh import ECHO, SLOW, Mesh

CONTRAST = """() => {
  const probe = document.createElement("i");
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  document.body.append(probe);
  const luminance = (name) => {
    probe.style.color = `var(${name})`;
    context.fillStyle = getComputedStyle(probe).color;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const pairs = [
    ...["--ink", "--soft", "--accent", "--bad", "--warn"].flatMap((text) =>
      ["--paper", "--raised"].map((ground) => [text, ground])),
    ["--ink", "--side"], ["--soft", "--side"], ["--ink", "--hover"], ["--soft", "--hover"],
    ["--ink", "--tint"], ["--accent", "--tint"], ["--bad", "--bad-tint"],
    ["--on-accent", "--accent"], ["--ink", "--code"], ["--soft", "--code"], ["--ink", "--mark"],
  ];
  const found = pairs.map(([text, ground]) => {
    const [light, dark] = [luminance(text), luminance(ground)].sort((a, b) => b - a);
    return [`${text} on ${ground}`, (light + 0.05) / (dark + 0.05)];
  });
  probe.remove();
  return found;
}"""
"""Contrast ratios as in WCAG 2.2, section 1.4.3, of the colours that are used together."""

NAMELESS = """() => [...document.querySelectorAll("button, a, input, select, textarea, [role=img]")]
  .filter((each) => each.checkVisibility())
  .filter((each) => !(each.getAttribute("aria-label") || each.labels?.length ||
                      each.textContent.trim() || each.title))
  .map((each) => each.outerHTML)"""

WIDER = """() => [...document.querySelectorAll("main *, header *")]
  .filter((each) => !each.closest(".table, pre, .unseen, svg"))
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
  .map((each) => each.className || each.localName)"""

HOSTILE = """Look: <img src="https://evil.example/x.png" onerror="alert(1)"> ![x](https://evil.example/y)
<script>alert(1)</script> <style>body { display: none }</style>
[click](javascript:alert(1)) <iframe src="https://evil.example/"></iframe>"""


def test_all_of_it_is_below_sixty_kilobytes_compressed() -> None:
    files = page_files()
    sizes = {name: len(gzip.compress(file.plain)) for name, file in files.items()}
    assert sum(sizes.values()) < 60_000, sizes


def test_files_come_with_a_strict_policy_and_are_kept_by_their_tag(mesh: Mesh) -> None:
    with httpx.Client(base_url=mesh.url, timeout=60) as http:
        for name in ["", *(f"page/{name}" for name in page_files())]:
            file = http.get(f"/{name}")
            policy = file.headers["content-security-policy"]
            assert file.status_code == 200 and file.headers["content-encoding"] == "gzip"
            assert "unsafe" not in policy and "default-src 'none'" in policy
            assert "require-trusted-types-for 'script'" in policy
            assert file.headers["x-content-type-options"] == "nosniff"
            again = http.get(f"/{name}", headers={"If-None-Match": file.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        plain = http.get("/", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers and "<title>" in plain.text
        assert http.get("/", headers={"Host": "evil.example"}).status_code == 403
        assert http.get("/page/none.js").status_code == 404
        assert http.get("/page/..%2Fapp.py").status_code == 404


def test_nothing_in_the_files_needs_an_exception() -> None:
    for name, file in page_files().items():
        text = file.plain.decode()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
        if name.endswith(".html"):
            assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", text), name
        elsewhere = re.findall(r"https?://[\w.-]+", text)
        assert set(elsewhere) <= {"http://www.w3.org"}, name  # the namespace of SVG


def test_the_browser_refuses_what_the_policy_forbids(tab: Tab) -> None:
    tab.expect_error("Content Security Policy")
    tab.expect_error("Trusted")
    blocked = tab.page.evaluate(
        """async () => {
          const violated = [];
          document.addEventListener("securitypolicyviolation", (event) =>
            violated.push(event.effectiveDirective));
          try { document.body.innerHTML = "<b>x</b>"; } catch {}
          try { document.createElement("script").src = "https://evil.example/x.js"; } catch {}
          document.createElement("img").src = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";
          document.body.setAttribute("style", "color: red");
          try { await fetch("data:,x"); } catch {}
          await new Promise((done) => setTimeout(done, 100));
          return violated;
        }"""
    )
    assert {"require-trusted-types-for", "style-src-attr", "connect-src", "img-src"} <= set(blocked)


def test_a_hostile_answer_stays_text(tab: Tab) -> None:
    dialogs: list[str] = []
    tab.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    tab.ask(HOSTILE, ECHO)
    expect(tab.answers).to_contain_text('<img src="https://evil.example/x.png"')
    assert tab.answers.locator("img, script, style, iframe").count() == 0
    assert tab.answers.locator("a[href^=javascript]").count() == 0
    assert dialogs == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_told_apart(mesh: Mesh, new_tab: Callable[..., Tab], scheme: str) -> None:
    tab = new_tab(mesh.url, color_scheme=scheme)
    ratios: list[tuple[str, float]] = tab.page.evaluate(CONTRAST)
    assert [(pair, ratio) for pair, ratio in ratios if ratio < 4.5] == []


@pytest.mark.parametrize("width", [320, 375, 1280, 2200])
def test_nothing_is_wider_than_the_screen_and_everything_has_a_name(
    mesh: Mesh, new_tab: Callable[..., Tab], width: int
) -> None:
    tab = new_tab(mesh.url, viewport={"width": width, "height": 700})
    tab.sign_in(f"width {width}")
    long = (
        "x" * 300
        + " مرحبا بالعالم 👩‍👩‍👧‍👦\n\n```\n"
        + "code " * 100
        + "\n```\n\n| a | b |\n|---|---|\n| "
        + "y" * 200
        + " | c |"
    )  # noqa: E501
    tab.ask(long, ECHO)
    expect(tab.answers.locator("table")).to_be_visible()
    expect(tab.running).to_have_count(0)
    _fits(tab.page)
    expect(tab.answers.locator("p").first).to_have_attribute("dir", "auto")
    tab.page.goto(f"{mesh.url}/#/mesh")
    expect(tab.page.get_by_role("article", name="Worker echo")).to_be_visible()
    _fits(tab.page)


def _fits(page: Page) -> None:
    assert page.evaluate(WIDER) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(NAMELESS) == []


def test_the_keyboard_is_enough(mesh: Mesh, new_tab: Callable[..., Tab]) -> None:
    tab = new_tab(mesh.url)
    keyboard = tab.page.keyboard
    expect(tab.page.get_by_label("Your name")).to_be_focused()
    keyboard.type("keyboard")
    keyboard.press("Enter")
    expect(tab.input).to_be_focused()
    keyboard.type("one")
    keyboard.press("Shift+Enter")
    keyboard.type("two")
    keyboard.press("Enter")
    expect(tab.questions).to_have_text("one\ntwo")
    expect(tab.running).to_have_count(0)
    tab.page.get_by_label("Model", exact=True).select_option(SLOW)
    tab.input.focus()
    keyboard.type("word " * 100)
    keyboard.press("Enter")
    expect(tab.answers.last).to_have_text(re.compile("word"))
    keyboard.press("Escape")
    expect(tab.page.locator(".note")).to_contain_text("Stopped")
    keyboard.press("Control+k")
    expect(tab.page.get_by_label("Search in your chats")).to_be_focused()
    keyboard.press("Control+Shift+O")
    expect(tab.questions).to_have_count(0)


def test_a_dialog_takes_the_focus_and_gives_it_back(tab: Tab) -> None:
    tab.button("How to answer").click()
    dialog = tab.page.get_by_role("dialog", name="How to answer")
    expect(dialog).to_be_visible()
    inside = "document.querySelector('dialog').contains(document.activeElement)"
    assert tab.page.evaluate(inside)
    tab.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(tab.button("How to answer")).to_be_focused()
