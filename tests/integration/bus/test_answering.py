"""Questions and answers over a real broker."""

from mesh.bus.connection import Bus
from mesh.bus.jetstream import JetStream
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.errors import ErrorCode
from mesh.protocol.questions import Refused
from tests.integration.bus.conftest import Connect


async def test_an_answer_that_no_message_can_carry_is_refused_in_words(
    connect: Connect, gateway: Bus, js: JetStream
) -> None:
    worker = await connect("w1")
    text = "x" * (gateway.max_payload + 1)

    async def answer(subject: str, data: bytes) -> Refused:
        return Refused(code=ErrorCode.INTERNAL, detail=text)

    await gateway.serve(subjects.RESUME_ALL, answer)
    await js.end(subjects.RUN_STREAM)  # a round trip, after which the broker knows who serves
    said = await worker.request(subjects.resume("w1", "r1"), b"{}", 20.0)
    told = decode(said.data, Refused)
    assert told.code is ErrorCode.TOO_LARGE and "ask for less" in told.detail
