"""Workers join by a hello that has no version, so that any version is understood and answered."""

import time

import msgspec

from mesh.bus.connection import Bus
from mesh.protocol import subjects
from mesh.protocol.codec import decode_hello_reply
from mesh.protocol.errors import ErrorCode
from mesh.protocol.questions import Hello, HelloReply, Refused, Welcome
from tests.whole_mesh import ECHO, Mesh


async def hello(mesh: Mesh, protocol: int) -> HelloReply:
    name, password = mesh.broker.credentials("newcomer")
    bus = await Bus.connect([mesh.broker.url], name, password)
    try:
        greeting = Hello(protocol=protocol, version="9.9.9", models=(ECHO,))
        answer = await bus.request(subjects.hello(name), greeting)
        return decode_hello_reply(answer.data)
    finally:
        await bus.close()


async def test_a_worker_of_this_protocol_is_welcome(mesh: Mesh) -> None:
    assert isinstance(await hello(mesh, subjects.VERSION), Welcome)


async def test_a_worker_is_told_by_which_time_deadlines_are_kept(mesh: Mesh) -> None:
    reply = await hello(mesh, subjects.VERSION)
    assert isinstance(reply, Welcome)
    assert abs(reply.now - time.time()) < 5


async def test_a_worker_of_another_protocol_is_told_to_be_upgraded(mesh: Mesh) -> None:
    reply = await hello(mesh, subjects.VERSION + 1)
    assert isinstance(reply, Refused)
    assert reply.code is ErrorCode.PROTOCOL_VERSION
    assert "newcomer" in reply.detail
    assert "9.9.9" in reply.detail


async def test_an_unreadable_hello_is_answered(mesh: Mesh) -> None:
    name, password = mesh.broker.credentials("newcomer")
    bus = await Bus.connect([mesh.broker.url], name, password)
    answer = await bus.request(subjects.hello(name), msgspec.json.encode({"type": "hello"}))
    await bus.close()
    assert isinstance(decode_hello_reply(answer.data), Refused)
