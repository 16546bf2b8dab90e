"""All tables of accounts, chats and the log, by name; each kind has a file of its own.

There are no queries and no rules in them; `docs/store.md` tells them in words.

Times are Unix seconds. Text from people is kept as it came. An answer is two rows with one id:
its `Message`, which is its place in the chat, and its `Run`, which is how it was made.
"""

from mesh.store.chat_models import Chat, DeletedChat, Evaluation, Message, Report, Share, Vote
from mesh.store.people_models import ApiKey, DeletedUser, Password, RefreshToken, User
from mesh.store.position_models import Position, SkippedEvent
from mesh.store.run_models import Action, ClientUsage, Run, ToolRun
from mesh.store.tables import Base, Encoded
from mesh.store.worker_models import Worker, WorkerEvent

__all__ = [
    "Action",
    "ApiKey",
    "Base",
    "Chat",
    "ClientUsage",
    "DeletedChat",
    "DeletedUser",
    "Encoded",
    "Evaluation",
    "Message",
    "Password",
    "Position",
    "RefreshToken",
    "Report",
    "Run",
    "Share",
    "SkippedEvent",
    "ToolRun",
    "User",
    "Vote",
    "Worker",
    "WorkerEvent",
]
