"""Every message of the wire, spoilt in every way: read rightly or refused, and nothing else.

New messages and decoders are covered by being in the catalogue and in the codec.
"""

import asyncio
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from mesh.bus.follow import Follower
from mesh.bus.stored import Stored
from mesh.protocol import codec, subjects
from mesh.protocol.catalogue import travelling
from mesh.protocol.codec import decode, encode
from mesh.protocol.events import Claim, Done, Queued
from mesh.protocol.frames import Entry, Frame
from mesh.protocol.run import Run
from mesh.protocol.subjects import Writer
from mesh.store.records import Unreadable, read
from tests.hostile import SEED, rounds, spoilt
from tests.integration.bus.conftest import a_request
from tests.unit.bus.memory import Clockwork, MemoryLog
from tests.unit.protocol.test_golden import GOLDEN, name_of
from tools.golden import files_of

WRONG_TAGS: tuple[Any, ...] = ("", "nonsense", None, 7, [])
DECODERS = {name: found for name, found in vars(codec).items() if name.startswith("decode_")}


def golden(kind: type[Struct]) -> list[Any]:
    return [msgspec.json.decode(path.read_bytes()) for path in files_of(kind, GOLDEN)]


def cases(kind: type[Struct], usual: int) -> list[bytes]:
    """Spoilt messages of a kind, the same ones every time."""
    rng = Random(f"{SEED} {kind.__name__}")
    messages = golden(kind)
    return [spoilt(rng, rng.choice(messages)) for _ in range(rounds(usual))]


@pytest.mark.parametrize("kind", travelling(), ids=name_of)
def test_a_spoilt_message_is_refused_or_understood_as_it_will_be_said_again(
    kind: type[Struct],
) -> None:
    print(f"MESH_FUZZ_SEED={SEED}")
    for data in cases(kind, 80):
        try:
            message = decode(data, kind)
        except msgspec.DecodeError:
            continue
        assert decode(encode(message), kind) == message, data
        assert msgspec.convert(msgspec.to_builtins(message), kind) == message, data


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_takes_its_own_kinds_and_no_others(name: str) -> None:
    """A wrong tag is an error, whatever else fits; a missing one, where there is a choice."""
    reads = DECODERS[name]
    own = {type(message) for message in taken(reads)}
    assert own
    for kind in travelling():
        for message in golden(kind):
            for wrong in WRONG_TAGS:
                with pytest.raises(msgspec.DecodeError):
                    reads(msgspec.json.encode(message | {"type": wrong}))
            if len(own) > 1:
                with pytest.raises(msgspec.DecodeError):
                    reads(msgspec.json.encode({k: v for k, v in message.items() if k != "type"}))
        for data in cases(kind, 4):
            try:
                assert type(reads(data)) in own
            except msgspec.DecodeError:
                pass


def taken(reads: Any) -> list[Struct]:
    """The golden messages that a decoder understands."""
    found = []
    for kind in travelling():
        for message in golden(kind):
            try:
                found.append(reads(msgspec.json.encode(message)))
            except msgspec.DecodeError:
                pass
    return found


SUBJECTS = (
    subjects.event("gw1", "r0", Writer("w1", "a")),
    subjects.event("gw1", "r1", Writer("w1", "a")),
    subjects.event(subjects.FLEET, "worker-w1-a", Writer("w1", "a")),
    subjects.tokens("gw1", Writer("w1", "a")),
)


def entries(rng: Random) -> bytes:
    """A frame about the requests that are followed, wrong in some places."""
    good = [["r0", 1, rng.randint(-3, 9), ["a", "b"], rng.choice((None, [[1], [2]]))] for _ in "ab"]
    odds = rng.choice(([], [[[-0.5, []]]], [[[-0.5, [["a", -1.0]]]] * 2] * 2))
    return spoilt(rng, {"type": "frame", "entries": good, "odds": odds})


def hostile_log(count: int) -> list[tuple[str, bytes]]:
    """What a worker that has gone mad might write, under its own name."""
    rng = Random(f"{SEED} log")
    kinds = [kind for kind in travelling() if kind in (Claim, Done, Frame, Queued)]
    messages = [message for kind in kinds for message in golden(kind)]
    found = []
    for _ in range(count):
        mad = entries(rng) if rng.random() < 0.5 else spoilt(rng, rng.choice(messages))
        found.append((rng.choice(SUBJECTS), mad))
    return found


def test_a_follower_goes_on_whatever_stands_in_the_log() -> None:
    """A worker that has gone mad spoils what it has claimed, and nobody else's answer."""
    mad = hostile_log(rounds(600))
    for at in range(0, len(mad), 40):
        loop, log = Clockwork(), MemoryLog()
        follower = Follower(log.bus, log.js, "gw1", lambda *_: None)
        try:
            loop.run_until_complete(_follow(follower, log, mad[at : at + 40]))
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()


async def _follow(follower: Follower, log: MemoryLog, mad: list[tuple[str, bytes]]) -> None:
    await follower.start()
    watching = asyncio.create_task(follower.watch())
    for rid in ("r0", "r1"):
        follower.track(rid).readers += 1
    track = follower.tracks.ready("r1")
    assert track is not None
    log.store(SUBJECTS[0], Queued(uid="q", request=a_request("r0")))
    good, last = Writer("w2", "a"), 0
    last = log.store(subjects.event("gw1", "r1", good), Queued(uid="q", request=a_request("r1")), 0)
    claim = Claim(uid="c", n=10**6, item=1, ack_reply="a", model="m")
    for subject, data in mad[: len(mad) // 2]:
        log.store(subject, data)
    last = log.store(subjects.event("gw1", "r1", good), claim, last)
    log.store(subjects.tokens("gw1", good), Frame([Entry("r1", 10**6, 0, ["fine"])]))
    for subject, data in mad[len(mad) // 2 :]:
        if ".r1." not in subject:
            log.store(subject, data)
    seal = Run(texts=["fine"], ids=None).seal()
    end = Done(uid="d", finish="stop", text="fine", seal=seal)
    log.store(subjects.event("gw1", "r1", good), end, last)
    while log.wire:
        log.tell(log.wire.popleft())
        await asyncio.sleep(0)
    await asyncio.sleep(10.0)
    assert track.run.end == end or (track.run.end and track.run.end.uid != "d"), "it waits for ever"
    watching.cancel()


def test_the_store_reads_or_passes_over_whatever_stands_in_the_log() -> None:
    for seq, (subject, data) in enumerate(hostile_log(rounds(600))):
        try:
            read(Stored(seq, subject, data))
        except Unreadable as why:
            assert str(why)
