"""Answers queries: waits for the log where that is asked for, opens the session, calls by name.

Knows neither the broker nor SQL; `app.py` brings it the queries, `queries/` holds what they do.
"""

import asyncio
import logging
import shutil
import time
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.bus.connection import refused
from mesh.protocol.accounts import RemoveUser, ShareChat
from mesh.protocol.chats import (
    AddReport,
    AddUserMessage,
    CreateChat,
    DeleteChat,
    GetChat,
    GetHealth,
    GetMessage,
    GetRun,
    Health,
    HideAllChats,
    ListChats,
    ListWorkerEvents,
    PlanAnswer,
    SearchChats,
    UpdateChat,
    Vote,
)
from mesh.protocol.clients import GetClient
from mesh.protocol.errors import MeshError
from mesh.protocol.evaluations import EvaluateMessage
from mesh.protocol.exports import ListExport
from mesh.protocol.limits import GetUsage
from mesh.protocol.numbered import ListNumbered, OpenChat
from mesh.protocol.own_data import ListClients, ListToolRuns
from mesh.protocol.queries import AccountQuery, AssistantQuery, Query, Reply, ThreadQuery
from mesh.protocol.request import UserMessage
from mesh.protocol.taking_back import TakeBack
from mesh.protocol.tools import GetThread
from mesh.settings import StoreSettings
from mesh.store import thread_desk
from mesh.store.accounts import Accounts
from mesh.store.database import Database, sentence
from mesh.store.follower import Follower
from mesh.store.queries import (
    answers,
    chats,
    evaluations,
    exports,
    messages,
    numbered,
    own_data,
    runs,
    search,
    taking_back,
    usage,
)
from mesh.store.refusals import NotYet, unavailable

log = logging.getLogger(__name__)

WAIT = 2.0
"""Seconds that a query waits for the log to be applied as far as it needs."""

Read = (
    GetHealth
    | ListChats
    | SearchChats
    | GetChat
    | GetMessage
    | PlanAnswer
    | GetRun
    | GetClient
    | GetThread
    | ListWorkerEvents
    | ListNumbered
    | ListExport
    | ListToolRuns
    | ListClients
    | GetUsage
)
Change = (
    CreateChat
    | OpenChat
    | UpdateChat
    | HideAllChats
    | DeleteChat
    | AddUserMessage
    | Vote
    | AddReport
    | EvaluateMessage
    | TakeBack
)


class Dispatcher:
    """Answers one query at a time or many at once."""

    def __init__(
        self,
        database: Database,
        follower: Follower,
        limits: StoreSettings,
        accounts: Accounts,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._follower = follower
        self._limits = limits
        self._accounts = accounts
        self._clock = clock

    async def serve(self, query: Query) -> Reply:
        """The reply, a `Refused` where it cannot be granted."""
        try:
            await self._wait_for_log(query)
            try:
                return await self._answer(query)
            except NotYet:
                await self._catch_up()
                return await self._answer(query)
        except MeshError as error:
            return refused(error)
        except SQLAlchemyError as error:
            log.warning("A query could not be answered: %s", sentence(error))
            return refused(
                unavailable("The store's database does not work now; try again in a while.")
            )

    async def _wait_for_log(self, query: Query) -> None:
        match query:
            case (
                GetChat(min_seq=seq)
                | DeleteChat(min_seq=seq)
                | ListChats(min_seq=seq)
                | SearchChats(min_seq=seq)
                | AddUserMessage(min_seq=seq)
                | PlanAnswer(min_seq=seq)
                | UpdateChat(min_seq=seq)
                | GetMessage(min_seq=seq)
                | GetRun(min_seq=seq)
                | GetClient(min_seq=seq)
            ) if seq > self._follower.applied:
                behind = f"has applied the log up to {self._follower.applied}, not yet to {seq}"
                await self._in_time(self._follower.reached(seq), behind)
            case (
                GetThread()
                | GetUsage()
                | ListNumbered()
                | OpenChat()
                | TakeBack()
                | RemoveUser()
                | ShareChat()
                | AddUserMessage(parent_id=None)
                | PlanAnswer(user_message=UserMessage(parent_id=None))
            ):
                await self._catch_up()
            case _ if isinstance(query, thread_desk.Told):
                await self._catch_up()
            case _:
                pass

    async def _catch_up(self) -> None:
        """Whether a chat is empty, what a thread has, or a thing not there: the whole log tells."""
        await self._in_time(self._follower.caught_up(), "is still reading the log")

    async def _in_time(self, work: Awaitable[None], state: str) -> None:
        try:
            async with asyncio.timeout(WAIT):
                await work
        except TimeoutError:
            raise unavailable(f"The store {state}; try again in a moment.") from None

    async def _answer(self, query: Query) -> Reply:
        if isinstance(query, AccountQuery):
            return await self._accounts.serve(query)
        if isinstance(query, AssistantQuery | ThreadQuery):
            most = self._limits.chat_max_messages
            return await thread_desk.answer(self._database, query, self._clock(), most)
        if isinstance(query, Read):
            async with self._database.read() as session:
                return await self._read(session, query)
        async with self._database.write() as session:
            return await self._change(session, query)

    async def _read(self, session: AsyncSession, query: Read) -> Reply:
        now, most = self._clock(), self._limits.chat_max_messages
        match query:
            case GetHealth():
                return await self._health(await runs.count_skipped(session))
            case ListChats():
                return await chats.list_chats(session, query)
            case SearchChats():
                return await search.search_chats(session, query)
            case GetChat():
                return await chats.get_chat(session, query, now)
            case GetMessage():
                return await messages.get_message(session, query, now)
            case PlanAnswer():
                return await answers.plan_answer(session, query, now, most)
            case GetRun():
                return await runs.get_run(session, query, now)
            case GetClient():
                return await runs.get_client(session, query)
            case GetThread():
                return await runs.get_thread(session, query)
            case ListWorkerEvents():
                return await runs.list_worker_events(session, query)
            case ListNumbered():
                return await numbered.list_numbered(session, query)
            case ListExport():
                return await exports.list_export(session, query)
            case ListToolRuns():
                return await own_data.list_tool_runs(session, query)
            case ListClients():
                return await own_data.list_clients(session, query)
            case GetUsage():
                return await usage.get_usage(session, query, self._follower.applied)

    async def _change(self, session: AsyncSession, query: Change) -> Reply:
        now, most = self._clock(), self._limits.chat_max_messages
        match query:
            case CreateChat():
                return await chats.create_chat(session, query, now)
            case UpdateChat():
                return await chats.update_chat(session, query)
            case HideAllChats():
                return await chats.hide_all_chats(session, query)
            case DeleteChat():
                return await chats.delete_chat(session, query, now)
            case AddUserMessage():
                return await messages.add_user_message(session, query, now, most)
            case Vote():
                return await messages.vote(session, query, now)
            case AddReport():
                return await messages.add_report(session, query, now)
            case EvaluateMessage():
                return await evaluations.evaluate_message(session, query, now)
            case OpenChat():
                return await numbered.open_chat(session, query, now)
            case TakeBack():
                return await taking_back.take_back(session, query)

    async def _health(self, skipped: int) -> Health:
        return Health(
            applied=self._follower.applied,
            database_bytes=await self._database.used(),
            database_max_bytes=self._limits.database_max_bytes,
            free_bytes=shutil.disk_usage(self._database.path.parent).free,
            skipped=skipped,
        )
