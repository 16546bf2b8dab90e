"""The smooth view, for notebooks with anywidget: text is appended in the browser, and Stop works
while the kernel is busy. Its JavaScript is `static/stream.js`."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from mesh_client.notebook.answer import Answer
from mesh_client.notebook.live import Line, line_of
from mesh_client.notebook.mesh import Mesh

STATIC = Path(__file__).parent / "static"

KEYFRAMES = (0.25, 0.5, 1.0)
"""Seconds after an answer's first frame at which all of it is sent, for views that have just come;
afterwards every `KEYFRAME`."""

KEYFRAME = 2.0

IDLE = {
    "key": "",
    "question": "",
    "text": "",
    "pieces": 0,
    "phase": "idle",
    "status": "",
    "tone": "",
    "gateway": "",
    "cancel_token": "",
}
"""What is seen while there is nothing to see; `key` tells one answer from the next."""


class SmoothWidget(anywidget.AnyWidget):
    """The state that browser and kernel share: no sign-in, and cancel tokens of running answers."""

    _esm = STATIC / "stream.js"
    _css = STATIC / "stream.css"
    shown = traitlets.Dict().tag(sync=True)
    turns = traitlets.List(traitlets.Unicode()).tag(sync=True)
    draft = traitlets.Unicode("").tag(sync=True)
    composer = traitlets.Bool(False).tag(sync=True)


class Smooth:
    """A `Talk` (a `View` without composer)."""

    def __init__(self, mesh: Mesh, *, composer: bool = False) -> None:
        self.widget: Any = SmoothWidget(shown=dict(IDLE), composer=composer)
        self.widget.on_msg(self._hear)
        self._mesh = mesh
        self._stop: Callable[[], None] = lambda: None
        self._send: Callable[[str], None] = lambda text: None
        self._began = 0.0
        self._keyframes: list[float] = []
        self._pages: set[str] = set()

    def on_stop(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def on_send(self, send: Callable[[str], None]) -> None:
        self._send = send

    def draft(self, text: str) -> None:
        self.widget.draft = text
        self.widget.send_state("draft")  # also where it only seems to be the same

    def typed(self) -> str:
        return str(self.widget.draft)

    def say(self, line: Line) -> None:
        self._change(dict(IDLE, status=line.text, tone=line.tone))

    def clear(self) -> None:
        self._change(dict(IDLE))

    def turn(self, markdown: str) -> None:
        """Keep it where this page was loaded after the notebook's outputs were written."""
        if len(self._pages) > 1:
            self.widget.turns = [*self.widget.turns, markdown]

    def draw(self, answer: Answer) -> None:
        shown, pieces = self.widget.shown, list(answer.pieces)
        key = f"{id(answer)}"
        if shown["key"] != key:
            self._begin(key)
        known = shown["pieces"]
        part = "".join(pieces[known:])
        line = line_of(answer)
        change = {
            "key": key,
            "question": answer.question if self.widget.composer else "",
            "phase": answer.phase,
            "status": line.text,
            "tone": line.tone,
            "gateway": self._mesh.browser_url,
            "cancel_token": answer.cancel_token,
        }
        self._change(change, {"key": key, "from": known, "to": len(pieces), "text": part})

    def _begin(self, key: str) -> None:
        self.widget.shown.update(IDLE, key=key)
        self._began = time.monotonic()
        self._keyframes = [*KEYFRAMES]

    def _change(self, change: dict[str, Any], part: dict[str, Any] | None = None) -> None:
        """Send what has changed. The state itself is changed in place, which sends nothing:
        a page that comes later reads it, and a keyframe sends it whole."""
        shown = self.widget.shown
        news = {name: value for name, value in change.items() if shown.get(name) != value}
        shown.update(change)
        if part is not None:
            shown["text"] += part["text"]
            shown["pieces"] = part["to"]
        if self._is_keyframe(news):
            self.widget.send_state("shown")
        else:
            self.widget.send({"draw": {"shown": news, "part": part}})

    def _is_keyframe(self, news: dict[str, Any]) -> bool:
        if "phase" in news:
            return True
        since = time.monotonic() - self._began
        if not self._keyframes or since < self._keyframes[0]:
            return False
        due = self._keyframes.pop(0)
        if not self._keyframes:
            self._keyframes = [max(due, since) + KEYFRAME]
        return True

    def _hear(self, _: object, message: dict[str, Any], __: object) -> None:
        match message:
            case {"stop": True}:
                self._stop()
            case {"send": str(text)}:
                self._send(text)
            case {"page": str(page)}:
                self._pages.add(page)
