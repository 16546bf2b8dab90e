"""Judges a response after the load: whether the answer is whole, and when each token came. Pure.

Whole means: every token once and in order, as its index says, the end with the right count, and,
where the text is known beforehand, that text. Anything less is a failure with a reason.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from mesh.cli.load.connection import Read
from mesh.cli.load.question import Event, read_event


@dataclass
class Answer:
    """One answer. Times are those of `time.perf_counter`; at[k] is when token k was there.

    failure: "" where the answer is whole, else why it is not.
    """

    asked: float
    texts: list[str] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    failure: str = ""

    @property
    def first_token(self) -> float:
        """Seconds from the request to the first token."""
        return self.at[0] - self.asked

    @property
    def gaps(self) -> list[float]:
        """Seconds between each token and the one before."""
        return [after - before for before, after in zip(self.at, self.at[1:], strict=False)]

    @property
    def pace(self) -> float:
        """Tokens per second from the first token to the last; 0 for fewer than two."""
        spent = self.at[-1] - self.at[0] if self.at else 0.0
        return (len(self.at) - 1) / spent if spent else 0.0


class Malformed(Exception):
    """The response is not what HTTP or the route allows. The text says what was found."""


def judge(asked: float, reads: Sequence[Read], text: str | None = None) -> Answer:
    """The answer in a response, held against its `text` where that is known."""
    answer = Answer(asked)
    try:
        total = _collect(answer, reads)
    except (Malformed, msgspec.DecodeError) as error:
        answer.failure = str(error)
        return answer
    if total is None:
        answer.failure = "the stream broke off without an end"
    elif total != len(answer.texts):
        answer.failure = f"the end says {total} tokens, but {len(answer.texts)} came"
    elif text is not None and "".join(answer.texts) != text:
        answer.failure = "the text is not the one that was to come"
    elif not answer.texts:
        answer.failure = "there was no token"
    return answer


def _collect(answer: Answer, reads: Sequence[Read]) -> int | None:
    """Put the tokens into the answer; the count that the end names, or None without an end."""
    for at, event in _events(reads):
        if event.error:
            raise Malformed(event.error)
        if event.done:
            return event.total_tokens
        if event.index != len(answer.texts) or event.token is None:
            raise Malformed(f"token {event.index} came where {len(answer.texts)} was due")
        answer.texts.append(event.token)
        answer.at.append(at)
    return None


def _events(reads: Sequence[Read]) -> Iterator[tuple[float, Event]]:
    rest = b""
    for at, body in _bodies(reads):
        *blocks, rest = (rest + body).split(b"\n\n")
        for block in blocks:
            event = read_event(block)
            if event is not None:
                yield at, event


def _bodies(reads: Sequence[Read]) -> Iterator[tuple[float, bytes]]:
    """The body's bytes out of their chunks (RFC 9112, 7.1), as each read completed them."""
    data, begun = b"", False
    for at, new in reads:
        data += new
        if not begun:
            head, begun, data = _head(data)
            if not begun:
                continue
            _check(head)
        body, data = _dechunk(data)
        if body:
            yield at, body
    if not begun:
        raise Malformed("the connection was lost before an answer")


def _head(data: bytes) -> tuple[bytes, bool, bytes]:
    head, blank, rest = data.partition(b"\r\n\r\n")
    return (head, True, rest) if blank else (b"", False, data)


def _check(head: bytes) -> None:
    status = head.split(b" ", 2)[1]
    if status != b"200":
        raise Malformed(f"HTTP {status.decode()}")
    if b"transfer-encoding: chunked" not in head.lower():
        raise Malformed("the response is not streamed")


def _dechunk(data: bytes) -> tuple[bytes, bytes]:
    """The bodies of the whole chunks at the beginning, and the rest."""
    bodies: list[bytes] = []
    while True:
        size, line, _ = data.partition(b"\r\n")
        end = len(size) + 2 + int(size, 16) + 2 if line else len(data) + 1
        if end > len(data):
            return b"".join(bodies), data
        bodies.append(data[len(size) + 2 : end - 2])
        data = data[end:]
