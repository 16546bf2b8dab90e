"""`GET /chats/search`: one's chats by the words in them."""

from typing import Annotated

from litestar import get
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from mesh.gateway.body import named_as_sent
from mesh.gateway.errors import AnyRequest
from mesh.gateway.services import Wired
from mesh.gateway.views import ChatListRead, chat_read
from mesh.protocol.chats import SearchChats

LONGEST = 200
"""Characters of what is looked for; the rest is left out."""


class HitRead(Struct, frozen=True, kw_only=True):
    """A chat that has the words. excerpt: of the message they stand in; message_id null: they
    stand in the title only."""

    chat: ChatListRead
    excerpt: str
    message_id: str | None


class HitsRead(Struct, frozen=True, kw_only=True):
    """The chats that were used last first."""

    hits: tuple[HitRead, ...]


@get("/chats/search")
async def search_chats(
    request: AnyRequest,
    services: Wired,
    q: FromQuery[str],
    include_hidden: FromQuery[bool] = False,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 30,
) -> HitsRead:
    """One's chats with a title or a message that has all words of `q`, upper or lower case."""
    user = services.doorman.signed_in(request)
    query = SearchChats(
        user_id=user.user_id,
        words=q[:LONGEST],
        include_hidden=include_hidden,
        limit=limit,
        min_seq=await services.latest.of(user.user_id),
    )
    with named_as_sent(words="q"):
        found = await services.store.ask(query)
    return HitsRead(
        hits=tuple(
            HitRead(chat=chat_read(hit.chat), excerpt=hit.excerpt, message_id=hit.message_id)
            for hit in found.hits
        )
    )
