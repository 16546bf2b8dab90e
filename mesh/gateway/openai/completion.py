"""How completions are written: as one object, and as a stream of chunks. Pure.

Its readers take the end of a stream for the end of the answer, whatever came before, so a stream
that has no `[DONE]` ends in an error.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, Struct

from mesh.gateway.anew import refusal
from mesh.gateway.errors import openai_error, stopping
from mesh.gateway.openai import shapes
from mesh.gateway.openai.asked import Asked
from mesh.gateway.openai.shapes import (
    Answer,
    Called,
    CalledFunction,
    ChatLogprobs,
    Choice,
    Completion,
    Finish,
    Head,
    TextChoice,
    TextCompletion,
    TextLogprobs,
)
from mesh.gateway.openai.speech import CallDelta, Delta, Speech
from mesh.protocol.abilities import thoughts_of
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Cancelled, Done, End, Failed, Usage
from mesh.protocol.request import Request
from mesh.protocol.run import Run
from mesh.protocol.worker_info import ModelCard

_encode = msgspec.json.Encoder().encode

_ENDS_OF_LINES = (
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
    ("\x85".encode(), b"\\u0085"),
)

DONE = b"data: [DONE]\n\n"


class _Last(Struct):
    choices: list[None]
    usage: shapes.Usage


class Book:
    """What all choices of one answer share: its head, and the end that comes with the last of them.

    card: of the model, where it is served; run: of the first choice. What the log says goes before
    the card, so that an answer is read in one way, whoever serves the model by then.
    """

    def __init__(
        self,
        asked: Asked,
        first: Request,
        card: ModelCard | None = None,
        run: Run | None = None,
    ) -> None:
        self.asked = asked
        self._first = first
        claim = run.claim if run is not None else None
        queued = run.queued if run is not None else None
        known = card.fingerprint if card is not None else None
        self._fingerprint = claim.fingerprint if claim is not None else known
        noted = queued.thoughts if queued is not None else None
        self._thoughts = noted or thoughts_of(card) or "none"
        self._used: dict[int, Usage] = {}
        self._count = len(asked.prompts) * asked.n

    @property
    def several(self) -> bool:
        """Whether there are more choices than one."""
        return self._count > 1

    def head(self, whole: bool = False) -> Head:
        """What each chunk begins with, or the whole."""
        kind: Literal["chat.completion", "chat.completion.chunk", "text_completion"]
        if self.asked.raw:
            prefix, kind = "cmpl", "text_completion"
        else:
            prefix, kind = "chatcmpl", "chat.completion" if whole else "chat.completion.chunk"
        first = self._first
        return Head(
            id=f"{prefix}-{first.rid}",
            object=kind,
            created=int(first.created),
            model=first.model,
            system_fingerprint=self._fingerprint or UNSET,
        )

    def speech(self, index: int) -> Speech | None:
        """What reads the parts of a choice's text apart; None where it is content and no more."""
        thinks = self._thoughts != "none"
        if self.asked.raw or not (self.asked.tools or thinks):
            return None
        thinking = self._thoughts == "begun"
        free = not self.asked.grammar or bool(self.asked.tools)
        rid = f"{self._first.rid}.{index}"
        return Speech(rid, bool(self.asked.tools), thinks, thinking and free)

    def over(self, index: int, used: Usage) -> bytes:
        """What follows the end of a choice: nothing, until it was the last one's."""
        self._used[index] = used
        if len(self._used) < self._count:
            return b""
        if not self.asked.include_usage:
            return DONE
        together = shapes.usage([self._used[at] for at in range(self._count)])
        head = b"data: " + _encode(self.head())[:-1]
        return head + b"," + _encode(_Last([], together))[1:] + b"\n\n" + DONE


