"""A response as its request's log tells it: as an object, and as numbered events. Pure.

The events follow from the pieces of the answer alone, so every gateway numbers them in the same
way, and a reader goes on behind any of them.
"""

from typing import Any

import msgspec

from mesh.gateway.openai.completion import failure, one_line_each
from mesh.gateway.openai.responses.shapes import (
    Cached,
    CallItem,
    Incomplete,
    Item,
    MessageItem,
    Note,
    Reasoned,
    ReasoningItem,
    ResponseObject,
    Status,
    Text,
    Thought,
    Trouble,
    Used,
)
from mesh.gateway.openai.speech import Delta, Speech
from mesh.protocol.events import Cancelled, Done, End, Usage
from mesh.protocol.request import Request
from mesh.protocol.run import Run

_encode = msgspec.json.Encoder().encode

PREFIX = "resp_"


class Story:
    """One response. `hear` its pieces in order, then its `end`; each returns events."""

    def __init__(self, request: Request, note: Note) -> None:
        self._request = request
        self._note = note
        self._speech = Speech(request.rid, bool(request.tools), note.thinks, note.thinking)
        self.items: list[Item] = []
        self._sequence = 0
        self._events: list[bytes] = []

    def begin(self) -> None:
        """The first two events."""
        for kind, status in (("created", "queued"), ("in_progress", "in_progress")):
            shown = self.shown("queued" if status == "queued" else "in_progress", None)
            self._tell(f"response.{kind}", response=shown)

    def hear(self, text: str) -> None:
        self._add(self._speech.feed(text))

    def end(self, end: End) -> None:
        """The last events."""
        self._add(self._speech.finish())
        status = status_of(end)
        self._close("completed" if status == "completed" else "incomplete")
        kind = status if status in ("completed", "incomplete") else "failed"
        self._tell(f"response.{kind}", response=self.shown(status, end))

    def events(self) -> list[bytes]:
        """What was told since the last time."""
        told, self._events = self._events, []
        return told

    @property
    def told(self) -> int:
        """How many events were told up to now."""
        return self._sequence

    def shown(self, status: Status, end: End | None) -> ResponseObject:
        """The response as it stands."""
        note, request = self._note, self._request
        trouble = None
        if status == "failed":
            trouble = Trouble("server_error", failure(end).detail)
        return ResponseObject(
            id=PREFIX + request.rid,
            created_at=int(request.created),
            model=request.model,
            status=status,
            output=list(self.items),
            error=trouble,
            incomplete_details=Incomplete("max_output_tokens") if status == "incomplete" else None,
            usage=None if end is None else _used(end.usage),
            instructions=note.instructions,
            previous_response_id=note.previous_response_id,
            metadata=note.metadata,
            tools=note.tools,
            tool_choice=note.tool_choice,
            parallel_tool_calls=note.parallel_tool_calls,
            text=note.text,
            temperature=request.sampling.temperature,
            top_p=request.sampling.top_p,
            max_output_tokens=request.max_tokens,
            background=note.background,
            store=note.store,
        )

    # --- items ------------------------------------------------------------------------------------

    def _add(self, delta: Delta) -> None:
        if delta.reasoning:
            self._think(delta.reasoning)
        if delta.content:
            self._say(delta.content)
        for call in delta.calls:
            if call.name:
                self._open(CallItem(self._id("fc"), call.id, call.name, "", "in_progress"))
            item = self.items[-1]
            if call.arguments and isinstance(item, CallItem):
                item.arguments += call.arguments
                self._tell_item("function_call_arguments.delta", delta=call.arguments)

    def _say(self, text: str) -> None:
        item = self.items[-1] if self.items else None
        if not isinstance(item, MessageItem):
            item = MessageItem(self._id("msg"), "in_progress", [])
            self._open(item)
            item.content.append(Text(""))
            self._tell_part("content_part.added", part=Text(""))
        item.content[0].text += text
        self._tell_part("output_text.delta", delta=text, logprobs=[])

    def _think(self, text: str) -> None:
        item = self.items[-1] if self.items else None
        if not isinstance(item, ReasoningItem):
            item = ReasoningItem(self._id("rs"), "in_progress", [])
            self._open(item)
            item.content.append(Thought(""))
        item.content[0].text += text
        self._tell_part("reasoning_text.delta", delta=text)

    def _open(self, item: Item) -> None:
        self._close("completed")
        self.items.append(item)
        self._tell("response.output_item.added", output_index=len(self.items) - 1, item=item)

    def _close(self, status: Any) -> None:
        """The last item is whole, or will never be."""
        if not self.items or self.items[-1].status != "in_progress":
            return
        item = self.items[-1]
        item.status = status
        match item:
            case MessageItem(content=[text]):
                self._tell_part("output_text.done", text=text.text, logprobs=[])
                self._tell_part("content_part.done", part=text)
            case ReasoningItem(content=[thought]):
                self._tell_part("reasoning_text.done", text=thought.text)
            case CallItem():
                self._tell_item(
                    "function_call_arguments.done", arguments=item.arguments, name=item.name
                )
        self._tell("response.output_item.done", output_index=len(self.items) - 1, item=item)

    def _id(self, kind: str) -> str:
        return f"{kind}_{self._request.rid}_{len(self.items)}"

    # --- events -----------------------------------------------------------------------------------

    def _tell_part(self, kind: str, **more: Any) -> None:
        self._tell_item(kind, content_index=0, **more)

    def _tell_item(self, kind: str, **more: Any) -> None:
        index = len(self.items) - 1
        self._tell(f"response.{kind}", item_id=self.items[index].id, output_index=index, **more)

    def _tell(self, kind: str, **more: Any) -> None:
        data = _encode({"type": kind, "sequence_number": self._sequence, **more})
        event = b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
        self._events.append(one_line_each(event))
        self._sequence += 1


