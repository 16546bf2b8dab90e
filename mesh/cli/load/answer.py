"""Judges a response after the load: whether the answer is whole, and when each token came. Pure.

Whole means: every token once and in order, as the events' ids say, then the reason of the end and
the last event; as many tokens as were asked for if that is the reason; and, where the text is
known beforehand, that text. Anything less is a failure.
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


def judge(asked: float, reads: Sequence[Read], limit: int, text: str | None = None) -> Answer:
    """The answer in a response to a question for `limit` tokens, with its `text` if known."""
    answer = Answer(asked)
    try:
        finish = _collect(answer, reads)
    except (Malformed, msgspec.DecodeError) as error:
        answer.failure = str(error)
        return answer
    if not answer.texts:
        answer.failure = "there was no token"
    elif finish == "length" and len(answer.texts) != limit:
        answer.failure = f"{len(answer.texts)} tokens came, not {limit}"
    elif text is not None and "".join(answer.texts) != text:
        answer.failure = "the text is not the one that was to come"
    return answer


def _collect(answer: Answer, reads: Sequence[Read]) -> str:
    """Put the tokens into the answer; returns why it ended. Raises Malformed if it is torn."""
    finish = ""
    for at, event in _events(reads):
        if event.error:
            raise Malformed(event.error)
        if event.last and finish:
            return finish
        finish = finish or event.finish
        if event.index < 0:
            continue
        if event.index != len(answer.texts):
            raise Malformed(f"token {event.index} came where {len(answer.texts)} was due")
        answer.texts.append(event.text)
        answer.at.append(at)
    raise Malformed("the stream broke off without an end")


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
