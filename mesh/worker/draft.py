"""What is written of one answer so far, and what its end will say of that. Generates nothing."""

import time
from collections.abc import Callable
from hashlib import sha256
from itertools import chain, repeat

from msgspec.json import encode as encode_json
from msgspec.structs import replace

from mesh.bus.open_entry import TOKEN_ID, room
from mesh.protocol.events import End, Timings, Usage
from mesh.protocol.questions import RunStatus
from mesh.protocol.request import Request
from mesh.protocol.run import Run
from mesh.worker.engines.base import Job, Step
from mesh.worker.gaps import Gaps
from mesh.worker.gate import Ids, Piece, has_stopped
from mesh.worker.prompt import BuiltPrompt

CHARACTERS = 4
"""Characters of a prompt that are taken for a token, until an engine without a tokenizer counts."""

_AROUND = 6
"""Bytes of JSON that stand around a piece."""

_NOTED = 64
"""Gaps between tokens that are counted together."""


class Draft:
    """The pieces of an answer, those of earlier workers included, and what was measured meanwhile.

    n: the number of the claim under which it is written; gaps: where the time from a token to the
    next is counted; first: Unix time of our engine's first step, None before. texts, ids: of the
    pieces, in order; at_most: bytes that they take in a message, or more.
    """

    def __init__(
        self, request: Request, n: int, gaps: Gaps, clock: Callable[[], float] = time.time
    ) -> None:
        self.texts: list[str] = []
        self.ids: list[Ids] = []
        self.at_most = 0
        self.first: float | None = None
        self._request = request
        self._n = n
        self._gaps = gaps
        self._spoke: float | None = None
        self._waits: list[float] = []
        self._longest = 0.0
        self._clock = clock
        self._claimed = clock()
        self._usage = Usage()
        self._estimate = 0
        self._generated = 0
        self._told = 0
        self._whole = False

    def take_over(self, status: RunStatus, fingerprint: str) -> None:
        """Begin with the pieces that earlier holders of the pen have delivered.

        fingerprint: our engine's. Unless theirs are all the same, their ids mean something else
        here: then it goes on by the text. That there are none means the same to all (`gate.py`).
        """
        ours = all(theirs == fingerprint for theirs in status.fingerprints)
        for text, ids in zip(status.texts, status.ids or repeat(None), strict=False):
            theirs = ids if ours or ids == () else None
            self.add(text, theirs, room(text, theirs))
        self._generated = self.tokens() + has_stopped(self.pieces)

    @property
    def pieces(self) -> list[Piece]:
        """What is written, as pieces."""
        return list(map(Piece, self.texts, self.ids))

    def add(self, text: str, ids: Ids, most: int) -> None:
        """Write one piece more, whose text and ids take so many bytes of a message at most."""
        self.texts.append(text)
        self.ids.append(ids)
        self.at_most += most + _AROUND

    def fits(self, size: int) -> bool:
        """Whether what is written fits one message of so many bytes, as whoever takes over gets it,
        and the database."""
        if self.at_most > size:  # seldom: then it is measured
            self.at_most = sum(map(_measured, self.pieces))
        return self.at_most <= size

    def prompted(self, built: BuiltPrompt) -> None:
        """Count the tokens of the prompt, as far as they are known before the engine says: where
        they are not, they are estimated by the characters of what was said. An upstream may never
        say; but one that refuses has read nothing."""
        size = sum(len(message.content) for message in built.messages)
        self._usage = Usage(prompt_tokens=len(built.ids))
        self._estimate = -(-size // CHARACTERS)

    def note(self, step: Step, now: float) -> None:
        """Take note of what a step of the engine says besides its text. now: time.monotonic()."""
        if self.first is None:
            self.first = self._clock()
        if step.prompt_tokens is not None:
            self._usage = Usage(
                prompt_tokens=step.prompt_tokens, cached_tokens=step.cached_tokens or 0
            )
        ids = step.ids
        if tokens := int(step.text != "") if ids is None else len(ids):
            self._generated += tokens
            if self._spoke is not None:  # a reader waits, be it for us that the engine does
                waits = self._waits
                waits.append(now - self._spoke)
                if len(waits) == _NOTED:
                    self.count_gaps()
            self._spoke = now
        self._told = step.completion_tokens or self._told
        self._whole = step.finish is not None
        if step.reasoning_tokens:
            self._usage = replace(self._usage, reasoning_tokens=step.reasoning_tokens)

    def count_gaps(self) -> None:
        """Count the gaps noted up to now; at the latest when there are no more steps."""
        waits, self._waits = self._waits, []
        if waits:
            self._longest = max(self._longest, *waits)
            self._gaps.add(waits)

    def tokens(self) -> int:
        """How many tokens are said; of pieces without ids each counts as one."""
        return sum(1 if ids is None else len(ids) for ids in self.ids)

    def _spent(self) -> int:
        """The tokens of the answer: as an engine counts them that tells no ids, else ours. Of an
        answer that was broken off it may have told of fewer than have come since.

        Ours are those that were generated, not those that are said: a token within which a stop
        string begins, or that is one, has been paid for. Of earlier workers the said ones count.
        """
        return self._told if self._told and self._whole else max(self._told, self._generated)

    def _used(self) -> Usage:
        """What was used. An estimate goes for a prompt that somebody has begun to answer."""
        begun = self.first is not None or bool(self.texts)
        prompt = self._usage.prompt_tokens or (self._estimate if begun else 0)
        return replace(self._usage, prompt_tokens=prompt, completion_tokens=self._spent())

    def job(self, built: BuiltPrompt, left: int) -> Job:
        """What the engine has to do: `left` more tokens at most."""
        request = self._request
        known = self._known()
        prefix_ids = None if known is None else tuple(chain.from_iterable(known))
        seed = request.sampling.seed
        return Job(
            rid=request.rid,
            messages=built.messages,
            prompt=built.text,
            prompt_ids=built.ids,
            prefix_text="".join(self.texts),
            prefix_ids=prefix_ids,
            sampling=request.sampling,
            max_tokens=left,
            seed=int(sha256(request.rid.encode()).hexdigest()[:8], 16) if seed is None else seed,
            grammar=request.grammar,
            tools=request.tools,
        )

    def sealed(self, end: End) -> End:
        """An end with what all ends have in common: text, counts, times and the seal."""
        self.count_gaps()
        run = Run(texts=self.texts, ids=self._known())
        now, first = self._clock(), self.first
        return replace(
            end,
            text=run.text,
            usage=self._used(),
            timings=Timings(
                queue=max(0.0, self._claimed - self._request.created),
                first_token=None if first is None else first - self._claimed,
                generate=0.0 if first is None else now - first,
                gap=self._longest or None,
            ),
            seal=run.seal(),
            n=self._n,
        )

    def _known(self) -> list[tuple[int, ...]] | None:
        """The ids of all pieces; None where those of one are not known."""
        known = [ids for ids in self.ids if ids is not None]
        return known if len(known) == len(self.ids) else None


def _measured(piece: Piece) -> int:
    """The bytes that a piece takes in a message of JSON."""
    return len(encode_json(piece.text)) + _AROUND + TOKEN_ID * len(piece.ids or ())
