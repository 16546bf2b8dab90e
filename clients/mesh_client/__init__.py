"""A client of the mesh: chats whose answers survive whatever restarts, in sync and in async.

`Client` blocks, `AsyncClient` awaits; both have the same names. See docs/client.md.
"""

from mesh_client.async_client import AsyncAnswer, AsyncChat, AsyncClient
from mesh_client.calls import AnswerOptions
from mesh_client.client import Answer, Chat, Client
from mesh_client.credentials import FileStore, MemoryStore
from mesh_client.errors import (
    BadAddress,
    BadReply,
    BadText,
    GenerationFailed,
    MeshClientError,
    NotFound,
    NotSignedIn,
    Refused,
    Rejected,
    TimedOut,
    Unreachable,
)
from mesh_client.events import Event, Failed, Finished, Pending, Reconnecting, Token
from mesh_client.objects import (
    Account,
    CancelToken,
    ChatInfo,
    Message,
    Model,
    Stop,
    Worker,
    WorkerEvent,
)
from mesh_client.retry import Retry

__all__ = [
    "Account",
    "Answer",
    "AnswerOptions",
    "AsyncAnswer",
    "AsyncChat",
    "AsyncClient",
    "BadAddress",
    "BadReply",
    "BadText",
    "CancelToken",
    "Chat",
    "ChatInfo",
    "Client",
    "Event",
    "Failed",
    "FileStore",
    "Finished",
    "GenerationFailed",
    "MemoryStore",
    "MeshClientError",
    "Message",
    "Model",
    "NotFound",
    "NotSignedIn",
    "Pending",
    "Reconnecting",
    "Refused",
    "Rejected",
    "Retry",
    "Stop",
    "TimedOut",
    "Token",
    "Unreachable",
    "Worker",
    "WorkerEvent",
]
