"""Reads the dead letters: requests that are not tried again, with their history."""

from mesh.bus.jetstream import JetStream, Stored
from mesh.protocol import subjects
from mesh.protocol.codec import decode_letter
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.messages import DeadLetter


async def letters(js: JetStream) -> list[tuple[int, DeadLetter]]:
    """All dead letters with their sequences, oldest first. Raises BusError."""
    found = []
    info = await js.stream_info(subjects.DLQ_STREAM)
    at = info.state.first_seq
    async for batch in js.read(subjects.DLQ_STREAM, subjects.DLQ_ALL, at, info.state.last_seq):
        found += [(stored.seq, letter) for stored in batch if (letter := _read(stored))]
    return found


async def letter_of(js: JetStream, rid: str) -> tuple[int, DeadLetter]:
    """The dead letter of a request. Raises MeshError (not_found), BusError."""
    stored = await js.last(subjects.DLQ_STREAM, subjects.dead_letter_of(rid))
    letter = None if stored is None else _read(stored)
    if stored is None or letter is None:
        raise MeshError(
            ErrorCode.NOT_FOUND,
            f"There is no dead letter {rid!r}; `mesh dlq list` shows those there are.",
        )
    return stored.seq, letter


def _read(stored: Stored) -> DeadLetter | None:
    """The letter; None for the mark in the place of one that is gone."""
    letter = decode_letter(stored.data)
    return letter if isinstance(letter, DeadLetter) else None
