"""Keeps runs that call tools going: asks the model, waits for outcomes, asks again, ends them.

Everything it does is told in the log first, each step once, so it can die anywhere and another
goes on: the gateway that accepted a run, when it is started again; while that is gone, the one
that has the lease.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from math import inf

from mesh.bus.appender import Fenced, new_secret_uid
from mesh.bus.connection import Bus, BusError
from mesh.bus.jetstream import JetStream
from mesh.bus.lease import Lease
from mesh.gateway.living import Living
from mesh.gateway.models import Models
from mesh.gateway.openai import speech
from mesh.gateway.requests import Requests
from mesh.gateway.runs.calling import Callers
from mesh.gateway.runs.news import News
from mesh.gateway.runs.speaking import speech_of
from mesh.gateway.runs.telling import Telling
from mesh.protocol import subjects
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Cancelled, Done, End, Failed
from mesh.protocol.request import Request
from mesh.protocol.tool_story import ToolStory, rid_of
from mesh.protocol.tools import ActionsNeeded, RunOver, ToolEvent

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks at a run that waits: news of it may be lost."""

EVERY = 2.0
"""Seconds between two looks for runs whose gateway is gone."""

AGAIN = 30.0
"""Seconds between two looks through all runs where nobody else is found gone: it costs."""

LATER = 10.0
"""Seconds until a step that failed for a reason that nobody foresaw is tried again."""

LONGEST_PAUSE = 5.0
"""Seconds between two tries to ask in a run for which there is no room just now."""

NO_ROOM = frozenset({ErrorCode.RATE_LIMITED, ErrorCode.SHARE_FULL, ErrorCode.QUEUE_FULL})
"""What a run that was begun waits out: its owner may not ask more just now, or all are busy."""

CONDUCTING = "conducting"
"""The lease of the one who sees to them."""

MOST_STEPS = 32
"""Askings of the model in one run; one that calls tools for ever has to end."""


