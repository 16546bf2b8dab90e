"""One's assistants, tools and threads, as lines of the export of all that is one's own."""

from collections.abc import AsyncIterator
from typing import Literal

from msgspec import Struct

from mesh.gateway.assistants.shapes import (
    AssistantObject,
    ToolObject,
    assistant_object,
    tool_object,
)
from mesh.gateway.services import Services
from mesh.gateway.threads.shapes import (
    MessageObject,
    ThreadObject,
    message_object,
    thread_object,
)
from mesh.protocol.assistants import ListAssistants, ListTools
from mesh.protocol.errors import ErrorCode, MeshError
from mesh.protocol.threads import ListLeftMessages, ListThreadMessages, ListThreads

PAGE = 100


class AssistantLine(Struct, frozen=True, kw_only=True):
    """An assistant of one's own."""

    kind: Literal["assistant"] = "assistant"
    assistant: AssistantObject


class ToolLine(Struct, frozen=True, kw_only=True):
    """A tool of one's own."""

    kind: Literal["tool"] = "tool"
    tool: ToolObject


class ThreadLine(Struct, frozen=True, kw_only=True):
    """A thread that one takes part in, with its messages; of somebody else's only those that are
    one's own, or were written by one's own runs."""

    kind: Literal["thread"] = "thread"
    thread: ThreadObject
    messages: list[MessageObject]


class LeftMessageLine(Struct, frozen=True, kw_only=True):
    """A message that is one's own, or was written by a run of one's own, in a thread that one takes
    part in no longer."""

    kind: Literal["message"] = "message"
    message: MessageObject


ThreadsLine = AssistantLine | ToolLine | ThreadLine | LeftMessageLine


async def lines(services: Services, user: str) -> AsyncIterator[ThreadsLine]:
    """All of them. Raises MeshError (store_unavailable)."""
    async for assistant in _assistants(services, user):
        yield AssistantLine(assistant=assistant)
    async for tool in _tools(services, user):
        yield ToolLine(tool=tool)
    async for thread in _threads(services, user):
        try:
            said = [each async for each in _messages(services, user, thread)]
        except MeshError as error:
            if error.code is not ErrorCode.NOT_FOUND:  # it was deleted meanwhile
                raise
        else:
            yield ThreadLine(thread=thread, messages=said)
    async for message in _left(services, user):
        yield LeftMessageLine(message=message)


async def _assistants(services: Services, user: str) -> AsyncIterator[AssistantObject]:
    after: str | None = None
    more = True
    while more:
        query = ListAssistants(user_id=user, limit=PAGE, after=after)
        page = await services.store.ask(query)
        for each in page.assistants:
            if each.owner == user:
                yield assistant_object(each)
            after = each.id
        more = page.more


async def _tools(services: Services, user: str) -> AsyncIterator[ToolObject]:
    after: str | None = None
    more = True
    while more:
        page = await services.store.ask(ListTools(user_id=user, limit=PAGE, after=after))
        for each in page.tools:
            yield tool_object(each)
            after = each.id
        more = page.more


async def _threads(services: Services, user: str) -> AsyncIterator[ThreadObject]:
    after: str | None = None
    more = True
    while more:
        page = await services.store.ask(ListThreads(user_id=user, limit=PAGE, after=after))
        for each in page.threads:
            yield thread_object(each)
            after = each.id
        more = page.more


async def _messages(
    services: Services, user: str, thread: ThreadObject
) -> AsyncIterator[MessageObject]:
    after: str | None = None
    more = True
    while more:
        query = ListThreadMessages(user_id=user, thread_id=thread.id, limit=PAGE, after=after)
        page = await services.store.ask(query)
        for each in page.messages:
            if user in (each.sender, thread.owner_id):
                yield message_object(each)
            after = each.id
        more = page.more


async def _left(services: Services, user: str) -> AsyncIterator[MessageObject]:
    after: str | None = None
    more = True
    while more:
        query = ListLeftMessages(user_id=user, limit=PAGE, after=after)
        page = await services.store.ask(query)
        for each in page.messages:
            yield message_object(each)
            after = each.id
        more = page.more
