"""Negative controls: each takes one mechanism out of a process, to prove that the check notices.

Run in the process whose part it is, before that begins. Nothing here is reached by the product.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any

from mesh.bus import appender, asking, follow, frames, seclusion
from mesh.bus.asking import Says
from mesh.protocol.run import Applied, Run


def the_rule_of_the_latest_claim() -> None:
    """Readers count whatever continues the text, whoever has written it."""

    def entry(self: Run, entry: Any, *_: Any) -> Applied:
        if self.end is not None or self.pen is None or entry.index > len(self.texts):
            return Applied.IGNORED if self.end is not None else Applied.GAP
        new = entry.index + len(entry.texts) - len(self.texts)
        if new <= 0:
            return Applied.IGNORED
        self.texts += entry.texts[-new:]
        return Applied.COUNTED

    Run.entry = entry  # type: ignore[method-assign, assignment]


def the_expected_sequences() -> None:
    """Every append passes."""
    for module in (appender, frames):
        module.fence = lambda *_: {}  # type: ignore[attr-defined]


def gap_filling() -> None:
    """A follower that has missed something goes on with what comes next."""
    follow.Follower.doubt = lambda self: self._backlog.clear()  # type: ignore[method-assign]


def the_look_at_the_end() -> None:
    """A follower does not compare itself with the leader."""

    async def check(self: object) -> None:
        await asyncio.sleep(0)

    follow.Follower._check = check  # type: ignore[method-assign]


def the_leaving_of_a_secluded_node() -> None:
    """A process stays with the broker that it is connected to, whatever that does not answer."""

    def stay(self: seclusion.Seclusion) -> None:
        pass

    seclusion.Seclusion.unanswered = stay  # type: ignore[method-assign]


def a_part_of_what_is_republished() -> None:
    """Not a mechanism but trouble: of messages that were stored every seventh is not heard of,

    nor is the end of any answer, so that the very last message is always among them.
    """
    receive, heard = follow.Follower._receive, 0

    def lossy(self: follow.Follower, msg: Any) -> None:
        nonlocal heard
        heard += 1
        if heard % 7 and b'"done"' not in msg.data[:40]:
            receive(self, msg)

    follow.Follower._receive = lossy  # type: ignore[method-assign]


def asking_before_stealing() -> None:
    """Whoever is handed a request takes it over."""
    from mesh.worker import claim

    async def ask(*_: object, **__: object) -> Says:
        return Says.GONE

    for module in (asking, claim):
        module.ask = ask  # type: ignore[attr-defined]


def renewing() -> None:
    """Not a mechanism of safety: a worker does not tell the queue that it is at it."""
    from mesh.worker.desk import Desk

    async def renew(self: object) -> None:
        await asyncio.sleep(0)

    Desk._renew = renew  # type: ignore[method-assign]


def the_cursor_in_its_transaction() -> None:
    """The store writes how far it is before it writes what it has read, most of its time."""
    from mesh.store import commit as store
    from mesh.store import follower

    follower.GATHER = 0.05  # it rests less, and is seldom killed between two batches
    commit: Any = store

    async def torn(database: Any, at: Any, batch: Any) -> Any:
        async with database.write() as session:
            moved = await commit._move(session, at, commit.At(at.log, batch[-1].seq), len(batch))
        await asyncio.sleep(0.3)  # the time of a bigger batch
        async with database.write() as session:
            records = commit._read_all(session, at, batch)
            rows = await commit.load(session, records)
            for record in records:
                commit.apply(rows, record)
            await rows.save(session)
        return moved

    commit._commit = torn


def acknowledging_after_the_end() -> None:
    """A worker acknowledges as soon as it has claimed."""
    from mesh.worker.answer import Answer
    from mesh.worker.desk import Desk

    work = Answer.work
    desks: list[Desk] = []
    begin = Desk.__init__

    def remember(self: Desk, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        desks.append(self)

    async def early(self: Answer) -> Any:
        await desks[0]._acknowledge(self.held.item)
        return await work(self)

    Desk.__init__ = remember  # type: ignore[method-assign]
    Answer.work = early  # type: ignore[method-assign]


def heed_of_ones_own_answer() -> None:
    """A question cancels whatever its chat is still writing, its own answer as well."""
    from mesh.gateway import answering, drafts, generate

    def supersede(services: Any, unfinished: Any, *_: object) -> None:
        answering.cancel_all(services, unfinished, by="next question")

    for module in (answering, drafts, generate):
        module.supersede = supersede  # type: ignore[attr-defined]


def the_word_of_a_death() -> None:
    """Not a mechanism of safety: a gateway does not hear from the broker who is gone."""
    from mesh.bus.partings import Partings

    async def start(*_: object) -> None:
        await asyncio.sleep(0)

    Partings.start = start  # type: ignore[assignment, method-assign]


def the_freeing_of_a_slot() -> None:
    """An engine never says another word in the slot of its first answer, of which nobody knows."""
    from mesh.worker.engines.echo import EchoEngine

    release, leaked = EchoEngine._release, False

    def leak(self: EchoEngine, answer: Any) -> None:
        nonlocal leaked
        release(self, answer)
        if not leaked:
            leaked, answer.due = True, inf
            self._running[answer] = None

    EchoEngine._release = leak  # type: ignore[method-assign]


CONTROLS: dict[str, Callable[[], None]] = {
    control.__name__.replace("_", "-"): control
    for control in (
        the_rule_of_the_latest_claim,
        the_expected_sequences,
        gap_filling,
        the_look_at_the_end,
        the_leaving_of_a_secluded_node,
        a_part_of_what_is_republished,
        asking_before_stealing,
        renewing,
        the_cursor_in_its_transaction,
        acknowledging_after_the_end,
        heed_of_ones_own_answer,
        the_word_of_a_death,
        the_freeing_of_a_slot,
    )
}
