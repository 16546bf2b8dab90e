"""The store against a real broker: follows, answers, is killed, and is exact all the same."""

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from mesh.bus.appender import append_event
from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.topology import declare
from mesh.protocol import subjects
from mesh.protocol.accounts import SignIn, User
from mesh.protocol.chats import (
    Chat,
    ChatMessage,
    ChatTree,
    CreateChat,
    GetChat,
    GetHealth,
    GetMessage,
    GetRun,
    Health,
    RunRow,
)
from mesh.protocol.codec import decode_reply, encode
from mesh.protocol.errors import ErrorCode
from mesh.protocol.events import LogEvent
from mesh.protocol.queries import Query
from mesh.protocol.questions import Refused
from mesh.protocol.request import Turn
from mesh.protocol.subjects import Writer
from mesh.settings import Limits, StoreSettings
from mesh.store import app, follower
from tests.conftest import Broker
from tests.unit.store import story

T = TypeVar("T", bound=msgspec.Struct)


class Mesh:
    """A broker with the log declared, and what gateway and worker do with it."""

    def __init__(self, broker: Broker, gateway: Bus, worker: Bus) -> None:
        self.broker = broker
        self.gateway = gateway
        self._js = {bus.user: JetStream(bus) for bus in (gateway, worker)}
        self.settings = StoreSettings(
            nats=broker.url,
            data_dir=str(broker.data_dir),
            store_password=broker.credentials("store").password,
            retention_days=0,
        )

    async def declare(self) -> None:
        await declare(self._js["gateway"], Limits())

    async def append(self, rid: str, event: LogEvent, expected: int, user: str = "gateway") -> int:
        return await append_event(self._js[user], "gw1", rid, Writer(user, "i1"), event, expected)

    async def answered(self, rid: str, turn: Turn | None = None) -> int:
        """A whole story in the log; returns its last sequence."""
        queued = await self.append(rid, story.queued(rid, turn), 0)
        claimed = await self.append(rid, story.claim(), queued, "w1")
        return await self.append(rid, story.done(), claimed, "w1")

    async def ask(self, query: Query, kind: type[T]) -> T:
        tag = str(query.__struct_config__.tag)
        answer = await self.gateway.request(subjects.store(tag), query, timeout=30)
        reply = decode_reply(answer.data)
        assert isinstance(reply, kind), reply
        return reply

    async def refused(self, subject: str, payload: bytes) -> ErrorCode:
        answer = await self.gateway.request(subject, payload)
        reply = decode_reply(answer.data)
        assert isinstance(reply, Refused)
        return reply.code

    @asynccontextmanager
    async def store(self) -> AsyncIterator[None]:
        """A store in this process, answering when the block is entered."""
        stop = asyncio.Event()
        running = asyncio.create_task(app.run(self.settings, stop))
        await self.answering()
        yield
        stop.set()
        async with asyncio.timeout(60):
            await running

    async def answering(self) -> Health:
        """Wait until a store answers."""
        async with asyncio.timeout(60):
            while True:
                try:
                    return await self.ask(GetHealth(), Health)
                except Exception as error:
                    assert not isinstance(error, AssertionError)
                    await asyncio.sleep(0.02)

    @asynccontextmanager
    async def process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """`mesh store` as a process; it is gone when the block is left."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", "from mesh.cli.main import main; main()"),
            *("store", "--data-dir", self.settings.data_dir, "--nats", self.settings.nats),
            *("--retention-days", "0"),
            env=os.environ | {"MESH_STORE_PASSWORD": self.settings.store_password},
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def position(self) -> int:
        """How far the database is, whoever runs on it."""
        try:
            with closing(sqlite3.connect(self.settings.database_path)) as connection:
                row = connection.execute("SELECT seq FROM position").fetchone()
        except sqlite3.OperationalError:
            return 0
        return int(row[0]) if row else 0


@pytest.fixture
async def mesh(broker: Broker) -> AsyncIterator[Mesh]:
    gateway = await Bus.connect([broker.url], *broker.credentials("gateway"))
    worker = await Bus.connect([broker.url], *broker.credentials("w1"))
    mesh = Mesh(broker, gateway, worker)
    await mesh.declare()
    yield mesh
    await worker.close()
    await gateway.close()


async def test_what_the_log_says_can_be_asked_for_at_once(mesh: Mesh) -> None:
    async with mesh.store():
        user = await mesh.ask(SignIn(provider="debug", account="alice", display_name="A"), User)
        chat = await mesh.ask(CreateChat(user_id=user.id), Chat)
        turn = story.turn(chat.id, user.id, story.said("m1"))
        seq = await mesh.answered("r1", turn)
        query = GetMessage(user_id=user.id, chat_id=chat.id, message_id="r1", min_seq=seq)
        answer = await mesh.ask(query, ChatMessage)
        assert (answer.state, answer.content, answer.worker) == ("complete", "hello back", "w1")
        tree = await mesh.ask(GetChat(user_id=user.id, chat_id=chat.id), ChatTree)
        assert [message.id for message in tree.messages] == ["m1", "r1"]


async def test_news_wake_the_store(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "POLL", 3600.0)
    async with mesh.store():
        for number in range(5):
            rid = f"r{number}"
            seq = await mesh.answered(rid)
            while (await mesh.ask(GetHealth(), Health)).applied < seq:
                await asyncio.sleep(0)


async def test_the_poll_finds_what_no_news_told_of(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.bus.tail.Tail._ring", lambda self, msg: None)
    monkeypatch.setattr(follower, "POLL", 0.05)
    async with mesh.store():
        seq = await mesh.answered("r1")
        while (await mesh.ask(GetHealth(), Health)).applied < seq:
            await asyncio.sleep(0)


async def test_a_store_that_was_down_catches_up_exactly(
    mesh: Mesh, capsys: pytest.CaptureFixture[str]
) -> None:
    async with mesh.store():
        await mesh.answered("before")
    await asyncio.gather(*(mesh.answered(f"r{number}") for number in range(300)))
    seq = await mesh.answered("after")
    begun = asyncio.get_running_loop().time()
    async with mesh.store():
        run = await mesh.ask(GetRun(rid="after", min_seq=seq), RunRow)
        assert run.state == "done"
        seconds = asyncio.get_running_loop().time() - begun
    with capsys.disabled():
        print(f"\n  start and 903 events in {seconds:.2f} s")
    assert count(mesh.settings.database_path, "runs WHERE state = 'done'") == 302


async def test_the_store_outlives_the_broker(mesh: Mesh) -> None:
    async with mesh.store():
        await mesh.answered("r1")
        mesh.broker.kill()
        mesh.broker.start()
        seq = await mesh.answered("r2")
        await mesh.answering()
        assert (await mesh.ask(GetRun(rid="r2", min_seq=seq), RunRow)).state == "done"
        assert (await mesh.ask(GetRun(rid="r1"), RunRow)).state == "done"


async def test_a_broker_that_lost_its_streams_is_followed_from_the_beginning(mesh: Mesh) -> None:
    async with mesh.store():
        for number in range(3):
            seq = await mesh.answered(f"old{number}")
        assert await mesh.ask(GetRun(rid="old2", min_seq=seq), RunRow)
        mesh.broker.kill()
        shutil.rmtree(mesh.broker.folder.streams)
        mesh.broker.start()
        await mesh.answering()
        await mesh.declare()
        await mesh.answered("new")
        async with asyncio.timeout(60):
            while count(mesh.settings.database_path, "runs WHERE state = 'done'") < 4:
                await asyncio.sleep(0.05)
        assert (await mesh.ask(GetRun(rid="old1"), RunRow)).state == "done"


async def test_questions_that_make_no_sense_are_refused(mesh: Mesh) -> None:
    async with mesh.store():
        bad = ErrorCode.BAD_REQUEST
        assert await mesh.refused(subjects.store("get_run"), b"{not json") == bad
        assert await mesh.refused(subjects.store("get_run"), b'{"type":"no_such_query"}') == bad
        assert await mesh.refused(subjects.store("get_run"), encode(GetHealth())) == bad


async def test_killed_at_any_moment_each_event_is_applied_once(mesh: Mesh) -> None:
    """kill -9 of a real process in the middle of its work, over and over."""
    dice = random.Random(7)
    last = await write_many(mesh, 600)
    kills = 0
    while (begun := mesh.position()) < last:
        async with mesh.process() as store:
            while mesh.position() == begun and store.returncode is None:
                await asyncio.sleep(0.002)
            await asyncio.sleep(dice.uniform(0, 0.06))
            store.kill()
            kills += 1
    path = mesh.settings.database_path
    with closing(sqlite3.connect(path)) as connection:
        ((seq, events),) = connection.execute("SELECT seq, events FROM position")
    assert (seq, events) == (last, 1800), f"after {kills} kills"
    assert kills > 1
    assert count(path, "runs WHERE state = 'done' AND attempts = 1") == 600
    assert count(path, "worker_events") == 1800
    assert count(path, "skipped_events") == 0


async def write_many(mesh: Mesh, requests: int) -> int:
    """So many stories, some at a time; returns the last sequence."""
    last = 0
    for start in range(0, requests, 20):
        rids = (f"r{number}" for number in range(start, start + 20))
        last = max(await asyncio.gather(*(mesh.answered(rid) for rid in rids)))
    return last


async def test_the_process_leaves_in_good_order_when_told_to(mesh: Mesh) -> None:
    async with mesh.process() as store:
        await mesh.answering()
        seq = await mesh.answered("r1")
        await mesh.ask(GetRun(rid="r1", min_seq=seq), RunRow)
        store.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            assert await store.wait() == 0
    assert mesh.position() == seq


async def test_a_store_that_waits_for_its_broker_can_be_stopped(mesh: Mesh) -> None:
    mesh.broker.kill()
    stop = asyncio.Event()
    running = asyncio.create_task(app.run(mesh.settings, stop))
    await asyncio.sleep(0)
    stop.set()
    async with asyncio.timeout(60):
        await running
    mesh.broker.start()


def count(path: Path, what: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        ((number,),) = connection.execute(f"SELECT count(*) FROM {what}")
    return int(number)
