"""Finds a response in the log, for nobody but who asked for it."""

import msgspec

from mesh.gateway.openai.responses.shapes import Note
from mesh.gateway.openai.responses.story import PREFIX
from mesh.gateway.services import Services
from mesh.gateway.tokens import Principal
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.events import Queued
from mesh.protocol.request import Request
from mesh.protocol.run import Run

Found = tuple[Run, Request, Note]
"""A response's story, what was asked, and what else is kept."""


async def find(services: Services, principal: Principal, response_id: str) -> Found:
    """A stored response of one's own that is not deleted. Raises MeshError (not_found)."""
    rid = response_id.removeprefix(PREFIX)
    run = await services.requests.logs.look(rid) if rid.isalnum() else None
    note = noted(run.queued) if run is not None else None
    if run is None or run.queued is None or note is None or not note.store:
        raise unknown(response_id)
    if run.deleted:
        raise unknown(response_id)
    if run.queued.request.tenant != principal.user_id:
        raise unknown(response_id)
    return run, run.queued.request, note


def noted(queued: Queued | None) -> Note | None:
    """What the log keeps of a response; None for a request of another route."""
    if queued is None or not queued.note:
        return None
    try:
        return msgspec.json.decode(queued.note, type=Note)
    except msgspec.DecodeError:
        return None


def unknown(response_id: str) -> MeshError:
    detail = f"There is no response {response_id!r} here, or no longer."
    return MeshError(ErrorCode.NOT_FOUND, detail, param="response_id")
