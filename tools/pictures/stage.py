"""What stands in pictures: a real mesh, and a model whose words are written down.

Its folder is the same each time, so that pictures do not differ without need.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.whole import Mesh
from tools.pictures.scripted_model import ScriptedModel

IMAGES = Path(__file__).parents[2] / "docs" / "images"
MODEL = "fox-7b"
RATE = 60
"""Pieces a second."""

ANSWERS = {
    "Write a title": "Binary search, step by step",
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
    "story": "Once upon a time a fox and a raven lived by a river. " * 60,
    "Hello": "Hello! What shall we look at today?",
    "ravens": "Ravens are the largest songbirds, and they plan ahead.",
    "foxes": "Foxes are small wild dogs; the red fox lives on four continents.",
}


class Stage:
    """languages: what the model says where it is asked for other ones; settings: of `mesh up`."""

    def __init__(self, folder: Path, languages: str, **settings: str) -> None:
        self.mesh = Mesh(folder, **settings)
        self.model = ScriptedModel(ANSWERS | {"languages": languages}, RATE)
        self._workers: dict[str, subprocess.Popen[bytes]] = {}

    @contextmanager
    def up(self) -> Iterator[None]:
        """The mesh runs."""
        with self.model.serving():
            try:
                self.mesh.start()
                yield
            finally:
                for name in list(self._workers):
                    self.kill(name)
                self.mesh.end()

    def worker(self, name: str) -> None:
        """Start a worker of the model, with two slots, and wait until it is there."""
        upstream = ("--engine", "openai", "--upstream", self.model.url, "--model", MODEL)
        words = ("worker", "--worker-name", name, "--slots", "2", *upstream)
        self._workers[name] = self.mesh.spawn(*words)
        while name not in self.mesh.run("ps", "--json").stdout:
            time.sleep(0.2)

    def kill(self, name: str) -> None:
        """Kill a worker."""
        process = self._workers.pop(name)
        process.kill()
        process.wait()

    @contextmanager
    def asking(self, count: int) -> Iterator[None]:
        """Others ask as well, and have both slots of the worker."""
        words = ("ask", "-m", MODEL, "--url", self.mesh.url, "Tell me a story.")
        processes = [self.mesh.spawn(*words) for _ in range(count)]
        try:
            while '"running":2' not in self.mesh.run("ps", "--json").stdout:
                time.sleep(0.2)
            yield
        finally:
            for process in processes:
                process.terminate()
                process.wait()


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder of always the same name; one picture at a time."""
    path = Path(tempfile.gettempdir()) / "mesh-pictures"
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path)
