"""Take pictures of the page: a real mesh, a real browser, one picture a scene.

    python -m tools.pictures.page [SCENE ...] [--to FOLDER]

Writes docs/images/page-*.png. Only the model is not real: its answers are written down below.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import ARGUMENTS, MISSING, chromium
from tools.pictures.stage import IMAGES, Stage, folder

WIDE, PHONE = (1280, 800), (375, 740)

LANGUAGES = """\
**العربية** — عبر الثعلب النهر ثم عاد إلى الغابة، ولم يره أحد بعد ذلك (the fox crossed).

**עברית** — השועל חצה את הנהר.

- Ελληνικά: η αλεπού διέσχισε το ποτάμι. Українська: лисиця перейшла річку.
- Emoji: 🦊 crosses 🌊 to the 🌲🌲🌲, with 👩‍👩‍👧‍👦 and 🏳️‍🌈
- A long word: Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft

```
one very long line that goes on and on beyond the right edge of whatever box it is in
```
"""


class Studio(Stage):
    """The mesh, and a browser to look at it."""

    def __init__(self, folder: Path, browser: Browser, to: Path) -> None:
        super().__init__(folder, LANGUAGES, workers="0")
        self._browser = browser
        self._to = to

    def await_gateway(self) -> None:
        """Wait until the gateway answers, which `mesh up` starts again."""
        while True:
            try:
                httpx.get(f"{self.mesh.url}/v1/health", timeout=2.0)
                return
            except httpx.TransportError:
                time.sleep(0.2)

    def page(self, size: tuple[int, int] = WIDE, dark: bool = False, user: str = "ada") -> Page:
        """A page of a browser of its own; signed in, if a user is named."""
        width, height = size
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            device_scale_factor=2 if size == PHONE else 1,
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.goto(self.mesh.url)
        if user:
            page.get_by_label("Your name").fill(user)
            page.get_by_role("button", name="Begin").click()
            page.get_by_label("Your message").wait_for()
        return page

    def picture(self, page: Page, name: str) -> None:
        """Take it, and be done with the page."""
        time.sleep(0.4)
        where = self._to / f"page-{name}.png"
        page.screenshot(path=where)
        print(where)
        page.context.close()


def ask(page: Page, text: str, wait: bool = True) -> None:
    """Say something; wait for the answer's end, or for its first words."""
    answers = page.locator("article.answer").count()
    page.get_by_label("Your message").fill(text)
    page.get_by_role("button", name="Send").click()
    if wait:
        page.locator("article.answer .figures").nth(answers).wait_for()
    else:
        page.locator("article.running .text > *").first.wait_for()
        time.sleep(2.0)


def to_mesh(page: Page) -> None:
    """The live view, once it has seen something."""
    page.goto(f"{page.url.partition('#')[0]}#/mesh")
    time.sleep(12.0)


# --- the scenes -----------------------------------------------------------------------------------


def sign_in(studio: Studio) -> None:
    studio.picture(studio.page(PHONE, user=""), "sign-in")
    page = studio.page(PHONE, dark=True, user="")
    page.get_by_role("button", name="Sign in with a password").click()
    studio.picture(page, "password")


def empty(studio: Studio) -> None:
    studio.picture(studio.page(user="new here"), "empty")


def chat(studio: Studio) -> None:
    page = studio.page()
    for text in ("Tell me about foxes.", "And ravens?", "Explain binary search, with code."):
        page.get_by_role("link", name="New chat").click()
        ask(page, "What do ravens eat?" if "And" in text else text)
    page.get_by_role("article", name="Answer").hover()
    studio.picture(page, "chat")


def streaming(studio: Studio) -> None:
    page = studio.page(dark=True)
    ask(page, "Explain binary search, with code.", wait=False)
    page.get_by_label("Your message").fill("And what if the list is not")
    studio.picture(page, "streaming")


def phone(studio: Studio) -> None:
    page = studio.page(PHONE)
    ask(page, "Explain binary search, with code.")
    studio.picture(page, "phone")
    page = studio.page(PHONE, dark=True)
    page.get_by_role("button", name="Your chats").click()
    studio.picture(page, "phone-list")
    page = studio.page(PHONE, dark=True)
    ask(page, "Tell me a story.", wait=False)
    to_mesh(page)
    studio.picture(page, "phone-mesh")


def languages(studio: Studio) -> None:
    page = studio.page(dark=True, user="polyglot")
    ask(page, "Say it in other languages.")
    studio.picture(page, "languages")


def branches(studio: Studio) -> None:
    page = studio.page(user="grace")
    ask(page, "Tell me about foxes.")
    page.get_by_role("button", name="Answer again").click()
    page.get_by_text("2 / 2").wait_for()
    page.locator("article.running").wait_for(state="detached")
    page.get_by_role("button", name="A good answer").click()
    page.locator("article.question").hover()
    page.get_by_role("button", name="Edit and ask again").click()
    studio.picture(page, "branches")


