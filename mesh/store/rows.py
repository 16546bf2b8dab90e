"""The rows that a batch of events touches: read ahead in a few statements, saved in a few.

Applying an event then needs no database at all. Decides nothing; `apply.py` does.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from mesh.protocol.events import Queued, WorkerLost, WorkerStarted, WorkerStopped
from mesh.protocol.request import Turn
from mesh.protocol.tools import RunBegun, ToolEvent
from mesh.store import usage
from mesh.store.models import (
    Action,
    Base,
    Chat,
    ClientUsage,
    DeletedChat,
    DeletedUser,
    Message,
    Run,
    ToolRun,
    User,
    Worker,
    WorkerEvent,
)
from mesh.store.records import Record
from mesh.store.thread_models import Thread, ThreadMessage, ThreadParticipant
from mesh.store.usage import Spent, UsageDay

R = TypeVar("R", bound=Base)

Row = Chat | Message | Run | ClientUsage | UsageDay | ToolRun | Action | ThreadMessage | Worker

ORDER = (
    Chat,
    Message,
    Run,
    ClientUsage,
    UsageDay,
    ToolRun,
    Action,
    ThreadMessage,
    Worker,
)
"""The kinds of rows, those that are referred to first."""

Payer = tuple[str, str, str]
"""Tenant, client, and the client's user."""


