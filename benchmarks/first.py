"""What comes first: a mesh's first answer, and the first token of a question asked in peace.

    python -m benchmarks.first

`mesh up` with the bundled model on a new data folder, from the start of its process to its first
whole answer. Then a mesh with the echo engine, of which one person asks a question of eight tokens,
waits for the answer, and for another tenth of a second. What the answer before left to do, as its
end and its rows, is done by then, and all processes are asleep: they have to wake one another, a
dozen times. The loads of `make bench` ask without such rests, and what is to be reached is theirs.
"""

import json
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

from benchmarks import subjects
from benchmarks.report import Aim
from mesh.cli.load.question import PATH, REPEAT
from mesh.cli.load.table import aligned

QUESTIONS, REST = 200, 0.1
"""Questions, and seconds between an answer and the next one."""

WARM = 20
"""Questions before anything counts."""

TOKENS = 8


def up(folder: Path) -> float:
    """Seconds from the start of `mesh up` to the bundled model's first whole answer."""
    begun = time.monotonic()
    with subjects.mesh(folder, "up", {"MESH_THREADS": "1"}) as mesh:
        ask(HTTPConnection(urlsplit(mesh.url).netloc, timeout=60), "Hello!")
        return time.monotonic() - begun


def ask(connection: HTTPConnection, prompt: str) -> float:
    """Ask, and read the whole answer. Returns milliseconds from the question to its first token."""
    body = {
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": TOKENS,
        "stream": True,
    }
    begun = time.perf_counter()
    connection.request("POST", PATH, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    first = 0.0
    last = b""
    while line := response.readline():
        if not first and b'"content":"' in line and b'"content":""' not in line:
            first = 1000 * (time.perf_counter() - begun)
        last = line if line.startswith(b"data:") else last
    if response.status != 200 or not first or b"[DONE]" not in last:
        raise SystemExit(f"The answer was not whole: {response.status}, {last.decode()!r}")
    return first


def tokens(folder: Path) -> tuple[list[float], float]:
    """Milliseconds to each first token through the mesh, and the engine's own at the median."""
    with (
        subjects.mesh(folder, "first", {"MESH_ENGINE": "echo"}) as mesh,
        subjects.alone(folder, "echo", REPEAT, TOKENS) as alone,
    ):
        connection = HTTPConnection(urlsplit(mesh.url).netloc, timeout=60)
        found = []
        for _ in range(WARM + QUESTIONS):
            time.sleep(REST)
            found.append(ask(connection, REPEAT))
        return found[WARM:], alone.load(1, 1).first_token_ms


def run(folder: Path) -> list[Aim]:
    """Measure, print it, and say what was to be reached."""
    seconds = up(folder)
    found, own = tokens(folder)
    row = [median(found), quantiles(found, n=100)[98], max(found), own]
    head = ["first token, ms", "median", "p99", "slowest", "the engine's own", "questions"]
    told = [f"{value:.1f}" for value in row]
    print(f"\n{aligned([head, ['asked in peace', *told, str(len(found))]])}")
    return [
        Aim("`mesh up` to the bundled model's first answer, s", seconds, 10.0, False),
    ]


def main() -> int:
    """Run, and say whether what was to be reached was."""
    return subjects.standalone(run)


if __name__ == "__main__":
    sys.exit(main())
