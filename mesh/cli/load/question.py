"""What is asked of a gateway, as bytes, and what the events of the answer say: `POST /generate`."""

from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

PATH = "/generate"

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")
REPEAT = f"/repeat {' '.join(WORDS)}"
"""What the echo engine answers with as many words as it may."""


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
        params = {"max_tokens": self.tokens, "temperature": 0}
        body = msgspec.json.encode(
            {"prompt": self.prompt, "model": self.model or None, "params": params}
        )
        headers = [
            f"POST {urlsplit(url).path.rstrip('/')}{PATH} HTTP/1.1",
            f"Host: {urlsplit(url).netloc}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *([f"Authorization: Bearer {self.token}"] if self.token else []),
        ]
        return "\r\n".join([*headers, "", ""]).encode() + body


class Event(Struct):
    """Any event of the route: a token with its index, the end, or an error."""

    token: str | None = None
    index: int = -1
    done: bool = False
    total_tokens: int = -1
    error: str = ""


_decode = msgspec.json.Decoder(Event).decode


def read_event(block: bytes) -> Event | None:
    """One block of an event stream; None for a comment. Raises msgspec.DecodeError."""
    for line in block.split(b"\n"):
        if line.startswith(b"data: "):
            return _decode(line[6:])
    return None