class Rows:
    """What is there, by its id, and what is new. Absent from here is absent from the database."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.chats: dict[str, Chat] = {}
        self.deleted: dict[str, DeletedChat] = {}
        self.gone: dict[str, DeletedUser] = {}
        self.messages: dict[str, Message] = {}
        self.runs: dict[str, Run] = {}
        self.usage: dict[Payer, ClientUsage] = {}
        self.days: dict[Spent, UsageDay] = {}
        self.tool_runs: dict[str, ToolRun] = {}
        self.actions: dict[tuple[str, str], Action] = {}
        self.threads: dict[str, Thread] = {}
        self.participants: set[tuple[str, str]] = set()
        self.thread_messages: dict[str, ThreadMessage] = {}
        self.workers: dict[str, Worker] = {}
        self.worker_events: set[tuple[str, str]] = set()
        self._new: dict[type[Base], list[Base]] = {}
        self._noted: list[dict[str, Any]] = []

    def add(self, row: Row) -> None:
        """Take in a new row."""
        match row:
            case Chat():
                self.chats[row.id] = row
            case Message():
                self.messages[row.id] = row
            case Run():
                self.runs[row.rid] = row
            case ClientUsage():
                self.usage[row.tenant, row.client, row.user] = row
            case UsageDay():
                self.days[row.day, row.tenant, row.key, row.model] = row
            case ToolRun():
                self.tool_runs[row.id] = row
            case Action():
                self.actions[row.run_id, row.call] = row
            case ThreadMessage():
                self.thread_messages[row.id] = row
            case Worker():
                self.workers[row.name] = row
        self._new.setdefault(type(row), []).append(row)

    def note(self, kind: str, key: str, **event: str | float | None) -> None:
        """Take in a worker event, unless it is there. Nobody reads or changes one again while a
        batch is applied, and there are three to an answer: they are no more than their values."""
        if (kind, key) not in self.worker_events:
            self.worker_events.add((kind, key))
            self._noted.append({"kind": kind, "key": key, **event})

    def day_of(self, run: Run, at: float) -> UsageDay:
        """What was used on the day of a time by those who pay for a run; a new row if need be."""
        key = usage.day(at), run.tenant, run.key, run.model
        if key not in self.days:
            self.add(usage.begun(key))
        return self.days[key]

    async def save(self, session: AsyncSession) -> None:
        """Write what is new, referred-to rows first, and what was changed."""
        for kind in ORDER:
            session.add_all(self._new.get(kind, ()))
            await session.flush()
        if self._noted:
            await session.execute(insert(WorkerEvent), self._noted)


async def load(session: AsyncSession, records: Sequence[Record]) -> Rows:
    """Read everything that these events may touch."""
    rows = Rows()
    turns = [turn for turn in map(_turn, records) if turn is not None]
    chat_ids = {turn.chat_id for turn in turns}
    keys = {key for record in records for key in record.worker_event_keys}
    rows.users = await _by(session, User.id, {turn.user_id for turn in turns})
    rows.chats = await _by(session, Chat.id, chat_ids)
    rows.deleted = await _by(session, DeletedChat.id, chat_ids)
    rows.gone = await _by(session, DeletedUser.id, set(_tenants(records)))
    rows.messages = await _by(session, Message.id, _message_ids(turns))
    rows.runs = await _by(session, Run.rid, {record.rid for record in records if record.rid})
    rows.usage = await _usage(session, set(_payers(records, rows.runs)))
    tenants = {run.tenant for run in rows.runs.values()} | set(_tenants(records))
    rows.days = await usage.load(session, records, tenants)
    told = {record.rid for record in records if isinstance(record.event, ToolEvent)}
    rows.tool_runs = await _by(session, ToolRun.id, told)
    if told:
        actions = await session.scalars(select(Action).where(Action.run_id.in_(told)))
        rows.actions = {(row.run_id, row.call): row for row in actions}
        await _load_threads(session, rows, records, told)
    rows.workers = await _by(session, Worker.name, set(_workers(records)))
    if keys:
        query = select(WorkerEvent.kind, WorkerEvent.key).where(WorkerEvent.key.in_(keys))
        rows.worker_events = {(kind, key) for kind, key in await session.execute(query)}
    return rows


async def _load_threads(
    session: AsyncSession, rows: Rows, records: Sequence[Record], run_ids: set[str]
) -> None:
    """The threads of these runs, who takes part in them, and what the runs have said there."""
    begun = {each.event.run.thread for each in records if isinstance(each.event, RunBegun)}
    named = begun | {run.thread for run in rows.tool_runs.values()} - {""}
    rows.threads = await _by(session, Thread.id, named)
    if rows.threads:
        part = select(ThreadParticipant).where(ThreadParticipant.thread_id.in_(rows.threads))
        rows.participants = {(row.thread_id, row.user) for row in await session.scalars(part)}
        said = await session.scalars(select(ThreadMessage).where(ThreadMessage.run_id.in_(run_ids)))
        rows.thread_messages = {row.id: row for row in said}


async def _by(
    session: AsyncSession, column: InstrumentedAttribute[str], ids: set[str]
) -> dict[str, Any]:
    if not ids:
        return {}
    found = await session.scalars(select(column.class_).where(column.in_(ids)))
    return {getattr(row, column.key): row for row in found}


async def _usage(session: AsyncSession, payers: set[Payer]) -> dict[Payer, ClientUsage]:
    if not payers:
        return {}
    key = tuple_(ClientUsage.tenant, ClientUsage.client, ClientUsage.user)
    found = await session.scalars(select(ClientUsage).where(key.in_(payers)))
    return {(row.tenant, row.client, row.user): row for row in found}


def _payers(records: Iterable[Record], runs: Mapping[str, Run]) -> Iterable[Payer]:
    """Who is charged for what begins here, or was begun before."""
    for record in records:
        if isinstance(record.event, Queued) and record.event.charge is not None:
            charge = record.event.charge
            yield record.event.request.tenant, charge.client, charge.user
    for run in runs.values():
        if run.client is not None:
            yield run.tenant, run.client, run.client_user or ""


def _turn(record: Record) -> Turn | None:
    return record.event.turn if isinstance(record.event, Queued) else None


def _tenants(records: Iterable[Record]) -> Iterable[str]:
    for record in records:
        if isinstance(record.event, Queued):
            yield record.event.request.tenant
        elif isinstance(record.event, RunBegun):
            yield record.event.run.tenant


def _message_ids(turns: Iterable[Turn]) -> set[str]:
    mine = {turn.user_message.id for turn in turns}
    return mine | {turn.user_message.parent_id for turn in turns if turn.user_message.parent_id}


def _workers(records: Iterable[Record]) -> Iterable[str]:
    for record in records:
        match record.event:
            case WorkerStarted():
                yield record.writer.user
            case WorkerStopped(name=name) | WorkerLost(name=name):
                yield name
