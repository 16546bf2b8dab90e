"""nats.conf and the workers' users against the catalogue, asked of the real server.

Every role tries everything, and may do exactly what the table says.
"""

import asyncio
from collections.abc import Iterator

import pytest

from mesh.bus.appender import append_event, new_uid
from mesh.bus.connection import Bus, NoResponders, Silence
from mesh.bus.jetstream import JetStream
from mesh.bus.presence import present
from mesh.bus.topology import declare, declare_model
from mesh.cli import broker as process
from mesh.cli.enrol import Credential
from mesh.protocol import subjects
from mesh.protocol.calls import CALLS, Call
from mesh.protocol.catalogue import CHANNELS, Channel, Role
from mesh.protocol.errors import MeshError
from mesh.protocol.events import Cancel, Claim
from mesh.protocol.questions import Alive, Ask
from mesh.protocol.subjects import Writer
from mesh.settings import Limits
from tests.conftest import Broker
from tests.wire import Wire

USERS = {
    Role.GATEWAY: "gateway",
    Role.WORKER: "w1",
    Role.STORE: "store",
    Role.OPERATOR: "operator",
    Role.TOOL: "t1",
}


@pytest.fixture
def wires(broker: Broker) -> Iterator[dict[Role, Wire]]:
    """One connection for each role."""
    workers = {role: user for role, user in USERS.items() if role is not Role.TOOL}
    credentials = {role: broker.credentials(user) for role, user in workers.items()}
    tools = process.admit(broker.folder, [broker.url], USERS[Role.TOOL], tools=("anytool",))
    wires = {
        role: Wire(broker.host, broker.port, credential)
        for role, credential in (credentials | {Role.TOOL: tools}).items()
    }
    yield wires
    for wire in wires.values():
        wire.close()


def _heard_by(user: str, channel: Channel) -> str:
    """A concrete subject as a subscriber of this name may hear it, with made-up others."""
    of_worker = "<worker>" in channel.pattern
    return channel.example(worker=user) if of_worker else channel.example()


def test_each_role_may_publish_what_the_catalogue_says_and_nothing_else(
    wires: dict[Role, Wire],
) -> None:
    def allowed(channel: Channel) -> set[Role]:
        return {
            role
            for role, wire in wires.items()
            if wire.may_publish(channel.example(user=USERS[role]))
        }

    found = {channel.pattern: allowed(channel) for channel in CHANNELS}
    assert found == {c.pattern: set(c.publishers) - {Role.BROKER} for c in CHANNELS}


def test_each_role_may_hear_what_the_catalogue_says_and_nothing_else(
    wires: dict[Role, Wire],
) -> None:
    def allowed(channel: Channel) -> set[Role]:
        return {
            role
            for role, wire in wires.items()
            if wire.may_subscribe(_heard_by(USERS[role], channel))
        }

    found = {channel.pattern: allowed(channel) for channel in CHANNELS}
    assert found == {channel.pattern: set(channel.subscribers) for channel in CHANNELS}


def test_each_role_may_call_what_the_catalogue_says_and_nothing_else(
    wires: dict[Role, Wire],
) -> None:
    def allowed(call: Call) -> set[Role]:
        return {role for role, wire in wires.items() if wire.may_publish(call.example())}

    found = {call.pattern: allowed(call) for call in CALLS}
    assert found == {call.pattern: set(call.callers) for call in CALLS}


def test_nobody_writes_under_anothers_name(wires: dict[Role, Wire]) -> None:
    signed = [channel for channel in CHANNELS if "<user>" in channel.pattern]
    for role, wire in wires.items():
        for channel in signed:
            for other in {"w2", *USERS.values()} - {USERS[role]}:
                assert not wire.may_publish(channel.example(user=other)), (role, channel.pattern)


def test_everybody_hears_answers_to_himself_and_to_nobody_else(wires: dict[Role, Wire]) -> None:
    for role, wire in wires.items():
        for user in {"w2", *USERS.values()}:
            own = user == USERS[role] and role is not Role.TOOL  # who serves tools asks nobody
            assert wire.may_subscribe(f"_INBOX_{user}.abc.1") is own
            assert wire.may_subscribe(f"_INBOX_{user}.>") is own
            assert not wire.may_publish(f"_INBOX_{user}.abc.1")


@pytest.mark.parametrize("subject", [">", "*.>", "m1.>", "_INBOX.>", "$JS.>", "$SYS.>", "$KV.>"])
def test_nobody_listens_to_everything(wires: dict[Role, Wire], subject: str) -> None:
    assert not any(wire.may_subscribe(subject) for wire in wires.values())


def test_a_worker_hears_only_what_is_said_to_itself(wires: dict[Role, Wire]) -> None:
    worker, other = wires[Role.WORKER], Writer("w2", "i1")
    assert not worker.may_subscribe(subjects.orders(other))
    assert not worker.may_subscribe(subjects.ask(other))
    assert not worker.may_subscribe(subjects.orders(Writer("*", "*")))


def test_the_broker_lets_nobody_in_without_a_password(broker: Broker) -> None:
    for user, password in (("gateway", ""), ("", ""), ("w9", "x"), ("gateway", "gateway")):
        credential = Credential(user, password)
        assert not process.accepts(broker.host, broker.port, credential)


