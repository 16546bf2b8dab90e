"""What the store has of a tenant beside chats and generations: for the export of one's own data."""

from mesh.protocol.chats import Asks
from mesh.protocol.wire import Wire


class ActionRow(Wire, frozen=True, kw_only=True):
    """A call that a model made in a run, as the database keeps it; `mesh.store.models.Action`."""

    call: str
    number: int
    tool: str
    arguments: str
    state: str
    output: str | None = None
    by: str | None = None
    created_at: float
    expires_at: float
    ended_at: float | None = None


class ToolRunRow(Wire, frozen=True, kw_only=True):
    """A run that calls tools, with its calls in order; `mesh.store.models.ToolRun`."""

    id: str
    thread: str
    assistant: str = ""
    question: str
    model: str
    state: str
    text: str
    error_code: str | None = None
    error: str | None = None
    created_at: float
    deadline: float
    ended_at: float | None = None
    actions: tuple[ActionRow, ...] = ()


class ToolRuns(Wire, frozen=True, kw_only=True, tag="tool_runs"):
    """Some runs, oldest first; where `next` is set, there are more: ask on from it."""

    runs: tuple[ToolRunRow, ...]
    next: str | None = None


class ClientRow(Wire, frozen=True, kw_only=True):
    """What one user of a tenant's client has used."""

    client: str
    user: str
    requests: int
    prompt_tokens: int
    completion_tokens: int


class ClientRows(Wire, frozen=True, kw_only=True, tag="client_rows"):
    """Some of them, by client and user; where `next` is set, there are more: ask on from it."""

    clients: tuple[ClientRow, ...]
    next: tuple[str, str] | None = None


class ListToolRuns(Asks[ToolRuns], frozen=True, kw_only=True, tag="list_tool_runs"):
    """A tenant's runs. -> ToolRuns"""

    tenant: str
    after: str | None = None
    limit: int = 20


class ListClients(Asks[ClientRows], frozen=True, kw_only=True, tag="list_clients"):
    """What a tenant's clients have used, user by user. -> ClientRows"""

    tenant: str
    after: tuple[str, str] | None = None
    limit: int = 1_000
