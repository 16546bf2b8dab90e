"""A model whose answers are written down: an OpenAI-compatible server for pictures, and no more.

The mesh in a picture is real; what its model says has to be the same each time.
"""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PIECES = re.compile(r"\s*\S{1,6}|\s+")


class ScriptedModel:
    """answers: what is said to a question that holds the key; rate: pieces a second."""

    def __init__(self, answers: Mapping[str, str], rate: float) -> None:
        self.answers = answers
        self.rate = rate
        self.url = ""

    def answer(self, question: str) -> str:
        """The first answer whose key stands in the question."""
        found = (said for key, said in self.answers.items() if key in question)
        return next(found, "I have nothing to say to that.")

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve on a free port of loopback."""
        handler = type("Handler", (_Handler,), {"model": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    model: ScriptedModel
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._json({"object": "list", "data": [{"id": "any", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            for event in self._events(body["messages"][-1]["content"]):
                self.wfile.write(f"data: {event}\n\n".encode())
        except ConnectionError:
            pass
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _events(self, question: str) -> Iterator[str]:
        pieces = _PIECES.findall(self.model.answer(question))
        yield _chunk({"role": "assistant", "content": ""})
        for piece in pieces:
            time.sleep(1 / self.model.rate)
            yield _chunk({"content": piece})
        usage = {"prompt_tokens": len(question) // 4 + 12, "completion_tokens": len(pieces)}
        yield _chunk({}, finish="stop")
        yield json.dumps({"object": "chat.completion.chunk", "choices": [], "usage": usage})
        yield "[DONE]"

    def _json(self, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _chunk(delta: dict[str, str], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return json.dumps({"object": "chat.completion.chunk", "choices": [choice]})