async def test_a_worker_reads_neither_the_log_nor_the_database(broker: Broker) -> None:
    gateway = await connect(broker, "gateway")
    await declare(JetStream(gateway), Limits())
    event = Cancel(uid=new_uid(), by="somebody")
    await append_event(JetStream(gateway), "gw1", "r1", Writer("gateway", "i1"), event, 0)

    worker = await connect(broker, "w1")
    log = JetStream(worker, timeout=0.3)
    with pytest.raises(Silence):
        await log.last(subjects.RUN_STREAM, subjects.events_of("r1"))
    with pytest.raises(Silence):
        await log.stream_info(subjects.RUN_STREAM)
    with pytest.raises(Silence):
        _ = [batch async for batch in log.read(subjects.RUN_STREAM, subjects.RUN_ALL, 1, 1)]
    with pytest.raises(Silence):
        await worker.request(subjects.store("get_user"), b"{}", timeout=0.3)
    await worker.close()
    await gateway.close()


async def test_every_service_can_do_its_work(broker: Broker) -> None:
    gateway, worker, store, operator = [
        await connect(broker, user) for user in ("gateway", "w1", "store", "operator")
    ]
    js = JetStream(gateway)
    await declare(js, Limits())
    await declare_model(js, "tiny", ack_wait=6)
    names = await js.consumer_names(subjects.REQ_STREAM)
    assert {subjects.model_of(name) for name in names} == {"tiny"}
    assert len(names) == 1 + len(subjects.ALL_LANES)

    claim = Claim(uid=new_uid(), n=1, item=1, ack_reply="", model="tiny")
    seq = await append_event(JetStream(worker), "gw1", "r1", Writer("w1", "i1"), claim, 0)
    for reader in (gateway, store, operator):
        stored = await JetStream(reader).last(subjects.RUN_STREAM, subjects.RUN_EVENTS)
        assert stored is not None and stored.seq == seq
        batches = JetStream(reader).read(subjects.RUN_STREAM, subjects.RUN_ALL, 1, seq)
        assert [message.seq async for batch in batches for message in batch] == [seq]
    assert await present(JetStream(operator)) == []
    for bus in (gateway, worker, store, operator):
        await bus.close()


def test_a_removed_worker_is_out_at_once_and_may_not_come_back(broker: Broker) -> None:
    credential = broker.credentials("w1")
    with Wire(broker.host, broker.port, credential) as wire:
        assert wire.may_publish(subjects.hello("w1"))
        broker.folder.remove("w1")
        process.expel(broker.folder)
        wire.wait_until_hung_up()
    assert not process.accepts(broker.host, broker.port, credential)


def test_a_new_password_ends_the_old_one(broker: Broker) -> None:
    old = broker.credentials("w1")
    new = process.admit(broker.folder, [broker.url], "w1", elsewhere=True)
    assert not process.accepts(broker.host, broker.port, old)
    assert process.accepts(broker.host, broker.port, new)


async def test_nobody_is_made_to_write_by_answering_elsewhere_than_an_inbox(
    broker: Broker,
) -> None:
    """A worker may ask another, naming where to answer; the broker allows any such answer."""
    gateway, victim, attacker = [await connect(broker, user) for user in ("gateway", "w1", "w2")]
    await declare(JetStream(gateway), Limits())
    asked = Writer("w1", "i1")
    answered = asyncio.Event()

    async def answer(subject: str, data: bytes) -> Alive:
        answered.set()
        return Alive(holding=True)

    await victim.serve(subjects.ask(asked), answer)
    with pytest.raises(NoResponders):  # a round trip, after which the broker knows who serves
        await victim.request(subjects.hello("w1"), b"")
    in_its_name = subjects.event("gw1", "r1", asked)
    assert (await attacker.request(subjects.ask(asked), Ask(rid="r1"))).data
    answered.clear()
    await attacker.send(subjects.ask(asked), b"{}", reply=in_its_name)
    await answered.wait()
    assert (await attacker.request(subjects.ask(asked), Ask(rid="r1"))).data
    assert (await JetStream(gateway).stream_info(subjects.RUN_STREAM)).state.messages == 0
    for bus in (gateway, victim, attacker):
        await bus.close()


async def connect(broker: Broker, user: str) -> Bus:
    return await Bus.connect([broker.url], *broker.credentials(user))


def test_who_serves_a_tool_hears_its_calls_and_no_others(wires: dict[Role, Wire]) -> None:
    service = wires[Role.TOOL]
    assert service.may_subscribe(subjects.tool("anytool"))
    assert not service.may_subscribe(subjects.tool("another"))
    assert not service.may_subscribe(f"{subjects.PREFIX}.tool.*")


def test_a_worker_tells_nothing_of_runs_that_call_tools(wires: dict[Role, Wire]) -> None:
    own = Writer("w1", "i1")
    assert wires[Role.WORKER].may_publish(subjects.event("gw1", "r1", own))
    assert not wires[Role.WORKER].may_publish(subjects.event(subjects.TOOLS, "r1", own))


def test_a_worker_does_not_become_a_service_of_tools_by_its_name(broker: Broker) -> None:
    process.admit(broker.folder, [broker.url], "t1", tools=("anytool",))
    broker.credentials("w1")
    with pytest.raises(MeshError, match="w1 is a worker"):
        process.admit(broker.folder, [broker.url], "w1", tools=("anytool",))
    with pytest.raises(MeshError, match="t1 is a process that serves tools"):
        process.admit(broker.folder, [broker.url], "t1")
