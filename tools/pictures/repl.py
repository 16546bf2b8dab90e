"""Draw `mesh chat` and the fleet commands: a real mesh, a real terminal, one picture a scene.

    python -m tools.pictures.repl [SCENE ...] [--png FOLDER]

Writes docs/images/repl-*.svg, and with --png pictures to look at, made by a chromium where there
is one. Only the model is not real: its answers are written down below.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.whole import Mesh
from tests.terminal import Terminal
from tools.pictures.scripted_model import ScriptedModel
from tools.pictures.svg import svg

IMAGES = Path("docs/images")
MODEL = "fox-7b"
PORT = 8000
"""As everybody's mesh has it, so that pictures do not differ without need."""

ANSWERS = {
    "binary search": """\
Binary search halves a **sorted** list until one place is left. Each step asks *one* question:

1. Look at the middle.
2. Too small? Go on in the right half.
3. Too big? Go on in the left half.

```python
def find(items: list[int], wanted: int) -> int | None:
    \"\"\"The place of `wanted`, or None.\"\"\"
    low, high = 0, len(items)
    while low < high:
        middle = (low + high) // 2
        if items[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    found = low < len(items) and items[low] == wanted
    return low if found else None
```

| items | steps |
|------:|------:|
| 1,000 | 10 |
| 1,000,000 | 20 |

> It needs `O(log n)` steps, and a list that is sorted already.
""",
    "story": "Once upon a time a fox and a raven lived by a river. " * 40,
    "languages": """\
- 日本語:狐は川を渡り、向こう岸の森へ帰っていきました。それからもう誰も狐を見ませんでした。
- العربية: عبر الثعلب النهر.
- Emoji: 🦊 crosses 🌊 to the 🌲🌲🌲 — and a very long word:
  Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft_and_so_on
""",
    "Hello": "Hello! What shall we look at today?",
    "ravens": "Ravens are the largest songbirds, and they plan ahead.",
    "foxes": "Foxes are small wild dogs; the red fox lives on four continents.",
}


class Studio:
    """A mesh with the scripted model, and terminals to look at it."""

    def __init__(self, folder: Path, png: Path | None) -> None:
        self.mesh = Mesh(folder)
        self.mesh.port = PORT
        self.mesh.environment["MESH_PORT"] = str(PORT)
        self.model = ScriptedModel(ANSWERS, rate=60)
        self._folder = folder
        self._png = png
        self._terminals: list[Terminal] = []
        self._worker: subprocess.Popen[bytes] | None = None

    @contextmanager
    def open(self) -> Iterator["Studio"]:
        with self.model.serving():
            try:
                self.mesh.start()
                self.start_worker()
                yield self
            finally:
                for terminal in self._terminals:
                    terminal.close()
                self.stop_worker()
                self.mesh.end()

    def start_worker(self) -> None:
        upstream = ("--engine", "openai", "--upstream", self.model.url, "--model", MODEL)
        self._worker = self.mesh.spawn(
            "worker", "--worker-name", "attic", "--slots", "2", *upstream
        )
        while MODEL not in self.mesh.run("ps", "--json").stdout:
            time.sleep(0.2)

    def stop_worker(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker.wait()

    def terminal(self, *words: str, columns: int = 92, rows: int = 40) -> Terminal:
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


def idle(text: str) -> bool:
    """An empty input line stands above the toolbar."""
    *_, prompt, toolbar = ["", "", *filter(None, (line.strip() for line in text.split("\n")))]
    return prompt == "›" and "connected" in toolbar


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
    with asking(studio, 4):
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
    with asking(studio, 3):
        terminal = studio.terminal("top", columns=110, rows=26)
        terminal.wait(lambda text: text.count("claim") >= 2, timeout=30)
        time.sleep(6)  # so that there is a curve to see
        studio.picture(terminal, "top", "mesh top")


@contextmanager
def asking(studio: Studio, count: int) -> Iterator[None]:
    """Others ask as well; there are two slots."""
    words = ("ask", "-m", MODEL, "--url", studio.mesh.url, "Tell me a story.")
    processes = [studio.mesh.spawn(*words) for _ in range(count)]
    busy = '"running":2'
    try:
        while busy not in studio.mesh.run("ps", "--json").stdout:
            time.sleep(0.2)
        yield
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def chats(studio: Studio) -> None:
    for question in ("Hello!", "Tell me of foxes.", "And of ravens?"):
        studio.mesh.run("ask", "-m", MODEL, "--url", studio.mesh.url, "--user", "ada", question)
    shell(studio, "chats", "mesh chats", "chats")


def ps(studio: Studio) -> None:
    shell(studio, "ps", "mesh ps", "ps")


def config(studio: Studio) -> None:
    shell(studio, "config", "mesh config show --origin", "config", "show", "--origin", "--changed")


def shell(studio: Studio, name: str, title: str, *words: str) -> None:
    """A command that prints something and ends."""
    terminal = studio.terminal(*words, columns=100, rows=24)
    assert terminal.exit_status() == 0, terminal.text()
    studio.picture(terminal, name, title)


SCENES: dict[str, Callable[[Studio], None]] = {
    scene.__name__: scene
    for scene in (
        answer, streaming, stopped, branches, languages, completion, help, detached, trouble,
        waiting, offline, top, chats, ps, config,
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
    with tempfile.TemporaryDirectory() as folder:
        with Studio(Path(folder), chosen.png).open() as studio:
            for name in chosen.scenes or SCENES:
                SCENES[name](studio)


if __name__ == "__main__":
    main()
