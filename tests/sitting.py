"""A sitting at `mesh chat` in a terminal: what a person types, and when the next line can be."""

from tests.terminal import Terminal

CTRL_B, CTRL_C, CTRL_D, CTRL_G = "\x02", "\x03", "\x04", "\x07"
CTRL_J, CTRL_R, ALT_ENTER, TAB, UP = "\n", "\x12", "\x1b\r", "\t", "\x1b[A"


def idle(text: str) -> bool:
    """An empty input line stands above the toolbar."""
    *_, prompt, toolbar = ["", "", *filter(None, (line.strip() for line in text.split("\n")))]
    return prompt == "›" and "connected" in toolbar


class Sitting(Terminal):
    """A terminal in which `mesh chat` runs."""

    def send(self, line: str) -> None:
        """Type a line, and press Enter."""
        self.type(f"{line}\r")

    def say(self, line: str) -> str:
        """Send a line, and wait until it is done; returns what is seen then."""
        before = self.text().count(f"› {line}")
        self.send(line)
        return self.wait(lambda text: text.count(f"› {line}") > before and idle(text))

    def leave(self) -> str:
        """Press Ctrl-D, and wait for the end; returns what is seen then."""
        self.type(CTRL_D)
        assert self.exit_status() == 0
        return self.text()
