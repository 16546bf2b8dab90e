"""What lies in the queue."""

import msgspec

from mesh.bus.jetstream import JetStream
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.request import Prompt


async def items_under(js: JetStream, subject: str) -> set[str]:
    """The ids of the requests that lie in the queue under a subject, of those that can be read."""
    found, start = set[str](), 1
    while (item := await js.next(subjects.REQ_STREAM, subject, start)) is not None:
        start = item.seq + 1
        try:
            found.add(decode(item.data, Prompt).request.rid)
        except msgspec.DecodeError:
            continue
    return found
