"""`GET /admin/export`: chats as JSON lines for those who learn from them. Each person's own data
is in `own_data.py`; `mesh export` writes the same lines from the database file.
"""

import logging
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex

import msgspec
from litestar import get
from litestar.params import FromQuery
from litestar.response import Stream

from mesh.gateway.errors import AnyRequest
from mesh.gateway.own_data import KIND
from mesh.gateway.services import Services, Wired
from mesh.gateway.whole_chat import whole_chat
from mesh.protocol.chats import ChatTree
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.exports import (
    Anonymous,
    ExportedChat,
    ExportHead,
    ExportHeads,
    Filters,
    ListExport,
    with_content,
)

log = logging.getLogger(__name__)

GZIP = "application/gzip"
GZIP_BITS = 31
"""zlib's window size, with which it writes the format of gzip files."""


@get("/admin/export")
async def export_chats(
    request: AnyRequest,
    services: Wired,
    user: FromQuery[str | None] = None,
    chat: FromQuery[str | None] = None,
    since: FromQuery[str | None] = None,
    until: FromQuery[str | None] = None,
    scored: FromQuery[bool] = False,
    reported: FromQuery[bool] = False,
    anonymize: FromQuery[bool] = False,
    seed: FromQuery[str] = "",
    gzip: FromQuery[bool] = False,
) -> Stream:
    """Chats whose owners allow the use of their data, one per line, oldest first. For operators.

    user: an id or an account's name; since, until: dates or times (ISO 8601, UTC unless it says
    otherwise) between which a chat was begun; scored, reported: only those with a vote or a report;
    anonymize: other ids instead of the real ones, the same for the same seed; gzip: compressed.
    """
    operator = services.doorman.signed_in(request)
    filters = Filters(
        user=user,
        chat=chat,
        since=_time(since, "since"),
        until=_time(until, "until"),
        scored=scored,
        reported=reported,
    )
    first = await services.store.ask(ListExport(filters=filters))
    log.info("%s exports chats%s", operator.name, ", without names" if anonymize else "")
    anonymous = Anonymous(seed or token_hex(16)) if anonymize else None
    lines = partial(_lines, services, filters, first, anonymous)
    name = "mesh-chats.jsonl.gz" if gzip else "mesh-chats.jsonl"
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    if gzip:
        return Stream(lambda: _compressed(lines()), media_type=GZIP, headers=headers)
    return Stream(lines, media_type=KIND, headers=headers)


async def _lines(
    services: Services, filters: Filters, page: ExportHeads, anonymous: Anonymous | None
) -> AsyncIterator[bytes]:
    while True:
        for head in page.heads:
            line = await _line(services, head)
            if line is not None:
                shown = line if anonymous is None else anonymous.chat(line)
                yield msgspec.json.encode(shown) + b"\n"
        if page.next is None:
            return
        page = await services.store.ask(ListExport(filters=filters, after=page.next))


async def _line(services: Services, head: ExportHead) -> ExportedChat | None:
    """A chat as it is now; None if it was deleted or closed to such use meanwhile."""
    try:
        tree: ChatTree = await whole_chat(services, head.user_id, head.chat_id)
    except MeshError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        return None
    if not tree.chat.allow_data_use:
        return None
    return ExportedChat(
        user_id=head.user_id,
        account=head.account,
        chat=tree.chat,
        messages=with_content(tree.messages),
    )


async def _compressed(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(wbits=GZIP_BITS)
    async for line in lines:
        if packed := packer.compress(line):
            yield packed
    yield packer.flush()


def _time(given: str | None, param: str) -> float | None:
    """Unix time. Raises MeshError (bad_request)."""
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        detail = f"{param} is a date or a time, such as 2026-11-21 or 2026-11-21T08:00:00."
        raise MeshError(ErrorCode.BAD_REQUEST, detail, param=param) from None
