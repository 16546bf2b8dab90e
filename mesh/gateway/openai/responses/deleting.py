"""`DELETE /v1/responses/{id}`: a response is found no more, by a mark behind its end in the log.

The log itself is never edited: it forgets the words when it forgets the request. The store, which
keeps its measures, drops them at the mark.
"""

import asyncio
from typing import Literal

from litestar import delete
from litestar.params import FromPath
from msgspec import Struct

from mesh.bus.appender import Fenced, append_event, new_uid
from mesh.bus.connection import BusError
from mesh.bus.history import last_event
from mesh.gateway.errors import AnyRequest, broker_away
from mesh.gateway.logs import PATIENCE
from mesh.gateway.openai.responses.finding import find
from mesh.gateway.openai.responses.story import PREFIX
from mesh.gateway.services import Services, Wired
from mesh.gateway.stopping import stop
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Deleted


class ResponseDeleted(Struct):
    """What becomes of a response that is deleted."""

    id: str
    object: Literal["response.deleted"] = "response.deleted"
    deleted: Literal[True] = True


@delete("/v1/responses/{response_id:str}", status_code=200)
async def delete_response(
    request: AnyRequest, services: Wired, response_id: FromPath[str]
) -> ResponseDeleted:
    """Delete a response, for good; one that is being written is stopped first."""
    principal = services.doorman.principal(request)
    run, asked, _ = await find(services, principal, response_id)
    stopped = await stop(services, request, run, asked.rid, by=principal.name)
    if stopped.end is None:
        detail = "It is being stopped, and can be deleted once that is done; try again in a while."
        raise MeshError(ErrorCode.CONFLICT, detail, retry_after=2.0)
    await _mark(services, asked.reply, asked.rid)
    return ResponseDeleted(PREFIX + asked.rid)


async def refuse_deleted(services: Services, rid: str) -> None:
    """Raise MeshError (conflict) where an idempotency key leads to what was deleted."""
    run = await services.requests.logs.look(rid)
    if run is not None and run.deleted:
        detail = "The response of this Idempotency-Key was deleted; ask under another key."
        raise MeshError(ErrorCode.CONFLICT, detail)


async def _mark(services: Services, reply: str, rid: str) -> None:
    """Append the mark behind whatever is the last event. Raises MeshError (broker_unavailable)."""
    event, writer = Deleted(uid=new_uid()), services.requests.writer
    try:
        async with asyncio.timeout(PATIENCE):
            while last := await last_event(services.js, rid, reply):
                try:
                    seq = await append_event(services.js, reply, rid, writer, event, last.seq)
                except Fenced:
                    continue
                own = services.requests.logs.own.tracks.ready(rid)
                if own is not None:  # somebody reads it still, and what we do now is seen at once
                    own.run.event(event, writer, seq)
                return
    except (BusError, TimeoutError) as error:
        raise broker_away() from error
