"""Keeps requests that took their workers down, with their history, until somebody looks at them.

Each is kept once, whoever tries: what was dropped or asked again leaves a mark in its place.
"""

import logging
import time
from collections.abc import Callable, Iterator
from hashlib import sha256

from msgspec.structs import replace

from mesh.bus.appender import Fenced, persist
from mesh.bus.connection import Oversized
from mesh.bus.dlq import letter_of
from mesh.bus.entries import read_event
from mesh.bus.history import events, story
from mesh.bus.jetstream import JetStream
from mesh.bus.stored import Stored, fence
from mesh.gateway.requests import Requests
from mesh.protocol import subjects
from mesh.protocol.codec import decode, encode
from mesh.protocol.events import Cancelled, Claim, Done, Failed, Queued
from mesh.protocol.letters import AskAgain, AskedAgain, Attempt, DeadLetter, LetterGone

log = logging.getLogger(__name__)

FEW = 3
"""Claims of which a letter tells that has no room for all; what `submit` leaves free holds them."""


class DeadLetters:
    """The dead letters as one gateway keeps and revives them. Times in seconds.

    is_gone: whether a tenant was deleted, of whom nothing more is kept.
    """

    def __init__(
        self,
        js: JetStream,
        requests: Requests,
        request_timeout: float,
        queue_timeout: float,
        clock: Callable[[], float] = time.time,
        is_gone: Callable[[str], bool] = lambda tenant: False,
    ) -> None:
        self._js = js
        self._requests = requests
        self._request_timeout = request_timeout
        self._queue_timeout = queue_timeout
        self._clock = clock
        self._is_gone = is_gone

    async def keep(self, rid: str) -> None:
        """Keep a request that has ended as poison, unless it was kept before. Raises BusError.

        What is larger than a message is kept shortened, or not at all if even that does not fit.
        """
        letter = await self._letter(rid)
        if letter is None or self._is_gone(letter.request.tenant):
            return
        for shorter in _ever_shorter(letter):
            try:
                await persist(self._js, _subject(shorter), encode(shorter), fence(0))
                log.warning("%s is kept as a dead letter: %s", rid, shorter.why)
            except Fenced:
                log.debug("%s is a dead letter already", rid)
            except Oversized:
                continue
            return
        log.error(
            "%s ended as poison and cannot be kept as a dead letter: it is larger than the broker "
            "takes. Raise max_payload in nats.conf and start a gateway again, then it is kept.",
            rid,
        )

    async def ask_again(self, subject: str, data: bytes) -> AskedAgain:
        """Handle `revive.<user>`: queue a dead letter's request as a new one, once.

        The letter goes when its request is in the queue and not before: whoever dies in between
        leaves it, and the next try finds what was queued. Raises MeshError: not_found, and whatever
        a new request may be refused for.
        """
        seq, letter = await letter_of(self._js, decode(data, AskAgain).rid)
        rid = await self._id_of_next(letter.request.rid)
        now = self._clock()
        request = replace(
            letter.request,
            rid=rid,
            created=now,
            deadline=now + self._request_timeout,
            queue_deadline=now + self._queue_timeout,
        )
        body = letter.request.rid  # somebody may come back for the answer: it is no orphan
        track = await self._requests.submit(request, letter.turn, body, letter.note, letter.charge)
        gone = LetterGone(asked_again_as=track.rid, at=self._clock())
        try:
            await persist(self._js, _subject(letter), encode(gone), fence(seq))
        except Fenced:
            log.debug("Somebody else has just seen to the letter of %s", letter.request.rid)
        return AskedAgain(rid=track.rid)

    async def _id_of_next(self, letter: str) -> str:
        """The id under which a letter's request is asked again: the same from everybody who tries,
        until one that has it was refused, or ended before a worker took it."""
        number = 0
        while True:
            rid = sha256(f"{letter}.{number}".encode()).hexdigest()[:32]
            run = await story(self._js, rid)
            if run is None or run.end is None or run.n:
                return rid
            number += 1

    async def _letter(self, rid: str) -> DeadLetter | None:
        """What the log tells of a request that has ended as poison."""
        queued: Queued | None = None
        attempts: list[Attempt] = []
        for stored in await events(self._js, rid):
            match read_event(stored):
                case Queued() as queued:
                    pass
                case Claim() as claim:
                    attempts.append(_attempt(stored, claim))
                case Failed() as end if queued is not None:
                    return _letter(queued, attempts, end, stored.at)
                case Done() | Cancelled():
                    break  # what somebody writes behind an end counts for nothing
        return None


def _ever_shorter(letter: DeadLetter) -> Iterator[DeadLetter]:
    """A letter whole, then with less of its history each time; its request is in all of them."""
    yield letter
    short = "It is too large for a message: what there was of the answer is not kept with it"
    yield replace(letter, text="", why=f"{letter.why} {short}.")
    total, last = len(letter.attempts), letter.attempts[-FEW:]
    short += f", nor more than the last {len(last)} of its {total} claims"
    yield replace(letter, text="", why=f"{letter.why} {short}.", attempts=last)


def _letter(queued: Queued, attempts: list[Attempt], end: Failed, at: float) -> DeadLetter:
    return DeadLetter(
        request=queued.request,
        turn=queued.turn,
        at=at,
        why=end.detail,
        text=end.text,
        attempts=tuple(attempts),
        note=queued.note,
        charge=queued.charge,
    )


def _attempt(stored: Stored, claim: Claim) -> Attempt:
    writer = subjects.parse_run(stored.subject).writer
    return Attempt(n=claim.n, worker=writer.user, inc=writer.inc, at=stored.at, lost=claim.lost)


def _subject(letter: DeadLetter) -> str:
    return subjects.dead_letter(letter.request.model, letter.request.rid)
