"""Whose HTTP request a question is asked for goes with it, and what is begun for one ends there."""

import asyncio

from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.bus.trace import TRACE, working_for
from mesh.protocol import subjects
from mesh.protocol.chats import GetHealth
from mesh.protocol.errors import ErrorCode, MeshError
from tests.integration.bus.conftest import Connect

SUBJECT = subjects.store("get_health")


async def test_who_is_asked_knows_for_which_request(gateway: Bus, connect: Connect) -> None:
    store, heard = await connect("store"), list[str]()

    async def answer(subject: str, data: bytes) -> None:
        heard.append(TRACE.get())
        raise MeshError(ErrorCode.NOT_FOUND)

    with working_for("the one that subscribed"):
        await store.serve(subjects.STORE_ALL, answer)
    await JetStream(store).end(subjects.RUN_STREAM)  # by now the broker knows who answers
    await gateway.ask(SUBJECT, GetHealth())
    with working_for("abc.1"):
        await gateway.ask(SUBJECT, GetHealth())
        await gateway.request(SUBJECT, GetHealth())
    await gateway.ask(SUBJECT, GetHealth())
    assert heard == ["", "abc.1", "", ""]


async def test_what_is_listened_to_is_nobodys_request(gateway: Bus, connect: Connect) -> None:
    heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    worker = await connect("w1")
    with working_for("whoever listened first"):
        await gateway.listen(subjects.PRESENCE_ALL, lambda msg: heard.set_result(TRACE.get()))
    await JetStream(gateway).end(subjects.RUN_STREAM)  # by now the broker knows of it
    await worker.publish(subjects.presence("w1"), b"")
    async with asyncio.timeout(60):
        assert await heard == ""
