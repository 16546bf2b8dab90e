"""What is asked of a gateway, and what an event of its answer says: `POST /v1/chat/completions`."""

from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

PATH = "/v1/chat/completions"

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")
REPEAT = f"/repeat {' '.join(WORDS)}"
"""What the echo engine answers with as many words as it may."""

DONE = b"[DONE]"
"""The data of the very last event of a whole answer."""


def repeated(tokens: int) -> str:
    """The echo engine's answer to REPEAT."""
    return "".join(f"{WORDS[k % len(WORDS)]} " for k in range(tokens))


class Question(Struct, frozen=True, kw_only=True):
    """One prompt for all streams of a load. tokens: at most so many; token: to be let in by."""

    prompt: str
    tokens: int
    model: str = ""
    token: str = ""

    def request(self, url: str) -> bytes:
        """The whole HTTP request."""
        body = msgspec.json.encode(
            {
                "messages": [{"role": "user", "content": self.prompt}],
                "model": self.model or None,
                "max_tokens": self.tokens,
                "temperature": 0,
                "ignore_eos": True,  # An answer that ends early measures how requests begin.
                "stream": True,
            }
        )
        headers = [
            f"POST {urlsplit(url).path.rstrip('/')}{PATH} HTTP/1.1",
            f"Host: {urlsplit(url).netloc}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *([f"Authorization: Bearer {self.token}"] if self.token else []),
        ]
        return "\r\n".join([*headers, "", ""]).encode() + body


class _Delta(Struct):
    content: str = ""


class _Choice(Struct):
    delta: _Delta
    finish_reason: str | None = None


class _Error(Struct):
    message: str


class _Chunk(Struct):
    choices: list[_Choice] = []
    error: _Error | None = None


class Event(Struct, frozen=True):
    """One event. index: of the token, -1 where it brings none; finish: why the answer ended."""

    index: int = -1
    text: str = ""
    finish: str = ""
    error: str = ""
    last: bool = False


_decode = msgspec.json.Decoder(_Chunk).decode


def read_event(block: bytes) -> Event | None:
    """One block of an event stream; None for a comment. Raises msgspec.DecodeError."""
    index, data = -1, b""
    for line in block.split(b"\n"):
        if line.startswith(b"id: "):
            index = int(line[4:])
        elif line.startswith(b"data: "):
            data = line[6:]
    if not data or data == DONE:
        return Event(last=True) if data else None
    chunk = _decode(data)
    choice = chunk.choices[0] if chunk.choices else _Choice(_Delta())
    error = chunk.error.message if chunk.error else ""
    return Event(index, choice.delta.content, choice.finish_reason or "", error)
