"""A stand-in for the Hugging Face hub on loopback: its file and model routes, and its faults."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """repos: files of each repository; gated: repositories behind a licence.

    cut: bytes after which the next downloads break off, one by one; ranges: Range headers seen.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.gated: set[str] = set()
        self.cut: list[int] = []
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self) -> None:
        self._file()

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/"):
            self._model()
        elif self.path.startswith("/api/"):
            self._refuse(404, "NotFound")
        else:
            self._file()

    def _model(self) -> None:
        repo = "/".join(self.path.split("?")[0].split("/")[3:5])
        if not self._allowed(repo):
            return
        files = sorted(self.server.repos[repo].items())
        if "/tree/" in self.path:
            tree = [{"type": "file", "path": n, "size": len(d), "oid": COMMIT} for n, d in files]
            self._send(json.dumps(tree).encode())
        else:
            siblings = [{"rfilename": name} for name, _ in files]
            self._send(json.dumps({"id": repo, "sha": COMMIT, "siblings": siblings}).encode())

    def _file(self) -> None:
        owner, name, _, _, file = self.path.lstrip("/").split("/", 4)
        repo = f"{owner}/{name}"
        if not self._allowed(repo):
            return
        if file not in self.server.repos[repo]:
            self._refuse(404, "EntryNotFound")
            return
        data = self.server.repos[repo][file]
        asked = self.headers.get("Range")
        if self.command == "GET":
            self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("ETag", f'"{sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if self.command == "GET":
            self._body(data[start:])

    def _body(self, data: bytes) -> None:
        if self.server.cut:
            self.wfile.write(data[: self.server.cut.pop(0)])
            self.close_connection = True
        else:
            self.wfile.write(data)

    def _allowed(self, repo: str) -> bool:
        if repo not in self.server.repos:
            self._refuse(404, "RepoNotFound")
            return False
        if repo in self.server.gated:
            self._refuse(403, "GatedRepo")
            return False
        return True

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running() -> Iterator[Hub]:
    with Hub() as hub:
        thread = Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()
