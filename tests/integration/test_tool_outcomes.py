"""What a tool service says of a call, on a real broker."""

import asyncio

from mesh.bus.connection import Bus
from mesh.cli import broker as process
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.tools import CallTool, ToolAnswer
from mesh_client.tools import ToolService
from tests.conftest import Broker


async def test_an_outcome_that_no_message_can_carry_is_a_failure(broker: Broker) -> None:
    """Else nobody would answer, and the call would be made again and again."""
    bus = await Bus.connect([broker.url], *broker.credentials("gateway"))
    credential = process.admit(
        broker.folder, [broker.url], "flooder", elsewhere=True, tools=("flood",)
    )
    tools = ToolService(broker.url, credential.user, credential.password)

    @tools.tool
    def flood(size: int) -> str:
        return "x" * size

    ready = asyncio.Event()
    serving = asyncio.create_task(tools.serve(ready.set))
    try:
        async with asyncio.timeout(60):
            await ready.wait()
        for size, failed in ((10, False), (bus.max_payload + 1, True)):
            call = CallTool(id="a1", name="flood", arguments=f'{{"size":{size}}}', deadline=4e9)
            said = decode((await bus.request(subjects.tool("flood"), call, 20.0)).data, ToolAnswer)
            assert said.failed is failed
        assert "let the function return less" in said.output
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await bus.close()