class Telling:
    """The events of a streamed response, behind number `after` (-1: all)."""

    def __init__(self, story: Story, after: int) -> None:
        self._story = story
        self._skip = after + 1
        story.begin()

    def tokens(self, run: Run, index: int, upto: int) -> bytes:
        for text in run.pieces(index, upto):
            self._story.hear(text)
        return self._told()

    def end(self, run: Run) -> bytes:
        if run.end is not None:
            self._story.end(run.end)
        return self._told(last=True)

    def tick(self, run: Run) -> bytes:
        return self._told()

    def _told(self, last: bool = False) -> bytes:
        """last: there will be no more; who asked for what lies behind that is told how it ended."""
        events = self._story.events()
        skipped = min(self._skip, len(events))
        self._skip -= skipped
        if last and self._skip:
            return b"".join(events[-1:])
        return b"".join(events[skipped:])


def as_it_stands(request: Request, note: Note, run: Run) -> ResponseObject:
    """The whole response, from its log; of one that runs, as far as it is known."""
    story = Story(request, note)
    if run.end is None:
        story.hear(run.text)
        return story.shown("in_progress" if run.n else "queued", None)
    story.hear(run.end.text or run.text)
    story.end(run.end)
    return story.shown(status_of(run.end), run.end)


def last_number(request: Request, note: Note, run: Run) -> int:
    """The number of the last event that there is up to now."""
    story = Story(request, note)
    story.begin()
    for text in run.texts:
        story.hear(text)
    if run.end is not None:
        story.end(run.end)
    return story.told - 1


def status_of(end: End) -> Status:
    match end:
        case Done(finish="length"):
            return "incomplete"
        case Done():
            return "completed"
        case Cancelled():
            return "cancelled"
    return "failed"


def _used(used: Usage) -> Used:
    prompt, answer = used.prompt_tokens, used.completion_tokens
    return Used(
        prompt, Cached(used.cached_tokens), answer, Reasoned(used.reasoning_tokens), prompt + answer
    )
