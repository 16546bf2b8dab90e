"""What a store has kept of a campaign, as its database has it; what it has to, `by_log` says."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from mesh.protocol.chats import WorkParameters
from tests.chaos.story import Story


class Row(NamedTuple):
    """A row of the table of runs: all that it has, but for its id."""

    chat_id: str | None
    tenant: str
    key: str
    client: str | None
    client_user: str | None
    model: str
    parameters: WorkParameters
    trace: str
    reply: str | None
    created_at: float
    deadline: float
    state: str
    attempts: int
    worker: str | None
    inc: str | None
    claimed_at: float | None
    cancel_asked_at: float | None
    ended_at: float | None
    text: str
    finish: str | None
    truncated: int
    error_code: str | None
    error: str | None
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    queue_seconds: float
    first_token_seconds: float | None
    generate_seconds: float
    pieces: int | None
    text_checksum: str | None
    ids_checksum: str | None


class Said(NamedTuple):
    """A row of the table of messages, but for its id, and whose chat that is."""

    chat_id: str
    parent_id: str | None
    role: str
    content: str | None
    created_at: float
    user_id: str


class Spent(NamedTuple):
    """Whose use of a model was added up, and on which day."""

    day: str
    tenant: str
    key: str
    model: str


class Used(NamedTuple):
    """What is charged for: requests, those that failed, and their tokens."""

    requests: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


@dataclass
class Kept:
    """rows: by request id; messages: by their ids."""

    rows: dict[str, Row] = field(default_factory=dict)
    messages: dict[str, Said] = field(default_factory=dict)
    used: dict[Spent, Used] = field(default_factory=dict)

    def settled(self, stories: Iterable[Story]) -> bool:
        """Whether it has an end of each."""
        states = {self.rows[each.rid].state if each.rid in self.rows else "" for each in stories}
        return states <= {"done", "failed", "cancelled"}


def read(path: Path) -> Kept:
    """What a database has. Raises sqlite3.DatabaseError."""
    database = sqlite3.connect(path)
    try:
        runs = database.execute(f"select rid, {', '.join(Row._fields)} from runs")
        rows = {rid: _row(columns) for rid, *columns in runs}
        columns = ", ".join(f"messages.{name}" for name in Said._fields[:-1])
        said = database.execute(
            f"select messages.id, {columns}, user_id from messages join chats on chats.id = chat_id"
        )
        messages = {id: Said(*columns) for id, *columns in said}
        used = database.execute(f"select {', '.join(Spent._fields + Used._fields)} from usage_days")
        whose = len(Spent._fields)
        days = {Spent(*each[:whose]): Used(*each[whose:]) for each in used}
        return Kept(rows, messages, days)
    finally:
        database.close()


def _row(columns: list[object]) -> Row:
    found = Row._make(columns)
    parameters = msgspec.json.decode(str(found.parameters), type=WorkParameters)
    return found._replace(parameters=parameters)
