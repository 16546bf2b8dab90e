"""A way into a mesh for a notebook: a client on a background thread, and questions about it all."""

from functools import cache
from typing import TYPE_CHECKING

from mesh.protocol.hidden import without_userinfo
from mesh_client.async_client import AsyncClient
from mesh_client.notebook.background import Background
from mesh_client.objects import ChatInfo, Model

if TYPE_CHECKING:
    import pandas as pd


class Mesh:
    """A gateway and who asks it.

    url, user: by default MESH_URL and MESH_USER, as for `Client.from_env`; browser_url: the
    gateway's address as the browser sees it, where that is another one (a kernel on a remote
    machine), "": the same. Stop buttons use it while the kernel is busy.
    """

    def __init__(self, url: str = "", user: str = "", *, browser_url: str = "") -> None:
        self.client = AsyncClient.from_env(url=url, username=user)
        self.background = Background()
        self.browser_url = (browser_url or self.client.url).rstrip("/")

    @property
    def url(self) -> str:
        return self.client.url

    def __repr__(self) -> str:
        return f"Mesh({without_userinfo(self.url)!r})"

    def models(self) -> list[Model]:
        """The models of the mesh; those with `available` are served now."""
        return self.background.wait(self.client.models())

    def chats(self, limit: int = 100) -> list[ChatInfo]:
        """One's newest chats."""
        return self.background.wait(self.list_chats(limit))

    def chats_df(self, limit: int = 100) -> "pd.DataFrame":
        """One's chats, newest first."""
        from mesh_client.notebook import frames

        return frames.chats(self.chats(limit))

    def messages_df(self, chat_id: str) -> "pd.DataFrame":
        """All messages of a chat, with the figures of its answers."""
        from mesh_client.notebook import frames

        chat = self.background.wait(self.client.chat(chat_id))
        return frames.messages(chat.thread)

    def workers_df(self) -> "pd.DataFrame":
        """The workers that are there now."""
        from mesh_client.notebook import frames

        return frames.workers(self.background.wait(self.client.workers()))

    def events_df(self, limit: int = 100) -> "pd.DataFrame":
        """What happened to workers, oldest first."""
        from mesh_client.notebook import frames

        return frames.worker_events(self.background.wait(self.client.worker_events(limit=limit)))

    async def list_chats(self, limit: int) -> list[ChatInfo]:
        """`chats` on the client's loop."""
        found: list[ChatInfo] = []
        async for chat in self.client.chats():
            found.append(chat)
            if len(found) >= limit:
                break
        return found

    def close(self) -> None:
        """Close connections and thread; answers go on in the mesh."""
        self.background.wait(self.client.close())
        self.background.close()


@cache
def here() -> Mesh:
    """The mesh that the environment names: one client for all of a notebook."""
    return Mesh()
