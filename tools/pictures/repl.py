"""Draw `mesh chat` and the fleet commands: a real mesh, a real terminal, one picture a scene.

    python -m tools.pictures.repl [SCENE ...] [--png FOLDER]

Writes docs/images/repl-*.svg, and with --png pictures to look at, made by a chromium where there
is one. Only the model is not real: its answers are written down below.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.conftest import free_port
from tests.sitting import idle
from tests.terminal import Terminal
from tools.pictures.stage import IMAGES, MODEL, Stage, folder
from tools.pictures.svg import svg

PORT = 8000
"""As everybody's mesh has it."""

LANGUAGES = """\
- 日本語:狐は川を渡り、向こう岸の森へ帰っていきました。それからもう誰も狐を見ませんでした。
- العربية: عبر الثعلب النهر.
- Emoji: 🦊 crosses 🌊 to the 🌲🌲🌲 — and a very long word:
  Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft_and_so_on
"""


class Studio(Stage):
    """The mesh, and terminals to look at it."""

    def __init__(self, folder: Path, png: Path | None) -> None:
        super().__init__(folder, LANGUAGES)
        self.mesh.port = PORT
        self.mesh.environment["MESH_PORT"] = str(PORT)
        self._folder = folder
        self._png = png
        self._terminals: list[Terminal] = []

    def close(self) -> None:
        """End what runs in the terminals."""
        for terminal in self._terminals:
            terminal.close()

    def terminal(self, *words: str, columns: int = 92, rows: int = 40, **settings: str) -> Terminal:
        environment = {
            name: value
            for name, value in self.mesh.environment.items()
            if name not in ("COLUMNS", "LINES", "NO_COLOR")
        } | {
            "MESH_URL": self.mesh.url,
            "MESH_USER": "ada",
            "XDG_STATE_HOME": str(self._folder),
            "PYTHONUTF8": "1",
            "TERM": "xterm-256color",
            "EDITOR": "true",
            **settings,
        }
        command = [sys.executable, "-m", "mesh", *words]
        self._terminals.append(Terminal(command, environment, columns, rows))
        return self._terminals[-1]

    def chat(self, *words: str, columns: int = 92, rows: int = 40) -> Terminal:
        terminal = self.terminal("chat", "-m", MODEL, *words, columns=columns, rows=rows)
        terminal.wait_for("mesh chat at", "connected")
        return terminal

    def picture(self, terminal: Terminal, name: str, title: str) -> None:
        cursor = terminal.cursor() if terminal.process.poll() is None else None
        picture = svg(terminal.screen(), title, cursor)
        where = IMAGES / f"repl-{name}.svg"
        where.write_text(picture)
        print(where)
        if self._png is not None:
            _png(where, self._png / f"repl-{name}.png")