def stopped(studio: Studio) -> None:
    page = studio.page(user="alan")
    ask(page, "Tell me a story.", wait=False)
    page.get_by_role("button", name="Stop").click()
    page.locator(".note").wait_for()
    studio.picture(page, "stopped")


def waiting(studio: Studio) -> None:
    with studio.asking(4):
        page = studio.page(user="edsger")
        page.get_by_label("Your message").fill("Tell me about foxes.")
        page.get_by_role("button", name="Send").click()
        page.get_by_text("questions before yours · ").wait_for()
        studio.picture(page, "waiting")


def options(studio: Studio) -> None:
    page = studio.page((1280, 1080))
    page.get_by_role("button", name="How to answer").click()
    page.get_by_label("Preset").select_option("k50-Precise")
    page.get_by_label("System prompt").fill("You are a patient teacher.")
    studio.picture(page, "options")


def account(studio: Studio) -> None:
    """The account and its keys, a new key, and the links to a chat."""
    for size, suffix in ((WIDE, ""), (PHONE, "-phone")):
        page = to_account(studio.page(size, user="hedy"))
        make_key(page, "editor on the laptop" if suffix else "backup script")
        if not suffix:
            studio.picture(page, "key")
            page = to_account(studio.page(size, user="hedy"))
        else:
            page.get_by_role("button", name="Done").last.click()
        studio.picture(page, f"account{suffix}")
    studio.picture(to_account(studio.page(dark=True, user="hedy")), "account-dark")
    page = studio.page(user="hedy")
    ask(page, "Tell me about foxes.")
    page.locator(".row").first.hover()
    page.locator(".row button").first.click()
    page.get_by_role("menuitem", name="Share …").click()
    page.get_by_role("button", name="Make a link").click()
    page.get_by_role("textbox", name="Link").wait_for()
    studio.picture(page, "share")


def to_account(page: Page) -> Page:
    if not page.locator(".account").is_visible():
        page.get_by_role("button", name="Your chats").click()
    page.locator(".account").click()
    page.get_by_role("menuitem", name="Account …").click()
    page.get_by_role("dialog", name="Account").wait_for()
    return page


def make_key(page: Page, name: str) -> None:
    page.get_by_role("button", name="Make a key …").click()
    page.get_by_label("What it is for").fill(name)
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("dialog", name="Your new key").wait_for()


def search(studio: Studio) -> None:
    page = studio.page(dark=True)
    page.get_by_label("Search in your chats").fill("raven")
    page.locator("mark").first.wait_for()
    page.get_by_role("link", name="ravens").first.click()
    page.locator("article.answer").first.wait_for()
    studio.picture(page, "search")


def trouble(studio: Studio) -> None:
    """The gateway dies in mid-answer, and a question cannot be sent."""
    page = studio.page(user="linus")
    ask(page, "Tell me a story.", wait=False)
    page.route("**/*", lambda route: route.abort())
    studio.mesh.children()["gateway"].kill()
    page.get_by_text("trying to reach it again").wait_for()
    studio.picture(page, "lost")
    studio.await_gateway()
    page = studio.page(user="margaret")
    page.get_by_label("Your message").fill("Where do all these ravens come from?")
    page.route("**/*", lambda route: route.abort())
    page.get_by_role("button", name="Send").click()
    page.get_by_role("button", name="Try again").wait_for()
    studio.picture(page, "refused")


def mesh(studio: Studio) -> None:
    studio.worker("cellar")
    pages = [studio.page(user=f"user {number}") for number in range(3)]
    for page in pages:
        ask(page, "Tell me a story.", wait=False)
    for dark in (False, True):
        page = studio.page((1280, 1000), dark=dark)
        ask(page, "Tell me a story.", wait=False)
        to_mesh(page)
        studio.picture(page, "mesh-dark" if dark else "mesh")
    for page in pages:
        page.context.close()
    studio.kill("cellar")


SCENES: dict[str, Callable[[Studio], None]] = {
    scene.__name__: scene
    for scene in (
        sign_in, empty, chat, streaming, phone, languages, branches, stopped, waiting, options,
        account, search, mesh, trouble,
    )
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser("tools.pictures.page", description=__doc__)
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=", ".join(SCENES))
    parser.add_argument("--to", type=Path, default=IMAGES, help="Folder for the pictures.")
    given = parser.parse_args()
    path = chromium()
    if path is None:
        sys.exit(MISSING)
    with folder() as own, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        studio = Studio(own, browser, given.to)
        with studio.up():
            studio.worker("attic")
            for name in given.scenes or SCENES:
                SCENES[name](studio)
        browser.close()


if __name__ == "__main__":
    main()