class Chunks:
    """The events of one choice of a streamed answer.

    opened: whether its reader has had the first chunk already. Only the events of a single choice
    have a number to read on behind.
    """

    def __init__(self, book: Book, index: int, opened: bool = False) -> None:
        head = b"data: " + _encode(book.head())[:-1]
        asked = book.asked
        usage = b',"usage":null' if asked.include_usage else b""
        self._book = book
        self._index = index
        self._opened = opened
        self._speech = book.speech(index)
        self._heard = 0
        self._length = (0, 0)
        self._numbered = not book.several
        self._likely = asked.sampling.logprobs is not None
        self._text = asked.raw
        self._told_in = asked.told_in
        self._prompt = asked.prompts[index // asked.n][0].content if asked.echo else ""
        self._choice = head + b',"choices":[{"index":%d,' % index
        self._content = self._choice + (b'"text":' if self._text else b'"delta":{"content":')
        close = b"" if self._text else b"}"
        self._going_on = close + b',"logprobs":null,"finish_reason":null}]' + usage + b"}\n\n"
        self._logprobs = close + b',"logprobs":%b,"finish_reason":null}]' + usage + b"}\n\n"
        self._over = b',"logprobs":null,"finish_reason":"%b"}]' + usage + b"}\n\n"

    def tokens(self, run: Run, index: int, upto: int) -> bytes:
        events = [self._opening()]
        if self._speech is not None:
            index = self._spoken(events, self._speech, run, index, upto)
        texts = run.pieces(index, upto)
        encode, before, after = _encode, self._content, self._going_on
        if self._likely:
            events += [
                self._id(at) + before + encode(text) + self._logprobs % self._odds(run, at)
                for at, text in enumerate(texts, index)
            ]
        elif self._numbered:
            events += [
                b"id: %d\n%b%b%b" % (at, before, encode(text), after)
                for at, text in enumerate(texts, index)
            ]
        else:
            events += [before + encode(text) + after for text in texts]
        return one_line_each(b"".join(events))

    def end(self, run: Run) -> bytes:
        match run.end:
            case Done(finish=finish, usage=used):
                empty = b'"text":""' if self._text else b'"delta":{}'
                parting = self._parting(run)
                why = self._finish(finish)
                over = parting + self._choice + empty + self._over % why.encode()
                return self._opening() + over + self._book.over(self._index, used)
            case end:
                return error_event(failure(end, self._told_in))

    def tick(self, run: Run) -> bytes:
        return b""

    def _spoken(self, events: list[bytes], speech: Speech, run: Run, index: int, upto: int) -> int:
        """Add the deltas of pieces, as long as their parts have to be told apart; those of the
        pieces before them are told apart first. Returns the first piece that is content alone."""
        for text in run.pieces(self._heard, index):
            speech.feed(text)
        while index < upto and not speech.plain:
            delta = speech.feed(*run.pieces(index, index + 1))
            if delta:
                odds = self._odds(run, index) if self._likely else b"null"
                events.append(self._id(index) + self._said(delta, odds))
            index += 1
        self._heard = index
        if speech.plain:
            self._speech = None
        return index

    def _said(self, delta: Delta, odds: bytes = b"null") -> bytes:
        """A chunk of whatever came."""
        said: dict[str, object] = {}
        if delta.reasoning:
            said["reasoning_content"] = delta.reasoning
        if delta.content:
            said["content"] = delta.content
        if delta.calls:
            said["tool_calls"] = [_call_delta(call) for call in delta.calls]
        return self._choice + b'"delta":' + _encode(said)[:-1] + self._logprobs % odds

    def _parting(self, run: Run) -> bytes:
        """What was held back up to the end, also of pieces that were told to this reader before: of
        who reads on behind the last of them nothing was heard here yet."""
        if self._speech is None:
            return b""
        for text in run.pieces(self._heard, run.count):
            self._speech.feed(text)
        self._heard = run.count
        held = self._speech.finish()
        return one_line_each(self._said(held)) if held else b""

    def _finish(self, finish: Finish) -> Finish:
        calls = self._speech is not None and self._speech.complete
        return "tool_calls" if calls and finish == "stop" else finish

    def _id(self, at: int) -> bytes:
        return b"id: %d\n" % at if self._numbered else b""

    def _odds(self, run: Run, at: int) -> bytes:
        odds, texts = run.odds_of(at), run.pieces(at, at + 1)
        if not odds:
            return b"null"
        if not self._text:
            return _encode(shapes.chat_logprobs(texts, odds))
        return _encode(shapes.text_logprobs(texts, odds, self._offset(run, at)))

    def _offset(self, run: Run, at: int) -> int:
        """How many characters come before a piece; what was told before it may have been let go."""
        upto, length = self._length
        length += sum(map(len, run.pieces(upto, at)))
        self._length = at + 1, length + sum(map(len, run.pieces(at, at + 1)))
        return length

    def _opening(self) -> bytes:
        if self._opened:
            return b""
        self._opened = True
        if self._text:
            prompt = one_line_each(_encode(self._prompt))
            return self._content + prompt + self._going_on if self._prompt else b""
        role = b'"delta":{"role":"assistant","content":"","refusal":null'
        return self._choice + role + self._going_on


def one_line_each(events: bytes) -> bytes:
    """Escape what some clients' readers of lines take for an end of line, though SSE does not."""
    if events.isascii():  # most are, and that is seen ten times as soon as the rest
        return events
    if b"\xe2\x80" in events or b"\xc2\x85" in events:
        for character, escaped in _ENDS_OF_LINES:
            events = events.replace(character, escaped)
    return events


def completion(book: Book, runs: list[Run], ends: list[Done]) -> bytes:
    """Finished answers as one object."""
    asked = book.asked
    used = shapes.usage([end.usage for end in ends])
    head = msgspec.structs.asdict(book.head(whole=True))
    made = enumerate(zip(runs, ends, strict=True))
    if asked.raw:
        texts = [_text_choice(asked, at, run, end) for at, (run, end) in made]
        return _encode(TextCompletion(**head, choices=texts, usage=used))
    choices = [_choice(book, at, run, end) for at, (run, end) in made]
    return _encode(Completion(**head, choices=choices, usage=used))


def _choice(book: Book, at: int, run: Run, end: Done) -> Choice:
    likely: ChatLogprobs | None = shapes.chat_logprobs(run.texts, run.odds) if run.odds else None
    speech = book.speech(at)
    if speech is None:
        return Choice(at, Answer("assistant", run.text), likely, end.finish)
    parts = (speech.feed(run.text), speech.finish())
    calls: dict[int, Called] = {}
    for delta in (delta for part in parts for delta in part.calls):
        call = calls.setdefault(delta.index, Called(delta.id, CalledFunction(delta.name, "")))
        call.function.arguments += delta.arguments
    content = "".join(part.content for part in parts)
    answer = Answer(
        "assistant",
        content or (None if calls else ""),
        reasoning_content="".join(part.reasoning for part in parts) or UNSET,
        tool_calls=list(calls.values()) or UNSET,
    )
    stopped = end.finish == "stop" and speech.complete
    return Choice(at, answer, likely, "tool_calls" if stopped else end.finish)


def _call_delta(call: CallDelta) -> dict[str, object]:
    """id and name first, fragments of the arguments after."""
    if not call.name:
        return {"index": call.index, "function": {"arguments": call.arguments}}
    function = {"name": call.name, "arguments": call.arguments}
    return {"index": call.index, "id": call.id, "type": "function", "function": function}


def _text_choice(asked: Asked, at: int, run: Run, end: Done) -> TextChoice:
    likely: TextLogprobs | None = None
    if run.odds:
        likely = shapes.text_logprobs(run.texts, run.odds, 0)
    prompt = asked.prompts[at // asked.n][0].content if asked.echo else ""
    return TextChoice(at, prompt + run.text, likely, end.finish)


def failure(end: End | None, told_in: str = "messages") -> MeshError:
    """Why there is no whole answer. told_in: the parameter that says what to answer."""
    match end:
        case Failed():
            error = refusal(end)
            if error.param == "messages":  # whoever answers does not know what the route takes
                error.param = told_in
            return error
        case Cancelled():
            return MeshError(ErrorCode.CANCELLED)
        case _:
            return stopping()


def error_event(error: MeshError) -> bytes:
    """The one event that OpenAI's clients raise."""
    return b"data: %b\n\n" % _encode(openai_error(error))