def _png(source: Path, target: Path) -> None:
    """Draw a picture as pixels, to be looked at."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("There is no chromium here to draw PNGs with.")
    width, height = _size(source.read_text())
    command = [
        chromium, "--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu",
        f"--screenshot={target}", f"--window-size={width},{height}", source.resolve().as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    print(target)


def _size(picture: str) -> tuple[int, int]:
    width, height = picture.split('viewBox="0 0 ')[1].split('"')[0].split()
    return int(float(width)), int(float(height))


def settle(terminal: Terminal) -> None:
    """Wait until nothing has moved for a moment: the last key is drawn."""
    before = ""
    while (text := terminal.text()) != before:
        before = text
        time.sleep(0.3)


# --- the scenes -----------------------------------------------------------------------------------


def answer(studio: Studio) -> None:
    terminal = studio.chat(rows=44)
    terminal.type("Explain binary search, with code.\r")
    terminal.wait(lambda text: "sorted already" in text and idle(text), timeout=60)
    studio.picture(terminal, "answer", "mesh chat")


def streaming(studio: Studio) -> None:
    terminal = studio.chat(rows=24)
    terminal.type("Explain binary search, with code.\r")
    terminal.wait_for("low, high", "tokens/s", timeout=60)
    terminal.type("And in Rust?\r")
    terminal.wait_for("next: And in Rust?")
    terminal.type("What about a tree")
    terminal.wait_for("What about a tree")
    studio.picture(terminal, "streaming", "mesh chat: typing ahead while an answer is written")


def ahead(studio: Studio) -> None:
    terminal = studio.chat(rows=18)
    terminal.type("Tell me a story.\r")
    terminal.wait_for("by a river. Once upon a time", "tokens/s", timeout=60)
    terminal.type("/re")
    terminal.wait_for("/resume", "/retry")
    studio.picture(terminal, "ahead", "mesh chat: completion while an answer is written")


def stopped(studio: Studio) -> None:
    terminal = studio.chat(rows=20)
    terminal.type("Tell me a story.\r")
    terminal.wait_for("by a river. Once upon a time", "tokens/s", timeout=60)
    terminal.type("\x03")
    terminal.wait(lambda text: "stopped after" in text and idle(text))
    studio.picture(terminal, "stopped", "mesh chat: Ctrl-C, acknowledged by the worker")


def branches(studio: Studio) -> None:
    terminal = studio.chat(rows=34)
    for line in ("Hello!", "Tell me of foxes.", "/edit Tell me of ravens.", "/retry"):
        terminal.type(f"{line}\r")
        settle(terminal)
        terminal.wait(idle, timeout=30)
    terminal.type("/tree\r")
    terminal.wait(lambda text: "← here" in text and idle(text))
    settle(terminal)
    studio.picture(terminal, "branches", "mesh chat: the tree of a chat")


def languages(studio: Studio) -> None:
    terminal = studio.chat(rows=20, columns=72)
    terminal.type("Say it in other languages.\r")
    terminal.wait(lambda text: "so_on" in text and idle(text), timeout=30)
    studio.picture(terminal, "languages", "mesh chat: wide glyphs, right to left, long words")


def completion(studio: Studio) -> None:
    terminal = studio.chat(rows=20)
    terminal.type("/re")
    terminal.wait_for("/resume", "/retry")
    settle(terminal)
    studio.picture(terminal, "completion", "mesh chat: commands are completed")


def help(studio: Studio) -> None:
    terminal = studio.chat(rows=36)
    terminal.type("/help\r")
    terminal.wait(lambda text: "//text" in text and idle(text))
    settle(terminal)
    studio.picture(terminal, "help", "mesh chat: /help")


def detached(studio: Studio) -> None:
    terminal = studio.chat(rows=22)
    terminal.type("Tell me a story.\r")
    terminal.wait_for("by a river. Once upon a time", "tokens/s", timeout=60)
    terminal.type("\x02")
    terminal.wait_for("goes on without you")
    terminal.type("/new\r")
    terminal.wait_for("a new chat")
    terminal.type("Hello!\r")
    terminal.wait(lambda text: "look at today" in text and idle(text))
    studio.picture(terminal, "detached", "mesh chat: an answer goes on in the background")


def trouble(studio: Studio) -> None:
    terminal = studio.chat(rows=26)
    terminal.type("/modl\r")
    terminal.wait_for("did you mean")
    terminal.type("/model fox-8b\r")
    terminal.wait_for("There is no model")
    terminal.type("/set temperature hot\r")
    terminal.wait_for("takes a number")
    terminal.type("/file nothing.txt\r")
    terminal.wait_for("cannot be read")
    settle(terminal)
    studio.picture(terminal, "trouble", "mesh chat: what goes wrong is said where one types")


def waiting(studio: Studio) -> None:
    with studio.asking(4):
        terminal = studio.chat(rows=20)
        terminal.type("Tell me of foxes.\r")
        terminal.wait_for("before you · 3 s", timeout=30)
        studio.picture(terminal, "waiting", "mesh chat: the place in the queue")


def offline(studio: Studio) -> None:
    terminal = studio.chat(rows=20)
    terminal.type("Tell me a story.\r")
    terminal.wait_for("by a river. Once upon a time", timeout=60)
    studio.mesh.children()["gateway"].kill()
    terminal.wait_for("offline", "resuming")
    studio.picture(terminal, "offline", "mesh chat: the gateway was killed in mid-answer")
    terminal.wait_for("connected", "answering")
    terminal.type("\x03")
    terminal.wait_for("stopped after")


def top(studio: Studio) -> None:
    with studio.asking(3):
        terminal = studio.terminal("top", columns=110, rows=26)
        terminal.wait(lambda text: text.count("claim") >= 2, timeout=30)
        time.sleep(6)  # so that there is a curve to see
        studio.picture(terminal, "top", "mesh top")


def chats(studio: Studio) -> None:
    for question in ("Hello!", "Tell me of foxes.", "And of ravens?"):
        studio.mesh.run("ask", "-m", MODEL, "--url", studio.mesh.url, "--user", "ada", question)
    shell(studio, "chats", "mesh chats", "chats")


def ps(studio: Studio) -> None:
    shell(studio, "ps", "mesh ps", "ps")


def config(studio: Studio) -> None:
    shell(studio, "config", "mesh config show --origin", "config", "show", "--origin", "--changed")


def up(studio: Studio) -> None:
    """Another mesh, that comes up and asks for a port that is taken."""
    folder = studio.mesh.data_dir.with_name("mesh")
    own = {"MESH_DATA_DIR": str(folder), "MESH_NATS_PORT": str(free_port())}
    own |= {"MESH_ENGINE": "auto", "PATH": f"{Path(sys.executable).parent}:{os.defpath}"}
    terminal = studio.terminal("up", columns=100, rows=18, **own, MESH_PORT="8001")
    terminal.wait_for("The mesh is up", timeout=60)
    settle(terminal)
    studio.picture(terminal, "up", "mesh up")
    terminal.type("\x03")
    terminal.exit_status()
    terminal = studio.terminal("up", columns=100, rows=12, **own)
    assert terminal.exit_status() != 0, terminal.text()
    studio.picture(terminal, "taken", "mesh up: a port that is taken")


def doctor(studio: Studio) -> None:
    shell(studio, "doctor", "mesh doctor", "doctor")


def shell(studio: Studio, name: str, title: str, *words: str) -> None:
    """A command that prints something and ends."""
    terminal = studio.terminal(*words, columns=100, rows=24)
    assert terminal.exit_status() == 0, terminal.text()
    studio.picture(terminal, name, title)


SCENES: dict[str, Callable[[Studio], None]] = {
    scene.__name__: scene
    for scene in (
        answer, streaming, ahead, stopped, branches, languages, completion, help, detached, trouble,
        waiting, offline, top, chats, ps, config, doctor, up,
    )
}  # fmt: skip


def main() -> None:
    """Draw the scenes that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", nargs="*", choices=[*SCENES, []], help="default: all")
    parser.add_argument("--png", type=Path, help="folder for PNGs to look at")
    chosen = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    if chosen.png is not None:
        chosen.png.mkdir(exist_ok=True, parents=True)
    with folder() as own:
        studio = Studio(own, chosen.png)
        with studio.up(), closing(studio):
            studio.worker("attic")
            for name in chosen.scenes or SCENES:
                SCENES[name](studio)


if __name__ == "__main__":
    main()
