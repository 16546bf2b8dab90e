"""For the export of own data: a tenant's runs that call tools, what its clients have used, and what
it wrote in threads that it takes part in no longer."""

from collections import defaultdict

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from mesh.protocol.own_data import (
    ActionRow,
    ClientRow,
    ClientRows,
    ListClients,
    ListToolRuns,
    ToolRunRow,
    ToolRuns,
)
from mesh.protocol.threads import ListLeftMessages, ThreadMessages
from mesh.store.models import Action, ClientUsage, ToolRun
from mesh.store.queries.paging import check_limit, page
from mesh.store.queries.thread_messages import shown
from mesh.store.refusals import no_such
from mesh.store.thread_models import ThreadMessage, ThreadParticipant

MOST_CLIENTS = 1_000


async def list_tool_runs(session: AsyncSession, query: ListToolRuns) -> ToolRuns:
    """Oldest first by (created_at, id), as many as a reply holds."""
    check_limit(query.limit)
    wanted = select(ToolRun).where(ToolRun.tenant == query.tenant)
    if query.after is not None:
        last = await session.get(ToolRun, query.after)
        if last is None or last.tenant != query.tenant:
            raise no_such("run")
        wanted = wanted.where(tuple_(ToolRun.created_at, ToolRun.id) > (last.created_at, last.id))
    ordered = wanted.order_by(ToolRun.created_at, ToolRun.id).limit(query.limit + 1)
    found = list(await session.scalars(ordered))
    actions = await _actions(session, [run.id for run in found])
    shown, more = page([_run(run, tuple(actions[run.id])) for run in found], query.limit)
    return ToolRuns(runs=shown, next=shown[-1].id if more else None)


async def list_clients(session: AsyncSession, query: ListClients) -> ClientRows:
    """By client and user."""
    check_limit(query.limit, MOST_CLIENTS)
    key = tuple_(ClientUsage.client, ClientUsage.user)
    wanted = select(ClientUsage).where(ClientUsage.tenant == query.tenant)
    if query.after is not None:
        wanted = wanted.where(key > query.after)
    ordered = wanted.order_by(ClientUsage.client, ClientUsage.user).limit(query.limit + 1)
    shown, more = page([_client(row) for row in await session.scalars(ordered)], query.limit)
    return ClientRows(clients=shown, next=(shown[-1].client, shown[-1].user) if more else None)


async def list_left_messages(session: AsyncSession, query: ListLeftMessages) -> ThreadMessages:
    """Oldest first by (created_at, id), as many as a reply holds."""
    check_limit(query.limit)
    part = select(ThreadParticipant.thread_id).where(ThreadParticipant.user == query.user_id)
    wanted = select(ThreadMessage).where(
        ThreadMessage.sender == query.user_id, ThreadMessage.thread_id.not_in(part)
    )
    key = ThreadMessage.created_at, ThreadMessage.id
    if query.after is not None:
        last = await session.get(ThreadMessage, query.after)
        if last is None or last.sender != query.user_id:
            raise no_such("message")
        wanted = wanted.where(tuple_(*key) > (last.created_at, last.id))
    found = await session.scalars(wanted.order_by(*key).limit(query.limit + 1))
    messages, more = page([shown(row) for row in found], query.limit)
    return ThreadMessages(messages=messages, more=more)


async def _actions(session: AsyncSession, run_ids: list[str]) -> dict[str, list[ActionRow]]:
    found: dict[str, list[ActionRow]] = defaultdict(list)
    wanted = select(Action).where(Action.run_id.in_(run_ids)).order_by(Action.number)
    for action in await session.scalars(wanted):
        found[action.run_id].append(_action(action))
    return found


def _run(run: ToolRun, actions: tuple[ActionRow, ...]) -> ToolRunRow:
    return ToolRunRow(
        id=run.id,
        thread=run.thread,
        assistant=run.assistant,
        question=run.question,
        model=run.model,
        state=run.state,
        text=run.text,
        error_code=run.error_code,
        error=run.error,
        created_at=run.created_at,
        deadline=run.deadline,
        ended_at=run.ended_at,
        actions=actions,
    )


def _action(action: Action) -> ActionRow:
    return ActionRow(
        call=action.call,
        number=action.number,
        tool=action.tool,
        arguments=action.arguments,
        state=action.state,
        output=action.output,
        by=action.by,
        created_at=action.created_at,
        expires_at=action.expires_at,
        ended_at=action.ended_at,
    )


def _client(usage: ClientUsage) -> ClientRow:
    return ClientRow(
        client=usage.client,
        user=usage.user,
        requests=usage.requests,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )
