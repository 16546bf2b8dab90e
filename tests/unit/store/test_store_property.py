"""However a valid log is cut, redelivered, restarted or replayed: the same database."""

import random
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.bus.stored import Stored
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import End
from mesh.protocol.request import Turn
from mesh.protocol.subjects import Writer
from tests.unit.store import story
from tests.unit.store.conftest import Store, dump, running
from tests.unit.store.story import MemoryLog

USERS = ("alice", "bob")
WORKERS = ("w1", "w2", "w3")


class Author:
    """Writes a random log that obeys the protocol: fenced events, each request its own story."""

    def __init__(self, dice: random.Random, users: list[str]) -> None:
        self.dice = dice
        self.users = users
        self.log = MemoryLog()
        self.claims: dict[str, int] = {}
        self.answers: dict[str, tuple[str, str]] = {}
        self.questions: list[tuple[str, str, str]] = []
        self.incarnations = dict.fromkeys(WORKERS, 0)

    def write(self, moves: int) -> MemoryLog:
        kinds = (self.queue, self.claim, self.claim, self.end, self.end, self.cancel, self.fleet)
        for _ in range(moves):
            self.dice.choice((*kinds, self.garbage, self.tokens))()
        return self.log

    def queue(self) -> None:
        rid = f"r{self.log.last}"
        self.claims[rid] = 0
        place = self.dice.choice((self.new_chat, self.reply, self.again, lambda rid: None))(rid)
        self.log.append(story.queued(rid, place, late=self.dice.uniform(-5, 5)), rid)

    def new_chat(self, rid: str) -> Turn:
        return self.turn(f"chat-{rid}", self.dice.choice(self.users), rid, None)

    def reply(self, rid: str) -> Turn | None:
        """To an answer that has ended."""
        if not self.answers:
            return None
        answer, (chat, user) = self.dice.choice(sorted(self.answers.items()))
        return self.turn(chat, user, rid, answer)

    def again(self, rid: str) -> Turn | None:
        """Another answer to a question that is there."""
        if not self.questions:
            return None
        chat, user, question = self.dice.choice(self.questions)
        return story.turn(chat, user, story.said(question))

    def turn(self, chat: str, user: str, rid: str, parent: str | None) -> Turn:
        question = f"m-{rid}"
        self.questions.append((chat, user, question))
        return story.turn(chat, user, story.said(question, f"question {rid}", parent))

    def claim(self) -> None:
        for rid in self.some_open():
            self.claims[rid] += 1
            self.log.append(story.claim(self.claims[rid]), rid, self.worker())

    def cancel(self) -> None:
        for rid in self.some_open():
            self.log.append(story.cancel(), rid)

    def end(self) -> None:
        ends: tuple[End, ...] = (
            story.done(),
            story.cancelled(),
            story.failed(),
            story.failed(ErrorCode.DEADLINE_EXCEEDED, ""),
        )
        for rid in self.some_open():
            del self.claims[rid]
            self.log.append(self.dice.choice(ends), rid, self.worker())
            if turn := self.turn_of(rid):
                self.answers[rid] = (turn.chat_id, turn.user_id)

    def fleet(self) -> None:
        name = self.dice.choice(WORKERS)
        if self.dice.random() < 0.5:
            self.incarnations[name] += 1
            story.started(self.log, name, f"i{self.incarnations[name]}")
        else:
            left = self.dice.choice((story.stopped, story.lost))
            left(self.log, name, f"i{self.dice.randint(0, self.incarnations[name])}")

    def garbage(self) -> None:
        self.log.append(b"{", "r0")

    def tokens(self) -> None:
        self.log.tokens(self.dice.randint(1, 5))

    def some_open(self) -> list[str]:
        return [self.dice.choice(sorted(self.claims))] if self.claims else []

    def worker(self) -> Writer:
        name = self.dice.choice(WORKERS)
        return Writer(name, f"i{self.incarnations[name]}")

    def turn_of(self, rid: str) -> Turn | None:
        for stored in self.log.messages:
            if f".{rid}." in stored.subject:
                return story.turn_of(stored)
        return None


class Window(MemoryLog):
    """A log of which only a part has been written yet, delivered in odd portions."""

    def __init__(self, whole: MemoryLog, dice: random.Random) -> None:
        super().__init__(whole.created)
        self.whole = whole
        self.dice = dice

    def reveal(self, count: int) -> None:
        self.messages = self.whole.messages[:count]
        self.last = self.messages[-1].seq if self.messages else 0
        self.wake()

    async def read(self, after: int, limit: int) -> list[Stored]:
        self.batch = self.dice.randint(1, 7)
        fresh = await super().read(after, limit)
        repeated = [stored for stored in self.messages if after - 2 < stored.seq <= after]
        return (repeated if self.dice.random() < 0.5 else []) + fresh


async def set_up(path: Path) -> list[str]:
    """Sign two users in; returns their ids."""
    async with running(path, MemoryLog("")) as store:
        return [(await store.user(name)).id for name in USERS]


async def one_pass(path: Path, log: MemoryLog) -> dict[str, list[dict[str, Any]]]:
    async with running(path, log) as store:
        await store.follower.caught_up()
        return comparable(await dump(store.database))


async def with_trouble(
    path: Path, log: MemoryLog, dice: random.Random
) -> dict[str, list[dict[str, Any]]]:
    """The same log, but the store is restarted and the stream replaced now and then."""
    window = Window(log, dice)
    seen = 0
    while seen < len(log.messages):
        async with running(path, window) as store:
            for _ in range(dice.randint(1, 3)):
                seen = min(len(log.messages), seen + dice.randint(0, 12))
                window.reveal(seen)
                await trouble(store, window, dice)
    async with running(path, window) as store:
        await store.follower.caught_up()
        rows = await dump(store.database)
        if window.created == log.created:
            assert rows["position"][0]["events"] == len(log.messages), "each exactly once"
        return comparable(rows)


async def trouble(store: Store, window: Window, dice: random.Random) -> None:
    """Perhaps let the store apply what there is; perhaps put the log into a new stream."""
    if dice.random() < 0.7:
        await store.follower.caught_up()
    if dice.random() < 0.2:
        window.created = f"stream {dice.random()}"


def comparable(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Without what tells how often the log was begun anew: its identity, and the count."""
    for table in ("position", "skipped_events"):
        for row in rows[table]:
            row.pop("log")
            row.pop("events", None)
        rows[table] = [row for n, row in enumerate(rows[table]) if row not in rows[table][:n]]
        rows[table].sort(key=lambda row: int(row["seq"]))
    return rows


@given(seed=st.integers(0, 1 << 32), moves=st.integers(1, 60))
@settings(max_examples=40, deadline=None)
async def test_any_course_of_events_ends_in_the_same_database(
    empty_database: Path, seed: int, moves: int
) -> None:
    dice = random.Random(seed)
    with TemporaryDirectory() as folder:
        straight = Path(shutil.copy(empty_database, Path(folder) / "straight.db"))
        users = await set_up(straight)
        crooked = Path(shutil.copy(straight, Path(folder) / "crooked.db"))
        log = Author(dice, users).write(moves)
        assert await with_trouble(crooked, log, dice) == await one_pass(straight, log)
