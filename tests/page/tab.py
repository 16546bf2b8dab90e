"""A tab of the browser with the page in it, and what a person does there."""

import re
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Request, expect

QUIET = re.compile("^Autofocus processing was blocked")
"""What browsers say on the console without anything being wrong."""

expect.set_options(timeout=45_000)


class Tab:
    """Opens the page. `errors`: what went wrong unseen, `requests`: every address asked for."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.expected: list[str] = []
        self.elsewhere: set[str] = set()
        self.page = context.new_page()
        self.page.set_default_timeout(45_000)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._asked)
        self.page.goto(url)

    def expect_error(self, part: str) -> None:
        """Errors of the console with this in them are what the test is about."""
        self.expected.append(part)

    def expect_leaving(self, url: str) -> None:
        """This server is visited, too."""
        self.elsewhere.add(urlsplit(url).netloc)

    def check(self) -> None:
        """No error was on the console, and nobody but the gateway was asked for anything."""
        wrong = [e for e in self.errors if not any(part in e for part in self.expected)]
        assert wrong == []
        allowed = {urlsplit(self.url).netloc} | self.elsewhere
        assert {urlsplit(url).netloc for url in self.requests} <= allowed

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not QUIET.match(message.text):
            self.errors.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(("data:", "blob:")):
            self.requests.append(request.url)

    # --- what a person does ---

    def sign_in(self, name: str) -> None:
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_role("button", name="Begin").click()
        expect(self.input).to_be_focused()

    def sign_in_with(self, name: str, password: str) -> None:
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.button("Sign in").click()

    def ask(self, text: str, model: str = "") -> None:
        """Say something, to a model if one is named."""
        if model:
            self.page.locator(".composer").get_by_label("Model").select_option(model)
        self.input.fill(text)
        self.button("Send").click()

    def menu_of(self, title: str, item: str) -> None:
        """Choose something in the menu of a chat."""
        self.page.get_by_role("link", name=title).first.hover()
        self.button(f"More about “{title}”").click()
        self.page.get_by_role("menuitem", name=item).click()

    # --- what a person sees ---

    @property
    def input(self) -> Locator:
        return self.page.get_by_label("Your message")

    @property
    def questions(self) -> Locator:
        return self.page.locator("article.question .said")

    @property
    def answers(self) -> Locator:
        return self.page.locator("article.answer .text")

    @property
    def running(self) -> Locator:
        """The answer that is being written."""
        return self.page.locator("article.running")

    @property
    def chats(self) -> Locator:
        """The titles in the list of chats."""
        return self.page.locator(".chats .title")

    @property
    def trouble(self) -> Locator:
        """What went wrong, where one writes."""
        return self.page.locator(".composer .trouble")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)
