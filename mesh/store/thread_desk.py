"""Answers what is asked about assistants, tools and threads; as `dispatch.py`, which it serves."""

from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol.assistants import (
    CreateAssistant,
    CreateTool,
    DeleteAssistant,
    DeleteTool,
    GetAssistant,
    GetTool,
    GiveTool,
    ListAssistants,
    ListTools,
    ShareAssistant,
    UpdateAssistant,
    UpdateTool,
)
from mesh.protocol.queries import AssistantQuery, Reply, ThreadQuery
from mesh.protocol.threads import (
    AddThreadMessage,
    CreateThread,
    DeleteThread,
    DeleteThreadMessage,
    GetThreadMessage,
    ListLeftMessages,
    ListThreadMessages,
    ListThreadRuns,
    ListThreads,
    OpenThread,
    PlanThread,
    UpdateThread,
)
from mesh.store.database import Database
from mesh.store.queries import assistants, own_data, thread_messages, threads, tools

Read = (
    GetAssistant
    | ListAssistants
    | GetTool
    | ListTools
    | OpenThread
    | ListThreads
    | GetThreadMessage
    | ListThreadMessages
    | ListLeftMessages
    | PlanThread
    | ListThreadRuns
)
Change = (
    CreateAssistant
    | UpdateAssistant
    | DeleteAssistant
    | ShareAssistant
    | GiveTool
    | CreateTool
    | UpdateTool
    | DeleteTool
    | CreateThread
    | UpdateThread
    | DeleteThread
    | AddThreadMessage
    | DeleteThreadMessage
)
Told = (
    AddThreadMessage
    | ListThreadMessages
    | ListLeftMessages
    | PlanThread
    | ListThreadRuns
    | UpdateThread
    | DeleteThread
)
"""What depends on all that runs have said up to now, as the log tells it."""


async def answer(
    database: Database, query: AssistantQuery | ThreadQuery, now: float, most: int
) -> Reply:
    """`most`: messages a thread may have. Raises MeshError."""
    if isinstance(query, Read):
        async with database.read() as session:
            return await _read(session, query, now)
    async with database.write() as session:
        return await _change(session, query, now, most)


async def _read(session: AsyncSession, query: Read, now: float) -> Reply:
    match query:
        case GetAssistant():
            return await assistants.get_assistant(session, query)
        case ListAssistants():
            return await assistants.list_assistants(session, query)
        case GetTool():
            return await tools.get_tool(session, query)
        case ListTools():
            return await tools.list_tools(session, query)
        case OpenThread():
            return await threads.open_thread(session, query)
        case ListThreads():
            return await threads.list_threads(session, query)
        case GetThreadMessage():
            return await thread_messages.get_thread_message(session, query)
        case ListThreadMessages():
            return await thread_messages.list_thread_messages(session, query)
        case ListLeftMessages():
            return await own_data.list_left_messages(session, query)
        case PlanThread():
            return await thread_messages.plan_thread(session, query)
        case ListThreadRuns():
            return await threads.list_thread_runs(session, query, now)


async def _change(session: AsyncSession, query: Change, now: float, most: int) -> Reply:
    match query:
        case CreateAssistant():
            return await assistants.create_assistant(session, query, now)
        case UpdateAssistant():
            return await assistants.update_assistant(session, query)
        case DeleteAssistant():
            return await assistants.delete_assistant(session, query)
        case ShareAssistant():
            return await assistants.share_assistant(session, query)
        case GiveTool():
            return await assistants.give_tool(session, query)
        case CreateTool():
            return await tools.create_tool(session, query, now)
        case UpdateTool():
            return await tools.update_tool(session, query)
        case DeleteTool():
            return await tools.delete_tool(session, query)
        case CreateThread():
            return await threads.create_thread(session, query, now, most)
        case UpdateThread():
            return await threads.update_thread(session, query)
        case DeleteThread():
            return await threads.delete_thread(session, query)
        case AddThreadMessage():
            return await thread_messages.add_thread_message(session, query, now, most)
        case DeleteThreadMessage():
            return await thread_messages.delete_thread_message(session, query)
