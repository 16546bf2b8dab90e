"""Made-up stories and troubles, and what the checker finds in them, for tests. Pure."""

from collections.abc import Collection, Sequence
from itertools import cycle, islice

from msgspec.structs import replace

from mesh.protocol.events import Claim, Done, End, Queued, Timings, Usage
from mesh.protocol.request import Message, Request, Turn, UserMessage
from mesh.protocol.run import Run
from mesh.protocol.subjects import Writer
from tests.chaos.checker import Transcript, Verdict, check
from tests.chaos.ends import Known
from tests.chaos.faults import Window
from tests.chaos.plan import ECHO, Ask, Client
from tests.chaos.story import Claimed, Story

ASKED, ENDED = 1000.0, 1001.0
DONE = Done(uid="end", finish="length")
TIMINGS = Timings(queue=0.25, first_token=0.125, generate=0.5)


def story(
    count: int,
    end: End = DONE,
    *,
    ended: float = ENDED,
    holders: Sequence[str] = ("w1",),
    gave_back: Collection[str] = (),
    chat: bool = False,
    client: Client = "reader",
    stop_asked: float = 0.0,
    parent: str | None = None,
) -> Story:
    """An echo's answer of so many pieces, claimed by these workers, one each second.

    gave_back: those of them who did so; all others were lost, but for the last. client: who has
    asked for it; parent: of its question, in a chat.
    """
    run, ask = Run(), Ask(1, 0.0, client, 60, 5)
    run.event(_queued(ask, chat, parent), Writer("gateway", "a"), 1)
    lost = [False, *(user not in gave_back for user in holders)]
    for n, user in enumerate(holders, 1):
        claim = Claim(uid=f"claim{n}", n=n, item=1, ack_reply="a", model=ECHO, lost=lost[n - 1])
        run.event(claim, Writer(user, "a"), n + 1)
    run.texts, run.ids = [f"{word}~1 " for word in islice(cycle(ask.words), count)], None
    usage = Usage(prompt_tokens=3, completion_tokens=count)
    last = replace(end, text=run.text, seal=run.seal(), usage=usage, timings=TIMINGS)
    run.event(last, Writer("w1", "a"), len(holders) + 2)
    claims = [Claimed(ASKED + k, Writer(user, "a"), lost[k]) for k, user in enumerate(holders)]
    return Story("r1", run, claims, 1, ended, [], ASKED, stop_asked)


def trouble(name: str, kind: str, start: float = ASKED, end: float = ENDED) -> Window:
    return Window(name, kind, start, end)


def checked(
    told: Story, client: Client, ended: str, pieces: int = 100, known: Known | None = None
) -> Verdict:
    """What the checker finds where a client asked for sixty and read so many pieces at most."""
    read = list(enumerate(told.run.texts[:pieces]))
    total = len(told.run.texts) if ended == "done" else -1
    transcript = Transcript(1, read, ended, total)
    asks = [Ask(1, 0.0, client, 60, 5)]
    return check([told], asks, [transcript], None, known or Known())


def blamed(verdict: Verdict, *sentences: str) -> bool:
    """Whether just this is wrong with ends, and nothing else."""
    only = {name for name, count in verdict.counts.items() if count} == {"wrongly ended"}
    return only and all(any(each in said for said in verdict.said) for each in sentences)


def _queued(ask: Ask, chat: bool, parent: str | None) -> Queued:
    said = Message(role="user", content=ask.prompt)
    request = Request(
        rid="r1",
        reply="gw1",
        tenant="t",
        model=ECHO,
        messages=(said,),
        created=ASKED,
        deadline=ASKED + 120,
    )
    question = UserMessage(id="q", content=said.content, parent_id=parent, created=ASKED)
    turn = Turn(chat_id="c", user_id="u", user_message=question) if chat else None
    return Queued(uid="queued", request=request, turn=turn)
