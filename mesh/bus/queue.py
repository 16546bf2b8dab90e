"""Looks at what lies in the queue, item by item. Changes nothing."""

import logging

import msgspec

from mesh.bus.jetstream import JetStream
from mesh.protocol import subjects
from mesh.protocol.codec import decode
from mesh.protocol.messages import Prompt

log = logging.getLogger(__name__)


async def items_under(js: JetStream, subject: str) -> set[str]:
    """The ids of the requests that lie in the queue under a subject. Raises BusError."""
    found: set[str] = set()
    at = 1
    while (item := await js.next(subjects.REQ_STREAM, subject, at)) is not None:
        at = item.seq + 1
        try:
            found.add(decode(item.data, Prompt).request.rid)
        except msgspec.DecodeError as error:
            log.warning("The queue's item %d cannot be read: %s", item.seq, error)
    return found
