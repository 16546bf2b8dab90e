"""A message of a stream, read out of each of the three forms in which the broker gives it.

Republished on a `live.` subject, answered to a direct get (ADR-31), or as JSON by the stream's
leader; and the fence that its append had to pass.
"""

import base64
from datetime import datetime

from msgspec import Struct
from nats.aio.msg import Msg

EXPECTED = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_SUBJECT = "Nats-Expected-Last-Subject-Sequence-Subject"


class Stored(Struct, frozen=True):
    """A message of a stream. at: Unix time by the broker's clock (0 where it is not known).

    expected: the sequence its append was fenced with, or None; previous: of a republished
    message, the sequence before it on the same subject.
    """

    seq: int
    subject: str
    data: bytes
    at: float = 0.0
    expected: int | None = None
    previous: int = 0


class Raw(Struct):
    """hdrs: the header block, in base64."""

    subject: str
    seq: int
    data: str = ""
    time: str = ""
    hdrs: str = ""


def fence(expected: int, subject: str = "") -> dict[str, str]:
    """Headers that let an append pass only if `expected` is the last sequence.

    The last one under `subject` (a filter with wildcards, spelled the same by all who may write at
    the same time: a cluster tells their appends apart by it), or under the append's own subject
    when that is "".
    """
    headers = {EXPECTED: str(expected)}
    if subject:
        headers[EXPECTED_SUBJECT] = subject
    return headers


def republished(msg: Msg) -> Stored:
    """A message as it comes on a `live.` subject, after it was stored."""
    headers = msg.headers or {}
    seq = int(headers["Nats-Sequence"])
    return Stored(
        seq=seq,
        subject=headers["Nats-Subject"],
        data=msg.data,
        at=unix(headers["Nats-Time-Stamp"]),
        expected=_fenced(headers.get(EXPECTED), seq),
        previous=int(headers["Nats-Last-Sequence"]),
    )


def direct(msg: Msg) -> Stored:
    headers = msg.headers or {}
    seq = int(headers["Nats-Sequence"])
    return Stored(
        seq=seq,
        subject=headers["Nats-Subject"],
        data=msg.data,
        at=unix(headers["Nats-Time-Stamp"]),
        expected=_fenced(headers.get(EXPECTED), seq),
    )


def unpacked(raw: Raw) -> Stored:
    return Stored(
        seq=raw.seq,
        subject=raw.subject,
        data=base64.b64decode(raw.data),
        at=unix(raw.time),
        expected=_expected(base64.b64decode(raw.hdrs), raw.seq),
    )


def _expected(headers: bytes, seq: int) -> int | None:
    """The sequence that an append was fenced with, in its stored header block (ADR-4)."""
    for line in headers.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == EXPECTED.encode():
            return _fenced(value.decode("ascii", "replace").strip(), seq)
    return None


def _fenced(said: str | None, seq: int) -> int | None:
    """The sequence that the append stored at `seq` says to have been fenced with: one before it.

    The broker takes what is no number for no fence at all; a writer gone mad may have put it there.
    """
    if said is None or not (said.isascii() and said.isdigit() and len(said) <= len(str(seq))):
        return None
    found = int(said)
    return found if found < seq else None


def unix(stamp: str) -> float:
    """Unix time of the broker's time stamps: RFC 3339 in UTC, with nanoseconds."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    seconds = datetime.fromisoformat(f"{whole}+00:00").timestamp()
    return seconds + float(f"0.{fraction or 0}")
