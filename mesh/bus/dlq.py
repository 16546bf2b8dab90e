"""Reads the dead letters: requests that are not tried again, with their history; and drops those
of people who are gone."""

import logging
import time
from collections.abc import Collection

from msgspec import DecodeError

from mesh.bus.api import NO_STREAM, ApiError
from mesh.bus.appender import Fenced, persist
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import Stored, fence
from mesh.protocol import subjects
from mesh.protocol.codec import decode_letter, encode
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.letters import DeadLetter, LetterGone

log = logging.getLogger(__name__)


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


async def forget(js: JetStream, tenants: Collection[str]) -> None:
    """Drop every dead letter of people who are gone, by their ids. Raises BusError."""
    try:
        found = await letters(js)
    except ApiError as error:
        if error.code != NO_STREAM:
            raise
        return  # no gateway has ever run, so nothing was ever asked
    for seq, letter in found:
        request = letter.request
        if request.tenant in tenants:
            subject = subjects.dead_letter(request.model, request.rid)
            try:
                await persist(js, subject, encode(LetterGone(at=time.time())), fence(seq))
            except Fenced:
                log.debug("%s is not a dead letter any more", request.rid)


def _read(stored: Stored) -> DeadLetter | None:
    """The letter; None for the mark in the place of one that is gone, and for garbage."""
    try:
        letter = decode_letter(stored.data)
    except DecodeError as error:
        log.warning("The dead letter at %d cannot be read: %s", stored.seq, error)
        return None
    return letter if isinstance(letter, DeadLetter) else None
