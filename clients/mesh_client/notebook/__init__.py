"""The mesh in Jupyter: a chat to talk in, magics, DataFrames and plots. See docs/notebook.md.

`Chat()` shows a chat; `%load_ext mesh_client.notebook` gives `%mesh` and `%%mesh`.
"""

from typing import TYPE_CHECKING

from mesh_client.notebook.answer import Answer
from mesh_client.notebook.beside import side_by_side
from mesh_client.notebook.chat import Chat
from mesh_client.notebook.many import ask_many
from mesh_client.notebook.mesh import Mesh, here

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell

    from mesh_client.notebook.plots import Plot

__all__ = [
    "Answer",
    "Chat",
    "Mesh",
    "ask_many",
    "chats_df",
    "events_df",
    "load_ipython_extension",
    "messages_df",
    "plot_speed",
    "plot_timeline",
    "side_by_side",
    "workers_df",
]


def chats_df(limit: int = 100) -> "pd.DataFrame":
    """One's chats, newest first."""
    return here().chats_df(limit)


def messages_df(chat: "Chat | str") -> "pd.DataFrame":
    """All messages of a chat (or of the chat with this id), with the figures of its answers."""
    return here().messages_df(chat) if isinstance(chat, str) else chat.messages_df()


def events_df(limit: int = 100) -> "pd.DataFrame":
    """What happened to workers, oldest first."""
    return here().events_df(limit)


def workers_df() -> "pd.DataFrame":
    """The workers that are there now."""
    return here().workers_df()


def plot_speed(answers: "Iterable[Answer]", window: float = 0.5) -> "Plot":
    """Tokens per second of these answers together, averaged over `window` seconds."""
    from mesh_client.notebook import plots

    return plots.speed(answers, window)


def plot_timeline(answers: "Iterable[Answer]") -> "Plot":
    """What became of these answers when: waiting, the first token, writing, pauses."""
    from mesh_client.notebook import plots

    return plots.timeline(answers)


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """What `%load_ext mesh_client.notebook` calls."""
    from mesh_client.notebook.magics import register

    register(shell)