class Conductor:
    """One gateway's. `start` begins to listen, `run` takes up what is open, `tend` sees to one."""

    def __init__(
        self,
        bus: Bus,
        js: JetStream,
        name: str,
        requests: Requests,
        models: Models,
        living: Living,
        telling: Telling,
        request_timeout: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bus = bus
        self._name = name
        self._requests = requests
        self._models = models
        self._living = living
        self._telling = telling
        self._request_timeout = request_timeout
        self._clock = clock
        self._lease = Lease(js, CONDUCTING, name)
        self._news: dict[str, News] = {}
        self._callers = Callers(bus, telling, requests.background, clock)

    async def start(self) -> None:
        """Hear what others tell of runs. Raises BusError."""

        def heard(subject: str) -> None:
            news = self._news.get(subjects.parse_run(subject).rid)
            if news is not None:
                news.tell()

        await self._bus.listen(subjects.live(subjects.TOOLS), lambda msg: heard(msg.subject))

    async def run(self) -> None:
        """Take up our own open runs, then those of gateways that are gone, until cancelled.

        Who is gone may have died before anybody was there to see it: the runs say whose they are.
        """
        await self._living.alone.wait()
        seen_to: set[str] | None = None
        looked = 0.0
        while True:
            holding = await self._lease.hold()
            gone = self._living.gone if holding else set()
            late = holding and time.monotonic() - looked > AGAIN
            try:
                if seen_to is None or late or gone - seen_to:
                    looked = time.monotonic()
                    await self._take_up({self._name, *gone})
                    seen_to = gone
                seen_to &= gone
            except (BusError, MeshError) as error:
                log.debug("Looking for open runs: %s", error)
            await asyncio.sleep(EVERY)

    async def _take_up(self, names: set[str]) -> None:
        """See to all open runs of some gateways. Raises BusError."""
        stories = await self._telling.open()
        self._living.expect(story.run.gateway for story in stories)
        for story in stories:
            if story.run.gateway in names:
                self.tend(story.run.id)

    def tend(self, run_id: str) -> None:
        """See to a run until it is over, in the background; once is enough."""
        if run_id not in self._news:
            self._news[run_id] = News()
            self._requests.background(self._tend(run_id))

    async def over(self, run_id: str, seconds: float) -> ToolStory | None:
        """A run once it is over or waits for outcomes, or as it stands after so many seconds.

        Raises MeshError (broker_unavailable).
        """
        until = time.monotonic() + seconds
        while True:
            known = self.known(run_id)
            story = await self._telling.read(run_id)
            left = until - time.monotonic()
            if story is None or story.state != "in_progress" or left <= 0:
                return story
            await self.changed(run_id, known, min(left, LOOK))

    def known(self, run_id: str) -> int:
        """How much was told of a run as yet; for `changed`, before its story is read."""
        news = self._news.get(run_id)
        return news.count if news is not None else 0

    async def changed(self, run_id: str, known: int, seconds: float) -> None:
        """Wait until more is told of a run than was known, or so many seconds at most."""
        news = self._news.get(run_id)
        if news is None:
            await asyncio.sleep(seconds / 10)
        else:
            await news.beyond(known, seconds)

    async def _tend(self, run_id: str) -> None:
        story: ToolStory | None = None
        try:
            while True:
                try:
                    known = self.known(run_id)
                    story = await self._telling.read(run_id)
                    if story is None or story.over is not None:
                        return
                    await self._further(story, known)
                except Fenced:
                    continue
                except (BusError, MeshError) as error:
                    log.debug("The run %s waits: %s", run_id, error)
                    await asyncio.sleep(LOOK)
                except Exception:  # nobody else sees to it while we live
                    log.exception("The run %s came no further; trying again", run_id)
                    await self._later(story)
        finally:
            self._requests.limiter.release([rid_of(run_id, 0)])  # it was over before it was asked
            del self._news[run_id]

    async def _later(self, story: ToolStory | None) -> None:
        """Wait until it is worth trying a step again, up to the run's deadline; behind that, end
        it: what always fails would be tried for ever."""
        left = inf if story is None else story.run.deadline - self._clock()
        if story is not None and left < 0:
            try:
                return await self._expire(story)
            except Fenced:
                return
            except Exception as error:
                log.warning("The run %s could not be ended: %s", story.run.id, error)
        await asyncio.sleep(min(LATER, max(LOOK, left)))

    async def _further(self, story: ToolStory, known: int) -> None:
        """The next step of a run. Raises Fenced if another has taken it, BusError, MeshError."""
        now, run = self._clock(), story.run
        if story.pending:
            due = min(story.steps[-1].deadline, run.deadline)
            if now > due:
                await self._expire(story)
                return
            self._callers.call(story)
            await self.changed(run.id, known, min(LOOK, due - now))
            return
        if len(story.steps) >= MOST_STEPS:
            detail = f"The model called tools {MOST_STEPS} times and came to no end."
            await self._fail(story, ErrorCode.DEADLINE_EXCEEDED, detail)
            return
        try:
            end = await self._ask(story)
        except MeshError as error:
            if error.code is ErrorCode.BROKER_UNAVAILABLE:
                raise
            if error.code in NO_ROOM:
                await self._wait_for_room(story, known, error)
            else:
                await self._fail(story, error.code, error.detail)
            return
        await self._tell(story, self._what_next(story, end))

    async def _wait_for_room(self, story: ToolStory, known: int, why: MeshError) -> None:
        """Wait until it is worth asking again, or more is told of the run than was known."""
        left = story.run.deadline - self._clock()
        if left > 0:
            pause = min(why.retry_after or LOOK, LONGEST_PAUSE, left)
            await self.changed(story.run.id, known, pause)
        else:
            await self._expire(story)

    async def _ask(self, story: ToolStory) -> End:
        """Ask the model, if nobody has yet, and wait for the end of its answer.

        Raises MeshError: as `Requests.submit` does of what has one id, broker_unavailable.
        """
        run, now = story.run, self._clock()
        request = Request(
            rid=story.rid,
            reply=self._name,
            tenant=run.tenant,
            model=run.model,
            messages=story.messages(),
            sampling=run.sampling,
            max_tokens=run.max_tokens,
            fit=run.fit,
            created=now,
            deadline=min(run.deadline, now + self._request_timeout),
            trace=run.trace,
            traceparent=run.traceparent,
            tracestate=run.tracestate,
            tools=run.tools,
            grammar=run.later if story.steps else run.grammar,
            priority=run.priority,
            key=run.key,
        )
        track = await self._requests.submit(request, body=run.id, one_id=True)
        with self._requests.logs.reading(track):
            told = await self._telling.read(run.id)
            if told is None or told.over is not None:  # it was stopped before this stood in the log
                await self._requests.endings.cancel(track, "run over")
            while track.run.end is None:
                await track.changed()
            return track.run.end

    def _what_next(self, story: ToolStory, end: End) -> ToolEvent:
        """What follows from the end of an answer."""
        run = story.run
        reader = speech_of(self._models, run, story.rid)
        said = speech.message(end.text, reader)
        match end:
            case Done(finish=finish):
                if reader.complete and finish == "stop":  # a call that was cut off is not made
                    deadline = min(self._clock() + run.patience, run.deadline)
                    return ActionsNeeded(
                        uid=new_secret_uid(),
                        content=said.content,
                        calls=said.tool_calls,
                        deadline=deadline,
                        usage=end.usage,
                    )
                return RunOver(
                    uid=new_secret_uid(),
                    state="completed",
                    text=said.content,
                    finish=finish,
                    usage=end.usage,
                )
            case Cancelled():
                return RunOver(
                    uid=new_secret_uid(), state="cancelled", text=said.content, usage=end.usage
                )
            case Failed(code=ErrorCode.DEADLINE_EXCEEDED):
                return RunOver(
                    uid=new_secret_uid(), state="expired", text=said.content, usage=end.usage
                )
            case Failed():
                return RunOver(
                    uid=new_secret_uid(),
                    state="failed",
                    text=said.content,
                    code=end.code,
                    detail=end.detail or end.code.sentence,
                    usage=end.usage,
                )

    async def _expire(self, story: ToolStory) -> None:
        await self._tell(story, RunOver(uid=new_secret_uid(), state="expired", text=_said(story)))

    async def _fail(self, story: ToolStory, code: ErrorCode, detail: str) -> None:
        await self._tell(
            story, RunOver(uid=new_secret_uid(), state="failed", code=code, detail=detail)
        )

    async def _tell(self, story: ToolStory, event: ToolEvent) -> None:
        await self._telling.append(story.run.id, event, story.last)


def _said(story: ToolStory) -> str:
    return story.steps[-1].content if story.steps else ""
