"""Reads a chat with all of its messages from the store, in as many parts as it takes."""

from msgspec.structs import replace

from mesh.gateway.services import Services
from mesh.protocol.chats import ChatMessage, ChatTree, GetChat


async def whole_chat(services: Services, user_id: str, chat_id: str) -> ChatTree:
    """A user's chat, no older than what was heard of it. Raises MeshError (not_found)."""
    messages: list[ChatMessage] = []
    after: str | None = None
    while True:
        tree = await services.store.ask(
            GetChat(
                user_id=user_id,
                chat_id=chat_id,
                after=after,
                min_seq=await services.latest.of(chat_id),
            )
        )
        messages += tree.messages
        after = tree.next
        if after is None:
            return replace(tree, messages=tuple(messages))
